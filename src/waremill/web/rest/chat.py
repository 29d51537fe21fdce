"""The routes of chats: ask and hear the reply as it is written, stop, permit, look, export, delete.

A conversation is its owner's alone. A reply comes as server-sent events, each with a JSON document:

    turn        which conversation and turn it is; first of all
    text        a further piece of the reply (Markdown, written by a model: draw it as data)
    citation    a source the reply cites, under its number
    call        a tool is being called
    permission  a call waits for `POST …/permit`; without an answer in time it is not made
    result      what a call gave
    draft       something was drafted for the user to take or leave
    note        what the user should know of how the reply is made
    done        the turn as it is kept; the last event
    error       a problem instead of it; what came before is kept
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.responses import JSONResponse, StreamingResponse

from waremill.app import Workspace, chatting
from waremill.app.chatting import Asking, Listed, Live
from waremill.app.chatting import Shown as ShownConversation
from waremill.chat.events import (
    CallEnded,
    CallStarted,
    Cited,
    Drafted,
    Event,
    Noted,
    PermissionAsked,
    TextPiece,
)
from waremill.chat.turns import Turn
from waremill.errors import WaremillError
from waremill.web.rest import problems
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import (
    Cursor,
    Given,
    Listing,
    Name,
    NamedTeam,
    RowId,
    Shown,
    Size,
    team_id,
)
from waremill.web.rest.streaming import (
    EVENT_STREAM,
    QUIET_SECONDS,
    STREAM_HEADERS,
    event,
    may_stream,
    wants_stream,
)

router = APIRouter(prefix="/v1", tags=["chat"])
LOOK_SECONDS = 0.5
"""How often it is looked whether who waits for a whole reply is still there."""
_EVENTS = (
    "The turn as it ended; on request as events `turn`, `text`, `citation`, `call`, `permission`, "
    "`result`, `draft`, `note`, and at last `done` or `error`."
)
_Title = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Turn = Annotated[int, Field(ge=1, lt=2**62)]
_Message = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]


class ChatGiven(Given):
    """What is asked, in which conversation, and over what.

    Without `conversation` a new one is made. `edits` asks a turn otherwise and `retries` asks one
    again: each begins a branch beside it. `knowledge`, `catalog` and `model` hold from then on.
    """

    message: _Message | None = Field(None, description="The question; not with `retries`.")
    conversation: _Turn | None = Field(None, description="Go on with this one.")
    edits: _Turn | None = Field(None, description="The turn to ask otherwise.")
    retries: _Turn | None = Field(None, description="The turn to ask again.")
    knowledge: Annotated[list[Name], Field(max_length=20)] | None = Field(
        None, description="The knowledge bases to search (default: all)."
    )
    catalog: Name | None = Field(None, description="The catalogue (default: the only one).")
    model: Name | None = Field(None, description="The model instead of the default one.")
    team: NamedTeam = None
    keep_going: bool = Field(
        False, description="Go on writing when the client leaves; else that stops the reply."
    )


class PermitGiven(Given):
    """The answer to a call that waits for permission."""

    call: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The call's `id`, as the event `permission` gave it."
    )
    allow: bool


class ChatChange(Given):
    """What is changed: the title, or with `turn` the branch that is shown."""

    title: _Title | None = None
    turn: _Turn | None = Field(None, description="Show the branch that holds this turn.")


class SourceShown(Shown):
    """Something the model was given to read, under the number it is cited by."""

    number: int
    kind: Literal["passage", "product"]
    of: str = Field(description="The knowledge base or the catalogue.")
    id: str
    document: str = Field(description="The passage's document, or the product's key.")
    place: str
    text: str


class CallShown(Shown):
    """A tool's call, as the model wrote it."""

    id: str
    name: str
    arguments: str


class StepShown(Shown):
    """A call and its result; `permitted` is null where no permission was needed."""

    call: CallShown
    content: str
    failed: bool
    seconds: float
    permitted: bool | None


class DraftShown(Shown):
    """Something that was drafted; nothing of it was saved or started."""

    kind: Literal["selection", "template", "estimate"]
    body: dict[str, Any]


