"""Text on its way out: in the reader's character set where it fits, and never wrong where it does not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.character_sets import AnswerCharacterSet
from pacs.dicom.text import text_decoder
from pacs.text import unaccent

TERMS = [
    *(b"", b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 144", b"ISO_IR 126", b"ISO_IR 138", b"ISO_IR 166"),
    *(b"ISO_IR 13", b"ISO_IR 192", b"GB18030", b"GBK", b"nonsense", b"ISO IR 100"),
    *(b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"\\ISO 2022 IR 58", b"ISO 2022 IR 100\\ISO 2022 IR 144"),
]


def write(text: str, requested: bytes, choice: AnswerCharacterSet | None = None) -> tuple[bytes, bytes]:
    """What is declared and written: by the first encoder that can."""
    for encoder in (choice or AnswerCharacterSet()).encoders(requested):
        try:
            return encoder.specific_character_set, encoder.encode(text)
        except UnicodeError:
            continue
    raise AssertionError("no encoder has it")


@pytest.mark.parametrize(
    ("text", "requested", "declared"),
    [
        ("Nguyen", b"", b""),
        ("Nguyễn", b"", b"ISO_IR 192"),
        ("Müller", b"ISO_IR 100", b"ISO_IR 100"),
        ("Müller", b"ISO IR 100", b"ISO_IR 100"),  # misspelled
        ("Nguyễn", b"ISO_IR 100", b"ISO_IR 192"),
        ("Люкceмбypг", b"ISO_IR 144", b"ISO_IR 144"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 87"),
        ("Hong^Gildong=洪^吉洞=홍^길동", b"\\ISO 2022 IR 149", b"\\ISO 2022 IR 149"),
        ("Nguyễn", b"\\ISO 2022 IR 87", b"ISO_IR 192"),
        ("Nguyễn", b"GB18030", b"GB18030"),
        ("Nguyễn", b"no such term", b"ISO_IR 192"),
    ],
)
def test_the_character_set_of_the_request_is_kept_where_the_text_is_in_it(
    text: str, requested: bytes, declared: bytes
) -> None:
    said, written = write(text, requested)
    assert said == declared
    assert text_decoder(said, "ascii")(written) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30), st.sampled_from(TERMS))
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_is_read_again(text: str, requested: bytes) -> None:
    declared, written = write(text, requested)
    assert text_decoder(declared, "ascii")(written) == text


@pytest.mark.parametrize("requested", TERMS)
def test_every_character_of_the_common_scripts_is_read_as_it_was(requested: bytes) -> None:
    """Some codecs write more than the character sets have, such as the sign of the yen as a backslash."""
    for code_point in (*range(0x20, 0x7F), *range(0xA0, 0x600), 0x203E, *range(0x3040, 0x3100)):
        declared, written = write(chr(code_point), requested)
        assert text_decoder(declared, "ascii")(written) == chr(code_point), hex(code_point)


def test_a_peer_may_have_a_character_set_of_its_own() -> None:
    assert write("Müller", b"ISO_IR 192", AnswerCharacterSet("ISO_IR 100"))[0] == b"ISO_IR 100"
    assert write("Đỗ", b"ISO_IR 192", AnswerCharacterSet("ISO_IR 100"))[0] == b"ISO_IR 192"


def test_or_none_and_then_letters_lose_their_marks() -> None:
    unaccented = AnswerCharacterSet(unaccented=True)
    assert write("NGUYỄN^VĂN Đức", b"ISO_IR 192", unaccented) == (b"", b"NGUYEN^VAN Duc")
    assert write("山田 Løw", b"", unaccented) == (b"", b"?? Low")


@pytest.mark.parametrize(
    ("identifier", "terms", "declared"),
    [
        ("BN1", None, b""),
        ("É1", "ISO_IR 100", b"ISO_IR 100"),
        ("Đ1", "ISO_IR 100", b"ISO_IR 192"),
        ("Đ1", None, b"ISO_IR 192"),
    ],
)
def test_but_identifiers_keep_them(identifier: str, terms: str | None, declared: bytes) -> None:
    for encoder in AnswerCharacterSet(terms, unaccented=True).encoders(b""):
        with contextlib.suppress(UnicodeError):
            written = encoder.encode_identifier(identifier)
            break
    assert encoder.specific_character_set == declared
    assert text_decoder(declared, "ascii")(written) == identifier
    assert encoder.encode("Đức") == b"Duc"


@given(st.text(max_size=50))
@settings(max_examples=100, deadline=None)
def test_what_is_unaccented_is_ascii(text: str) -> None:
    assert unaccent(text).isascii()
