"""The linter: everything that is wrong with a template, that looks wrong, or could be better.

Errors are what `load_template` raises, all of them, and names that nothing answers to where the
catalogue's columns are known. Warnings are probably mistakes; hints say what is unused. How many
products lack a variable is for the caller to count, from `Template.variables`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import orjson

from waremill.rules.glossary import FILE as GLOSSARY
from waremill.templates.contract import build_contract, json_schema
from waremill.templates.document import (
    Node,
    Problem,
    Problems,
    did_you_mean,
    names_list,
    read_document,
)
from waremill.templates.expressions import TARGET_NAMES, Names
from waremill.templates.load import find_template, read_template
from waremill.templates.template import Template

NO_KNOWLEDGE = "there is no knowledge yet; add some with `waremill knowledge add NAME PATH`"
_COMMENT = re.compile(r"\S[ \t]{2,}#[ \t]")
_MOST_CHECKED = 200


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names a template may use. None means: not known, so not checked.

    `columns` are the catalogue's attributes and the fields of earlier steps, `params` the
    pipeline's parameters, `checks` the checks there are, `knowledge` the knowledge there is.
    """

    columns: Collection[str] | None = None
    params: Collection[str] | None = None
    checks: Collection[str] | None = None
    knowledge: Collection[str] | None = None


def check_template(
    files: Mapping[str, str],
    name: str,
    columns: Collection[str] | None = None,
    *,
    params: Collection[str] | None = None,
    checks: Collection[str] | None = None,
    knowledge: Collection[str] | None = None,
) -> list[Problem]:
    """Check a template; give its problems, errors first, each with file and line.

    See `Vocabulary` for the names to check against. Raises NotFound where there is no such
    template.
    """
    path = find_template(files, name)
    problems = Problems(path)
    template = read_template(files, path, name, problems)
    if template is not None:
        if GLOSSARY not in files and any(one.translate for one in template.inputs):
            problems.warning(f"`translate` needs terms, and there is no {GLOSSARY}", 1)
        document = read_document(files[path], Problems(path))
        assert document is not None  # it was read a moment ago
        _Linter(
            template, document, Vocabulary(columns, params, checks, knowledge), problems
        ).check()
    order = {"error": 0, "warning": 1, "hint": 2}
    return sorted(
        dict.fromkeys(problems.found),
        key=lambda one: (order[one.severity], one.where.file != path, one.where.line or 0),
    )


