"""The nouns: frozen data that every room shares. No I/O, no decisions.

This room must not import any other.
"""

from waremill.domain.assets import Asset, refers
from waremill.domain.findings import Finding, Severity, Signature
from waremill.domain.items import Item, Step
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
    Blob,
    Chat,
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

__all__ = [
    "Answer",
    "Asset",
    "Attributes",
    "Blob",
    "Chat",
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
    "Search",
    "Severity",
    "Signature",
    "Step",
    "Target",
    "Usage",
    "category_of",
    "content_version",
    "is_missing",
    "refers",
]
