"""The table: every route of the server, who may call it, and a request that works for them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import nicegui
from tests.web.matrix import EVERYBODY, PASSWORD, TEAM, At
from tests.web.matrix_everybody import TOKENS_ONLY, Declared
from tests.web.matrix_shop import HOOK, Shop, keep_for

from waremill.app import knowing
from waremill.app.accounts import Accounts
from waremill.app.browsing import Browse
from waremill.app.editing import Editor
from waremill.app.notifying import Webhooks
from waremill.app.owning import Owners
from waremill.app.picturing import all_operations
from waremill.app.reviewing import ReviewDesk
from waremill.app.scheduling import schedules
from waremill.app.scheduling.schedules import Wanted

ELSEWHERE = {
    "DELETE /v1/session", "POST /v1/tokens", "DELETE /v1/tokens/{token}",  # test_security_routes
    "POST /_nicegui/client/{client}/upload/{element}", "PUT /v1/owners/{kind}/{name}",  # here
    "GET /v1/chat/{conversation}", "PATCH /v1/chat/{conversation}",  # test_rest_chat:
    "DELETE /v1/chat/{conversation}", "GET /v1/chat/{conversation}/export",  # a conversation
    "POST /v1/chat/{conversation}/stop", "POST /v1/chat/{conversation}/permit",  # is its owner's
}  # fmt: skip
"""Routes for which one role and one answer do not say all; tested by themselves."""
REFUSED_LATER = {f"POST /v1/runs/{{run}}/{verb}" for verb in ("start", "resume", "approve")}
REFUSED_LATER |= {"GET /v1/runs/{run}/faq", "GET /v1/runs/{run}/faq/unanswered"}
"""Routes that would start a process: here they say 409 to whoever may call them. And those of runs
that asked shoppers' questions, which the run here did not."""


