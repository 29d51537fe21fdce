"""The rules a workspace states as data: schemas, channels, glossary and forbidden terms.

Text in, frozen data out; a mistake is a ConfigError with file and line. The files come as a mapping
from workspace path to text, so this room opens nothing, and it must not import any other room than
`domain` and `errors`. One set of rules serves prompts, checks and reports alike.
"""

from waremill.rules.channel import Channel, FieldRule, load_channels
from waremill.rules.forbidden import Forbidden, ForbiddenTerm, load_forbidden
from waremill.rules.glossary import Glossary, Term, load_glossary
from waremill.rules.matching import Matcher
from waremill.rules.schema import (
    Attribute,
    Schema,
    Value,
    load_schemas,
    schema_for,
    slot_names,
)

__all__ = [
    "Attribute",
    "Channel",
    "FieldRule",
    "Forbidden",
    "ForbiddenTerm",
    "Glossary",
    "Matcher",
    "Schema",
    "Term",
    "Value",
    "load_channels",
    "load_forbidden",
    "load_glossary",
    "load_schemas",
    "schema_for",
    "slot_names",
]
