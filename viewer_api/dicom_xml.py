"""Data sets in the Native DICOM Model, which is ``application/dicom+xml`` (PS3.19 A.1, PS3.18 F.1).

It is written from the DICOM JSON Model, so that both say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from pacs.dicom.json_model import COMPONENT_GROUPS, Element, JsonDataset
from viewer_api import multipart
from viewer_api.media_types import DICOM_XML

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'
)
_TAIL: Final = "</NativeDicomModel>"
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

# Line ends and tabs would come out of a parser as others (XML 1.0, 2.11 and 3.3.3), so they are references.
_SPECIAL: Final = re.compile('[&<>"\t\n\r]|[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')
_REFERENCES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_NO_CHARACTER: Final = "\ufffd"  # in place of what XML cannot have: control characters, lone surrogates


def encode_native_model(dataset: JsonDataset) -> bytes:
    """Write a data set of the DICOM JSON Model as a Native DICOM Model, in UTF-8.

    A private element stands under its private creator and loses the number of its block (``gggg00ee``); one
    without a creator keeps its tag. Characters that XML does not have become U+FFFD, and a sequence that is
    nested deeper than this process can follow is written empty.

    References
    ----------
    PS3.19 A.1.5, A.1.6
    """
    written = [_HEAD]
    for tag, element in dataset.items():
        before = len(written)
        try:
            _write_attribute(written, dataset, tag, element)
        except RecursionError:
            del written[before:]
            _write_attribute(written, dataset, tag, {"vr": element["vr"]})
    written.append(_TAIL)
    return "".join(written).encode()


def native_model_parts(datasets: Iterable[JsonDataset], boundary: str) -> Iterator[bytes]:
    """Write data sets as the parts of ``multipart/related; type="application/dicom+xml"``, one by one."""
    for dataset in datasets:
        yield multipart.part_head(boundary, DICOM_XML) + encode_native_model(dataset) + b"\r\n"
    yield multipart.closing(boundary)


def _write_dataset(written: list[str], dataset: JsonDataset) -> None:
    for tag, element in dataset.items():
        _write_attribute(written, dataset, tag, element)


def _write_attribute(written: list[str], dataset: JsonDataset, tag: str, element: Element) -> None:
    begin = f'<DicomAttribute tag="{tag}" vr="{element["vr"]}"'
    if int(tag[3], 16) % 2:  # an odd group: private
        if tag[4:6] == "00":  # a private creator: each element of its block says its name
            return
        creator = dataset.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value", [None])[0]
        if creator is not None:
            begin = begin.replace(tag, f"{tag[:4]}00{tag[6:]}")
            begin += f' privateCreator="{_escape(str(creator))}"'
    elif keyword := _keyword(tag):
        begin += f' keyword="{keyword}"'
    written.append(begin)
    written.append(">")
    _write_value_field(written, element)
    written.append("</DicomAttribute>")


def _write_value_field(written: list[str], element: Element) -> None:
    if "BulkDataURI" in element:
        written.append(f'<BulkData uri="{_escape(element["BulkDataURI"])}"/>')
    elif "InlineBinary" in element:
        written.append(f"<InlineBinary>{element['InlineBinary']}</InlineBinary>")
    for number, value in enumerate(element.get("Value", ()), start=1):
        match element["vr"]:
            case "SQ":
                written.append(f'<Item number="{number}">')
                _write_dataset(written, value)
                written.append("</Item>")
            case "PN":
                written.append(f'<PersonName number="{number}">')
                _write_name(written, value or {})
                written.append("</PersonName>")
            case _:
                written.append(f'<Value number="{number}">{_text(value)}</Value>')


def _write_name(written: list[str], name: dict[str, str]) -> None:
    """Write a name by its groups and their components (PS3.5 6.2.1.1); empty ones are left out."""
    for group in COMPONENT_GROUPS:
        if group in name:
            texts = name[group].split("^", len(_COMPONENTS) - 1)
            components = (
                f"<{component}>{_escape(text)}</{component}>"
                for component, text in zip(_COMPONENTS, texts, strict=False)
                if text
            )
            written.append(f"<{group}>{''.join(components)}</{group}>")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _escape(value)
    return "" if value is None else repr(value)


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: _REFERENCES.get(found[0], _NO_CHARACTER), text)


@lru_cache(maxsize=8192)
def _keyword(tag: str) -> str:
    return keyword_for_tag(int(tag, 16))