class TurnShown(Shown):
    """A question and what came of it; `beside` are it and its neighbours, which are branches.

    `cost` is what was paid in `currency`, null where a part is not known. `first` is how many
    seconds the first token took.
    """

    id: int
    parent: int | None
    beside: list[int]
    question: str
    model: str
    state: Literal["working", "complete", "truncated", "refused", "stopped", "failed"]
    reply: str
    sources: list[SourceShown]
    cited: list[int]
    steps: list[StepShown]
    drafts: list[DraftShown]
    notes: list[str]
    input: int
    output: int
    cached: int
    cost: float | None
    currency: str
    first: float | None
    seconds: float
    error: str | None
    at: float


class ConversationShown(Shown):
    """A conversation in a list; `working` says that a reply is being written."""

    id: int
    title: str
    model: str
    knowledge: list[str] = Field(description="Empty: all that may be searched.")
    catalog: str | None
    turns: int
    cost: float | None
    currency: str
    working: bool
    created_at: float
    changed_at: float


class WholeConversation(Shown):
    """A conversation with the turns of all branches; `branch` are those shown, in order."""

    id: int
    title: str
    model: str
    knowledge: list[str]
    catalog: str | None
    branch: list[int]
    turns: list[TurnShown]
    cost: float | None
    currency: str


class RepliedShown(Shown):
    """What came of a question: the conversation and its new turn."""

    conversation: int
    turn: TurnShown


@router.post("/chat", response_model=RepliedShown, responses=may_stream(_EVENTS))
async def ask(workspace: Acting, request: Request, given: ChatGiven) -> Response:
    """Ask in a conversation. With `Accept: text/event-stream` the reply comes as it is written.

    A client that leaves stops the reply, unless `keep_going` is true; what came is kept.
    """
    team = await team_id(workspace, given.team)
    asking = Asking(
        given.message, given.conversation, given.edits, given.retries,
        None if given.knowledge is None else tuple(given.knowledge), given.catalog, given.model,
        team,
    )  # fmt: skip
    said: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
    live = await chatting.begin(workspace, asking, lambda one: said.put_nowait(_event(one)))
    if wants_stream(request):
        events = _events(workspace, request, (live, said), keep_going=given.keep_going)
        return StreamingResponse(events, media_type=EVENT_STREAM, headers=STREAM_HEADERS)
    turn = await _whole(request, live, keep_going=given.keep_going)
    return JSONResponse(await _replied(workspace, live, turn))


async def _whole(request: Request, live: Live, *, keep_going: bool) -> Turn:
    """Wait for a reply; one nobody waits for any more is stopped."""
    ending = asyncio.create_task(live.ended())
    while not (await asyncio.wait([ending], timeout=LOOK_SECONDS))[0]:
        gone = await request.is_disconnected()
        if (gone and not keep_going) or request.app.state.closing.is_set():
            live.stop()
    turn = ending.result()
    if isinstance(live.error, WaremillError):
        raise live.error
    return turn


_Said = tuple[Live, "asyncio.Queue[tuple[str, Any] | None]"]


async def _events(
    workspace: Workspace, request: Request, writing: _Said, *, keep_going: bool
) -> AsyncIterator[bytes]:
    live, said = writing
    ending = asyncio.create_task(live.ended())
    ending.add_done_callback(lambda _done: said.put_nowait(None))
    closing: asyncio.Event = request.app.state.closing
    try:
        yield event("turn", {"conversation": live.conversation, "turn": live.turn})
        while not closing.is_set():
            try:
                one = await asyncio.wait_for(said.get(), QUIET_SECONDS)
            except TimeoutError:
                yield b": still working\n\n"
                continue
            if one is None:
                break
            yield event(*one)
        else:
            live.stop()
        yield await _last(workspace, request, live, ending)
        if ending.done() and (bug := ending.exception()) is not None:
            raise bug  # the log has it under the request's id
    finally:
        if not ending.done() and not keep_going:
            live.stop()  # the client is gone


async def _last(
    workspace: Workspace, request: Request, live: Live, ending: asyncio.Task[Turn]
) -> bytes:
    """Write the last event: the turn, or the problem that ended it."""
    number = problems.request_id_of(request)
    try:
        turn = await asyncio.shield(ending)
        if isinstance(live.error, WaremillError):
            return event("error", problems.describe(live.error, number))
        return event("done", await _replied(workspace, live, turn))
    except WaremillError as error:  # the conversation was deleted meanwhile
        return event("error", problems.describe(error, number))
    except Exception:
        return event("error", problems.bug(number))


