"""The `faq` step: answers to what shoppers really ask, from the shop's own knowledge, or none.

    - faq: {questions: questions/shoppers.csv, knowledge: [manuals, policies], most: 8, top: 4,
            where: {brand: "{{ brand }}"}, facts: [name, brand, volume_ml]}

A product's own questions come first, then its category's; those that mean the same are one. Each is
looked for in the knowledge, and a model answers it in the target's language from the passages and
the product's facts alone. An answer that is not known, names no valid source or is not grounded is
left out: its question goes into the list of unanswered ones, which the shop can fill.

Fields: `faq`, a list of `{question, answer, sources}`, and `faq_unanswered`, a list of questions;
`as` gives them another name. `questions` is a CSV or JSON lines file, or `{knowledge: NAME}`, whose
passages hold questions. `template` names a template of one's own with the same output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from waremill.domain import Chat, Item, Passage, Search, category_of, is_missing, refers
from waremill.errors import ConfigError, Where
from waremill.pipeline import BoundStep, Context, Foreseen, Outlook, StepSettings
from waremill.rules.document import suggestion
from waremill.steps import Kit
from waremill.steps.asking import prompting
from waremill.steps.asking.answering import Answered, Grounds, judged
from waremill.steps.asking.questioning import Questions, questions_in, read_questions
from waremill.steps.retrieve import rendered, retrieval_of
from waremill.templates import Extras, Prompt, Template, load_template
from waremill.templates.retrieval import Retrieval

_SETTINGS = (
    "questions", "columns", "knowledge", "query", "top", "where", "facts", "most", "as", "template",
)  # fmt: skip
_OWN = "faq"
# Known comes last: a small model that says it first says no before it has looked.
_TEMPLATE = """\
instruction: |
  You answer one question that shoppers ask about a product.
  Write question and answer in {{ language }}.
  Use only the product's data and the numbered background; say nothing they do not say.
  If they do not answer the question, known is false and the answer is empty. Never guess.
input:
  - facts: {label: Product}
  - question: {label: Question}
output:
  question:
    type: string
    max_chars: 300
    required: false
    description: "the question, well written"
  answer: {type: string, max_chars: 600, required: false, description: "one to three sentences"}
  sources:
    type: array
    items: {type: integer}
    max: 6
    required: false
    description: "the numbers of the passages the answer rests on; 0 is the product's data"
  known: {type: boolean, description: "whether the data or the background answers it"}
"""
_NEEDED = ("known", "answer", "sources")


def make(step: StepSettings, kit: Kit) -> BoundStep:
    """Build the step; raise ConfigError with file and line for settings it cannot work with."""
    where = Where(step.file or None, line=step.line)
    for key in step.settings:
        if key not in _SETTINGS:
            raise ConfigError(f"faq has no setting “{key}”{suggestion(key, _SETTINGS)}", where)
    if step.per != "target":
        raise ConfigError("faq writes in the target's language; it needs per: target", where)
    faq = _Faq(step, kit, where)
    return BoundStep(
        step.name, step.kind, step.per, faq.answer, model=step.model or kit.model,
        preview=faq.preview, calls=faq.most, fields=(faq.field, f"{faq.field}_unanswered"),
        needs_target=True, knowledge=(*faq.retrieval.knowledge, *faq.asked_in),
        searches=faq.searches, preview_with=faq.preview_with, foresee=faq.foresee,
        reads=faq.facts,
        provenance={**faq.own, "version": faq.template.version, "model": step.model or kit.model},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question with what was found for it."""

    text: str
    passages: tuple[Passage, ...]


