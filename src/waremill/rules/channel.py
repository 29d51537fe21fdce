"""Channels: what a shop or marketplace demands of each field.

A channel file stands in `channels/`; its name is the channel's, as in the target `de-DE@amazon`.
Example (`channels/amazon.yaml`):

    description: Amazon product detail pages
    source: https://example.com/style-guide      # holds for every rule that has none of its own
    date: 2025-01-21
    fields:
      "*": {banned_phrases: [free shipping, money-back]}     # every field
      title:
        max_chars: 200              # characters (Unicode code points)
        max_bytes: 500              # bytes in UTF-8
        banned_characters: "!$?_{}^¬¦"
        banned_phrases: [best seller]
        max_repeats: 2              # one word at most so often; articles and the like do not count
        max_capitals: 50%           # at most this share of words in CAPITALS
    categories:
      Apparel:
        title: {max_chars: 125}
    slots: [main_image, scene_image]    # which pictures it takes, in this order; default: all

A category's rule adds to the field's, the field's to that of `*`: numbers replace, bans add up.
Category names match in any letter case and as a path (`Beauty > Perfume`). `slots` are attributes
of type image; those that a product's category lacks are passed over.

This module reads text; the prompt, the check and the report take the same rules from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from waremill.rules.document import Section, paths, read_yaml, suggestion
from waremill.rules.matching import Matcher
from waremill.rules.schema import Attribute, Schema, load_schemas, nearest, slot_names

_SETTINGS = (
    "max_chars", "max_bytes", "banned_characters", "banned_phrases", "max_repeats",
    "max_capitals", "source", "date",
)  # fmt: skip


@dataclass(frozen=True)
class FieldRule:
    """What one field must keep to; None and empty mean no limit.

    `max_chars` counts code points and `max_bytes` UTF-8 bytes, of each text of a list;
    `max_repeats` how often one word may stand in a text; `max_capitals` is a share from 0 to 1 of
    the words. `source` and `date` say where the rule is from and when it was read there.
    """

    max_chars: int | None = None
    max_bytes: int | None = None
    banned_characters: str = ""
    banned_phrases: tuple[str, ...] = ()
    max_repeats: int | None = None
    source: str = ""
    date: str = ""
    max_capitals: float | None = None

    @cached_property
    def banned_pattern(self) -> re.Pattern[str] | None:
        """Matches any banned character; None where none is banned."""
        banned = "".join(
            f"\\{c}" if c.isascii() and not c.isalnum() else c for c in self.banned_characters
        )
        return re.compile(f"[{banned}]") if banned else None

    @cached_property
    def phrases(self) -> Matcher | None:
        """Finds the banned phrases; None where none is banned."""
        return Matcher(self.banned_phrases) if self.banned_phrases else None

    def _over(self, general: FieldRule) -> FieldRule:
        """Give the rule with whatever it does not say taken from a more general one."""
        return FieldRule(
            max_chars=general.max_chars if self.max_chars is None else self.max_chars,
            max_bytes=general.max_bytes if self.max_bytes is None else self.max_bytes,
            banned_characters="".join(
                dict.fromkeys(general.banned_characters + self.banned_characters)
            ),
            banned_phrases=tuple(dict.fromkeys(general.banned_phrases + self.banned_phrases)),
            max_repeats=general.max_repeats if self.max_repeats is None else self.max_repeats,
            source=self.source or general.source,
            date=self.date or general.date,
            max_capitals=general.max_capitals if self.max_capitals is None else self.max_capitals,
        )


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel's rules by field, and by category and field where a category differs.

    `categories` has case-folded names; its rules and those of `fields` are already merged. `slots`
    are the picture slots the channel takes, in its order; empty: all.
    """

    name: str
    fields: Mapping[str, FieldRule]
    categories: Mapping[str, Mapping[str, FieldRule]] = field(default_factory=dict)
    description: str = ""
    source: str = ""
    date: str = ""
    slots: tuple[str, ...] = ()

    def takes(self, schema: Schema) -> tuple[Attribute, ...]:
        """Give the picture slots of a category that the channel takes, in the channel's order."""
        if not self.slots:
            return schema.slots
        known = {one.name: one for one in schema.slots}
        return tuple(known[name] for name in self.slots if name in known)

    def rule(self, field: str, category: str | None) -> FieldRule | None:
        """Give the rule of a field for products of a category; None where there is none."""
        if category and self.categories:
            rules = nearest(self.categories, category)
            if rules is not None:
                return rules.get(field) or rules.get("*")
        return self.fields.get(field) or self.fields.get("*")


