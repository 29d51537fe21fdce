"""What somebody sees of a team that is not theirs: nothing, in no answer and in no figure.

`Look` is all that somebody can read; two looks are equal where nothing shows that another team did
something in between. `reaching` are requests that name a foreign team's things in bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from tests.web.matrix import ORIGIN, TEAM, At, call
from tests.web.matrix_everybody import Declared
from tests.web.matrix_shop import PIPELINE, Shop

READS = {
    "POST /v1/lint", "POST /v1/previews", "POST /v1/estimates", "POST /v1/imports/preview",
    "POST /v1/runs/{run}/reviews/count", "POST /v1/runs/{run}/review-sheet",
    "POST /v1/templates/{template}/prompt", "POST /v1/knowledge/{knowledge}/search",
}  # fmt: skip
"""POSTs that change nothing."""
OWN_FIGURES = ("waremill_runs", "waremill_running_items", "waremill_spent", "waremill_webhook")


@dataclass
class Look:
    """Answers by route, as far as they say something about the teams' things."""

    texts: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def reading(routes: Iterable[Declared]) -> list[Declared]:
    """Give the routes that only read."""
    return [one for one in routes if one.method == "GET" or f"{one.method} {one.path}" in READS]


async def look(shop: Shop, routes: Iterable[Declared], headers: Mapping[str, str]) -> Look:
    """Read all there is as somebody."""
    seen = Look()
    transport = httpx.ASGITransport(shop.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=30) as client:
        for route in routes:
            reply = await call(shop.app, client, route, headers)
            name = f"{route.method} {route.path}"
            seen.texts[name] = reply.text
            kind = reply.headers.get("content-type", "").partition(";")[0]
            is_page = kind == "text/html" and "/report" not in route.path
            is_page |= route.path.startswith("/_nicegui_ws/")
            if not is_page and kind != "application/octet-stream" and "sheet" not in kind:
                seen.figures[name] = _lasting(reply)
    return seen


def _lasting(reply: httpx.Response) -> Any:
    """Give what stays the same while nobody does anything."""
    text = reply.text
    if "waremill_runs" in text and text.startswith("#"):
        return [line for line in text.splitlines() if line.startswith(OWN_FIGURES)]
    if "json" not in reply.headers.get("content-type", "") or not text:
        return text
    return _without(orjson.loads(text), {"used_at", "request", "instance", "sid"})


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(one, names) for name, one in value.items() if name not in names}
    if isinstance(value, list):
        left = (one for one in value if not isinstance(one, dict) or one.get("what") != "disk")
        return [_without(one, names) for one in left]
    return value


@dataclass(frozen=True)
class Reach:
    """A request that names something of another team's, and the same with a name nobody has.

    What comes back must be `status`, and the same for both but for the name.
    """

    method: str
    path: str
    json: Mapping[str, Any]
    status: int = 404
    named: str = ""

    @property
    def nobodys(self) -> str:
        """A name nobody has, as like to all others as the one that is named."""
        return self.named.replace("home", "hume").replace(TEAM, "many")

    def otherwise(self) -> Mapping[str, Any]:
        """Give the body with a name nobody has instead."""
        text = orjson.dumps(self.json).decode()
        found: Mapping[str, Any] = orjson.loads(text.replace(self.named, self.nobodys))
        return found


def reaching(shop: Shop, mine: At) -> list[Reach]:
    """Give requests of somebody of the other team, with their own run, catalogue and lot in `mine`.

    Each names a thing of ours where a body or a part of an address lets one.
    """
    ours, theirs = shop.ours, shop.theirs
    task = {"pipeline": theirs.template, "catalog": theirs.catalog, "limit": 1}
    planned = {**task, "start": False}
    product = {"product": {"name": "Eau", "brand": "House"}}
    found = []
    for path, body in (
        ("/v1/estimates", task), ("/v1/trials", planned), ("/v1/runs", planned),
    ):  # fmt: skip
        found += [
            Reach("POST", path, {**body, "pipeline": ours.template}, named=ours.template),
            Reach("POST", path, {**body, "pipeline": ours.pipeline}, named=ours.pipeline),
            Reach("POST", path, {**body, "catalog": ours.catalog}, named=ours.catalog),
            Reach("POST", path, {**body, "model": ours.model}, 422, ours.model),
        ]
    against = {**planned, "against": ours.model}
    secret = PIPELINE.format(name="mine", template=ours.template)
    text = {"path": "pipelines/mine.yaml", "text": secret}
    shown = {**text, "key": theirs.keys[0], "catalog": theirs.catalog}
    edited = {"path": theirs.path, "text": f"name: x\ninclude: {ours.template}\n"}
    return [
        *found,
        Reach("POST", "/v1/trials", against, named=ours.model),
        Reach("POST", "/v1/generate", {**product, "pipeline": ours.template}, named=ours.template),
        Reach("POST", "/v1/generate", {**product, "pipeline": ours.pipeline}, named=ours.pipeline),
        Reach("POST", "/v1/generate",
              {**product, "pipeline": theirs.template, "model": ours.model}, 422, ours.model),
        Reach("POST", "/v1/generate",
              {**product, "pipeline": theirs.template, "team": ours.team}, named=ours.team),
        Reach("POST", "/v1/lint", text, 200, ours.template),
        Reach("POST", "/v1/lint", edited, 200, ours.template),
        Reach("POST", "/v1/lint", {**edited, "catalog": ours.catalog}, 200, ours.catalog),
        Reach("POST", "/v1/previews", shown, 404, ours.template),
        Reach("POST", "/v1/previews", {**shown, "catalog": ours.catalog,
              "text": secret.replace(ours.template, theirs.template)}, 404, ours.catalog),
        Reach("POST", "/v1/previews", {**shown, "model": ours.model,
              "text": secret.replace(ours.template, theirs.template)}, 422, ours.model),
        *_tried(shop),
        Reach("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/", "team": ours.team}, 404,
              ours.team),
        Reach("POST", "/v1/imports", {"upload": "sheet".ljust(22, "0"), "key": "sku",
              "catalog": ours.catalog}, 409),
        Reach("POST", "/v1/sources/store/import", {"key": "sku", "catalog": ours.catalog}, 409),
        *_by_number(shop, mine),
    ]  # fmt: skip


