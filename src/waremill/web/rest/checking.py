"""The routes that look for what is wrong: with the workspace, with a template as it is used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, JsonValue

from waremill.app import prompting
from waremill.app.operations.examining import examine
from waremill.web.rest.acting import Acting
from waremill.web.rest.shapes import Given, Name, Shown, TargetText

router = APIRouter(prefix="/v1", tags=["workspace"])
templates = APIRouter(prefix="/v1", tags=["templates"])

_Template = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f\\]+$",
         description="A template's name.", examples=["copy"]),
]  # fmt: skip


class ExaminedShown(Shown):
    """One thing that was looked at: `ok`, a `warning` or an `error`; `fine` says it is no error."""

    what: str
    level: Literal["ok", "warning", "error"]
    fine: bool
    detail: str


class ProblemShown(Shown):
    """What is wrong with a template: an `error`, a `warning` or a `hint`, and where."""

    severity: str
    where: str
    message: str


class PromptGiven(Given):
    """For which product a template's prompt is shown."""

    key: Annotated[str, Field(min_length=1, max_length=2000, description="The product's key.")]
    target: TargetText | None = None
    params: Annotated[dict[str, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    catalog: Name | None = Field(None, description="The catalogue (default: the only one).")


class PromptShown(Shown):
    """A prompt as text, its tokens (estimated), and the most tokens of its reply."""

    key: str
    target: str | None
    prompt: str
    tokens: int
    max_tokens: int


@router.get("/doctor", response_model=list[ExaminedShown])
async def examine_workspace(
    workspace: Acting,
    models: Annotated[bool, Query(description="Call each model, which is paid.")] = False,
) -> Any:
    """Look at settings, database, pipelines, keys and the machine, for admins.

    No model is called unless `models` says so.
    """
    return await examine(workspace, call_models=models)


@templates.get("/templates/{template:path}/problems")
async def check_template(
    workspace: Acting,
    template: _Template,
    catalog: Annotated[Name | None, Query(description="The catalogue it is for.")] = None,
) -> list[ProblemShown]:
    """Say what is wrong with a template as runs use it, and what its products lack."""
    found = await prompting.check(workspace, template, catalog)
    return [ProblemShown.model_validate(one) for one in found]


@templates.post("/templates/{template:path}/prompt")
async def show_prompt(workspace: Acting, template: _Template, given: PromptGiven) -> PromptShown:
    """Render the prompt of one product with a template as runs use it. No model is called."""
    found = await prompting.show(
        workspace, template, given.key, target=given.target, params=given.params,
        catalog=given.catalog,
    )  # fmt: skip
    return PromptShown.model_validate(found)


__all__ = ["router", "templates"]
