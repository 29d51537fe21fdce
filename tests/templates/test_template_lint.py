"""What the loader and the linter say, where, and with which suggestion."""

# ruff: noqa: E501  (the tables hold one message a line)

from __future__ import annotations

import pytest
from design_template import FILES, PRODUCT, TEMPLATE, template_file

from waremill.errors import NotFound, TemplateError
from waremill.templates import check_template, load_template, template_names

COLUMNS = [*PRODUCT, "gender"]
CHECKS = ("language", "grounded-numbers", "channel", "glossary")


def messages(
    files: dict[str, str], name: str = "t", columns: list[str] | None = None, **known: object
) -> list[str]:
    return [str(one) for one in check_template(files, name, columns, **known)]  # type: ignore[arg-type]


def changed(old: str, new: str) -> dict[str, str]:
    assert old in TEMPLATE
    return {**FILES, "templates/selling-points.yaml": TEMPLATE.replace(old, new)}


def test_the_designs_example_has_no_error() -> None:
    found = check_template(
        FILES, "selling-points", COLUMNS, params=["tone"], checks=CHECKS, knowledge=["brand-guides"]
    )
    assert [(one.severity, one.where.line) for one in found] == [("warning", 4), ("hint", 6)]
    assert "`#` inside a text is part of it" in found[0].message
    assert found[1].message == "columns not used: `gender`"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("instruction: |", "instructon: |", ":3: unknown section `instructon`, did you mean `instruction`?"),
        ("  - brand\n", "  - brnad\n", ":8: unknown field `brnad`, did you mean `brand`?"),
        ("when: volume_ml", "when: volume", ":12: unknown field `volume`, did you mean `volume_ml`?"),
        ("{{ brand }}", "{{ brnd }}", ":5: unknown field `brnd`, did you mean `brand`?"),
        ("{{ language }}", "{{ langauge }}", ":4: unknown field `langauge`, did you mean `language`?"),
        ("{{ language }}", "{{ params.tne }}", ":4: unknown parameter `tne`, did you mean `tone`?"),
        ("{{ language }}", "{{ language|uper }}", ":4: unknown filter `uper`, did you mean `upper`?"),
        ("{{ language }}", "{{ language", ":4: this is not a template expression"),
        ("required: true", "requird: true", ":7: unknown setting of the input `name` `requird`, did you mean `required`?"),
        ("required: true", "required: maybe", ":7: `required` must be true or false, not “maybe”"),
        ("max_chars: 400", "max_chars: lots", ":9: `max_chars` must be a whole number from 2, not “lots”"),
        ("include: claims-cosmetics", "include: claims-cosmetic", ":13: there is nothing to include called `claims-cosmetic`, did you mean `claims-cosmetics`?"),
        ("market in ['DE', 'FR']", "market in ['DE'", ":13: this is not a template expression"),
        ("examples/selling-points.jsonl", "examples/selling-point.jsonl", ":14: there is no file `examples/selling-point.jsonl`, did you mean `examples/selling-points.jsonl`?"),
        ("by: similarity", "by: similar", ":14: `by` cannot be `similar`, did you mean `similarity`?"),
        ("reasoning: brief", "reasoning: breif", ":15: `reasoning` cannot be `breif`, did you mean `brief`?"),
        ("type: string, max_chars: 60", "type: strng, max_chars: 60", ":17: the type of `title` cannot be `strng`, did you mean `string`?"),
        ("type: string, max_chars: 60", "type: string, max_char: 60", ":17: unknown setting of `title` `max_char`, did you mean `max_chars`?"),
        ("type: string, max_chars: 60", "type: boolean, max_chars: 60", ":17: `max_chars` does not fit `title`, which is a boolean"),
        ("min: 3, max: 3", "min: 4, max: 3", ":18: `min` of `selling_points` is more than `max`"),
        ("  title:", "  rationale:", ":17: `rationale` is the reasoning's own name; choose another"),
        ("  title:", "  _title:", ":17: `_title` cannot be a field's name"),
        ("channel, glossary]", "chanel, glossary]", ":19: unknown check `chanel`, did you mean `channel`?"),
        ("knowledge: brand-guides", "knowledge: brand-guide", ":5: unknown knowledge `brand-guide`, did you mean `brand-guides`?"),
        ("name: selling-points", "name: selling-point", ":1: `name` is `selling-point`, but the file is called `selling-points`"),
        ("  - brand\n", "  - brand\n  - brand\n", ":9: the input `brand` stands here twice"),
        ("reasoning: brief", "reasoning: brief\nreasoning: none", ":16: `reasoning` stands here twice; keep one"),
        ("  - Use only", "  - Note: use only", ":11: this reads as a mapping because of its colon; put the text in quotes"),
        ("instruction: |\n  You", "instruction: \"You", "this is not YAML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_line_and_suggestion(
    old: str, new: str, expected: str
) -> None:
    found = messages(
        changed(old, new), "selling-points", COLUMNS,
        params=["tone"], checks=CHECKS, knowledge=["brand-guides"],
    )  # fmt: skip
    errors = [one for one in found if ": error: " in one]
    wanted = expected.replace(": ", ": error: ", 1) if expected.startswith(":") else expected
    assert any(wanted in one for one in errors), found


