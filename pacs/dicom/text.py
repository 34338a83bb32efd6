"""Text values: from a device's character set to Unicode."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

TextDecoder: TypeAlias = Callable[[bytes], str]

MAX_TEXT_LENGTH = 1024
LONGEST_DECLARATION_BYTES = 1024  # what is remembered of strangers is short
_REMEMBERED_SIZE_BYTES = 256  # no value of VR LO, SH or PN is longer in any common character set (PS3.5 6.2)
_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3: behind them G0 is back
_ESCAPE_SEQUENCE = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")  # ISO 2022; pydicom leaves some of them in
_MISSPELLED = re.compile(r"ISO[ _-]?(2022)?[ _-]?IR[ _-]?(\d{1,3})", re.IGNORECASE)
_ASCII = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
_DEFINED_TERMS = frozenset(python_encoding) - _ASCII


def text_decoder(specific_character_set: bytes, undeclared_character_set: str) -> TextDecoder:
    """Return a function that decodes text values, whatever their bytes are.

    Bytes that the character set does not have become U+FFFD; the object itself keeps them. Terms that the
    Standard does not define count as undeclared: a sender never chooses one of Python's other codecs.

    Parameters
    ----------
    specific_character_set
        The value of (0008,0005) as it stands in the data set, empty where it is missing.
    undeclared_character_set
        A Python codec, for bytes above 127 that are not UTF-8 where no character set is declared.

    References
    ----------
    PS3.3 C.12.1.1.2, PS3.5 6.1
    """
    return _text_decoder(specific_character_set[:LONGEST_DECLARATION_BYTES], undeclared_character_set)


@lru_cache(maxsize=256)
def _text_decoder(specific_character_set: bytes, undeclared_character_set: str) -> TextDecoder:
    terms = defined_terms(specific_character_set)
    if set(terms) <= _ASCII:
        return lambda value: _decode_undeclared(value, undeclared_character_set)
    encodings = convert_encodings(terms)
    if len(encodings) == 1:
        encoding = encodings[0]
        return lambda value: value.decode(encoding, "replace")
    return lambda value: _ESCAPE_SEQUENCE.sub("", decode_bytes(value, encodings, _DELIMITERS))


def defined_terms(specific_character_set: bytes) -> list[str]:
    """Read the defined terms of a character set, common misspellings mended; others become empty ones."""
    declared = specific_character_set[:LONGEST_DECLARATION_BYTES].decode("ascii", "replace").strip("\0 ")
    return [_defined(term.strip()) for term in declared.split("\\")]


def _defined(term: str) -> str:
    found = _MISSPELLED.fullmatch(term)
    if found:
        term = f"ISO 2022 IR {found[2]}" if found[1] else f"ISO_IR {found[2]}"
    return term if term in _DEFINED_TERMS else ""


def normalize(text: str) -> str:
    """Make a decoded value fit for the index: NFC, no NUL, no padding, at most 1,024 characters."""
    text = text[: 2 * MAX_TEXT_LENGTH].replace("\0", "").strip()
    return unicodedata.normalize("NFC", text)[:MAX_TEXT_LENGTH]


def read_text(value: bytes, decode: TextDecoder) -> str:
    """Decode a value and normalize it; short ones are remembered, as those of a series are all the same."""
    if len(value) > _REMEMBERED_SIZE_BYTES:
        return normalize(decode(value))
    return _read_short_text(value, decode)


@lru_cache(maxsize=2048)
def _read_short_text(value: bytes, decode: TextDecoder) -> str:
    return normalize(decode(value))


def _decode_undeclared(value: bytes, undeclared_character_set: str) -> str:
    if value.isascii():
        return value.decode("ascii")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode(undeclared_character_set, "replace")