@dataclass(frozen=True, slots=True)
class _Linter:
    template: Template
    document: Node
    known: Vocabulary
    problems: Problems

    def check(self) -> None:
        for names, file, line in self._texts():
            self._names(names, file, line)
        self._inputs()
        self._checks()
        self._knowledge()
        self._comments()
        self._examples()
        self._outputs()
        self._fixed_part()

    def _line(self, section: str) -> int:
        node = self.document.get(section)
        return node.line if node is not None else 1

    def _texts(self) -> Iterator[tuple[Names, str, int]]:
        template = self.template
        for part in (*template.instructions, *template.requirements):
            yield part.text.names, part.file, part.line
            if part.when is not None:
                # The condition stands in the template even where its text is included.
                line = part.line if part.file == template.file else self._line("requirements")
                yield part.when.names, template.file, line
        if template.retrieval is not None:
            yield template.retrieval.names, template.file, self._line("context")

    def _names(self, names: Names, file: str, line: int) -> None:
        template, known = self.template, self.known
        params = set(known.params or ())
        if known.params is not None:
            for name in sorted(names.params - params):
                rest = did_you_mean(name, params)
                self.problems.error(f"unknown parameter `{name}`{rest}", line, file)
        free = names.attributes - names.tolerated - params
        if known.columns is not None:
            columns = set(known.columns)
            for name in sorted(free - columns - {one.name for one in template.inputs}):
                rest = did_you_mean(name, columns | params | TARGET_NAMES)
                self.problems.error(f"unknown field `{name}`{rest}", line, file)
            return
        inputs = {one.name for one in template.inputs}
        for name in sorted(free - inputs):
            near = did_you_mean(name, inputs | TARGET_NAMES)
            if near:
                self.problems.warning(f"`{name}` is no input{near}", line, file)

    def _inputs(self) -> None:
        template, columns = self.template, self.known.columns
        section = self.document.get("input")
        lines: dict[str, int] = {}
        for entry in (
            section.value if section is not None and isinstance(section.value, list) else ()
        ):
            name = next(iter(entry.value)) if isinstance(entry.value, dict) else str(entry.value)
            lines[name] = entry.line
        for one in template.inputs:
            if one.translate and not template.uses_target:
                self.problems.hint(
                    f"`{one.name}` is to be translated, but the template reads no target; "
                    "say in which `language` to write",
                    lines.get(one.name),
                )
        if columns is None:
            return
        for one in template.inputs:
            if one.name not in columns:
                near = did_you_mean(one.name, columns)
                self.problems.error(f"unknown field `{one.name}`{near}", lines.get(one.name))
        hidden = sorted(TARGET_NAMES & set(columns))
        read = {name for names, _, _ in self._texts() for name in names.free}
        for name in hidden:
            if name in read:
                self.problems.hint(
                    f"`{name}` is the target's; the column is `product['{name}']`",
                    self._line("instruction"),
                )
        unused = [name for name in columns if name not in template.variables]
        if unused and template.inputs:
            shown = ", ".join(f"`{name}`" for name in unused[:12])
            more = f" and {len(unused) - 12} more" if len(unused) > 12 else ""
            self.problems.hint(f"columns not used: {shown}{more}", self._line("input"))

    def _checks(self) -> None:
        section = self.document.get("checks")
        if section is None:
            return
        entries = section.value if isinstance(section.value, list) else [section]
        seen: set[str] = set()
        for entry in entries:
            name = str(entry.value)
            if name in seen:
                self.problems.warning(f"the check `{name}` stands here twice", entry.line)
            seen.add(name)
            if self.known.checks is not None and name not in self.known.checks:
                rest = did_you_mean(name, self.known.checks)
                rest = rest or f"; there are {', '.join(sorted(self.known.checks))}"
                self.problems.error(f"unknown check `{name}`{rest}", entry.line)

    def _knowledge(self) -> None:
        retrieval, knowledge = self.template.retrieval, self.known.knowledge
        if retrieval is None or knowledge is None:
            return
        for name in retrieval.knowledge:
            if name not in knowledge:
                rest = did_you_mean(name, knowledge) or f"; there are {names_list(knowledge)}"
                message = f"unknown knowledge `{name}`{rest}"
                self.problems.error(message if knowledge else NO_KNOWLEDGE, self._line("context"))

    def _comments(self) -> None:
        """Inside `|` texts a `#` starts no comment: it goes to the model."""
        for part in (*self.template.instructions, *self.template.requirements):
            for number, source in enumerate(part.text.source.split("\n")):
                if _COMMENT.search(source):
                    self.problems.warning(
                        "`#` inside a text is part of it, not a comment; the model will read it",
                        part.line + number,
                        part.file,
                    )

    def _examples(self) -> None:
        """Examples that break the contract teach the model to break it."""
        few_shot, template = self.template.few_shot, self.template
        if few_shot is None:
            return
        file = few_shot.source
        for number, example in enumerate(few_shot.all[:_MOST_CHECKED], 1):
            line = self._line("examples") if file is None else None
            spec = tuple(one for name, one in template.fields.items() if name in example.output)
            contract = build_contract(spec, "none", json_schema(spec, "none"), 1.0)
            reply = {one.name: example.output[one.name] for one in spec}
            _, findings = contract.read(orjson.dumps(reply, default=str).decode())
            for one in findings:
                self.problems.warning(f"example {number}: {one.message}", line, file)
            lacking = [
                n for n, f in template.fields.items() if f.required and n not in example.output
            ]
            if lacking and template.schema_output is None:
                message = f"example {number} has no `{lacking[0]}`"
                self.problems.warning(message, line, file)
            if few_shot.inputs and not set(few_shot.inputs) & set(example.input):
                self.problems.warning(f"example {number} has none of the inputs", line, file)

    def _outputs(self) -> None:
        if self.template.picture is not None:
            return
        for one in self.template.fields.values():
            if one.type == "string" and not one.max_chars and not one.choices:
                if self.template.schema_output is None:
                    self.problems.hint(
                        f"`{one.name}` has no `max_chars`; cost is reckoned with 1,000 characters",
                        self._line("output"),
                    )
            elif one.type == "array" and one.max_items is None:
                self.problems.hint(f"the list `{one.name}` has no `max`", self._line("output"))

    def _fixed_part(self) -> None:
        params = set(self.known.params or ())
        for part in self.template.instructions:
            reads = sorted(part.names - TARGET_NAMES - {"params"} - params)
            if reads and (self.known.columns is None or set(reads) & set(self.known.columns)):
                self.problems.hint(
                    f"the instruction reads `{reads[0]}`, so it cannot stand in the fixed part "
                    "that prompt caches reuse; a requirement with `when` can",
                    part.line,
                )
