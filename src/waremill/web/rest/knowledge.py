"""The routes about knowledge: bases, their documents, searching them.

A request sends files as uploads and names web addresses; no path of the server's ever comes in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import Field

from waremill.app import knowing
from waremill.app.knowing import Added, AddOptions, Progress
from waremill.app.knowing.searching import LONGEST, MOST
from waremill.domain import Search
from waremill.web.rest.acting import Acting
from waremill.web.rest.attachments import SENT, Format, attachment
from waremill.web.rest.shapes import Cursor, Given, Listing, Name, Shown, Size, team_names
from waremill.web.rest.streaming import Say, may_stream, stream, wants_stream

router = APIRouter(prefix="/v1", tags=["knowledge"])

_EVERY = 0.2
"""Seconds between two words on how far a stage is."""
_EVENTS = "What was done; as events `progress`, `result` and `error` on request."
_Base = Annotated[
    str,
    Path(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f/]+$",
         description="A knowledge base's name.", examples=["manual"]),
]  # fmt: skip
_Document = Annotated[
    str, Path(min_length=1, max_length=2000, pattern=r"^[^\x00]+$", description="Its name.")
]
_Passage = Annotated[
    str, Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f/]+$",
              description="A passage's id, as a search or a result gives it.")
]  # fmt: skip
_Value = Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] | int | float | bool
_Metadata = Annotated[
    dict[Name, _Value | Annotated[list[_Value], Field(max_length=100)]], Field(max_length=50)
]


class ProgressShown(Shown):
    """How far a change is: what is done now, how many of how many (null: not known yet)."""

    stage: Literal["loading", "embedding", "indexing"]
    done: int
    total: int | None


class KnowledgeShown(Shown):
    """A knowledge base; `waiting` documents are loaded and not indexed yet."""

    name: str
    team: str | None
    documents: int
    passages: int
    repeats: int = Field(description="Passages left out, since others say the same.")
    tokens: int
    waiting: int
    embedder: str | None = Field(description="The model its vectors are made with.")
    version: str = Field(description="The hash of what its searches can give today.")
    changed_at: float
    state: Literal["ready", "changing", "interrupted", "outdated"] = Field(
        description="`interrupted`: documents wait, and the next add or rebuild goes on; "
        "`outdated`: the settings name another embedder, which a rebuild takes."
    )
    progress: ProgressShown | None = Field(
        description="How far the change is that this server makes; null for none, or one elsewhere."
    )


class DocumentShown(Shown):
    """A document of a knowledge base."""

    name: str
    title: str
    media_type: str
    size: int = Field(description="Bytes of its file.")
    passages: int
    metadata: dict[str, Any]
    notes: list[str] = Field(description="What was left out or guessed while it was read.")
    changed_at: float


class DocumentText(DocumentShown):
    """A document with its text, as it was read."""

    text: str


class DocumentsGiven(Given):
    """What to add: files that were sent, web addresses, metadata of all of them."""

    uploads: list[Annotated[str, Field(max_length=64)]] = Field(
        [], max_length=1000, description="Ids of uploads; a document is called as its file."
    )
    addresses: list[Annotated[str, Field(max_length=2000)]] = Field(
        [], max_length=1000, description="Web addresses, on the public internet."
    )
    metadata: _Metadata = Field({}, description="Such as `brand`, `market`, `valid_to`.")


class DocumentProblem(Shown):
    """A document that was not added, and why."""

    document: str
    message: str


class AddedShown(Shown):
    """What was added."""

    knowledge: str
    new: int
    changed: int
    unchanged: int
    removed: int
    passages: int
    version: str
    problems: int
    notes: list[str]
    first_problems: list[DocumentProblem]


class RebuiltShown(Shown):
    """What a rebuild did; `embedded` says that another model made the vectors anew."""

    knowledge: str
    passages: int
    embedder: str
    embedded: bool
    version: str


class SearchGiven(Given):
    """What to look for, and where."""

    query: Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[^\x00]*$")]
    top: Annotated[int, Field(ge=1, le=MOST)] = 5
    where: _Metadata = Field(
        {},
        description="Only documents with this metadata (of a list, one must match), or without any "
        "of that name.",
    )


class PassageShown(Shown):
    """A piece of a document; only the order of scores means something."""

    id: str
    document: str
    title: str
    headings: list[str]
    page: int | None
    place: str = Field(description="Where it stands, for people.")
    text: str
    score: float
    metadata: dict[str, Any]


class PassageInPlaceShown(Shown):
    """A passage, and the text just before and after it in its document, empty at its ends."""

    knowledge: str
    passage: PassageShown
    before: str
    after: str


@router.get("/knowledge")
async def list_knowledge(workspace: Acting) -> list[KnowledgeShown]:
    """List the knowledge bases."""
    names = await team_names(workspace)
    return [_base(one, names) for one in await knowing.list_bases(workspace)]


@router.get("/knowledge/{knowledge}")
async def show_knowledge(workspace: Acting, knowledge: _Base) -> KnowledgeShown:
    """Show a knowledge base."""
    return _base(await knowing.show_base(workspace, knowledge), await team_names(workspace))


@router.delete("/knowledge/{knowledge}", status_code=204)
async def drop_knowledge(workspace: Acting, knowledge: _Base) -> None:
    """Remove a knowledge base with all its documents."""
    await knowing.remove_base(workspace, knowledge)


@router.post("/knowledge/{knowledge}/search", response_model=list[PassageShown])
async def search_knowledge(workspace: Acting, knowledge: _Base, given: SearchGiven) -> Any:
    """Find the passages that answer a query best; documents not valid today are left out."""
    return await workspace.search(Search(knowledge, given.query, given.top, given.where))


@router.post(
    "/knowledge/{knowledge}/rebuild", response_model=RebuiltShown, responses=may_stream(_EVENTS)
)
async def rebuild_knowledge(workspace: Acting, request: Request, knowledge: _Base) -> Response:
    """Make the index anew from the database, with the embedder the settings name.

    With `Accept: text/event-stream` it says how far it is, as adding documents does.
    """

    async def work(say: Say | None = None) -> Any:
        done = await knowing.rebuild(workspace, knowledge, _Telling(say))
        return RebuiltShown(
            knowledge=done.name, passages=done.passages, embedder=done.embedder,
            embedded=done.embedded, version=done.version,
        ).model_dump(mode="json")  # fmt: skip

    return stream(request, work) if wants_stream(request) else JSONResponse(await work())


@router.get("/knowledge/{knowledge}/documents", response_model=Listing[DocumentShown])
async def list_documents(
    workspace: Acting, knowledge: _Base, cursor: Cursor = None, size: Size = 50
) -> Any:
    """Page through the documents of a knowledge base by name."""
    return await knowing.list_documents(workspace, knowledge, after=cursor, size=size)


@router.post(
    "/knowledge/{knowledge}/documents",
    status_code=201,
    response_model=AddedShown,
    responses=may_stream(_EVENTS),
)
async def add_documents(
    workspace: Acting, request: Request, knowledge: _Base, given: DocumentsGiven
) -> Response:
    """Add uploads and web addresses; the base is made if need be.

    Only what is new or changed is read. With `Accept: text/event-stream` it says how far it is:
    `progress` events with `stage`, `done` and `total` (null: not known yet), then one `result` with
    what is answered otherwise, or one `error` with a problem. Without, it is answered when all is
    indexed; `progress` of `GET /v1/knowledge/{knowledge}` says meanwhile how far it is. A client
    that leaves stops nothing; what a server that stopped had added stays, and the same request
    again goes on.
    """

    async def work(say: Say | None = None) -> Any:
        options = AddOptions(given.metadata)
        done = await knowing.add_sent(
            workspace, knowledge, given.uploads, given.addresses, options, _Telling(say)
        )
        return _added(done).model_dump(mode="json")

    if wants_stream(request):
        return stream(request, work)
    return JSONResponse(await work(), status_code=201)


@router.get("/knowledge/{knowledge}/export", response_class=FileResponse, responses=SENT)
async def export_knowledge(
    workspace: Acting, knowledge: _Base, format: Annotated[Format, Query()] = "jsonl"
) -> Response:
    """Export a base's passages: id, document, title, headings, page, text, metadata."""

    async def write(place: FilePath) -> Sequence[str]:
        return (await knowing.export_base(workspace, knowledge, place)).notes

    return await attachment(f"{knowledge}.{format}", write)