def test_all_mistakes_are_reported_at_once_and_loading_raises_the_first() -> None:
    files = changed("reasoning: brief", "reasoning: breif")
    text = files["templates/selling-points.yaml"].replace("max_chars: 60", "max_char: 60")
    files["templates/selling-points.yaml"] = text
    assert sum(": error: " in one for one in messages(files, "selling-points")) == 2
    with pytest.raises(TemplateError) as caught:
        load_template(files, "selling-points")
    assert str(caught.value).startswith("templates/selling-points.yaml:17: unknown setting of")
    assert str(caught.value).endswith("(and 1 more problem)")


def test_without_columns_only_near_misses_of_inputs_are_warned_about() -> None:
    found = messages(changed("{{ brand }}", "{{ brnad }}"), "selling-points")
    assert any("warning: `brnad` is no input, did you mean `brand`?" in one for one in found)
    assert not any(": error: " in one for one in found)


def test_a_guarded_name_may_be_unknown() -> None:
    body = "instruction: Be {{ tone|default('warm') }}.\noutput: {t: {max_chars: 9}}\ninput: [a]\n"
    assert messages(template_file(body), "t", ["a"]) == []


def test_a_column_hidden_by_the_target_is_pointed_out() -> None:
    body = "instruction: For {{ market }}.\noutput: {t: {max_chars: 9}}\ninput: [a]\n"
    found = messages(template_file(body), "t", ["a", "market"])
    assert any("`market` is the target's; the column is `product['market']`" in m for m in found)


def test_an_instruction_that_defeats_prompt_caches_is_pointed_out() -> None:
    body = "instruction: For {{ a }}.\noutput: {t: {max_chars: 9}}\ninput: [a]\n"
    assert any("the instruction reads `a`" in m for m in messages(template_file(body), "t", ["a"]))


def test_examples_that_break_the_contract_are_pointed_out() -> None:
    body = (
        "instruction: W.\ninput: [name]\noutput: {title: {max_chars: 5}}\n"
        "examples:\n  - {name: a, title: much too long}\n  - {name: b, title: ok, titel: x}\n"
        "  - {input: {nme: b}, output: {title: ok}}\n"
    )
    found = messages(template_file(body))
    assert any("example 1: `title` has 13 characters; at most 5" in one for one in found)
    assert any("example 3 has none of the inputs" in one for one in found)