async def _replied(workspace: Workspace, live: Live, turn: Turn) -> Any:
    shown = await chatting.show(workspace, live.conversation)
    return RepliedShown(
        conversation=live.conversation, turn=_turn(workspace, turn, shown.turns)
    ).model_dump(mode="json")  # fmt: skip


def _event(one: Event) -> tuple[str, Any]:
    match one:
        case TextPiece(text):
            return "text", {"text": text}
        case Cited(source):
            return "citation", SourceShown.model_validate(source).model_dump(mode="json")
        case CallStarted(call):
            return "call", CallShown.model_validate(call).model_dump(mode="json")
        case PermissionAsked(call, seconds):
            shown = CallShown.model_validate(call).model_dump(mode="json")
            return "permission", {**shown, "seconds": seconds}
        case CallEnded(call, content, failed, seconds):
            return "result", {
                "id": call.id, "name": call.name, "content": content, "failed": failed,
                "seconds": seconds,
            }  # fmt: skip
        case Drafted(draft):
            return "draft", DraftShown.model_validate(draft).model_dump(mode="json")
        case Noted(text):
            return "note", {"text": text}


@router.get("/chat")
async def list_conversations(
    workspace: Acting, cursor: Cursor = None, size: Size = 50
) -> Listing[ConversationShown]:
    """List the caller's conversations, the ones changed last first."""
    page = await chatting.listed(workspace, cursor=cursor, size=size)
    return Listing(rows=[_listed(workspace, one) for one in page.rows], next=page.next)


@router.get("/chat/{conversation}")
async def show_conversation(workspace: Acting, conversation: RowId) -> WholeConversation:
    """Give a conversation with the turns of all its branches."""
    return _conversation(workspace, await chatting.show(workspace, conversation))


@router.patch("/chat/{conversation}")
async def change_conversation(
    workspace: Acting, conversation: RowId, given: ChatChange
) -> WholeConversation:
    """Rename a conversation, or show another of its branches."""
    await chatting.find(workspace, conversation)
    if given.title is not None:
        await chatting.rename(workspace, conversation, given.title)
    if given.turn is not None:
        await chatting.choose(workspace, conversation, given.turn)
    return _conversation(workspace, await chatting.show(workspace, conversation))


@router.delete("/chat/{conversation}", status_code=204)
async def delete_conversation(workspace: Acting, conversation: RowId) -> None:
    """Delete a conversation for good. What it cost stays in the ledger."""
    await chatting.delete(workspace, conversation)


@router.get(
    "/chat/{conversation}/export",
    response_class=Response,
    responses={
        200: {"content": {"text/markdown": {}, "application/x-ndjson": {}},
              "description": "The file."},
    },
)  # fmt: skip
async def export_conversation(
    workspace: Acting,
    conversation: RowId,
    format: Annotated[
        Literal["markdown", "jsonl"],
        Query(description="The branch shown as Markdown, or all turns as JSON lines."),
    ] = "markdown",
) -> Response:
    """Give a conversation as a file. In Markdown every address of a reply is written out."""
    name, content = await chatting.export(workspace, conversation, format)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=chatting.MEDIA_TYPES[format], headers=headers)


@router.post("/chat/{conversation}/stop")
async def stop_reply(workspace: Acting, conversation: RowId) -> RepliedShown:
    """Stop the reply that is being written, and keep what came of it."""
    turn = await chatting.stop(workspace, conversation)
    shown = await chatting.show(workspace, conversation)
    return RepliedShown(conversation=conversation, turn=_turn(workspace, turn, shown.turns))


@router.post("/chat/{conversation}/permit", status_code=204)
async def permit_call(workspace: Acting, conversation: RowId, given: PermitGiven) -> None:
    """Answer a call that waits for permission."""
    await chatting.permit(workspace, conversation, given.call, allow=given.allow)


def _listed(workspace: Workspace, one: Listed) -> ConversationShown:
    found = chatting.listed_document(workspace.settings, one)
    return ConversationShown.model_validate(found)


def _conversation(workspace: Workspace, shown: ShownConversation) -> WholeConversation:
    found = chatting.conversation_document(workspace.settings, shown)
    return WholeConversation.model_validate(found)


def _turn(workspace: Workspace, turn: Turn, turns: tuple[Turn, ...]) -> TurnShown:
    return TurnShown.model_validate(chatting.turn_document(workspace.settings, turn, turns))


__all__ = ["router"]
