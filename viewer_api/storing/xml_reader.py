"""Reading metadata in the Native DICOM Model (PS3.19 A.1): by expat, without document types or entities."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from pacs.dicom.explicit_vr import BINARY_VRS, Value, encode_values, pad, require_vr
from pacs.errors import InvalidRequest, UnreadableInstance
from viewer_api.storing.received_dataset import MAX_DEPTH, BulkReference, ReceivedDataset, parse_tag

MAX_ELEMENTS: Final = 150_000  # of a document, which is one instance: each costs half a kilobyte
_MAX_XML_DEPTH = 2 * MAX_DEPTH + 8
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_PRIVATE_BLOCKS = range(0x10, 0x100)
_NAMESPACE_END = "}"
_MAX_LEFT_OUT = 64  # empty values in a row


@dataclass(slots=True)
class _Node:
    """An element of the document."""

    name: str
    attributes: Mapping[str, str]
    children: list[_Node] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def content(self) -> str:
        return "".join(self.text)


def read_xml(document: bytes) -> ReceivedDataset:
    """Read the data set of a document.

    Raises
    ------
    InvalidRequest
        It is no XML, has a document type, or more elements than can be read at a time.
    UnreadableInstance
        It is no data set.
    """
    root = _Tree().parse(document)
    if root.name != "NativeDicomModel":
        raise UnreadableInstance("the document is no NativeDicomModel")
    return _read_dataset(root, 0)


class _Tree:
    """Builds the tree of a document within bounds."""

    def __init__(self) -> None:
        self._open = [_Node("", {})]
        self._elements = 0

    def parse(self, document: bytes) -> _Node:
        parser = expat.ParserCreate(namespace_separator=_NAMESPACE_END)
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        # Without a document type there are no entities: none to expand, none to fetch.
        parser.StartDoctypeDeclHandler = _refuse_document_type
        try:
            parser.Parse(document, True)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the latter: an unknown encoding
            raise InvalidRequest("the metadata is not XML") from error
        return self._open[0].children[0]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) > _MAX_XML_DEPTH:
            raise InvalidRequest("the metadata has too many elements, or too deep ones")
        node = _Node(name.rpartition(_NAMESPACE_END)[2], attributes)
        self._open[-1].children.append(node)
        self._open.append(node)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text.append(text)


def _refuse_document_type(*_arguments: object) -> None:
    raise InvalidRequest("a document type is not taken")


def _read_dataset(node: _Node, depth: int) -> ReceivedDataset:
    if depth > MAX_DEPTH:
        raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
    dataset = ReceivedDataset()
    for attribute in node.children:
        if attribute.name != "DicomAttribute":
            raise UnreadableInstance("a data set holds something else than DicomAttribute")
        tag = parse_tag(attribute.attributes.get("tag"))
        vr = require_vr(attribute.attributes.get("vr"))
        creator = attribute.attributes.get("privateCreator")
        if creator is not None and tag >> 16 & 1:
            tag = _reserve(dataset, tag, creator)
        value = _read_value(vr, attribute, depth)
        if not _is_reserved(dataset, tag, value):
            dataset.add(tag, vr, value)
    return dataset


def _is_reserved(dataset: ReceivedDataset, tag: int, value: object) -> bool:
    """Tell whether this is the private creator of a block that an attribute has reserved already."""
    known = dataset.elements.get(tag)
    return bool(tag >> 16 & 1) and tag & 0xFF00 == 0 and known is not None and known.value == value


def _reserve(dataset: ReceivedDataset, tag: int, creator: str) -> int:
    """Find the block of a private creator, or reserve one; return the element's tag in it (PS3.5 7.8.1)."""
    group, wanted = tag & 0xFFFF0000, tag >> 8 & 0xFF
    blocks = (wanted,) if wanted in _PRIVATE_BLOCKS else _PRIVATE_BLOCKS
    for block in blocks:
        reserved = dataset.text(group | block)
        if reserved in ("", creator):
            if not reserved:
                dataset.set_values(group | block, "LO", creator)
            return group | block << 8 | tag & 0xFF
    raise UnreadableInstance("there is no room for a private attribute")


def _read_value(vr: str, attribute: _Node, depth: int) -> bytes | list[ReceivedDataset] | BulkReference:
    names = {child.name for child in attribute.children}
    if not names:
        return b""
    if len(names) > 1:
        raise UnreadableInstance("an element has values of several kinds")
    first = attribute.children[0]
    match names.pop():
        case "Item" if vr == "SQ":
            return [_read_dataset(item, depth + 1) for item in _in_order(attribute)]
        case "PersonName" if vr == "PN":
            return encode_values(vr, [_read_name(name) for name in _in_order(attribute)])
        case "Value" if vr not in BINARY_VRS and vr not in ("SQ", "PN"):
            values: list[Value] = [value.content() or None for value in _in_order(attribute)]
            return encode_values(vr, values)
        case "InlineBinary" if vr in BINARY_VRS:
            return _read_binary(vr, first.content())
        case "BulkData" if "uri" in first.attributes or "uuid" in first.attributes:
            return BulkReference(first.attributes.get("uri") or first.attributes["uuid"])
    raise UnreadableInstance("the value of an element does not go with its VR")


def _in_order(attribute: _Node) -> list[_Node]:
    """Give the values by their numbers, which begin with 1; one that is left out is empty (PS3.19 A.1.5)."""
    numbered: dict[int, _Node] = {}
    for position, child in enumerate(attribute.children, start=1):
        text = child.attributes.get("number", str(position))
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if number == 0 or number in numbered or number > position + _MAX_LEFT_OUT:
            raise UnreadableInstance("the values of an element are not numbered from 1")
        numbered[number] = child
    return [numbered.get(number, _Node("", {})) for number in range(1, max(numbered) + 1)]


def _read_name(name: _Node) -> str:
    """Join the component groups of a person name, and the components of each (PS3.5 6.2.1)."""
    groups = {group.name: group for group in name.children}
    if not groups.keys() <= set(_NAME_GROUPS):
        raise UnreadableInstance("a person name has a component group that there is not")
    return "=".join(_join_components(groups.get(name)) for name in _NAME_GROUPS).rstrip("=")


def _join_components(group: _Node | None) -> str:
    if group is None:
        return ""
    components = {component.name: component.content() for component in group.children}
    joined = "^".join(components.get(name, "") for name in _NAME_COMPONENTS).rstrip("^")
    if "=" in joined or joined.count("^") > len(_NAME_COMPONENTS) - 1:
        raise UnreadableInstance("a person name has a malformed component")
    return joined


def _read_binary(vr: str, text: str) -> bytes:
    try:
        value = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableInstance("an inline value is not base64") from error
    return value + pad(vr, len(value))
