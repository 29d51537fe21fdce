"""The API's document, `/openapi.json`, and a page of it at `/docs` that needs no network.

FastAPI writes the document from the routes; what all of them share (problems, keys, who calls) is
added here, once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse

from waremill.web.rest import pictures
from waremill.web.rest.problems import MEDIA_TYPE, Problem

ABOUT = (
    "Mass-produces product content for a catalogue, with known quality and known cost. "
    "Money is in the workspace's currency, times are Unix seconds (UTC). Every error is a problem "
    "(RFC 9457). A POST may carry an `Idempotency-Key`: sent again within a day with the same "
    "body, it gives the first answer and does nothing."
)
TAGS = [
    {"name": "catalogue", "description": "Products: what there is to write about."},
    {"name": "templates", "description": "Templates, pipelines and rules; drafts and approval."},
    {"name": "models", "description": "The configured models."},
    {"name": "playground", "description": "A draft tried on one product, or sides on a few."},
    {"name": "workspace", "description": "Whether the workspace is as it should be."},
    {"name": "runs", "description": "Estimates and runs: begin, follow, steer, take the result."},
    {"name": "publishing", "description": "What was accepted, to the channels it is sold on."},
    {"name": "schedules", "description": "Runs that begin by themselves."},
    {"name": "trials", "description": "What a sample shows; marks on it."},
    {"name": "generate", "description": "One product now."},
    {"name": "chat", "description": "Talking about the catalogue and the shop's documents."},
    {"name": "reviews", "description": "Verdicts on items, one by one, many at once, by sample."},
    {"name": "pictures", "description": "Pictures of items and products; operations on one."},
    {"name": "knowledge", "description": "Documents that steps, tools and chats search."},
    {"name": "history", "description": "Every change of a value; taking changes back."},
    {"name": "spend", "description": "What was paid."},
    {
        "name": "webhooks",
        "description": "Whom we tell: of ended runs and publications, accepted items, schedules.",
    },
    {"name": "people", "description": "Sign-in, users, teams, tokens, the audit log."},
]
_REASONS = {
    400: "The request is not one this server answers to.",
    401: "Nobody is signed in, or the token is not valid.",
    402: "A budget is used up.",
    403: "The caller may not do this.",
    404: "There is no such thing, or it is another team's.",
    409: "It conflicts with how things are now.",
    412: "It was changed meanwhile.",
    413: "The request is larger than this address takes.",
    422: "Something in the request cannot work; `detail` and `where` say what.",
    428: "The change does not say of which state: If-Match is missing.",
    429: "Too many wrong tries.",
    500: "A bug of ours; the log has it under the request's id.",
    502: "A model did not answer as it must.",
    503: "The server is busy or its disk is full.",
}
_ALWAYS = (400, 401, 403, 422, 500, 503)
_MODELS = (
    "/v1/generate", "/v1/models/check", "/v1/estimates", "/v1/trials", "/v1/runs", "/v1/plays",
    "/v1/comparisons", "/v1/chat",
)  # fmt: skip
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of your own; the same one again gives the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_METHODS = ("get", "put", "post", "delete", "patch")


def install(app: FastAPI) -> None:
    """Complete an application's document and add the page of it."""
    written = app.openapi
    done: dict[int, dict[str, Any]] = {}

    def document() -> dict[str, Any]:
        plain = written()
        if id(plain) not in done:
            done.clear()
            done[id(plain)] = complete(plain)
        return done[id(plain)]

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to change it

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        page = render(request.app.openapi())
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add to a document what all routes share."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token."},
        "session": {"type": "apiKey", "in": "cookie", "name": "waremill",
                    "description": "A browser's session; changes also need X-CSRF-Token."},
    }  # fmt: skip
    # The empty one: a server on loopback without accounts asks for nothing.
    document["security"] = [{"token": []}, {"session": []}, {}]
    pictures.describe(document)
    for path, method, operation in operations(document):
        _complete_operation(path, method, operation)
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    parameters = operation.setdefault("parameters", [])
    if method == "post" and path != "/v1/session":
        parameters.append(_KEY_PARAMETER)
    matched = any(one["name"].lower() == "if-match" for one in parameters)
    statuses = {*_ALWAYS}
    if "{" in path or "requestBody" in operation:
        statuses.add(404)
    if method != "get" or "/runs/" in path or "/trials/" in path:
        statuses.add(409)
    if "requestBody" in operation:
        statuses.add(413)
    if matched:
        statuses |= {412, 428}
    if method in ("post", "put") and path.startswith(_MODELS):
        statuses |= {402, 502}
    responses = operation.setdefault("responses", {})
    statuses |= {int(code) for code in responses if code.isdigit() and int(code) >= 400}
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": _REASONS.get(status, "Something is wrong."),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    if not parameters:
        del operation["parameters"]


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give a document's operations: path, method, operation."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


