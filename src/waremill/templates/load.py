r"""Loads a template from the workspace's files, and notes everything that is wrong with it.

`load_template` raises at the first error; the linter uses the same reading and reports them all.
Files come as a mapping from workspace path to text; nothing is read from disk.

A template `NAME` stands in `templates/NAME.yaml` (or `.yml`); what it includes in
`templates/includes/NAME.md` or `.txt`. Its version is the SHA-256 over the text of every file it is
made of (itself, includes, the example file, and every schema for `from: schema`) with `\n` line
ends: any edit, a comment or the order of fields included, is another version. Answers do not depend
on it, so an edit that leaves a prompt as it was pays nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import orjson

from waremill.errors import ConfigError, NotFound
from waremill.rules.schema import Schema, load_schemas, schema_for
from waremill.templates import typed
from waremill.templates.contract import RATIONALE_ASKS, Reasoning
from waremill.templates.document import Node, Problems, did_you_mean, names_list, read_document
from waremill.templates.examples import MOST_EXAMPLES, Example, Examples, example_from
from waremill.templates.expressions import (
    TARGET_NAMES,
    Condition,
    compile_condition,
    compile_text,
)
from waremill.templates.fields import Field
from waremill.templates.filters import ExpressionError
from waremill.templates.output import Output, read_output, takes_schema
from waremill.templates.retrieval import Retrieval, read_retrieval
from waremill.templates.template import Input, Part, Template

SECTIONS = (
    "name", "description", "instruction", "context", "input", "requirements", "examples",
    "reasoning", "output", "checks",
)  # fmt: skip
_FOLDER = "templates/"
_INCLUDES = "templates/includes/"
REVIEWS = "reviews"
"""As the source of examples: accepted results, which whoever loads lays at reviews/NAME.jsonl."""
_LAYOUT = b"layout 1\0"
"""Part of every version: raised when the same template renders to other prompts."""
_NAME = re.compile(r"[^\s/\\.][^/\\]*(?:/[^\s/\\.][^/\\]*)*")
T = TypeVar("T")


def reviews_path(name: str) -> str:
    """Give where the accepted results of a template lie among the files it is loaded from."""
    return f"{REVIEWS}/{name}.jsonl"


def _from_reviews(node: Node | None) -> bool:
    source = node.get("from") if node is not None else None
    return source is not None and source.value == REVIEWS


def template_names(files: Mapping[str, str]) -> tuple[str, ...]:
    """List the workspace's templates, sorted."""
    return tuple(
        sorted(
            path[len(_FOLDER) :].rpartition(".")[0]
            for path in files
            if path.startswith(_FOLDER)
            and not path.startswith(_INCLUDES)
            and path.endswith((".yaml", ".yml"))
        )
    )


def find_template(files: Mapping[str, str], name: str) -> str:
    """Give the path of a template's file; raise NotFound with a suggestion."""
    if _NAME.fullmatch(name):
        for ending in (".yaml", ".yml"):
            path = f"{_FOLDER}{name}{ending}"
            if files.get(path) is not None:
                return path
    known = template_names(files)
    rest = did_you_mean(name, known) or (f"; there are {names_list(known)}" if known else "")
    raise NotFound(f"there is no template `{name}` in templates/{rest}")


def load_template(files: Mapping[str, str], name: str) -> Template:
    """Load and compile a template.

    Raises NotFound where there is none of that name, TemplateError with file, line and suggestion
    for the first mistake, ConfigError for one in a schema it takes its output from.
    """
    path = find_template(files, name)
    problems = Problems(path)
    template = read_template(files, path, name, problems)
    problems.raise_first()
    assert template is not None  # without a template there is an error, raised above
    return template


def read_template(
    files: Mapping[str, str], path: str, name: str, problems: Problems
) -> Template | None:
    """Read a template, noting problems; None where too little is right to build one."""
    loader = Loader(files, problems, name)
    document = read_document(loader.fetch(path) or "", problems)
    if document is None:
        return None
    if not isinstance(document.value, dict):
        problems.error("a template is a mapping: `instruction: …`, `input: …`, `output: …`", 1)
        return None
    return loader.template(document, name)


