"""The error taxonomy: every error is named by what we do about it.

    WaremillError
    ├─ UserError         fix the input: exit 2, one sentence that says where
    │   ConfigError · TemplateError · SourceError · NotFound · Conflict · Forbidden
    ├─ ProviderError     carries provider, model, status, request id
    │   ├─ Transient     RateLimited(retry_after) · Unavailable    retried inside calls/
    │   ├─ Refused       content policy                            item to review
    │   ├─ Rejected      400, 413, 422                             item fails
    │   └─ AccessDenied  401, 403, unknown model, no quota left    pause the run
    ├─ OutputInvalid     contract or check failed                  ask again, then review
    └─ LimitReached      budget, deadline, error rate              pause, resumable

Anything else is a bug of ours, but for `Deferred`, which is no error. This module must not import
any other room than `domain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waremill.domain import Finding


class WaremillError(Exception):
    """Any error Waremill raises on purpose.

    Every subclass keeps its fields in `args`-independent attributes and survives pickling.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self._fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self._fields))

    def __str__(self) -> str:
        return self.message


def _rebuild(cls: type[WaremillError], message: str, fields: dict[str, Any]) -> WaremillError:
    return cls(message, **fields)


@dataclass(frozen=True, slots=True)
class Where:
    """The place an input error points at; every part is optional."""

    file: str | None = None
    sheet: str | None = None
    line: int | None = None
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        parts: list[str] = []
        if self.file:
            parts.append(self.file if self.line is None else f"{self.file}:{self.line}")
        if self.sheet:
            parts.append(f"sheet “{self.sheet}”")
        if self.row is not None:
            parts.append(f"row {self.row}")
        if self.column:
            parts.append(f"column “{self.column}”")
        return ", ".join(parts)


class UserError(WaremillError):
    """Something the user must fix; shown as one sentence, never with a traceback."""

    where: Where | None

    def __init__(self, message: str, where: Where | None = None) -> None:
        super().__init__(message, where=where)

    def __str__(self) -> str:
        place = str(self.where) if self.where else ""
        return f"{place}: {self.message}" if place else self.message


class ConfigError(UserError):
    """A setting, model or limit that cannot work as it is."""


class DatabaseGone(ConfigError):
    """A database that does not answer, or no longer does; it may when asked again."""


class TemplateError(UserError):
    """A template or pipeline that cannot be loaded or rendered."""


class SourceError(UserError):
    """A file or database that cannot be read as a catalogue."""


class NotFound(UserError):
    """A name that nothing answers to."""


class Conflict(UserError):
    """Somebody else holds what was asked for, or it changed meanwhile."""


class Forbidden(UserError):
    """The user may not do this."""


class ProviderError(WaremillError):
    """A model endpoint did not give a usable reply."""

    provider: str
    model: str
    status: int | None
    request_id: str | None

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        request_id: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(
            message, provider=provider, model=model, status=status, request_id=request_id, **fields
        )


class Transient(ProviderError):
    """The same request may succeed later."""


class RateLimited(Transient):
    """The endpoint said 429; `retry_after` is in seconds where it gave one."""

    retry_after: float | None

    def __init__(self, message: str, *, retry_after: float | None = None, **fields: Any) -> None:
        super().__init__(message, retry_after=retry_after, **fields)


class Unavailable(Transient):
    """The endpoint could not be reached, timed out, said 5xx or sent a broken reply."""


class Refused(ProviderError):
    """The model or the vendor's content policy declined the request."""


class Rejected(ProviderError):
    """The endpoint will never accept this request as it stands (400, 413, 422)."""


class AccessDenied(ProviderError):
    """The key, the model's name or the account's quota does not allow any request."""


class OutputInvalid(WaremillError):
    """The reply does not keep the output contract; `findings` say what and where."""

    findings: tuple[Finding, ...]

    def __init__(self, message: str, *, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message, findings=findings)


class LimitReached(WaremillError):
    """A budget, deadline or error-rate limit stopped the run; `limit` names which."""

    limit: str

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message, limit=limit)


class Deferred(BaseException):
    """A call's answer will come in a batch: the item parks, and replays when it is there.

    No error, and no `Exception` either: nothing on its way up may take it for one.
    """
