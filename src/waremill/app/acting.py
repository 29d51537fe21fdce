"""Who acts: a name, and a role in each team. What a role may do is one order of four words.

A viewer looks; a reviewer decides about results; an operator imports, edits and runs; an admin
also sets a team's budget and members. Users and teams themselves are for who `manages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from waremill.errors import Forbidden, NotFound
from waremill.store.tables_people import FIRST_TEAM

Role = Literal["viewer", "reviewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who uses the system.

    `teams` gives the role by team id; `everywhere` is a role in every team, as the person at the
    keyboard of a workspace without accounts has; `address` is where a request came from, `via` the
    name of the API token it came with.
    """

    name: str
    teams: Mapping[int, Role] = field(default_factory=dict)
    everywhere: Role | None = None
    manages: bool = False
    address: str | None = None
    via: str | None = None

    def role(self, team: int) -> Role | None:
        """Give the role in a team; None for somebody who must not know of it."""
        return self.teams.get(team, self.everywhere)

    @property
    def sees(self) -> tuple[int, ...] | None:
        """The ids of the teams whose things the actor sees; None where it is all of them."""
        return None if self.everywhere is not None else tuple(sorted(self.teams))

    def may(self, role: Role, team: int) -> bool:
        """Say whether the actor has a role in a team, or one above it."""
        own = self.role(team)
        return own is not None and ROLES.index(own) >= ROLES.index(role)

    def first_team(self, role: Role) -> int | None:
        """Give the team whose things the actor makes unless another is named; None for nobody's."""
        if self.everywhere is not None:
            return FIRST_TEAM
        return next((team for team in sorted(self.teams) if self.may(role, team)), None)

    def need(self, role: Role, team: int, what: str) -> None:
        """Raise unless the actor has a role: NotFound in a foreign team, Forbidden in an own one.

        `what` names the thing that was asked for, as in `run 1122-ab12cd`.
        """
        if self.role(team) is None:
            raise NotFound(f"there is no {what}")
        if not self.may(role, team):
            raise Forbidden(f"{what} needs the role {role}; {self.name} is {self.role(team)}")

    def need_somewhere(self, role: Role, what: str) -> None:
        """Raise Forbidden unless the actor has a role in some team."""
        held = (self.everywhere, *self.teams.values())
        if not any(own is not None and ROLES.index(own) >= ROLES.index(role) for own in held):
            raise Forbidden(f"{what} needs the role {role}")

    def need_manager(self, what: str) -> None:
        """Raise Forbidden unless the actor manages users and teams."""
        if not self.manages:
            raise Forbidden(f"{what} is for those who manage users and teams")


LOCAL = Actor("local", everywhere="admin", manages=True)
"""Who sits at the machine: the command line, Python, and a server without accounts."""


__all__ = ["LOCAL", "ROLES", "Actor", "Role"]