class Table:
    """Declares the routes upon the things of the team `main`."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._ours = shop.ours
        self._workspace = shop.workspace
        self._number = count(1)
        self._restoring: dict[str, Any] = {"headers": {}}
        self._run: At = {"run": shop.ours.run}
        self._catalog: At = {"catalog": shop.ours.catalog}
        for number, name, content in (
            ("shown", "shown.csv", shop.ours.sheet),
            ("sheet", "goods.csv", shop.ours.sheet),
            ("review", "review.xlsx", shop.ours.review),
        ):  # fmt: skip
            self._keep(number, name, content)

    def every(self) -> list[Declared]:
        """Give all routes; those that end the caller's session come last."""
        return [
            *self._catalogue(), *self._knowledge(), *self._files(), *self._tasks(),
            *self._runs(), *self._schedules(), *self._reviews(), *self._trials(), *self._pictures(),
            *self._records(), *self._webhooks(),
            *self._server(), *self._pages(), *self._people(),
        ]  # fmt: skip

    # What routes are called upon.

    def _keep(self, number: str, name: str, content: bytes) -> str:
        """Keep an upload of each person's under the same id."""
        for who in (*EVERYBODY[1:], *TOKENS_ONLY):
            number = keep_for(self._workspace, who, name, content, number)
        return number

    def _upload(self, number: str) -> dict[str, str]:
        return {"upload": number.ljust(22, "0")}

    async def _fresh_upload(self) -> At:
        return {"upload": self._keep("gone", "gone.csv", b"sku\nX1\n")}

    async def _fresh_schedule(self) -> At:
        wanted = Wanted(
            f"schedule {next(self._number)}", self._ours.template, "@yearly", 1.0, "UTC",
            {"catalog": self._ours.catalog},
        )  # fmt: skip
        return {"schedule": (await schedules.add(self._workspace, wanted)).schedule.name}

    async def _paused_schedule(self) -> At:
        made = await self._fresh_schedule()
        await schedules.pause(self._workspace, str(made["schedule"]))
        return made

    async def _fresh_name(self) -> At:
        return {**self._catalog, "name": f"fresh-{next(self._number)}"}

    async def _fresh_selection(self) -> At:
        at = await self._fresh_name()
        await Browse(self._workspace).save_selection(self._ours.catalog, str(at["name"]), None)
        return at

    async def _fresh_draft(self) -> At:
        editor = Editor(self._workspace)
        opened = await editor.read(self._ours.path)
        text = f"{opened.text.partition('# no')[0]}# no {next(self._number)}\n"
        saved = await editor.save_draft(self._ours.path, text, opened.etag)
        assert saved.version is not None
        return {"version": saved.version.id}

    async def _restorable(self) -> None:
        etag = (await Editor(self._workspace).read(self._ours.path)).etag
        self._restoring["headers"] = {"If-Match": f'"{etag}"'}

    async def _fresh_webhook(self) -> At:
        made = await Webhooks(self._workspace).add(HOOK.format(name="gone"))
        return {"webhook": made.webhook.id}

    async def _ours_again(self) -> None:
        await Owners(self._workspace).give("pipeline", self._ours.pipeline, TEAM)

    async def _fresh_user(self) -> At:
        made = await Accounts(self._workspace).add_user(f"fresh-{next(self._number)}", None)
        return {"name": made.name}

    def _of_key(self, place: int) -> dict[str, str]:
        return {"where": f"_key = '{self._ours.keys[place]}'"}

    # The routes.

    def _catalogue(self) -> list[Declared]:
        catalog, key = self._catalog, {"key": self._ours.keys[0]}
        under = "/v1/catalogs/{catalog}"
        of_name = {**catalog, "name": self._ours.word}
        goods = {**self._upload("sheet"), "key": "sku", "catalog": self._ours.catalog}
        store, kept = {"source": "store"}, {"json": {"key": "sku", "catalog": self._ours.catalog}}
        file = {"file": ("goods.csv", self._shop.ours.sheet, "text/csv")}
        where = {"params": {"where": "brand = 'House 1'"}}
        somewhere: Mapping[str, Any] = {"of_team": False}
        return [
            Declared("GET", "/v1/catalogs", "signed-in"),
            Declared("GET", f"{under}/products", "viewer", catalog, where),
            Declared("GET", f"{under}/count", "viewer", catalog, where),
            Declared("GET", f"{under}/facets", "viewer", catalog, where),
            Declared("GET", f"{under}/completeness", "viewer", catalog),
            Declared("GET", f"{under}/products/{{key}}", "viewer", {**catalog, **key}),
            Declared("GET", f"{under}/selections", "viewer", catalog),
            Declared("GET", f"{under}/selections/{{name}}", "viewer", of_name),
            Declared("PUT", f"{under}/selections/{{name}}", "operator", self._fresh_name,
                     {"json": {"where": "brand = 'House 2'"}, "headers": {"If-None-Match": "*"}}),
            Declared("DELETE", f"{under}/selections/{{name}}", "operator", self._fresh_selection),
            Declared("POST", "/v1/uploads", "reviewer", send={"files": file}, **somewhere),
            Declared("GET", "/v1/uploads/{upload}", "reviewer", self._upload("shown"), **somewhere),
            Declared("DELETE", "/v1/uploads/{upload}", "reviewer", self._fresh_upload, **somewhere),
            Declared("POST", "/v1/imports/preview", "operator", send={"json": goods}, **somewhere),
            Declared("POST", "/v1/imports", "operator", send={"json": goods}, **somewhere),
            Declared("GET", "/v1/sources", "admin", **somewhere),
            Declared("POST", "/v1/sources/{source}/preview", "admin", store, kept, **somewhere),
            Declared("POST", "/v1/sources/{source}/import", "admin", store, kept, **somewhere),
        ]  # fmt: skip

    async def _fresh_document(self) -> At:
        name = f"fresh-{next(self._number)}.md"
        path = self._workspace.settings.root / name
        path.write_text(f"Parcels of {name} take four days.")
        await knowing.add_documents(self._workspace, self._ours.knowledge, [str(path)])
        return {"knowledge": self._ours.knowledge, "document": name}

    async def _fresh_base(self) -> At:
        base = f"fresh-{next(self._number)}"
        path = self._workspace.settings.root / self._ours.document
        await knowing.add_documents(self._workspace, base, [str(path)])
        return {"knowledge": base}

    def _knowledge(self) -> list[Declared]:
        base, under = {"knowledge": self._ours.knowledge}, "/v1/knowledge/{knowledge}"
        document = {**base, "document": self._ours.document}
        query = {"json": {"query": "how long do parcels take"}}
        sent = {"json": {"uploads": [self._upload("sheet")["upload"]]}}
        return [
            Declared("GET", "/v1/knowledge", "signed-in"),
            Declared("GET", under, "viewer", base),
            Declared("DELETE", under, "operator", self._fresh_base),
            Declared("POST", f"{under}/search", "viewer", base, query),
            Declared("POST", f"{under}/rebuild", "operator", base),
            Declared("GET", f"{under}/export", "viewer", base, {"params": {"format": "csv"}}),
            Declared("GET", f"{under}/documents", "viewer", base),
            Declared("POST", f"{under}/documents", "operator", base, sent, of_team=False),
            Declared("GET", f"{under}/documents/{{document}}", "viewer", document),
            Declared("GET", f"{under}/passages/{{passage}}", "viewer",
                     {**base, "passage": self._ours.passage}),
            Declared("DELETE", f"{under}/documents/{{document}}", "operator",
                     self._fresh_document),
        ]  # fmt: skip

    def _files(self) -> list[Declared]:
        path, version = {"path": self._ours.path}, {"version": self._ours.version}
        text = (self._workspace.settings.root / self._ours.path).read_text()
        draft = {"path": self._ours.path, "text": text + "# tried\n"}
        shown = {**draft, "key": self._ours.keys[0], "catalog": self._ours.catalog}
        saved = {"json": {"text": text + "# saved\n"}, "headers": {"If-Match": "*"}}
        under = "/v1/versions/{version}"
        template = {"template": self._ours.template}
        product = {"key": self._ours.keys[0], "catalog": self._ours.catalog}
        prompt = {"json": product}
        played = {**path, **product, "text": text + "# played\n"}
        compared = {
            **path,
            "keys": self._ours.keys[:2],
            "catalog": self._ours.catalog,
            "sides": [version, {"model": self._ours.model}],
        }
        return [
            Declared("GET", "/v1/templates", "viewer", of_team=False),
            Declared("GET", "/v1/files", "viewer", of_team=False),
            Declared("GET", "/v1/files/{path}", "viewer", path),
            Declared("PUT", "/v1/files/{path}", "operator", path, saved),
            Declared("GET", "/v1/versions", "viewer", send={"params": path}),
            Declared("GET", f"{under}/text", "viewer", version),
            Declared("GET", f"{under}/difference", "viewer", version,
                     {"params": {"to": self._ours.version}}),
            Declared("POST", f"{under}/approve", "operator", self._fresh_draft),
            Declared("POST", f"{under}/reject", "operator", self._fresh_draft),
            Declared("POST", f"{under}/restore", "operator", version, self._restoring,
                     before=self._restorable),
            Declared("POST", "/v1/lint", "viewer", send={"json": draft}),
            Declared("POST", "/v1/previews", "viewer", send={"json": shown}),
            Declared("GET", "/v1/templates/{template}/problems", "viewer", template,
                     {"params": {"catalog": self._ours.catalog}}, first="viewer"),
            Declared("POST", "/v1/templates/{template}/prompt", "viewer", template, prompt,
                     first="viewer"),
            Declared("POST", "/v1/plays", "operator", send={"json": played}),
            Declared("POST", "/v1/comparisons", "operator", send={"json": compared}),
            Declared("GET", "/v1/doctor", "admin", of_team=False),
            Declared("GET", "/v1/models", "viewer", of_team=False),
            Declared("POST", "/v1/models/check", "admin", of_team=False),
        ]  # fmt: skip

    def _tasks(self) -> list[Declared]:
        task = {"pipeline": self._ours.template, "catalog": self._ours.catalog, "limit": 1}
        planned = {"json": {**task, "start": False}}
        one = {"pipeline": self._ours.template, "product": {"name": "Eau", "brand": "House"}}
        return [
            Declared("POST", "/v1/estimates", "viewer", send={"json": task}),
            Declared("POST", "/v1/trials", "operator", send=planned),
            Declared("POST", "/v1/runs", "operator", send=planned),
            Declared("POST", "/v1/generate", "operator", send={"json": one}),
            Declared("GET", "/v1/chat", "signed-in"),
            Declared("POST", "/v1/chat", "operator", send={"json": {"message": "hello"}},
                     of_team=False),
        ]  # fmt: skip

    def _runs(self) -> list[Declared]:
        run, planned = self._run, {"run": self._ours.planned}
        of_run = "/v1/runs/{run}"
        publication = {"publication": self._ours.publication}
        return [
            Declared("GET", "/v1/runs", "signed-in"),
            Declared("GET", of_run, "viewer", run),
            Declared("GET", f"{of_run}/events", "viewer", run),
            Declared("GET", f"{of_run}/items", "viewer", run),
            Declared("GET", f"{of_run}/count", "viewer", run),
            Declared("GET", f"{of_run}/export", "viewer", run, {"params": {"format": "csv"}}),
            Declared("GET", f"{of_run}/report", "viewer", run),
            Declared("GET", f"{of_run}/faq", "viewer", run, fine=(422,)),
            Declared("GET", f"{of_run}/faq/unanswered", "viewer", run, fine=(422,)),
            Declared("POST", f"{of_run}/publications", "operator", run,
                     {"json": {"channel": self._ours.channel, "dry_run": True}}),
            Declared("GET", f"{of_run}/refusals", "operator", run,
                     {"params": {"channel": self._ours.channel}}),
            Declared("GET", "/v1/publish/channels", "viewer", of_team=False),
            Declared("GET", "/v1/publications", "signed-in"),
            Declared("GET", "/v1/publications/{publication}", "viewer", publication),
            Declared("GET", "/v1/publications/{publication}/events", "viewer", publication),
            Declared("GET", "/v1/publications/{publication}/refusals", "viewer", publication),
            Declared("GET", "/v1/publications/{publication}/refusals/export", "viewer",
                     publication),
            Declared("GET", "/v1/publications/{publication}/file", "viewer", publication),
            Declared("POST", "/v1/publications/{publication}/rollback", "operator", publication,
                     fine=(409,)),
            Declared("POST", f"{of_run}/start", "operator", run),
            Declared("POST", f"{of_run}/resume", "operator", run),
            Declared("POST", f"{of_run}/retry", "operator", {"run": self._ours.again}),
            Declared("POST", f"{of_run}/approve", "operator", run),
            Declared("PUT", f"{of_run}/budget", "operator", planned, {"json": {"budget": 5}}),
            Declared("POST", f"{of_run}/pause", "operator", planned),
            Declared("POST", f"{of_run}/cancel", "operator", {"run": self._ours.doomed}),
        ]  # fmt: skip

    def _reviews(self) -> list[Declared]:
        run, ours, of_run = self._run, self._ours, "/v1/runs/{run}"
        item = {**run, "item": ours.items[1]}
        lot = {"lot": ours.lot}
        accept: dict[str, dict[str, Any]] = {"json": {"verdict": "accept", "version": 0}}

        async def seen() -> None:
            desk = ReviewDesk(self._workspace)
            accept["json"]["version"] = (await desk.card(ours.run, ours.items[1])).version
            await desk.release(ours.run, ours.items[1])

        def many(place: int, **more: Any) -> dict[str, Any]:
            return {"json": {"filters": self._of_key(place), "expected": 1, **more}}

        return [
            Declared("POST", f"{of_run}/reviews/next", "reviewer", run, {"json": {}}),
            Declared("GET", f"{of_run}/items/{{item}}", "viewer", item),
            Declared("POST", f"{of_run}/items/{{item}}/verdict", "reviewer", item, accept,
                     before=seen),
            Declared("POST", f"{of_run}/items/{{item}}/undo", "reviewer", item),
            Declared("POST", f"{of_run}/items/{{item}}/release", "reviewer", item),
            Declared("GET", f"{of_run}/items/{{item}}/similar", "viewer", item),
            Declared("POST", f"{of_run}/reviews/count", "viewer", run, {"json": {}}),
            Declared("POST", f"{of_run}/reviews/accept-all", "reviewer", run, many(3)),
            Declared("POST", f"{of_run}/reviews/reject-all", "reviewer", run,
                     many(4, reason="style")),
            Declared("POST", f"{of_run}/reviews/accept-where", "reviewer", run,
                     {"json": self._of_key(5)}),
            Declared("POST", f"{of_run}/review-sheet", "viewer", run, {"json": {}}),
            Declared("POST", f"{of_run}/review-sheet/import", "reviewer", run,
                     {"json": self._upload("review")}, first="reviewer"),
            Declared("GET", f"{of_run}/lots", "viewer", run),
            Declared("POST", f"{of_run}/lots", "reviewer", run,
                     {"json": {"filters": self._of_key(6)}}),
            Declared("GET", "/v1/lots/{lot}", "viewer", lot),
            Declared("POST", "/v1/lots/{lot}/next", "reviewer", lot),
            Declared("POST", "/v1/lots/{lot}/items/{item}", "reviewer",
                     {**lot, "item": ours.sampled}, {"json": {"good": True}}),
            Declared("POST", "/v1/lots/{lot}/decision", "reviewer", lot,
                     {"json": {"accept": True}}),
        ]  # fmt: skip

    def _trials(self) -> list[Declared]:
        run = {"run": self._ours.trial}
        mark: At = {**run, "item": self._ours.tried[0], "field": "title"}
        under, marks = "/v1/trials/{run}", "/v1/trials/{run}/marks/{item}/{field}"
        return [
            Declared("GET", under, "viewer", run),
            Declared("GET", f"{under}/cards", "viewer", run),
            Declared("PUT", marks, "reviewer", mark, {"json": {"verdict": "right"}}),
            Declared("DELETE", marks, "reviewer", mark),
            Declared("GET", f"{under}/score", "viewer", run),
            Declared("GET", f"{under}/gold", "viewer", run),
        ]

    def _pictures(self) -> list[Declared]:
        ours = self._ours
        item = {"run": ours.shots, "item": ours.shot}
        sha256, _, ending = ours.picture.partition(".")
        column: dict[str, Any] = {"params": {"column": "photo", "width": 160}}
        product = {"catalog": ours.photos, "key": f"{ours.word}-1"}
        # Whoever may send one is told that there is none.
        unsent: Mapping[str, Any] = {"of_team": False, "fine": (422,)}
        under = "/v1/runs/{run}/items/{item}"
        return [
            Declared("GET", f"{under}/pictures/{{sha256}}.{{ending}}", "viewer",
                     {**item, "sha256": sha256, "ending": ending}),
            Declared("GET", f"{under}/source-picture", "viewer", item, column),
            Declared("GET", "/v1/catalogs/{catalog}/pictures/{key}", "viewer", product, column),
            Declared("POST", "/v1/pictures/{operation}", "operator", {"operation": "transcode"},
                     **unsent),
            *(Declared("POST", f"/v1/pictures/{name}", "operator", **unsent)
              for name in all_operations()),
        ]  # fmt: skip

    def _records(self) -> list[Declared]:
        catalog, key = self._catalog, self._ours.keys[0]
        back = {"key": key, "field": "title", "result_id": self._ours.result}
        return [
            Declared("GET", "/v1/catalogs/{catalog}/changes/{key}", "viewer",
                     {**catalog, "key": key}),
            Declared("GET", "/v1/results/{result}", "viewer", {"result": self._ours.result}),
            Declared("POST", "/v1/catalogs/{catalog}/revert", "reviewer", catalog, {"json": back}),
            Declared("POST", "/v1/runs/{run}/revert", "operator", {"run": self._ours.spare}),
            Declared("GET", "/v1/spend", "signed-in", send={"params": {"by": "run"}}),
            Declared("GET", "/v1/spend.csv", "signed-in", send={"params": {"by": "run"}}),
        ]  # fmt: skip

    def _webhooks(self) -> list[Declared]:
        own, one = {"webhook": self._ours.webhook}, "/v1/webhooks/{webhook}"
        changed = {"json": {"active": True}, "headers": {"If-Match": "*"}}
        url = {"json": {"url": HOOK.format(name="more")}}
        return [
            Declared("GET", "/v1/webhooks", "admin", of_team=False),
            Declared("POST", "/v1/webhooks", "admin", send=url, of_team=False),
            Declared("GET", one, "admin", own),
            Declared("PATCH", one, "admin", own, changed),
            Declared("DELETE", one, "admin", self._fresh_webhook),
            Declared("POST", f"{one}/ping", "admin", own),
            Declared("GET", f"{one}/deliveries", "admin", own),
        ]

    def _schedules(self) -> list[Declared]:
        own, one = {"schedule": self._ours.schedule}, "/v1/schedules/{schedule}"
        return [
            Declared("GET", "/v1/schedules", "signed-in"),
            Declared("POST", "/v1/schedules", "operator",
                     send={"json": {"name": "nightly", "pipeline": self._ours.template,
                                    "cron": "@yearly", "budget": 1,
                                    "catalog": self._ours.catalog}}),
            Declared("GET", one, "viewer", own),
            Declared("GET", f"{one}/slots", "viewer", own),
            Declared("POST", f"{one}/pause", "operator", self._fresh_schedule),
            Declared("POST", f"{one}/resume", "operator", self._paused_schedule),
            Declared("POST", f"{one}/run", "operator", self._fresh_schedule),
            Declared("DELETE", one, "operator", self._fresh_schedule),
        ]  # fmt: skip

    def _server(self) -> list[Declared]:
        unknown: Mapping[str, Any] = {"at": {"rest": "nothing/there"}, "fine": (404,)}
        none = {"nicegui": nicegui.__version__, "key": "none", "path": "none", "name": "none"}
        asset: Mapping[str, Any] = {"at": none, "fine": (404,)}
        under = "/_nicegui/{nicegui}"
        socket = "/_nicegui_ws/socket.io/?EIO=4&transport="
        return [
            *(Declared(method, "/v1/{rest}", "signed-in", **unknown)
              for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
            Declared("GET", "/healthz", "anyone"),
            Declared("GET", "/readyz", "anyone"),
            Declared("GET", "/metrics", "viewer", of_team=False),
            Declared("GET", "/docs", "signed-in"),
            Declared("GET", "/openapi.json", "signed-in"),
            Declared("GET", "/_waremill/{path}", "anyone", {"path": "console.css"}),
            *(Declared("GET", f"{under}/{rest}", "anyone", **asset)
              for rest in ("components/{key}", "libraries/{key}", "dynamic_resources/{name}",
                           "resources/{key}/{path}", "esm/{key}/{path}", "static")),
            Declared("GET", f"{socket}polling", "signed-in"),
            Declared("WS", f"{socket}websocket", "signed-in",
                     send={"headers": {"Upgrade": "websocket", "Connection": "Upgrade"}}),
        ]  # fmt: skip

    def _pages(self) -> list[Declared]:
        run, name = self._run, {"name": self._ours.run}
        return [
            *(Declared("GET", path, "signed-in", page=True) for path in
              ("/", "/catalogue", "/runs", "/history", "/people", "/spend", "/audit", "/schedules",
               "/knowledge")),
            Declared("GET", "/templates", "viewer", of_team=False, page=True),
            Declared("GET", "/new", "operator", of_team=False, page=True),
            Declared("GET", "/chat", "operator", of_team=False, page=True),
            Declared("GET", "/knowledge/{name}", "viewer", {"name": self._ours.knowledge},
                     page=True),
            Declared("GET", "/runs/{name}", "viewer", name, page=True),
            Declared("GET", "/schedules/{name}", "viewer", {"name": self._ours.schedule},
                     page=True),
            Declared("GET", "/review/{run}", "viewer", run, page=True),
            Declared("GET", "/download/runs/{name}/report", "viewer", name),
            Declared("GET", "/download/runs/{name}/items.{kind}", "viewer",
                     {**name, "kind": "csv"}),
            Declared("GET", "/download/review/{run}.xlsx", "viewer", run),
            Declared("GET", "/download/spend.csv", "signed-in"),
            Declared("GET", "/login", "anyone"),
        ]  # fmt: skip

    def _people(self) -> list[Declared]:
        name, team = {"name": "viewer"}, {"team": TEAM}
        under = "/v1/teams/{team}"
        sign_in = {"name": "viewer", "password": PASSWORD}
        one: Mapping[str, Any] = {"manager_too": True}
        return [
            Declared("GET", "/v1/session", "signed-in"),
            Declared("PUT", "/v1/session/language", "signed-in", send={"json": {"language": "zh"}}),
            Declared("GET", "/v1/users", "admin", of_team=False, **one),
            Declared("POST", "/v1/users", "manager", send={"json": {"name": "kim"}}),
            Declared("PATCH", "/v1/users/{name}", "manager", name, {"json": {"manages": False}}),
            Declared("PUT", "/v1/users/{name}/password", "manager", self._fresh_user,
                     {"json": {"password": "another horse battery"}}),
            Declared("GET", "/v1/teams", "signed-in"),
            Declared("POST", "/v1/teams", "manager", send={"json": {"name": "third"}}),
            Declared("GET", under, "viewer", team, **one),
            Declared("PATCH", under, "admin", team, {"json": {"share": 0.5}}, **one),
            Declared("GET", f"{under}/members", "viewer", team, **one),
            Declared("PUT", f"{under}/members/{{name}}", "admin", {**team, **name},
                     {"json": {"role": "viewer"}}, **one),
            Declared("DELETE", f"{under}/members/{{name}}", "admin", {**team, "name": "manager"},
                     **one),
            Declared("GET", "/v1/tokens", "signed-in"),
            Declared("GET", "/v1/owners", "viewer", of_team=False, **one),
            Declared("GET", "/v1/owners/{kind}/{name}", "viewer",
                     {"kind": "template", "name": self._ours.template}, first="viewer", **one),
            Declared("DELETE", "/v1/owners/{kind}/{name}", "admin",
                     {"kind": "pipeline", "name": self._ours.pipeline}, before=self._ours_again,
                     **one),
            Declared("GET", "/v1/audit", "admin", of_team=False, **one),
            Declared("POST", "/v1/session", "anyone", send={"json": sign_in}),
            Declared("POST", "/login", "anyone", send={"data": sign_in}),
        ]  # fmt: skip


def names(routes: list[Declared]) -> set[str]:
    """Name the declared routes as `every_route` does; a mounted part is known by its path."""
    found = {f"{one.method} {one.path}".replace("{nicegui}", "VERSION") for one in routes}
    if any(one.path.startswith("/_nicegui_ws/") and one.method == "WS" for one in routes):
        found.add("MOUNT /_nicegui_ws")
    return found | {"MOUNT /_nicegui/VERSION/static"}


__all__ = ["ELSEWHERE", "REFUSED_LATER", "Table", "names"]