# The page.

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24}
h1{font-size:1.6rem}h2{margin-top:2.2rem;font-size:1.2rem;border-bottom:1px solid #d0d5da}
details{border:1px solid #d0d5da;border-radius:4px;margin:.4rem 0;padding:.1rem .7rem}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f5f7f9;padding:.6rem;overflow:auto}b.m{display:inline-block;min-width:4.2rem}
table{border-collapse:collapse;margin:.4rem 0}td,th{text-align:left;vertical-align:top;
padding:.15rem .9rem .15rem 0}nav a{margin-right:1rem}a{color:#0b57a4}
@media(prefers-color-scheme:dark){body{background:#15181c;color:#e4e7ea}pre{background:#1e2328}
details,h2{border-color:#3a4149}a{color:#7db7f0}}
"""
_DIGEST = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def render(document: Mapping[str, Any]) -> str:
    """Write the document as one page of HTML without scripts."""
    known = [tag["name"] for tag in document.get("tags", ())]
    about = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    by_tag: dict[str, list[str]] = {name: [] for name in known}
    for path, method, operation in operations(document):
        tag = operation.get("tags", ["other"])[0]
        by_tag.setdefault(tag, []).append(_operation(path, method, operation))
    used = [name for name, parts in by_tag.items() if parts]
    links = "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in used)
    parts = [
        f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{escape(about.get(name, ""))}</p>'
        + "".join(by_tag[name])
        for name in used
    ]
    schemas = "".join(
        f'<details id="schema-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<pre>{_json(schema)}</pre></details>"
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{_text(info.get('description', ''))}</p>"
        '<p><a href="/openapi.json">openapi.json</a></p>'
        f'<nav aria-label="Sections">{links}<a href="#schemas">schemas</a></nav>'
        f'{"".join(parts)}<h2 id="schemas">schemas</h2>{schemas}</body></html>'
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}"
        f"{', required' if one.get('required') else ''}</td>"
        f"<td>{_text(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", ())
    )
    body = operation.get("requestBody", {}).get("content", {})
    asked = "".join(
        f"<p>Body <code>{escape(kind)}</code>: {_schema(one.get('schema', {}))}</p>"
        for kind, one in body.items()
    )
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(one.get('description', ''))}</td>"
        f"<td>{_contents(one)}</td></tr>"
        for status, one in sorted(operation["responses"].items())
    )
    return (
        f'<details id="{escape(operation.get("operationId", ""))}">'
        f'<summary><b class="m">{method.upper()}</b> <code>{escape(path)}</code> '
        f"— {escape(operation.get('summary', ''))}</summary>"
        f"<p>{_text(operation.get('description', ''))}</p>"
        + (f"<table>{rows}</table>" if rows else "")
        + f"{asked}<table>{answers}</table></details>"
    )


def _contents(answer: Mapping[str, Any]) -> str:
    return "; ".join(
        f"<code>{escape(kind)}</code> {_schema(one.get('schema', {}))}"
        for kind, one in answer.get("content", {}).items()
    )


def _schema(schema: Mapping[str, Any]) -> str:
    if ref := schema.get("$ref"):
        name = escape(ref.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if schema.get("type") == "array":
        return f"list of {_schema(schema.get('items', {}))}"
    return escape(str(schema.get("title") or schema.get("type") or ""))


def _text(text: str) -> str:
    """Write prose: paragraphs and `code`."""
    pieces = escape(text).split("`")
    marked = "".join(f"<code>{one}</code>" if n % 2 else one for n, one in enumerate(pieces))
    return marked.replace("\n\n", "</p><p>")


def _json(value: Any) -> str:
    return escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


__all__ = ["ABOUT", "TAGS", "complete", "install", "operations", "render"]
