"""The routes of the playground: one product made with a draft, and two sides on a few products."""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Request, Response
from pydantic import Field, JsonValue, model_validator
from starlette.responses import JSONResponse

from waremill.app import Workspace
from waremill.app.editing import MOST_COMPARED, Editor, Played, Side, Using
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import FindingShown, Given, Name, Shown, TargetText
from waremill.web.rest.streaming import Say, may_stream, stream, wants_stream
from waremill.web.rest.tasks import GivenPassage

router = APIRouter(prefix="/v1", tags=["playground"])

LARGEST_TEXT = 256 * 1024
MOST_SIDES = 4
_Path = Annotated[str, Field(min_length=1, max_length=200, examples=["templates/copy.yaml"])]
_Key = Annotated[str, Field(min_length=1, max_length=2000, description="A product's key.")]
_Id = Annotated[int, Field(ge=1, lt=2**62)]


class TriedGiven(Given):
    """What is tried of the file: a text, a version of it, or (neither) what is edited now."""

    text: Annotated[str, Field(max_length=LARGEST_TEXT)] | None = None
    version: _Id | None = Field(None, description="A version's id, a draft's too.")
    model: Name | None = Field(None, description="The model instead of the default one.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.text is not None and self.version is not None:
            raise ValueError("give a text or a version, not both")
        return self


class _UsedGiven(Given):
    path: _Path
    target: TargetText | None = None
    params: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    catalog: Name | None = Field(None, description="The catalogue (default: the only one).")


class PlayGiven(TriedGiven, _UsedGiven):
    """One product, and the template or pipeline to make it with."""

    key: _Key


class ComparisonGiven(_UsedGiven):
    """Sides that are set against each other, on the same products."""

    sides: Annotated[list[TriedGiven], Field(min_length=1, max_length=MOST_SIDES)]
    keys: Annotated[list[_Key], Field(min_length=1, max_length=MOST_COMPARED)]


class PlayedShown(Shown):
    """What came of one product. `cost` is the list price, null where a price is unknown.

    `replayed`: every answer was there already, so nothing was paid. `error` says what kept it from
    being made; `replies` are verbatim.
    """

    key: str
    target: str
    model: str
    values: dict[str, Any]
    findings: list[FindingShown]
    replies: list[str]
    input_tokens: int
    output_tokens: int
    cost: float | None
    currency: str
    seconds: float
    replayed: bool
    error: str | None
    passages: list[GivenPassage] = Field(
        default_factory=list, description="What was given to the model of the shop's knowledge."
    )


class ComparisonShown(Shown):
    """What came of each product, by side."""

    rows: list[list[PlayedShown]]


@router.post(
    "/plays",
    response_model=PlayedShown,
    responses=may_stream("What was made; as events `token`, `result` and `error` on request."),
)
async def play(workspace: Acting, request: Request, given: PlayGiven) -> Response:
    """Make one product's fields with a text nobody approved yet; its team pays.

    With `Accept: text/event-stream` the reply comes as it is written, as from `/v1/generate`.
    Answers are kept, so that the same request is not paid twice; nothing else of it is stored.
    """
    editor = Editor(workspace)

    async def work(say: Say | None = None) -> Any:
        emit = None if say is None else (lambda text: say("token", {"text": text}))
        text = await editor.tried(given.path, given.text, given.version)
        using = Using(given.catalog, given.model, given.params)
        played = await editor.play(given.path, text, given.key, given.target, emit, using)
        return _shown(workspace, played)

    return stream(request, work) if wants_stream(request) else JSONResponse(await work())


@router.post(
    "/comparisons",
    response_model=ComparisonShown,
    responses=may_stream("All rows; as events `played`, `result` and `error` on request."),
)
async def compare(workspace: Acting, request: Request, given: ComparisonGiven) -> Response:
    """Make the same products' fields with several texts, versions or models: a row a product.

    With `Accept: text/event-stream` each comes when it is there: `played` events with `row`, `side`
    and `played`, then one `result` with all of them, or one `error` with a problem.
    """
    editor = Editor(workspace)

    async def work(say: Say | None = None) -> Any:
        def done(row: int, side: int, played: Played) -> None:
            if say is not None:
                shown = _shown(workspace, played)
                say("played", {"row": row, "side": side, "played": shown})

        sides = [
            Side(await editor.tried(given.path, one.text, one.version), one.model)
            for one in given.sides
        ]
        using = Using(given.catalog, None, given.params)
        rows = await editor.compare(given.path, sides, given.keys, given.target, using, done)
        return {"rows": [[_shown(workspace, one) for one in row] for row in rows]}

    return stream(request, work) if wants_stream(request) else JSONResponse(await work())


def _shown(workspace: Workspace, played: Played) -> Any:
    found = {name: getattr(played, name) for name in Played.__dataclass_fields__}
    currency = workspace.settings.currency
    return PlayedShown.model_validate({**found, "currency": currency}).model_dump(mode="json")


__all__ = ["router"]
