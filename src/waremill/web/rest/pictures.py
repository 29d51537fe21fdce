"""The routes about pictures: those of items and products, and operations on a picture one sends.

A picture is asked for as part of the item or the product that has it, never by its hash alone
(`app/showing.py` says why).
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, Response

from waremill.app import Workspace
from waremill.app.operating import LARGEST, operate_on
from waremill.app.picturing import WRITTEN, all_operations
from waremill.app.showing import SIDES, PictureFile, Pictures
from waremill.domain import Asset
from waremill.errors import ConfigError
from waremill.web.rest.acting import Acting, needs
from waremill.web.rest.problems import Answered
from waremill.web.rest.shapes import CatalogName, ProductKey, RowId, RunName
from waremill.web.security import STRICT_POLICY

router = APIRouter(prefix="/v1", tags=["pictures"])

SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/avif", "image/gif"})
"""What a browser shows by itself and runs no script of; all else is only downloaded."""
LASTING = "private, max-age=31536000, immutable"
LOOKED_AT_AGAIN = "private, max-age=300"
"""A product's photo may be replaced by another one of its name."""
OPERATIONS = "/v1/pictures/{operation}"

_Side = Annotated[
    int | None,
    Query(description=f"Within so many pixels, as WebP: {', '.join(map(str, SIDES))}."),
]
_Download = Annotated[bool, Query(description="The whole file, to be saved.")]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {"image/*": {}}},
    304: {"description": "It is the one that `If-None-Match` names."},
}


def asset(
    sha256: Annotated[
        str, Path(pattern=r"^[0-9a-f]{64}$", description="As in `asset:SHA256.png`.")
    ],
    ending: Annotated[str, Path(pattern=r"^[a-z0-9]{1,8}$", examples=["png"])],
) -> Asset:
    """Read which picture a request is for."""
    return Asset(sha256, ending)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Which attribute of a product names the picture."""

    column: Annotated[
        str,
        Query(min_length=1, max_length=200, description="The attribute that names the picture."),
    ]
    place: Annotated[int, Query(ge=0, lt=1000, description="Which entry of a list, from 0.")] = 0


@router.get(
    "/runs/{run}/items/{item}/pictures/{sha256}.{ending}",
    response_class=Response,
    responses=_PICTURE,
)
async def show_picture(
    workspace: Acting,
    request: Request,
    run: RunName,
    item: RowId,
    wanted: Annotated[Asset, Depends(asset)],
    width: _Side = None,
    download: _Download = False,
) -> Response:
    """Give a picture that an item has: a value `asset:SHA256.ENDING`.

    With `download` it is the whole file as an export writes it: labelled where a model made it.
    """
    pictures = Pictures(workspace)
    if download:
        found = await pictures.to_keep(run, item, wanted)
    else:
        found = await pictures.of_item(run, item, wanted, width)
    return answer(request, found, download=download)


@router.get("/runs/{run}/items/{item}/source-picture", response_class=Response, responses=_PICTURE)
async def show_source_picture(
    workspace: Acting,
    request: Request,
    run: RunName,
    item: RowId,
    source: Annotated[Source, Depends()],
    width: _Side = None,
) -> Response:
    """Give the picture an attribute of an item's product names, as the run had it."""
    pictures = Pictures(workspace)
    found = await pictures.source_of_item(run, item, source.column, source.place, width)
    return answer(request, found)


@router.get("/catalogs/{catalog}/pictures/{key:path}", response_class=Response, responses=_PICTURE)
async def show_product_picture(
    workspace: Acting,
    request: Request,
    catalog: CatalogName,
    key: ProductKey,
    source: Annotated[Source, Depends()],
    width: _Side = None,
) -> Response:
    """Give the picture an attribute of a product names, as it is now."""
    pictures = Pictures(workspace)
    found = await pictures.source_of_product(catalog, key, source.column, source.place, width)
    return answer(request, found)