class _Faq:
    """One `faq` step at work."""

    def __init__(self, step: StepSettings, kit: Kit, where: Where) -> None:
        settings = step.settings
        self._kit = kit
        self._where = where
        self._model = step.model or kit.model
        self._name = step.name
        self.most = _whole(settings, "most", 8, where)
        self.field = str(settings.get("as", "faq"))
        if not self.field.isidentifier():
            raise ConfigError(f"`as` must name a field, not “{self.field}”", where)
        query = {"query": "{{ question }}", "top": 4, **settings}
        self.retrieval: Retrieval = retrieval_of(query, "faq", where)
        facts = settings.get("facts", ())
        self.facts: tuple[str, ...] = (facts,) if isinstance(facts, str) else tuple(facts)
        source = settings.get("questions")
        self.asked_in: tuple[str, ...] = ()
        self._questions = Questions(())
        if isinstance(source, Mapping) and isinstance(source.get("knowledge"), str):
            self.asked_in = (source["knowledge"],)
        elif isinstance(source, str):
            columns = settings.get("columns", {})
            if not isinstance(columns, Mapping):
                raise ConfigError("columns is {question: NAME, key: NAME, …}", where)
            self._questions = Questions(read_questions(kit.files, source, columns, where))
        else:
            raise ConfigError(
                "faq needs `questions`: a file such as questions/shoppers.csv, or "
                "{knowledge: NAME}",
                where,
            )
        name = settings.get("template")
        self.template = _template(name, kit, where)
        self.own = {} if name is None else {"template": name}

    async def answer(self, item: Item, ctx: Context) -> dict[str, Any]:
        """Answer an item's questions, one after the other."""
        found = await self._found(item, ctx)
        chosen = await self._questions.choose(item, ctx, found, self.most, self._name)
        every: list[tuple[Mapping[str, Any], Answered, Sequence[Passage]]] = []
        for one in chosen:
            wanted = self._searches(item, ctx.params, one["question"])
            passages = await prompting.retrieved(item, ctx, wanted)
            made = await self._answered(item, ctx, _Asked(one["question"], passages))
            every.append((one, made, passages))
        ctx.note(item, "faq", [_entry(*one) for one in every])
        answers: dict[str, dict[str, Any]] = {}
        for _, made, _ in every:
            if made.known:
                answers.setdefault(made.question.casefold(), made.as_value())
        open_ones = [one["question"] for one, made, _ in every if not made.known]
        return {self.field: list(answers.values()), f"{self.field}_unanswered": open_ones}

    async def _found(self, item: Item, ctx: Context) -> Sequence[Any]:
        """Give the questions about an item that stand in a knowledge base."""
        return questions_in(await prompting.retrieved(item, ctx, self._asked_about(item)))

    def _asked_about(self, item: Item) -> list[Search]:
        name = str(item.values.get("name") or item.values.get("title") or item.product.key)
        return [Search(base, name, 50, {"key": item.product.key}) for base in self.asked_in]

    async def _answered(self, item: Item, ctx: Context, asked: _Asked) -> Answered:
        extras = Extras(item.product.key, context=asked.passages)
        reason = Answered(asked.text, reason="no answer")
        for ask in range(self._kit.asks):
            prompt = self._prompt(item, ctx.params, asked, extras)
            answer = await ctx.call(item, _chat(prompt), self._model)
            if answer.response.outcome == "refused":
                return reason
            reply, broken = prompt.contract.read(answer.response.text)
            if not broken:
                grounds = Grounds(
                    self._facts_of(item), asked.passages, self._kit.rules, item.target,
                    category_of(item.values),
                )  # fmt: skip
                return await judged(reply, asked.text, grounds, ctx)
            extras = replace(
                extras, feedback=broken, previous=answer.response.text, attempt=ask + 1
            )
        return reason

    def _facts_of(self, item: Item) -> dict[str, Any]:
        names = self.facts or tuple(item.values)
        own = (self.field, f"{self.field}_unanswered")
        return {
            name: item.values[name]
            for name in names
            if name in item.values and name not in own
            and not is_missing(item.values[name]) and not refers(item.values[name])
        }  # fmt: skip

    def _prompt(
        self, item: Item, params: Mapping[str, Any], asked: _Asked, extras: Extras
    ) -> Prompt:
        values = {**item.values, "facts": self._facts_of(item), "question": asked.text}
        return self.template.render(values, item.target, params, extras=extras)

    def _searches(self, item: Item, params: Mapping[str, Any], question: str) -> tuple[Search, ...]:
        values = {**item.values, "question": question}
        return rendered(self.retrieval, values, item.target, params, self._where)

    # What an estimate sees: all questions; and the first one, which a result is shown with.

    async def foresee(
        self, item: Item, params: Mapping[str, Any], outlook: Outlook
    ) -> Sequence[Foreseen]:
        """Give the request of each question, with passages where searching costs nothing."""
        asked = questions_in(await _look(outlook, self._asked_about(item)))
        chosen = await self._questions.foresee(item, outlook.embed, asked, self.most)
        found = []
        for text in chosen:
            passages = await _look(outlook, self._searches(item, params, text))
            extras = Extras(item.product.key, context=passages)
            request = _chat(self._prompt(item, params, _Asked(text, passages), extras))
            found.append(Foreseen(request, passages))
        return found

    def searches(self, item: Item, params: Mapping[str, Any]) -> tuple[Search, ...]:
        first = self._questions.first(item)
        return () if first is None else self._searches(item, params, first)

    def preview(self, item: Item, params: Mapping[str, Any]) -> Chat | None:
        return self.preview_with(item, params, ())

    def preview_with(
        self, item: Item, params: Mapping[str, Any], found: Sequence[Sequence[Passage]]
    ) -> Chat | None:
        first = self._questions.first(item)
        if first is None:
            return None
        wanted = self.searches(item, params)
        passages = prompting.together(wanted, found) if found else ()
        asked = _Asked(first, passages)
        extras = Extras(item.product.key, context=passages)
        return _chat(self._prompt(item, params, asked, extras))


async def _look(outlook: Outlook, wanted: Sequence[Search]) -> tuple[Passage, ...]:
    if outlook.search is None:
        return ()
    return prompting.together(wanted, [tuple(await outlook.search(one)) for one in wanted])


def _template(name: Any, kit: Kit, where: Where) -> Template:
    files = {f"templates/{_OWN}.yaml": _TEMPLATE} if name is None else kit.files
    template = load_template(files, str(name or _OWN))
    lacking = [one for one in _NEEDED if one not in template.fields]
    if lacking:
        raise ConfigError(
            f"the template “{template.name}” must have the output `{lacking[0]}` to answer "
            "questions",
            where,
        )
    return template


def _whole(settings: Mapping[str, Any], name: str, default: int, where: Where) -> int:
    written = str(settings.get(name, default))
    if not written.isdecimal() or not 1 <= int(written) <= 50:
        raise ConfigError(f"{name} must be a whole number from 1 to 50, not “{written}”", where)
    return int(written)


def _chat(prompt: Prompt) -> Chat:
    return Chat(prompt.messages, prompt.contract.max_tokens, prompt.contract.schema)


def _entry(asked: Mapping[str, Any], made: Answered, passages: Sequence[Passage]) -> dict[str, Any]:
    """Give what the provenance says of one question."""
    found: dict[str, Any] = {
        **asked, "known": made.known, "given": [one.id for one in passages],
        "sources": [one.id for one in made.sources],
    }  # fmt: skip
    if made.question != asked["question"]:
        found["written"] = made.question
    if made.reason:
        found["reason"] = made.reason
        if made.answer:
            found["left_out"] = made.answer
    if made.found:
        found["grounded"] = [one.as_json() for one in made.found]
    return found
