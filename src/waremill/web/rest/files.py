"""The routes about the workspace's files: templates, pipelines, rules; drafts and approval."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from waremill.app.editing import Editor, Using
from waremill.app.modelling import check_models as models_checked
from waremill.app.modelling import describe_models
from waremill.app.prompting import list_templates as templates_of
from waremill.app.status import money
from waremill.errors import Conflict
from waremill.web.rest.acting import Acting
from waremill.web.rest.problems import Answered
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    IfMatch,
    Listing,
    Name,
    RowId,
    Shown,
    Size,
    TargetText,
    must_match,
    tag,
)

router = APIRouter(prefix="/v1", tags=["templates"])
models = APIRouter(prefix="/v1", tags=["models"])

LARGEST_TEXT = 256 * 1024
FilePath = Annotated[
    str,
    Path(max_length=200, description="Such as templates/copy.yaml.",
         examples=["templates/copy.yaml"]),
]  # fmt: skip
_Text = Annotated[str, Field(max_length=LARGEST_TEXT)]
_PathGiven = Annotated[str, Field(min_length=1, max_length=200, examples=["templates/copy.yaml"])]


class TemplateShown(Shown):
    """A template that can be run, or that says in `description` why it cannot be loaded."""

    name: str
    version: str | None
    fields: list[str]
    description: str


class VersionShown(Shown):
    """A version of a file; times are Unix seconds."""

    id: int
    path: str
    hash: str
    state: str = Field(description="draft, approved, rejected or replaced.")
    note: str | None
    author: str
    created_at: float
    decided_by: str | None
    decided_at: float | None


class FileShown(Shown):
    """A file that may be edited."""

    path: str
    kind: str
    on_disk: bool
    draft: VersionShown | None
    editable: bool


class FileText(Shown):
    """A file as it is to be edited: its open draft, or else what is approved."""

    path: str
    kind: str
    text: str
    state: str = Field(description="approved, draft or new.")
    version: VersionShown | None
    approved: str | None = Field(description="The text that runs use; null for a new file.")
    editable: bool


class DraftGiven(Given):
    """A text to keep as the file's draft."""

    text: _Text
    note: Annotated[str, Field(max_length=500)] | None = None


class VersionText(VersionShown):
    """A version with its text."""

    text: str


class LineShown(Shown):
    """A line of a difference: ' ' in both, '-' in the old, '+' in the new, '…' left out."""

    mark: str
    text: str
    old: int | None
    new: int | None


class LintGiven(Given):
    """A text to judge as the file it is for."""

    path: _PathGiven
    text: _Text
    catalog: Name | None = None


class LintShown(Shown):
    """Something wrong (`error`), suspicious (`warning`) or that could be better (`hint`)."""

    severity: str
    message: str
    file: str
    line: int | None


class PreviewGiven(LintGiven):
    """A text whose prompts are to be shown for one product."""

    key: Annotated[str, Field(min_length=1, max_length=2000, description="The product's key.")]
    target: TargetText | None = None
    model: Name | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class MessageShown(Shown):
    """A message of a prompt."""

    role: str
    text: str


class PartShown(Shown):
    """What one step would send; `skipped`: nothing, for every field is there already."""

    step: str
    model: str
    messages: list[MessageShown]
    tokens: int
    max_tokens: int
    skipped: bool


class PreviewShown(Shown):
    """The prompts of one product, their tokens, and the list cost to expect."""

    key: str
    target: str
    parts: list[PartShown]
    tokens: int
    max_tokens: int
    counted_by: str
    cost: float | None
    cost_range: tuple[float, float] | None
    currency: str


class ModelShown(Shown):
    """A configured model; prices are for a million tokens, never a key."""

    model: str
    use: str
    input: str
    output: str
    per: str
    call: str | None = None
    price_source: str | None
    key: str
    fallback: list[str]


class CheckShown(Shown):
    """What was found when a model was tried."""

    model: str
    works: bool
    message: str


@router.get("/templates")
async def list_templates(workspace: Acting) -> list[TemplateShown]:
    """List the templates as runs use them."""
    seen = {one.path for one in await Editor(workspace).files() if one.on_disk}
    return [
        TemplateShown.model_validate(one)
        for one in templates_of(await workspace.seen())
        if {f"templates/{one['name']}.yaml", f"templates/{one['name']}.yml"} & seen
    ]


@router.get("/files", response_model=list[FileShown])
async def list_files(workspace: Acting) -> Any:
    """List the files that may be edited: templates, pipelines, schemas and other rules."""
    return await Editor(workspace).files()


@router.get("/files/{path:path}", response_model=FileText)
async def show_file(workspace: Acting, response: Response, path: FilePath) -> Any:
    """Show a file as it is to be edited, with the ETag that a change must give."""
    found = await Editor(workspace).read(path)
    tag(response, found.etag)
    return found