@router.get("/knowledge/{knowledge}/passages/{passage}", response_model=PassageInPlaceShown)
async def show_passage(workspace: Acting, knowledge: _Base, passage: _Passage) -> Any:
    """Show a passage where it stands; 404 for one that is no more since its document changed."""
    return await knowing.show_passage(workspace, knowledge, passage)


@router.get("/knowledge/{knowledge}/documents/{document:path}", response_model=DocumentText)
async def show_document(workspace: Acting, knowledge: _Base, document: _Document) -> Any:
    """Show a document with its text, as it was read."""
    return await knowing.show_document(workspace, knowledge, document)


@router.delete("/knowledge/{knowledge}/documents/{document:path}", status_code=204)
async def drop_document(workspace: Acting, knowledge: _Base, document: _Document) -> None:
    """Remove a document from a knowledge base."""
    await knowing.remove_documents(workspace, knowledge, [document])


class _Telling:
    """Says how far a change is: each stage at once, and then a few times a second."""

    def __init__(self, say: Say | None) -> None:
        self._say = say
        self._stage = ""
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        again = progress.stage == self._stage and progress.done != progress.total
        if self._say is None or (again and now - self._last < _EVERY):
            return
        self._stage, self._last = progress.stage, now
        self._say("progress", _progress(progress).model_dump())


def _added(done: Added) -> AddedShown:
    return AddedShown(
        knowledge=done.name, new=done.new, changed=done.changed, unchanged=done.unchanged,
        removed=done.removed, passages=done.passages, version=done.version,
        problems=done.problem_count, notes=done.notes[:100],
        first_problems=[
            DocumentProblem(document=document, message=message)
            for document, message in done.problems[:100]
        ],
    )  # fmt: skip


def _progress(found: Progress) -> ProgressShown:
    return ProgressShown.model_validate(found)


def _base(found: knowing.BaseShown, names: Mapping[int, str]) -> KnowledgeShown:
    return KnowledgeShown(
        name=found.name, team=names.get(found.team), documents=found.documents,
        passages=found.passages, repeats=found.repeats, tokens=found.tokens,
        waiting=found.waiting, embedder=found.embedder, version=found.version,
        changed_at=found.changed_at, state=found.state,
        progress=None if found.progress is None else _progress(found.progress),
    )  # fmt: skip
