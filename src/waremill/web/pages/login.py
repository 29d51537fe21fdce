"""The page *Sign in*: a plain form that needs no script."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from waremill.web.pages.mounting import head
from waremill.web.pages.shell import LANGUAGE_COOKIE, language_of
from waremill.web.rest.people import Credentials, sign_in
from waremill.web.security import safe_next
from waremill.web.strings import translate

_PAGE = """\
<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Waremill</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
{head}
</head>
<body>
<main class="wm-sign-in">
<h1 class="wm-h1"><span class="wm-brand">Waremill</span></h1>
{problem}
<form method="post" action="/login">
<input type="hidden" name="next" value="{next}">
<label for="name">{name_label}</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">{password_label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button type="submit">{button}</button>
</form>
<div class="wm-languages" role="group" aria-label="{language_label}">{languages}</div>
</main>
</body>
</html>
"""


def install(app: FastAPI) -> None:
    """Add the page at `/login`."""
    app.get("/login", include_in_schema=False)(_login)
    app.post("/login", include_in_schema=False)(_signed)


async def _signed(request: Request) -> RedirectResponse:
    """Take the form: the API's own route signs in and sets the cookie."""
    form = await request.form(max_files=0, max_fields=3)
    back = safe_next(str(form.get("next", "")))
    reply = RedirectResponse(back, 303)
    try:
        given = Credentials.model_validate(
            {"name": str(form.get("name", "")), "password": str(form.get("password", ""))}
        )
    except ValidationError:
        return _again("wrong", back)
    found = await sign_in(request, reply, given)
    if isinstance(found, Response):
        return _again("many" if found.status_code == 429 else "wrong", back)
    if LANGUAGE_COOKIE not in request.cookies:
        reply.set_cookie(LANGUAGE_COOKIE, found.language, max_age=31_536_000, samesite="lax")
    return reply


def _again(problem: str, back: str) -> RedirectResponse:
    return RedirectResponse(f"/login?problem={problem}&next={quote(back)}", 303)


async def _login(request: Request) -> HTMLResponse:
    language = language_of(request)

    def t(key: str) -> str:
        return escape(translate(language, key))

    problem = ""
    said = {"wrong": "login.wrong", "many": "login.many"}.get(
        request.query_params.get("problem", "")
    )
    if said:
        problem = f'<div class="wm-problem" role="alert"><span>{t(said)}</span></div>'
    languages = "".join(
        f'<button type="button" class="wm-language" lang="{code}" data-language="{code}" '
        f'aria-pressed="{str(language == code).lower()}">{name}</button>'
        for code, name in (("en", "English"), ("zh", "中文"))
    )
    html = _PAGE.format(
        lang="zh-CN" if language == "zh" else "en", title=t("login.title"),
        head=head(), problem=problem, next=escape(safe_next(request.query_params.get("next"))),
        name_label=t("login.name"), password_label=t("login.password"), button=t("login.button"),
        language_label=t("shell.language"), languages=languages,
    )  # fmt: skip
    return HTMLResponse(html, headers={"cache-control": "no-store"})
