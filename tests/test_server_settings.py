"""What a server may trust and read: proxies, and databases by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.test_settings import KEY, load, refusal


def test_trusted_proxies_are_addresses_and_networks(tmp_path: Path) -> None:
    server = load(tmp_path).server
    assert (server.trusted_proxies, server.proxy_header) == ((), "x-forwarded-for")
    toml = '[server]\ntrusted_proxies = ["127.0.0.1", "fd00::/8"]\nproxy_header = "forwarded"\n'
    server = load(tmp_path, toml).server
    assert [str(one) for one in server.trusted_proxies] == ["127.0.0.1/32", "fd00::/8"]
    assert server.proxy_header == "forwarded"


@pytest.mark.parametrize(
    "value", ['"proxy.example"', '["10.0.0.1/8"]', '"0.0.0.0/0"', '["::/0"]', "7", '"*"', "[]"]
)
def test_what_is_no_address_of_a_proxy_is_refused(tmp_path: Path, value: str) -> None:
    said = refusal(tmp_path, f"[server]\ntrusted_proxies = {value}\n")
    assert said.startswith("waremill.toml:2: “server.trusted_proxies” must")


def test_a_source_is_a_url_or_the_variable_that_holds_one(tmp_path: Path) -> None:
    toml = """
        [sources.shop]
        url = "sqlite:///shop.db?table=goods"
        [sources.far]
        url_env = "FAR_URL"
        [sources.asked]
        url = "postgresql://reader@db.example/shop?query=SELECT a:b@c FROM goods"
    """
    far = f"postgresql://reader:{KEY}@db.example/shop?table=goods"
    settings = load(tmp_path, toml, FAR_URL=far)
    urls = {name: one.url for name, one in settings.sources.items()}
    assert urls["shop"] == f"sqlite:///{tmp_path.resolve()}/shop.db?table=goods"
    assert urls["far"] == far and KEY not in repr(settings)
    assert urls["asked"] is not None and urls["asked"].endswith("SELECT a:b@c FROM goods")
    assert load(tmp_path, toml).sources["far"].url is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "needs one of url, url_env and folder"),
        ('url = "sqlite:///a.db?table=b"\nurl_env = "A"', "needs one of url, url_env and folder"),
        ('url = "goods.csv"', "must be a database URL"),
        (f'url = "postgresql://me:{KEY}@db/shop?table=a"', "must not hold a password"),
        (f'url = "postgresql://db/shop?password={KEY}&table=a"', "must not hold a password"),
        (f'url_env = "{KEY}"', "must name environment variables"),
        ('adress = "x"', "there is no setting"),
    ],
)
def test_a_source_that_cannot_be_is_refused_without_its_secret(
    tmp_path: Path, lines: str, said: str
) -> None:
    message = refusal(tmp_path, f"[sources.shop]\n{lines}\n")
    assert said in message and "Secret" not in message
