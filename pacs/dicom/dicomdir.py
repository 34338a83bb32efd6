"""DICOMDIR, the directory of a medium: which files it names (PS3.10 8, PS3.3 F.3.2.2)."""

from __future__ import annotations

from pacs.dicom.element_heads import Buffer
from pacs.dicom.header import scan_header
from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance

MEDIA_STORAGE_DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"
MAX_RECORDS = 1_000_000

_DIRECTORY_RECORD_SEQUENCE = 0x00041220
_RECORD_IN_USE_FLAG = 0x00041410
_REFERENCED_FILE_ID = 0x00041500
_MAX_COMPONENT_LENGTH = 64  # the Standard says 8; writers of media do not always
_MAX_COMPONENTS = 16  # the Standard says 8
_NOT_IN_A_NAME = frozenset('/\\:*?"<>|')


def read_referenced_files(file: Buffer) -> list[tuple[str, ...]]:
    """List the Referenced File IDs of a DICOMDIR, each as its components, in order and without repeats.

    They are as the medium has them, so hostile: see :func:`is_safe_file_id`.

    Raises
    ------
    UnreadableInstance
        This is no DICOMDIR, or it is damaged.

    References
    ----------
    PS3.3 F.3.2.2.2; PS3.10 8.5
    """
    meta, rest = split_part10([file])
    syntax = TRANSFER_SYNTAXES.get(meta.transfer_syntax_uid)
    if syntax is None or syntax.deflated:
        raise UnreadableInstance("the DICOMDIR has a transfer syntax that it must not have (PS3.10 8.6)")
    header = scan_header(
        b"".join(rest),
        syntax,
        frozenset({_RECORD_IN_USE_FLAG, _REFERENCED_FILE_ID}),
        frozenset({_DIRECTORY_RECORD_SEQUENCE}),
        max_items=MAX_RECORDS,
    )
    file_ids = (
        _components(record.values[_REFERENCED_FILE_ID])
        for record in header.elements.sequences.get(_DIRECTORY_RECORD_SEQUENCE, ())
        if record.values.get(_REFERENCED_FILE_ID, b"").strip(b" \0")
        and any(record.values.get(_RECORD_IN_USE_FLAG, b"\xff\xff"))
    )
    return list(dict.fromkeys(file_ids))


def is_safe_file_id(components: tuple[str, ...]) -> bool:
    """Tell whether a Referenced File ID can only lead downwards from the folder of its DICOMDIR.

    Components of the Standard are eight of A-Z, 0-9 and _ (PS3.10 8.2); longer ones in small letters and with
    dots are met, and harmless. Separators, drives, ``..`` and what begins with a dot are not.
    """
    return 0 < len(components) <= _MAX_COMPONENTS and all(map(_is_safe_component, components))


def _is_safe_component(component: str) -> bool:
    return (
        0 < len(component) <= _MAX_COMPONENT_LENGTH
        and component.isascii()
        and component.isprintable()
        and not component.startswith(".")
        and _NOT_IN_A_NAME.isdisjoint(component)
    )


def _components(value: bytes) -> tuple[str, ...]:
    """Split a value of multiplicity 1-8 (CS): here the backslash separates, it does not belong to a name."""
    return tuple(part.strip(" \0") for part in value.decode("ascii", "replace").split("\\"))
