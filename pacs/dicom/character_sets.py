"""Text values on their way out: from Unicode to a character set that the reader has (PS3.5 6.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias

from pydicom.charset import convert_encodings, encode_string

from pacs.dicom.text import LONGEST_DECLARATION_BYTES, defined_terms, text_decoder
from pacs.text import unaccent

_UTF_8: Final = b"ISO_IR 192"
_DELIMITERS: Final = re.compile(r"([\\^=])")  # behind them the first character set is back (PS3.5 6.1.2.5.3)

Encode: TypeAlias = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """How to write text: what Specific Character Set says (empty: it is left out), and the encoding.

    ``encode`` and ``encode_identifier`` raise UnicodeError for what the character set does not have.
    """

    specific_character_set: bytes
    encode: Encode
    encode_identifier: Encode  # of what is compared letter by letter: it is written as it is, or not at all


@dataclass(frozen=True, slots=True)
class AnswerCharacterSet:
    """In which character set a peer is answered.

    Parameters
    ----------
    terms
        The Specific Character Set of all answers, several terms with a backslash between them; None for that
        of the request. An answer that does not fit into it is in UTF-8.
    unaccented
        For devices that show ASCII only: letters lose their marks, other characters become question marks.
        Identifiers keep theirs, in the first of those character sets that has them: Đ1 is not D1.
    """

    terms: str | None = None
    unaccented: bool = False

    def encoders(self, requested: bytes) -> tuple[TextEncoder, ...]:
        """Return the encoders to be tried one after the other; the last one has every character.

        Parameters
        ----------
        requested
            The Specific Character Set of the request.
        """
        wanted = requested if self.terms is None else self.terms.encode("ascii", "replace")
        faithful = (_encoder(wanted[:LONGEST_DECLARATION_BYTES]), _ANY)
        return tuple(map(_unaccented, (_encoder(b""), *faithful))) if self.unaccented else faithful


def _unaccented(encoder: TextEncoder) -> TextEncoder:
    return replace(encoder, encode=lambda text: unaccent(text).encode("ascii"))


@lru_cache(maxsize=64)
def _encoder(specific_character_set: bytes) -> TextEncoder:
    terms = defined_terms(specific_character_set)
    encodings = convert_encodings(terms)
    declared = "\\".join(terms).encode("ascii")
    if len(terms) > 1:
        return _of_all(declared, _as_read(declared, lambda text: _encode_extended(text, encodings)))
    if not declared:
        return _of_all(b"", lambda text: text.encode("ascii"))
    return _of_all(declared, _as_read(declared, lambda text: text.encode(encodings[0])))


def _of_all(declared: bytes, encode: Encode) -> TextEncoder:
    """Write identifiers as any text."""
    return TextEncoder(declared, encode, encode)


def _as_read(declared: bytes, encode: Encode) -> Encode:
    """Encode what reads back as it was: codecs know characters that the Standard's sets have elsewhere."""
    decode = text_decoder(declared, "ascii")

    def encode_as_read(text: str) -> bytes:
        encoded = encode(text)
        if not text.isascii() and decode(encoded) != text:
            raise UnicodeError("it would be read as another text")
        return encoded

    return encode_as_read


def _encode_extended(text: str, encodings: list[str]) -> bytes:
    """Encode with code extensions, each component of a value in one of the character sets."""
    return b"".join(_encode_component(component, encodings) for component in _DELIMITERS.split(text))


def _encode_component(component: str, encodings: list[str]) -> bytes:
    if component.isascii():
        return component.encode("ascii")
    if not any(_has(encoding, component) for encoding in encodings):
        raise UnicodeError("a component is in none of the character sets")
    return encode_string(component, encodings)


def _has(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True


_ANY: Final = _of_all(_UTF_8, lambda text: text.encode("utf-8", "replace"))