def load_channels(files: Mapping[str, str]) -> dict[str, Channel]:
    """Read every `channels/*.yaml` into channels by name.

    Raises ConfigError with file and line for unknown settings, values of the wrong kind, and slots
    that no schema has.
    """
    channels: dict[str, Channel] = {}
    slots: tuple[str, ...] | None = None
    for path in paths(files, "channels", (".yaml", ".yml")):
        section = read_yaml(files, path)
        default = path.rpartition("/")[2].rpartition(".")[0]
        channel = _read_channel(section, section.text("name", default))
        if channel.name in channels:
            section.fail(f"the channel “{channel.name}” is described by two files", "name")
        if channel.slots and slots is None:
            slots = slot_names(load_schemas(files))
        _check_slots(section, channel, slots or ())
        channels[channel.name] = channel
    return channels


def _check_slots(section: Section, channel: Channel, known: tuple[str, ...]) -> None:
    for place, name in enumerate(channel.slots):
        if name not in known:
            near = suggestion(name, known) or "; no file in schemas/ has an attribute of type image"
            section.fail(f"no schema has the picture slot “{name}”{near}", "slots")
        if name in channel.slots[:place]:
            section.fail(f"the slot “{name}” stands twice", "slots")


def _read_channel(section: Section, name: str) -> Channel:
    known = ("name", "description", "source", "date", "fields", "categories", "slots")
    section.allow(known, "a channel")
    origin = FieldRule(source=section.text("source", ""), date=section.text("date", ""))
    fields = {
        key: rule._over(origin) for key, rule in _read_rules(section.section("fields")).items()
    }
    every = fields.get("*", origin)
    fields = {key: rule._over(every) if key != "*" else rule for key, rule in fields.items()}
    categories: dict[str, Mapping[str, FieldRule]] = {}
    inner = section.section("categories")
    for category in inner.names() if inner else ():
        assert inner is not None
        rules = _read_rules(inner.section(category))
        everywhere = rules.get("*", FieldRule())
        merged = {
            key: rules.get(key, FieldRule())._over(everywhere)._over(fields.get(key, every))
            for key in dict.fromkeys((*fields, *rules))
        }
        categories[category.casefold().strip()] = merged
    return Channel(
        name=name,
        fields=fields,
        categories=categories,
        description=section.text("description", ""),
        source=origin.source,
        date=origin.date,
        slots=section.texts("slots"),
    )


def _read_rules(section: Section | None) -> dict[str, FieldRule]:
    rules: dict[str, FieldRule] = {}
    for name in section.names() if section else ():
        assert section is not None
        part = section.section(name)
        if part is None:
            continue
        part.allow(_SETTINGS, f"the rule of “{name}”")
        rule = FieldRule(
            max_chars=part.whole("max_chars", least=1),
            max_bytes=part.whole("max_bytes", least=1),
            banned_phrases=part.texts("banned_phrases"),
            max_repeats=part.whole("max_repeats", least=1),
            source=part.text("source", ""),
            date=part.text("date", ""),
            max_capitals=part.share("max_capitals"),
        )
        banned = "".join(part.texts("banned_characters"))
        rules[name] = replace(rule, banned_characters="".join(dict.fromkeys(banned)))
    return rules