def answer(request: Request, found: PictureFile, *, download: bool = False) -> Response:
    """Answer with a picture: cached by its content's tag, and never more to a browser than that."""
    inline = found.media_type in SHOWN and not download
    suffix = found.media_type.partition("/")[2].replace("jpeg", "jpg")
    name = f"{found.tag[:16]}.{suffix if found.media_type in SHOWN else 'bin'}"
    headers = {
        "ETag": f'"{found.tag}"',
        "Cache-Control": LASTING if found.lasting else LOOKED_AT_AGAIN,
        "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="{name}"',
        "Content-Security-Policy": f"{STRICT_POLICY}; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    known = request.headers.get("if-none-match", "")
    if f'"{found.tag}"' in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    media_type = found.media_type if inline or download else "application/octet-stream"
    if found.path is not None:
        return FileResponse(found.path, media_type=media_type, headers=headers)
    return Response(found.content, media_type=media_type, headers=headers)


# Operations on a picture one sends.


@router.post("/pictures/{operation}", response_class=Response)
async def operate(
    request: Request,
    operation: Annotated[str, Path(max_length=100)],
    workspace: Annotated[Workspace, Depends(needs("operator", "working on pictures"))],
) -> Response:
    """Apply an operation to a picture; nothing is kept."""
    form = await request.form(max_files=8, max_fields=200, max_part_size=64 * 1024)
    try:
        pictures: dict[str, bytes] = {}
        texts: dict[str, str] = {}
        for name, part in form.multi_items():
            if isinstance(part, UploadFile):
                pictures[name] = await _content(name, part)
            else:
                texts[name] = f"{texts[name]},{part}" if name in texts else part
    finally:
        await form.close()
    if (image := pictures.pop("image", None)) is None:
        raise ConfigError("send the picture as the part “image” of a form")
    wanted = _wanted(request.headers.get("accept", ""))
    made = await operate_on(workspace, operation, image, texts, pictures, wanted)
    if len(made) == 1:
        return Response(made[0].content, media_type=made[0].media_type)
    return Response(_zipped(made), media_type="application/zip")


async def _content(name: str, part: UploadFile) -> bytes:
    if (part.size or 0) > LARGEST:
        most = LARGEST // 1024**2
        raise Answered(413, "TooLarge", f"“{name}” is larger than {most} MB, the most here")
    return await part.read()


def _wanted(accept: str) -> str:
    """Give the media type a client asks for first among those we write; PNG for any other."""
    asked = (part.partition(";")[0].strip() for part in accept.split(","))
    return next((one for one in asked if one in WRITTEN), "image/png")


def _zipped(made: list[Any]) -> bytes:
    """Put several results into one file, numbered in their order."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, one in enumerate(made, 1):
            suffix = one.media_type.partition("/")[2].replace("jpeg", "jpg")
            archive.writestr(f"{number}.{suffix}", one.content)
    return stream.getvalue()


# The document: a path for each operation, with its options.


def describe(document: dict[str, Any]) -> None:
    """Write into the API's document each operation there is, in place of the one route."""
    paths: dict[str, Any] = document["paths"]
    plain = paths.pop(OPERATIONS, None)
    try:
        known = all_operations()
    except ConfigError:  # without the extra “images” there are none
        known = {}
    for name, one in known.items():
        if plain is not None:
            paths[OPERATIONS.format(operation=name)] = {
                "post": _described(plain["post"], name, one)
            }


def _described(plain: Mapping[str, Any], name: str, operation: Any) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    properties: dict[str, Any] = {"image": {**binary, "description": "The picture."}}
    hints = get_type_hints(operation.options)
    for one in dataclasses.fields(operation.options):
        schema = dict(binary) if one.name in operation.pictures else _schema(hints[one.name], one)
        properties[one.name] = {**schema, "description": str(one.metadata.get("about", ""))}
    form = {"type": "object", "required": ["image"], "properties": properties,
            "additionalProperties": False}  # fmt: skip
    content = {kind: {"schema": binary} for kind in (*WRITTEN, "application/zip")}
    return {
        **plain,
        "operationId": f"picture_{name.replace('-', '_')}",
        "summary": operation.about,
        "description": "The result is PNG where `Accept` asks for nothing else; several results "
        "come as one zip file.",
        "parameters": [one for one in plain.get("parameters", ()) if one["in"] != "path"],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {"200": {"description": "What was made.", "content": content}},
    }


_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def _schema(kind: Any, one: dataclasses.Field[Any]) -> dict[str, Any]:
    """Describe an option: its types, choices, bounds and default."""
    kinds = [part for part in (get_args(kind) or (kind,)) if part is not type(None)]
    if get_origin(kind) in (Literal, tuple):
        kinds = [kind]
    found = [_one_schema(part, one) for part in kinds]
    schema = found[0] if len(found) == 1 else {"anyOf": found}
    default: Any = one.default
    if default not in (None, "", ()):
        schema["default"] = list(default) if isinstance(default, tuple) else default
    return schema


def _one_schema(kind: Any, one: dataclasses.Field[Any]) -> dict[str, Any]:
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _one_schema(get_args(kind)[0], one)}
    schema: dict[str, Any] = {"type": _TYPES.get(kind, "string")}
    if kind in (int, float):
        for name, word in (("least", "minimum"), ("most", "maximum")):
            if one.metadata.get(name) is not None:
                schema[word] = one.metadata[name]
    return schema