@dataclass(slots=True)
class Loader:
    """Reads the sections of one template; `used` are the files it is made of."""

    files: Mapping[str, str]
    problems: Problems
    name: str = ""
    used: dict[str, str] = field(default_factory=dict)

    def fetch(self, path: str) -> str | None:
        """Give a file's text and remember that it is part of the template."""
        text = self.files.get(path)
        if text is not None:
            self.used[path] = text
        return text

    def template(self, document: Node, name: str) -> Template | None:
        """Build the template; None where its output cannot be read."""
        problems = self.problems
        typed.allow(document, SECTIONS, "section", problems)
        stated = typed.text(document.get("name"), "`name`", problems)
        if stated is not None and stated != name:
            line = document.value["name"].line
            problems.error(f"`name` is `{stated}`, but the file is called `{name}`", line)
        inputs = self.inputs(document.get("input"))
        output = read_output(document.get("output"), self.schemas(document), problems)
        instructions = self.parts(document.get("instruction"), "instruction")
        requirements = self.parts(document.get("requirements"), "requirements")
        if not instructions and not requirements:
            problems.error("`instruction` is missing: say what is to be written", document.line)
        retrieval = read_retrieval(document.get("context"), problems)
        reasoning = typed.choice(
            document.get("reasoning"), "`reasoning`", tuple(RATIONALE_ASKS), problems
        )
        checks = typed.texts(document.get("checks"), "`checks`", problems)
        if output is None:
            return None
        fields = _all_fields(output)
        few_shot = self.examples(document.get("examples"), inputs, fields)
        parts = (*instructions, *requirements)
        reads = [part.names for part in parts]
        reads += [retrieval.names.free] if retrieval else []
        return Template(
            name=name,
            version=self.version(),
            description=(
                typed.text(document.get("description"), "`description`", problems) or ""
            ).strip(),
            inputs=inputs,
            fields=fields,
            checks=checks,
            reasoning=cast(Reasoning, reasoning or "none"),
            file=problems.file,
            variables=_variables(inputs, parts, retrieval, output),
            parameters=frozenset(name for part in parts for name in _parameters(part)),
            uses_target=any(not names.isdisjoint(TARGET_NAMES) for names in reads),
            instructions=instructions,
            requirements=requirements,
            retrieval=retrieval,
            few_shot=few_shot,
            schema_output=output.schema,
            own_fields=output.fields,
            picture=output.picture,
            from_reviews=_from_reviews(document.get("examples")),
        )

    def version(self) -> str:
        """Hash the files the template is made of."""
        digest = hashlib.sha256(_LAYOUT)
        for path in sorted(self.used):
            text = self.used[path].replace("\r\n", "\n")
            for piece in (path, text):
                digest.update(piece.encode("utf-8", "replace") + b"\0")
        return digest.hexdigest()[:16]

    def schemas(self, document: Node) -> Mapping[str, Schema] | None:
        """Load the workspace's schemas where the output is taken from one; None where they fail."""
        if not takes_schema(document.get("output")):
            return {}
        for path in list(self.files):
            if path.startswith("schemas/") and path.endswith((".yaml", ".yml")):
                self.fetch(path)
        try:
            return load_schemas(self.files)
        except ConfigError as error:
            where = error.where
            self.problems.error(
                error.message, where.line if where else None, where.file if where else None
            )
            return None

    def compiled(
        self, source: str, node: Node, compile_: Callable[[str], T], file: str | None = None
    ) -> T | None:
        """Compile a text or condition; note its problem at the line within the file."""
        try:
            return compile_(source)
        except ExpressionError as error:
            self.problems.error(error.message, node.text_line + error.line - 1, file)
            return None

    def inputs(self, node: Node | None) -> tuple[Input, ...]:
        """Read `input`: a list of names, each alone or with settings."""
        if node is None:
            return ()
        problems = self.problems
        if not isinstance(node.value, list):
            problems.error(
                "`input` must be a list: `- name`, `- notes: {max_chars: 400}`", node.line
            )
            return ()
        found: dict[str, Input] = {}
        for entry in node.value:
            one = self._input(entry)
            if one is None:
                continue
            if one.name in found:
                problems.error(f"the input `{one.name}` stands here twice", entry.line)
            found[one.name] = one
        return tuple(found.values())

    def _input(self, entry: Node) -> Input | None:
        problems = self.problems
        settings: Node | None = None
        if isinstance(entry.value, dict) and len(entry.value) == 1:
            name, settings = next(iter(entry.value.items()))
        elif isinstance(entry.value, (str, int, float)) and not isinstance(entry.value, bool):
            name = str(entry.value)
        else:
            problems.error("an input is a name, or `name: {label: …, required: true}`", entry.line)
            return None
        if settings is None or settings.value is None:
            return Input(name, name)
        if not isinstance(settings.value, dict):
            problems.error(
                f"`{name}` takes settings: `{{label: …, required: true}}`", settings.line
            )
            return None
        known = ("label", "required", "max_chars", "translate", "picture")
        typed.allow(settings, known, f"setting of the input `{name}`", problems)
        label = typed.text(settings.get("label"), "`label`", problems) or name
        return Input(
            name=name,
            label=" ".join(label.split()),
            required=typed.flag(settings.get("required"), "`required`", problems, False),
            max_chars=typed.whole(settings.get("max_chars"), "`max_chars`", problems, least=2),
            translate=typed.flag(settings.get("translate"), "`translate`", problems, False),
            picture=typed.flag(settings.get("picture"), "`picture`", problems, False),
        )

    def parts(self, node: Node | None, section: str) -> tuple[Part, ...]:
        """Read `instruction` or `requirements`: one text, or a list of texts, `{text, when}` and
        `{include, when}`.
        """
        if node is None:
            return ()
        entries = node.value if isinstance(node.value, list) else [node]
        found = [self._part(entry, section) for entry in entries]
        return tuple(part for part in found if part is not None)

    def _part(self, entry: Node, section: str) -> Part | None:
        problems = self.problems
        if isinstance(entry.value, (str, int, float)) and not isinstance(entry.value, bool):
            return self._text_part(str(entry.value), entry, None, None)
        if not isinstance(entry.value, dict):
            problems.error(
                f"an entry of `{section}` is text, or {{text, include, when}}", entry.line
            )
            return None
        if not set(entry.value) & {"text", "include", "when"} and len(entry.value) == 1:
            problems.error(
                "this reads as a mapping because of its colon; put the text in quotes", entry.line
            )
            return None
        typed.allow(entry, ("text", "include", "when"), f"setting in `{section}`", problems)
        text, include = entry.get("text"), entry.get("include")
        if (text is None) == (include is None):
            problems.error(f"an entry of `{section}` has either `text` or `include`", entry.line)
            return None
        when = self._condition(entry.get("when"))
        if text is not None:
            source = typed.text(text, "`text`", problems)
            return None if source is None else self._text_part(source, text, when, None)
        assert include is not None
        name = typed.text(include, "`include`", problems)
        path = self._include(name, include) if name is not None else None
        if path is None:
            return None
        return self._text_part(self.used[path], Node("", 1, 1), when, path)

    def _text_part(
        self, source: str, node: Node, when: Condition | None, file: str | None
    ) -> Part | None:
        # Leading blank lines are stripped when compiling; the line moves with them.
        skipped = len(source) - len(source.lstrip("\n"))
        place = Node(node.value, node.line, node.text_line + skipped)
        text = self.compiled(source, place, compile_text, file)
        if text is None:
            return None
        return Part(text, when, file or self.problems.file, place.text_line)

    def _condition(self, node: Node | None) -> Condition | None:
        if node is None:
            return None
        if isinstance(node.value, bool):
            return Condition(str(node.value), constant=node.value)
        source = typed.text(node, "`when`", self.problems)
        if source is None:
            return None
        return self.compiled(source.strip(), node, compile_condition)

    def _include(self, name: str, node: Node) -> str | None:
        if _NAME.fullmatch(name):
            stem = name.removesuffix(".md").removesuffix(".txt")
            for path in (f"{_INCLUDES}{stem}.md", f"{_INCLUDES}{stem}.txt"):
                if self.fetch(path) is not None:
                    return path
        known = [
            path[len(_INCLUDES) :].rpartition(".")[0]
            for path in self.files
            if path.startswith(_INCLUDES)
        ]
        rest = did_you_mean(name, known) or f"; write {_INCLUDES}{name}.md"
        self.problems.error(f"there is nothing to include called `{name}`{rest}", node.line)
        return None

    def examples(
        self, node: Node | None, inputs: tuple[Input, ...], fields: Mapping[str, Field]
    ) -> Examples | None:
        """Read `examples`: a list of examples, or `{from, top, by}`."""
        if node is None:
            return None
        problems = self.problems
        names, outputs = tuple(one.name for one in inputs), tuple(fields)
        if isinstance(node.value, list):
            found = [(entry.plain(), entry.line) for entry in node.value]
            every = self._read_examples(found, names, outputs, None)
            return Examples(every, names, max(len(every), 1)) if every else None
        if not isinstance(node.value, dict) or node.get("from") is None:
            problems.error(
                "`examples` is a list, or `{from: FILE, top: 3, by: similarity}`", node.line
            )
            return None
        typed.allow(node, ("from", "top", "by"), "setting of `examples`", problems)
        by = typed.choice(node.get("by"), "`by`", ("similarity", "first"), problems)
        top = typed.whole(node.get("top"), "`top`", problems) or 3
        path = typed.text(node.get("from"), "`from`", problems) or ""
        if _from_reviews(node):
            path = reviews_path(self.name)
            if self.fetch(path) is None:  # nothing is accepted yet
                return None
        every = self._example_file(path, node, names, outputs)
        if not every:
            return None
        return Examples(every, names, min(top, 50), cast(Any, by or "similarity"), path)

    def _example_file(
        self, path: str, node: Node, names: tuple[str, ...], outputs: tuple[str, ...]
    ) -> tuple[Example, ...]:
        line = node.value["from"].line
        text = self.fetch(path)
        if text is None:
            known = [one for one in self.files if one.startswith("examples/")]
            rest = did_you_mean(path, known) or "; examples are JSON lines in examples/NAME.jsonl"
            self.problems.error(f"there is no file `{path}`{rest}", line)
            return ()
        records: list[tuple[Any, int]] = []
        for number, source in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            if not source.strip():
                continue
            try:
                records.append((orjson.loads(source), number))
            except orjson.JSONDecodeError as error:
                self.problems.error(f"this line is not JSON: {error.msg}", number, path)
                return ()
        if len(records) > MOST_EXAMPLES:
            self.problems.error(f"there are more than {MOST_EXAMPLES} examples", line)
            return ()
        if not records:
            self.problems.error(f"`{path}` holds no example", line)
        return self._read_examples(records, names, outputs, path)

    def _read_examples(
        self,
        records: list[tuple[Any, int]],
        names: tuple[str, ...],
        outputs: tuple[str, ...],
        path: str | None,
    ) -> tuple[Example, ...]:
        found: list[Example] = []
        for record, line in records:
            try:
                one = example_from(record, names, outputs)
            except ValueError as error:
                self.problems.error(str(error), line, path)
                continue
            found.append(one)
            for name in one.output:
                if name not in outputs and name != "rationale":
                    near = did_you_mean(name, outputs)
                    self.problems.warning(
                        f"the example's `{name}` is no output field{near}", line, path
                    )
        return tuple(found)


def _all_fields(output: Output) -> dict[str, Field]:
    """Give the output fields by name; of a schema, those of every category it may choose."""
    found: dict[str, Field] = {}
    if output.schema is not None:
        schemas = output.schema.schemas
        fixed = output.schema.category
        for category in schemas if fixed is None else [fixed]:
            if schema_for(schemas, category) is not None:
                for one in output.schema.fields(category):
                    found.setdefault(one.name, one)
    found.update({one.name: one for one in output.fields})
    return found


def _variables(
    inputs: tuple[Input, ...],
    parts: tuple[Part, ...],
    retrieval: Retrieval | None,
    output: Output,
) -> frozenset[str]:
    names = {one.name for one in inputs}
    for part in parts:
        names |= part.text.names.attributes
        names |= part.when.names.attributes if part.when else frozenset()
    if retrieval is not None:
        names |= retrieval.names.attributes
    if output.schema is not None and output.schema.category is None:
        names.add(output.schema.attribute)
    return frozenset(names)


def _parameters(part: Part) -> frozenset[str]:
    return part.text.names.params | (part.when.names.params if part.when else frozenset())
