"""Reading metadata in the DICOM JSON Model (PS3.18 Annex F). All of it is hostile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from pacs.dicom.explicit_vr import BINARY_VRS, Value, encode_values, pad, require_vr
from pacs.errors import InvalidRequest, UnreadableInstance
from viewer_api.storing.received_dataset import MAX_DEPTH, BulkReference, ReceivedDataset, parse_tag

MAX_TOKENS: Final = 1_000_000  # of a document: each costs a hundred bytes or so while it is read
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def read_json(document: bytes) -> Iterator[ReceivedDataset | UnreadableInstance]:
    """Read the data sets of a document, an array or one alone; what is wrong with one keeps no other out.

    Raises
    ------
    InvalidRequest
        It is no JSON, or holds something else than data sets, or more than can be read at a time.
    """
    if sum(document.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_TOKENS:
        raise InvalidRequest("the metadata has too many elements for one request")
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest("the metadata is not JSON") from error
    datasets = found if isinstance(found, list) else [found]
    if not all(isinstance(dataset, dict) for dataset in datasets):
        raise InvalidRequest("the metadata is no array of data sets")
    for dataset in datasets:
        try:
            yield _read_dataset(dataset, 0)
        except UnreadableInstance as error:
            yield error


def _read_dataset(elements: Mapping[str, Any], depth: int) -> ReceivedDataset:
    if depth > MAX_DEPTH:
        raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
    dataset = ReceivedDataset()
    for name, element in elements.items():
        tag = parse_tag(name)
        if not isinstance(element, dict):
            raise UnreadableInstance("an element is no object")
        vr = require_vr(element.get("vr"))
        dataset.add(tag, vr, _read_value(vr, element, depth))
    return dataset


def _read_value(
    vr: str, element: Mapping[str, Any], depth: int
) -> bytes | list[ReceivedDataset] | BulkReference:
    forms = [name for name in ("Value", "InlineBinary", "BulkDataURI") if name in element]
    if not forms:
        return b""
    if len(forms) > 1:
        raise UnreadableInstance("an element has several values")
    content = element[forms[0]]
    match forms[0], content:
        case "BulkDataURI", str():
            return BulkReference(content)
        case "InlineBinary", str():
            return _read_binary(vr, content)
        case "Value", list() if vr == "SQ":
            return [_read_item(item, depth + 1) for item in content]
        case "Value", list() if vr == "PN":
            return encode_values(vr, [_read_name(value) for value in content])
        case "Value", list() if vr not in BINARY_VRS:
            return encode_values(vr, [_plain(value) for value in content])
    raise UnreadableInstance("the value of an element does not go with its VR")


def _read_item(item: object, depth: int) -> ReceivedDataset:
    if item is None:
        return ReceivedDataset()
    if not isinstance(item, dict):
        raise UnreadableInstance("an item of a sequence is no object")
    return _read_dataset(item, depth)


def _read_binary(vr: str, text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableInstance("an inline value is not base64") from error
    if vr not in BINARY_VRS:
        raise UnreadableInstance(f"a value of VR {vr} is not binary")
    return value + pad(vr, len(value))


def _read_name(value: object) -> str | None:
    """Read a person name: component groups, or the text that older senders write in their place."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise UnreadableInstance("a person name is no object")
    groups = [value.get(name, "") for name in _NAME_GROUPS]
    if not all(isinstance(group, str) and "=" not in group for group in groups):
        raise UnreadableInstance("a person name has a malformed component group")
    return "=".join(groups).rstrip("=")


def _plain(value: object) -> Value:
    if value is None or isinstance(value, str | int | float):
        return value
    raise UnreadableInstance("a value is neither text nor number")
