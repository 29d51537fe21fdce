"""HTTP GET reaches what the settings allow, compared as it will be requested, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from waremill.tools.builtin.http_get import Fetched, http_get, permitted
from waremill.tools.tool import ToolFailed

ALLOWED = ("https://api.example.com/v1", "https://shop.example/feed?key=open", "http://10.0.0.5:9/")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1", "https://api.example.com/v1/items?page=2",
        "https://API.example.com:443/v1/a%20b", "https://shop.example/feed?key=open&page=2",
        "http://10.0.0.5:9/anything",
    ],
)  # fmt: skip
def test_what_begins_as_allowed_is_permitted(url: str) -> None:
    assert str(permitted(url, ALLOWED)).startswith("http")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v10", "https://api.example.com/", "http://api.example.com/v1",
        "https://api.example.com:8443/v1", "https://api.example.com.evil.example/v1",
        "https://api.example.com@evil.example/v1", "https://user:key@api.example.com/v1",
        "https://api.example.com/v1/../admin", "https://api.example.com/v1/%2e%2e/admin",
        "https://api.example.com/v1/%252e%252e/admin", "https://api.example.com/v1/..%2fadmin",
        "https://api.example.com/v1/x\\..\\..\\admin", "https://api.example.com/v1/ x",
        "https://api.example.com./v1", "//api.example.com/v1", "file:///etc/passwd", "",
        "gopher://api.example.com/v1", "https://shop.example/feed", "http://10.0.0.5:90/",
        "http://169.254.169.254/latest/meta-data", "https://api.example.com/v1\r\nHost: evil",
        "https://[::1]/v1", "https://аpi.example.com/v1",
    ],
)  # fmt: skip
def test_nothing_else_is(url: str) -> None:
    with pytest.raises(ToolFailed):
        permitted(url, ALLOWED)


def test_nothing_is_allowed_unless_the_settings_say_so() -> None:
    with pytest.raises(ToolFailed, match="allowed are none"):
        permitted("https://api.example.com/", ())


class Web:
    """Addresses and what they give; `asked` is what was requested."""

    def __init__(self, **pages: Fetched | OSError) -> None:
        self.pages: Mapping[str, Fetched | OSError] = pages
        self.asked: list[str] = []

    async def __call__(self, url: str, most: int) -> Fetched:
        self.asked.append(url)
        found = self.pages[url.rpartition("/")[2]]
        if isinstance(found, OSError):
            raise found
        return found


async def get(web: Web, page: str) -> str:
    tool = http_get(ALLOWED, web)
    return await tool.use(f'{{"url": "https://api.example.com/v1/{page}"}}')


async def test_text_is_given_and_says_where_it_was_cut() -> None:
    web = Web(
        plain=Fetched(200, "application/json; charset=utf-8", b'{"price": 9}'),
        long=Fetched(200, "text/plain; charset=latin-1", b"\xe9t\xe9", whole=False),
        odd=Fetched(200, "text/plain; charset=hex", b"6869"),
    )
    assert await get(web, "plain") == '{"price": 9}'
    assert (await get(web, "long")).startswith("été\n… (cut after ")
    assert await get(web, "odd") == "6869"


async def test_a_redirect_is_followed_only_to_what_is_allowed() -> None:
    away = Fetched(302, "", b"", "http://169.254.169.254/latest")
    web = Web(
        here=Fetched(302, "", b"", "/v1/there"), there=Fetched(200, "text/plain", b"there"),
        away=away, round=Fetched(302, "", b"", "/v1/round"),
    )  # fmt: skip
    assert await get(web, "here") == "there"
    with pytest.raises(ToolFailed, match="not allowed"):
        await get(web, "away")
    with pytest.raises(ToolFailed, match="redirects more than"):
        await get(web, "round")
    assert all(url.startswith("https://api.example.com/v1/") for url in web.asked)


async def test_errors_and_what_is_no_text_are_told_in_a_sentence() -> None:
    web = Web(
        gone=Fetched(404, "text/plain", b"no such item"),
        down=ConnectionRefusedError(111, "refused"),
        picture=Fetched(200, "image/png", b"\x89PNG"),
    )  # fmt: skip
    for page, said in (
        ("gone", "answered 404: no such item"), ("down", "cannot be reached: refused"),
        ("picture", "image/png, which is no text"),
    ):  # fmt: skip
        with pytest.raises(ToolFailed, match=said):
            await get(web, page)