@router.put("/files/{path:path}", response_model=FileText)
async def save_draft(
    workspace: Acting,
    response: Response,
    path: FilePath,
    given: DraftGiven,
    if_match: IfMatch = None,
) -> Any:
    """Save a draft. It is used by nobody else's runs until a second person approves it."""
    editor = Editor(workspace)
    etag = (await editor.read(path)).etag
    must_match(if_match, etag)
    try:
        saved = await editor.save_draft(path, given.text, etag, given.note)
    except Conflict as error:
        raise Answered(412, "Changed", error.message) from None
    tag(response, saved.etag)
    return saved


@router.get("/versions", response_model=Listing[VersionShown])
async def list_versions(
    workspace: Acting,
    path: Annotated[str, Query(min_length=1, max_length=200, description="The file.")],
    cursor: Cursor = None,
    size: Size = 50,
) -> Any:
    """Page through a file's versions, newest first."""
    return await Editor(workspace).versions(path, cursor=cursor, size=size)


@router.get("/versions/{version}/text", response_class=Response)
async def show_version(workspace: Acting, version: RowId) -> Response:
    """Give a version's text."""
    text = await Editor(workspace).text(version)
    return Response(text, media_type="text/plain; charset=utf-8")


@router.get("/versions/{version}/difference", response_model=list[LineShown])
async def show_difference(
    workspace: Acting,
    version: RowId,
    to: Annotated[int, Query(ge=1, lt=2**62, description="The newer version's id.")],
) -> Any:
    """Give the difference between two versions by lines."""
    return await Editor(workspace).diff(version, to)


@router.post("/versions/{version}/approve", response_model=VersionShown)
async def approve_version(workspace: Acting, version: RowId) -> Any:
    """Approve a draft: it becomes the file that runs use."""
    return await Editor(workspace).approve(version)


@router.post("/versions/{version}/reject", response_model=VersionShown)
async def reject_version(workspace: Acting, version: RowId) -> Any:
    """Turn a draft down; its text stays in the history."""
    return await Editor(workspace).reject(version)


@router.post("/versions/{version}/restore", response_model=FileText)
async def restore_version(
    workspace: Acting, response: Response, version: RowId, if_match: IfMatch = None
) -> Any:
    """Make an earlier version's text the draft; `If-Match` is the file's ETag."""
    if if_match is None or if_match.strip() == "*":
        must_match(None, "")
    assert if_match is not None
    try:
        saved = await Editor(workspace).restore(version, if_match.strip().strip('"'))
    except Conflict as error:
        raise Answered(412, "Changed", error.message) from None
    tag(response, saved.etag)
    return saved


@router.post("/lint", response_model=list[LintShown])
async def lint(workspace: Acting, given: LintGiven) -> Any:
    """Judge a text as the file it is for; errors first. Nothing is saved."""
    return await Editor(workspace).lint(given.path, given.text, given.catalog)


@router.post("/previews")
async def preview(workspace: Acting, given: PreviewGiven) -> PreviewShown:
    """Render the prompts a text would send for one product. No model is called."""
    using = Using(given.catalog, given.model, given.params)
    found = await Editor(workspace).preview(given.path, given.text, given.key, given.target, using)
    settings, cost = workspace.settings, found.cost
    return PreviewShown(
        key=found.key, target=found.target, tokens=found.tokens, max_tokens=found.max_tokens,
        counted_by=found.counted_by, currency=settings.currency,
        cost=None if cost is None else money(cost.expected, settings.per_usd),
        cost_range=None if cost is None else (
            money(cost.low, settings.per_usd) or 0.0, money(cost.high, settings.per_usd) or 0.0
        ),
        parts=[
            PartShown(
                step=part.step, model=part.model, tokens=part.tokens, max_tokens=part.max_tokens,
                skipped=part.skipped,
                messages=[MessageShown(role=role, text=text) for role, text in part.messages],
            )
            for part in found.parts
        ],
    )  # fmt: skip


@models.get("/models")
async def list_models(workspace: Acting) -> list[ModelShown]:
    """List the configured models with their prices."""
    workspace.actor.need_somewhere("viewer", "the models")
    settings = (await workspace.seen()).settings
    return [ModelShown.model_validate(row) for row in describe_models(settings)]


@models.post("/models/check")
async def check_models(workspace: Acting) -> list[CheckShown]:
    """Call the models one may use with two small requests each, and say what works; for admins.

    A model is called once a minute at most; meanwhile what was found then is given.
    """
    found = await models_checked(workspace)
    return [
        CheckShown(model=name, works=line["works"], message=line["message"])
        for name, lines in found.items()
        for line in lines
    ]