def _tried(shop: Shop) -> list[Reach]:
    """Give requests of the playground, and about a template, that name a thing of ours."""
    ours, theirs = shop.ours, shop.theirs
    secret = PIPELINE.format(name="mine", template=ours.template)
    here = {"path": theirs.path, "key": theirs.keys[0], "catalog": theirs.catalog}
    rows = {"path": theirs.path, "keys": theirs.keys[:1], "catalog": theirs.catalog}
    hidden = {**here, "path": "pipelines/mine.yaml", "text": secret}
    prompt = {"key": theirs.keys[0], "catalog": theirs.catalog}
    plays, sides, under = "/v1/plays", "/v1/comparisons", "/v1/templates"
    return [
        Reach("POST", plays, {**here, "path": ours.path}),
        Reach("POST", plays, {**here, "version": ours.version}),
        Reach("POST", plays, {**here, "model": ours.model}, 200, ours.model),
        Reach("POST", plays, {**here, "catalog": ours.catalog}, 404, ours.catalog),
        Reach("POST", plays, hidden, 404, ours.template),
        Reach("POST", sides, {**rows, "sides": [{}, {"version": ours.version}]}),
        Reach("POST", sides, {**rows, "sides": [{"model": ours.model}]}, 200, ours.model),
        Reach("POST", sides, {**rows, "sides": [{}], "catalog": ours.catalog}, 404, ours.catalog),
        Reach("GET", f"{under}/{ours.template}/problems", {}),
        Reach("POST", f"{under}/{ours.template}/prompt", prompt),
        Reach("POST", f"{under}/{theirs.template}/prompt", {**prompt, "catalog": ours.catalog},
              404, ours.catalog),
        Reach("GET", f"/v1/owners/template/{ours.template}", {}),
    ]  # fmt: skip


def _by_number(shop: Shop, mine: At) -> list[Reach]:
    """Give requests that put the number of a thing of ours under an own thing's address."""
    ours, theirs = shop.ours, shop.theirs
    item, own = ours.items[2], f"/v1/runs/{mine['run']}"
    judged = {"verdict": "reject", "version": 0, "reason": "style"}
    back = {"key": theirs.keys[0], "field": "title", "result_id": ours.result}
    near = {"near": item}
    published = {"channel": ours.channel, "dry_run": True}
    return [
        Reach("POST", f"{own}/publications", published, 404, ours.channel),
        Reach("GET", f"/v1/publications/{ours.publication}/file", {}),
        Reach("GET", f"/v1/owners/channel/{ours.channel}", {}),
        Reach("GET", f"{own}/items/{item}", {}),
        Reach("GET", f"{own}/items/{ours.shot}/pictures/{ours.picture}", {}),
        Reach("GET", f"{own}/items/{ours.shot}/source-picture?column=photo", {}),
        Reach("GET", f"/v1/runs/{theirs.shots}/items/{theirs.shot}/pictures/{ours.picture}", {}),
        Reach("POST", f"{own}/items/{item}/verdict", judged),
        Reach("POST", f"{own}/items/{item}/undo", {}),
        Reach("GET", f"{own}/items/{item}/similar", {}),
        Reach("POST", f"{own}/reviews/next", near, 200),
        Reach("POST", f"/v1/lots/{theirs.lot}/items/{item}", {"good": True}),
        Reach("PUT", f"/v1/trials/{theirs.trial}/marks/{ours.tried[1]}/title",
              {"verdict": "wrong"}),
        Reach("DELETE", f"/v1/trials/{theirs.trial}/marks/{ours.tried[1]}/title", {}),
        Reach("POST", f"/v1/catalogs/{theirs.catalog}/revert", back),
        Reach("GET", f"/v1/versions/{theirs.version}/difference?to={ours.version}", {}),
        Reach("GET", f"/v1/audit?team={ours.team}", {}),
    ]  # fmt: skip
