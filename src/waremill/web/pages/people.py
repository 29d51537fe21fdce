"""The page *People*: users, teams with their limits, roles, and API tokens."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.element import Element

from waremill.app.accounts import ROLES, Accounts, Team, Token, User
from waremill.app.acting import LOCAL
from waremill.errors import Forbidden
from waremill.web.pages import dialogs, serving, tables
from waremill.web.pages.frame import plain
from waremill.web.pages.shell import View, console


@console("/people", "nav.people")
async def people_page(view: View) -> None:
    """Draw what the viewer may see of people, teams and tokens."""
    page = _PeoplePage(view)
    await page.show()


class _PeoplePage:
    def __init__(self, view: View) -> None:
        self.view = view
        self.box = ui.element("div").classes("wm-body")

    async def _accounts(self) -> Accounts:
        return Accounts(await self.view.workspace())

    async def show(self) -> None:
        """Draw everything anew."""
        view = self.view
        accounts = await self._accounts()
        actor = (await view.workspace()).actor
        users: Sequence[User] | None = None
        try:
            users = await accounts.users()
        except Forbidden:
            users = None
        teams = await accounts.teams()
        local = actor.everywhere is not None and actor.name == LOCAL.name
        tokens = () if local else await accounts.tokens(everybody=actor.manages)
        with view.steady(self.box):
            if local:
                plain("div", view.t("people.local"), "wm-warn")
            if users is not None:
                self._users(users, teams, manages=actor.manages)
            self._teams(teams, users or (), manages=actor.manages)
            if not local:
                self._tokens(tokens, teams)

    def _section(self, title_key: str, *buttons: tuple[str, Any]) -> Element:
        with (
            ui.element("section").classes("wm-section") as drawn,
            ui.element("div").classes("wm-bar wm-bar-middle"),
        ):
            plain("h2", self.view.t(title_key))
            plain("span", "", "wm-gap")
            for label, work in buttons:
                ui.button(label, on_click=work).classes("wm-quiet")
        return drawn

    # Users.

    def _users(self, users: Sequence[User], teams: Sequence[Team], *, manages: bool) -> None:
        t = self.view.t
        buttons = []
        if users:
            buttons.append((t("people.set_role"), lambda: self._set_role(users, teams)))
        if manages:
            buttons.append((t("people.add_user"), self._add_user))
        names = {team.id: team.name for team in teams}
        headings = (
            t("people.name"), t("people.roles"), "!" + t("people.manages_short"),
            "!" + t("people.state"), "!",
        )  # fmt: skip
        with self._section("people.users", *buttons):
            tables.table(
                headings, [self._user(one, names, manages=manages) for one in users],
                label=t("people.users"), empty=t("people.no_users"),
            )  # fmt: skip

    def _user(self, one: User, names: Mapping[int, str], *, manages: bool) -> Sequence[tables.Cell]:
        view, t = self.view, self.view.t
        roles = ", ".join(
            f"{names.get(team, str(team))}: {view.word('role', role)}"
            for team, role in one.roles.items()
        )

        def commands() -> None:
            if not manages:
                return
            with ui.element("div").classes("wm-bar"):
                tables.button(t("people.set_password"), lambda: self._set_password(one))
                if one.disabled:
                    tables.button(t("people.enable"), lambda: self._enable(one))
                else:
                    tables.button(t("people.disable"), lambda: self._disable(one))

        return (
            one.name, roles or t("people.no_role"), t("shell.yes") if one.manages else "",
            t("people.disabled" if one.disabled else "people.active"), commands,
        )  # fmt: skip

    async def _add_user(self) -> None:
        t = self.view.t

        def draw() -> dialogs.Save:
            name = ui.input(t("people.name")).props("autofocus autocomplete=off")
            password = ui.input(t("people.password"), password=True)
            password.props("autocomplete=new-password")
            manages = ui.checkbox(t("people.manages"))

            async def save() -> None:
                accounts = await self._accounts()
                await accounts.add_user(
                    name.value or "", password.value or None, manages=manages.value
                )

            return save

        if await dialogs.ask(self.view, t("people.add_user"), t("people.add_user"), draw):
            await self.show()

    async def _set_password(self, one: User) -> None:
        t = self.view.t

        own = one.name == self.view.actor.name

        def draw() -> dialogs.Save:
            current = ui.input(t("people.current_password"), password=True)
            current.props("autocomplete=current-password").set_visibility(own)
            password = ui.input(t("people.password"), password=True)
            password.props("autocomplete=new-password")

            async def save() -> None:
                accounts = await self._accounts()
                known = (current.value or "") if own else None
                await accounts.set_password(one.name, password.value or "", current=known)

            return save

        title = t("people.new_password", name=one.name)
        if await dialogs.ask(self.view, title, t("people.set_password"), draw):
            self.view.say(t("people.saved"))

    async def _enable(self, one: User) -> None:
        await (await self._accounts()).disable(one.name, False)
        await self.show()

    async def _disable(self, one: User) -> None:
        t = self.view.t
        if await self.view.confirm(
            t("people.sure_disable", name=one.name), t("people.disable"), danger=True
        ):
            await (await self._accounts()).disable(one.name)
            await self.show()

    async def _set_role(self, users: Sequence[User], teams: Sequence[Team]) -> None:
        view, t = self.view, self.view.t

        def draw() -> dialogs.Save:
            person = ui.select([one.name for one in users], label=t("people.person"))
            person.props("autofocus")
            team = ui.select([one.name for one in teams], label=t("people.team"))
            if len(teams) == 1:
                team.set_value(teams[0].name)
            roles = {"": t("people.no_role")} | {one: view.word("role", one) for one in ROLES}
            role = ui.select(roles, value="viewer", label=t("people.role"))

            async def save() -> None:
                accounts = await self._accounts()
                await accounts.set_role(person.value or "", team.value or "", role.value or None)

            return save

        if await dialogs.ask(view, t("people.set_role"), t("people.save"), draw):
            await self.show()

    # Teams.

    def _teams(self, teams: Sequence[Team], users: Sequence[User], *, manages: bool) -> None:
        view, t = self.view, self.view.t
        currency = serving.served().settings.currency
        headings = (
            t("people.name"), t("people.members"),
            "#" + t("people.monthly_budget", currency=currency), "#" + t("people.share"),
            "#" + t("people.approve_above", currency=currency), "!",
        )  # fmt: skip

        def row(team: Team) -> Sequence[tables.Cell]:
            people = [
                f"{one.name} ({view.word('role', one.roles[team.id])})"
                for one in users
                if team.id in one.roles
            ]

            def commands() -> None:
                tables.button(t("people.change"), lambda: self._set_team(team))

            return (
                team.name, ", ".join(people) or "—",
                t("people.unlimited") if team.monthly_budget is None
                else view.number(team.monthly_budget, 2),
                view.share(team.share),
                t("people.never") if team.approve_above is None
                else view.number(team.approve_above, 2),
                commands,
            )  # fmt: skip

        buttons = [(t("people.add_team"), self._add_team)] if manages else []
        with self._section("people.teams", *buttons):
            tables.table(headings, [row(one) for one in teams], label=t("people.teams"))

    async def _add_team(self) -> None:
        t = self.view.t

        def draw() -> dialogs.Save:
            name = ui.input(t("people.name")).props("autofocus autocomplete=off")

            async def save() -> None:
                await (await self._accounts()).add_team(name.value or "")

            return save

        if await dialogs.ask(self.view, t("people.add_team"), t("people.add_team"), draw):
            await self.show()

    async def _set_team(self, team: Team) -> None:
        t = self.view.t
        currency = serving.served().settings.currency

        def draw() -> dialogs.Save:
            budget = ui.number(
                t("people.monthly_budget", currency=currency), value=team.monthly_budget, min=0
            ).props("autofocus clearable")
            share = ui.number(t("people.share") + ", %", value=team.share * 100, min=1, max=100)
            above = ui.number(
                t("people.approve_above", currency=currency), value=team.approve_above, min=0
            ).props("clearable")

            async def save() -> None:
                await (await self._accounts()).set_team(
                    team.name, monthly_budget=budget.value, share=(share.value or 0) / 100,
                    approve_above=above.value,
                )  # fmt: skip

            return save

        if await dialogs.ask(self.view, team.name, t("people.save"), draw):
            await self.show()

    # Tokens.

    def _tokens(self, tokens: Sequence[Token], teams: Sequence[Team]) -> None:
        view, t = self.view, self.view.t
        names = {team.id: team.name for team in teams}
        headings = (
            t("people.name"), "!" + t("people.by_user"), "!" + t("people.role"),
            "!" + t("people.team"), "!" + t("people.created"), "!" + t("people.used"),
            "!" + t("people.expires"), "!",
        )  # fmt: skip

        def row(one: Token) -> Sequence[tables.Cell]:
            over = one.expires_at is not None and one.expires_at < time.time()

            def commands() -> None:
                if one.revoked_at is not None:
                    plain("span", t("people.revoked"), "wm-muted")
                elif over:
                    plain("span", t("people.expired"), "wm-muted")
                else:
                    tables.button(t("people.revoke"), lambda: self._revoke(one))

            team = t("people.every_team")
            if one.team is not None:
                team = names.get(one.team, str(one.team))
            return (
                one.name, one.user, view.word("role", one.role), team,
                view.moment(one.created_at), view.moment(one.used_at),
                view.moment(one.expires_at), commands,
            )  # fmt: skip

        add = (t("people.add_token"), lambda: self._add_token(teams))
        with self._section("people.tokens", add):
            tables.table(
                headings, [row(one) for one in tokens], label=t("people.tokens"),
                empty=t("people.no_tokens"),
            )  # fmt: skip

    async def _add_token(self, teams: Sequence[Team]) -> None:
        view, t = self.view, self.view.t
        made: list[str] = []

        def draw() -> dialogs.Save:
            name = ui.input(t("people.name")).props("autofocus autocomplete=off")
            role = ui.select(
                {one: view.word("role", one) for one in ROLES}, value="viewer",
                label=t("people.role"),
            )  # fmt: skip
            every = {"": t("people.every_team")} | {one.name: one.name for one in teams}
            team = ui.select(every, value="", label=t("people.team"))
            days = ui.number(t("people.days"), value=90, min=1)

            async def save() -> None:
                text, _ = await (await self._accounts()).add_token(
                    name.value or "", team=team.value or None, role=role.value, days=days.value
                )
                made.append(text)

            return save

        if await dialogs.ask(view, t("people.add_token"), t("people.add_token"), draw):
            await self.show()
            self._once(made[0])

    def _once(self, text: str) -> None:
        """Show a new token's text, which is never shown again."""
        view, t = self.view, self.view.t

        def copy() -> None:
            ui.clipboard.write(text)
            view.say(t("people.copied"))

        with ui.dialog(value=True), ui.element("div").classes("wm-dialog"):
            ui.label(t("people.token_once"))
            plain("code", text, "wm-token")
            with ui.element("div").classes("wm-actions"):
                ui.button(t("people.copy"), on_click=copy)

    async def _revoke(self, one: Token) -> None:
        t = self.view.t
        if await self.view.confirm(
            t("people.sure_revoke", name=one.name), t("people.revoke"), danger=True
        ):
            await (await self._accounts()).revoke(one.id)
            await self.show()