def test_an_error_inside_an_include_points_into_the_include() -> None:
    files = {**FILES, "templates/includes/claims-cosmetics.md": "\n\nFine.\n{{ 2 * 3 }}\n"}
    found = messages(files, "selling-points")
    assert (
        "templates/includes/claims-cosmetics.md:4: error: `*` is not allowed in templates" in found
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "the file is empty"),
        ("- a\n- b\n", "a template is a mapping"),
        ("just text", "a template is a mapping"),
        ("instruction: W.\n", "`output` must say which fields to write"),
        ("output: {t: string}\n", "`instruction` is missing"),
        ("instruction: {{ language }}\noutput: {t: string}\n", "a key must be plain text"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags such as"),
        ("a: !secret x\n", "tags such as"),
        ("a: &x [*x]\n", "unfold without end"),
        ("instruction: W\x07\noutput: {t: string}\n", "control character"),
        ("instruction: W.\noutput: {from: shema}\n", "`from` of an output can only be `schema`"),
        ("instruction: W.\noutput: [title]\n", "`output` must say which fields"),
        ("instruction: W.\ninput: name\noutput: {t: string}", "`input` must be a list"),
        ("instruction: W.\noutput: {t: {type: array, items: {type: array}}}", "nested too deeply"),
        ("instruction: W.\noutput: {t: {type: object}}", "`t` needs `properties`"),
        ("instruction: W.\noutput: {t: {values: [a, a]}}", "the value `a` of `t` stands twice"),
        ("instruction: W.\nexamples: {top: 3}\noutput: {t: string}", "`examples` is a list, or"),
        ("instruction: W.\ncontext: {query: x}\noutput: {t: string}", "`context` needs `knowledge`"),
        ("instruction: W.\nrequirements: [{when: x}]\noutput: {t: string}", "either `text` or `include`"),
        ("[" * 3000, "this is not YAML"),
        ("a: b\n---\nc: d\n", "this is not YAML"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_plain_sentence(body: str, expected: str) -> None:
    with pytest.raises(TemplateError) as caught:
        load_template(template_file(body), "t")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("templates/t.yaml")


def test_anchors_work_but_cannot_multiply_without_end() -> None:
    body = "output: {a: &f {max_chars: 9}, b: *f}\ninstruction: W.\n"
    assert load_template(template_file(body), "t").fields["b"].max_chars == 9
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(TemplateError, match="unfold without end"):
        load_template(template_file("\n".join(lines)), "t")


def test_only_true_and_false_are_booleans() -> None:
    body = "instruction: W.\noutput: {market: {values: [NO, DE, on]}}\n"
    assert load_template(template_file(body), "t").fields["market"].values == ("NO", "DE", "on")


def test_an_unknown_template_gets_a_suggestion() -> None:
    with pytest.raises(NotFound, match="did you mean `selling-points`"):
        load_template(FILES, "selling-point")
    for name in ("../secret", "/etc/passwd", "", "includes/../x"):
        with pytest.raises(NotFound):
            load_template(FILES, name)
    assert template_names(FILES) == ("selling-points",)


def test_the_version_follows_every_file_the_template_is_made_of() -> None:
    def version(files: dict[str, str]) -> str:
        return load_template(files, "selling-points").version

    base = version(FILES)
    assert len(base) == 16
    assert version({**FILES, "templates/other.yaml": "x"}) == base
    windows = {**FILES, "templates/selling-points.yaml": TEMPLATE.replace("\n", "\r\n")}
    assert version(windows) == base
    for path in FILES:
        assert version({**FILES, path: FILES[path] + "\n"}) != base


class Recording(dict[str, str]):
    """A workspace that notes which files are fetched."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__(files)
        self.fetched: set[str] = set()

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.fetched.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.fetched.add(key)
        return super().__getitem__(key)


def test_loading_needs_only_the_files_it_fetches() -> None:
    files = Recording({**FILES, "templates/other.yaml": "x", "glossary.csv": "y"})
    template = load_template(files, "selling-points")
    used = {path: FILES[path] for path in files.fetched if path in FILES}
    assert set(used) == set(FILES)
    assert "glossary.csv" not in files.fetched
    assert load_template(used, "selling-points").version == template.version


def test_an_input_to_translate_needs_terms_and_a_target() -> None:
    body = (
        "instruction: Write.\ninput:\n  - notes: {translate: true}\noutput: {t: {max_chars: 9}}\n"
    )
    files = template_file(body)
    assert messages(files) == [
        "templates/t.yaml:1: warning: `translate` needs terms, and there is no glossary.csv",
        "templates/t.yaml:3: hint: `notes` is to be translated, but the template reads no target; say in which `language` to write",
    ]
    files = template_file(body.replace("Write.", "Write {{ language }}."))
    assert messages({**files, "glossary.csv": "source,de\n"}) == []


def test_where_there_is_no_knowledge_a_context_is_an_error() -> None:
    found = messages(FILES, "selling-points", COLUMNS, params=["tone"], knowledge=[])
    assert "there is no knowledge yet; add some with `waremill knowledge add NAME PATH`" in found[0]
