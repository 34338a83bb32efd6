from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.text import MAX_TEXT_LENGTH, normalize, text_decoder


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        (b"ISO_IR 192", "NGUYỄN^VĂN ĐỨC ".encode(), "NGUYỄN^VĂN ĐỨC"),
        (b"ISO_IR 192", unicodedata.normalize("NFD", "Hòa").encode(), "Hòa"),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        (b"", "Trần".encode(), "Trần"),
        (
            b"ISO 2022 IR 6\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (b"\\ISO 2022 IR 58", b"Zhang=\x1b$)A\xd5\xc5", "Zhang=张"),
        (b"NO SUCH SET", b"Abc", "Abc"),
    ],
)
def test_text_becomes_unicode_nfc_without_padding(declared: bytes, value: bytes, text: str) -> None:
    assert normalize(text_decoder(declared, "windows-1258")(value)) == text


def test_undeclared_bytes_are_read_in_the_character_set_of_the_site() -> None:
    value = "Nguyễn Đức".encode("windows-1258", errors="ignore")
    composed = unicodedata.normalize("NFC", value.decode("windows-1258"))
    assert normalize(text_decoder(b"", "windows-1258")(value)) == composed


def test_nul_and_excess_are_dropped() -> None:
    decode = text_decoder(b"ISO_IR 192", "latin-1")
    assert normalize(decode(b"A\0B\0")) == "AB"
    assert len(normalize(decode(b"x" * 100_000))) == MAX_TEXT_LENGTH


@given(
    st.sampled_from(
        [b"", b"ISO_IR 192", b"ISO_IR 100", b"GB18030", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"x\\y"]
    ),
    st.binary(max_size=300),
)
def test_any_bytes_decode_to_storable_text(declared: bytes, value: bytes) -> None:
    text = normalize(text_decoder(declared, "windows-1258")(value))
    assert "\0" not in text
    text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize(
    "declared",
    [b"rot13", b"hex", b"zip", b"punycode", b"idna", b"undefined", b"unicode_escape", b"utf_7", b"\\rot13"],
)
def test_a_codec_that_is_no_defined_term_is_never_used(declared: bytes) -> None:
    value = b"\\x41 +AGE- Tr\xe1\xba\xa7n"
    assert text_decoder(declared, "windows-1258")(value) == value.decode("utf-8")


@pytest.mark.parametrize(
    "declared", [b"ISO-IR 100", b"ISO IR 100", b"ISO_IR_100", b"iso_ir 100", b"ISOIR 100"]
)
def test_a_misspelled_term_is_understood(declared: bytes) -> None:
    assert text_decoder(declared, "windows-1258")(b"J\xe9r\xf4me") == "Jérôme"
