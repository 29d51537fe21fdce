"""The nouns: frozen data that every room shares. No I/O, no decisions.

This room must not import any other.
"""

from waremill.domain.assets import Asset, named_pictures, references_in, refers
from waremill.domain.findings import Finding, Severity, Signature
from waremill.domain.items import OPEN_STATES, UNMADE_STATES, Item, Step
from waremill.domain.knowledge import Passage, Search
from waremill.domain.products import (
    Attributes,
    Product,
    Target,
    category_of,
    content_version,
    is_missing,
)
from waremill.domain.requests import (
    Answer,
    AnyMessage,
    Blob,
    Chat,
    Embed,
    Embedded,
    Emit,
    Image,
    ImageRequest,
    Message,
    Model,
    Outcome,
    Price,
    Provider,
    Request,
    Response,
    Usage,
)
from waremill.domain.texts import storable
from waremill.domain.tools import CallMessage, ResultMessage, ToolCall, ToolSpec

__all__ = [
    "OPEN_STATES",
    "UNMADE_STATES",
    "Answer",
    "AnyMessage",
    "Asset",
    "Attributes",
    "Blob",
    "CallMessage",
    "Chat",
    "Embed",
    "Embedded",
    "Emit",
    "Finding",
    "Image",
    "ImageRequest",
    "Item",
    "Message",
    "Model",
    "Outcome",
    "Passage",
    "Price",
    "Product",
    "Provider",
    "Request",
    "Response",
    "ResultMessage",
    "Search",
    "Severity",
    "Signature",
    "Step",
    "Target",
    "ToolCall",
    "ToolSpec",
    "Usage",
    "category_of",
    "content_version",
    "is_missing",
    "named_pictures",
    "references_in",
    "refers",
    "storable",
]
