from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom import header as header_module
from pacs.dicom.header import Header, scan_header
from pacs.dicom.part10 import split_part10
from pacs.dicom.plain_elements import WINDOW_SIZE_BYTES, pass_plain_explicit, pass_plain_implicit
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import UnreadableInstance
from tests.data import has_shared_data, read_manifest, shared_data
from tests.datasets import encode, make_dataset
from tests.raw_elements import ITEM_END, SEQUENCE_END, UNDEFINED, element, item

IMPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2"]
EXPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
NONE: frozenset[int] = frozenset()
WANTED = frozenset({0x00080005, 0x00080018, 0x00080060, 0x00100010, 0x00100020, 0x0020000D, 0x00280010})
WANTED_SEQUENCES = frozenset({0x00081032, 0x00081140, 0x00400275})

PLAIN = (
    element(0x00090010, b"LO", b"BN01") + element(0x00091001, b"OB", b"12") + element(0x00100020, b"LO", b"")
)


@pytest.mark.parametrize(
    "behind",
    [
        element(0x00091002, b"ZZ", b""),  # a VR that the Standard does not know
        element(0x00081140, b"SQ", b"", UNDEFINED),
        element(0x00400275, b"SQ", b""),  # wanted: to be entered
        element(0x00020010, b"UI", b""),
        element(0x7FE00010, b"OW", b""),
        item(b""),
        element(0x00100030, b"DA", b"", 2),  # runs past the end
        element(0x00091001, b"OB", b"")[:9],
        bytes(8),
        b"\x09",
        b"",
    ],
)
def test_what_needs_thought_is_left_where_it_stands(behind: bytes) -> None:
    values: dict[int, bytes] = {}
    found = pass_plain_explicit(PLAIN + behind, 0, 100, WANTED, WANTED_SEQUENCES, values)
    assert (found, values) == ((len(PLAIN), 3), {0x00100020: b""})


def test_the_first_of_two_elements_of_one_tag_is_kept() -> None:
    values: dict[int, bytes] = {}
    twice = element(0x00100020, b"LO", b"BN01") + element(0x00100020, b"LO", b"BN02")
    assert pass_plain_explicit(twice, 0, 100, WANTED, NONE, values) == (len(twice), 2)
    assert values == {0x00100020: b"BN01"}


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4])
def test_no_more_elements_are_passed_over_than_asked_for(most: int) -> None:
    assert pass_plain_explicit(PLAIN, 0, most, NONE, NONE, {})[1] == min(most, 3)
    implicit = struct.pack("<HHI", 0x0009, 0x1001, 0) * 3
    assert pass_plain_implicit(implicit, 0, most, NONE, NONE, {}) == (8 * min(most, 3), min(most, 3))


def test_a_value_that_a_window_does_not_hold_is_found_all_the_same() -> None:
    name = b"N" * (WINDOW_SIZE_BYTES + 2)
    encoded = PLAIN + element(0x00100010, b"PN", name) + element(0x00280010, b"US", b"\2\0")
    found = scan_header(encoded, EXPLICIT, WANTED, NONE).elements.values
    assert found == {0x00100020: b"", 0x00100010: name, 0x00280010: b"\2\0"}


@dataclass(frozen=True)
class Sample:
    """A header to mutate, with the beginning of the pixel data, and where its first elements stand."""

    name: str
    encoded: bytes
    syntax: TransferSyntax

    def __repr__(self) -> str:
        return self.name


def real_samples() -> list[Sample]:
    """Take one header of every folder and encoding, none larger than 64 KiB."""
    samples: dict[tuple[str, str], Sample] = {}
    for row in read_manifest():
        folder = row["file"].partition("/")[0]
        if not row["ts"] or folder.startswith("malformed") or (folder, row["ts"]) in samples:
            continue
        try:
            meta, chunks = split_part10([shared_data(*Path(row["file"]).parts).read_bytes()])
            encoded, syntax = b"".join(chunks), TRANSFER_SYNTAXES[meta.transfer_syntax_uid]
            pixel_data = scan_header(encoded, syntax).pixel_data
        except UnreadableInstance:  # deflated, or no File Meta Information
            continue
        size_bytes = len(encoded) if pixel_data is None else pixel_data.offset + 4
        if size_bytes < 64 * 1024:
            samples[folder, row["ts"]] = Sample(row["file"], encoded[:size_bytes], syntax)
    return list(samples.values())


SAMPLES = [
    *(Sample(syntax.name, encode(make_dataset(), syntax.uid), syntax) for syntax in (EXPLICIT, IMPLICIT)),
    *real_samples(),
]

ODDITIES = [
    element(0x00081140, b"SQ", b"", UNDEFINED),
    element(0x00081140, b"SQ", item(b"", UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED),
    element(0x00400275, b"UN", item(b"") + SEQUENCE_END, UNDEFINED),
    element(0x00020010, b"UI", b""),
    element(0x00091002, b"ZZ", b"ABCDEFGH"),
    element(0x00091002, b"\0\0", b"AB"),
    element(0x00100020, b"LO", b"BN02"),
    element(0x00400275, b"SQ", item(element(0x00100020, b"LO", b"BN03"))),
    struct.pack("<HHI", 0x0040, 0x0275, 8) + item(b""),  # implicit VR
    struct.pack("<HHI", 0x0010, 0x0020, 4) + b"BN04",
    element(0x7FE00010, b"OW", b"ABCD"),
    element(0x00100010, b"UT", b"", 0xFFFFFFFE),
    element(0x00100010, b"UT", b"N" * 10_000),
    bytes(8),
    ITEM_END,
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, TransferSyntax]:
    """Draw a header in which odd elements stand between the others, and bytes are changed or cut out."""
    sample = draw(st.sampled_from(SAMPLES))
    encoded = bytearray(sample.encoded)
    pass_plain = pass_plain_implicit if sample.syntax.implicit_vr else pass_plain_explicit
    for _ in range(draw(st.integers(0, 3))):
        head, _ = pass_plain(encoded, 0, draw(st.integers(0, 60)), NONE, NONE, {})
        encoded[head:head] = draw(st.sampled_from(ODDITIES))
    for _ in range(draw(st.integers(0, 2))):
        head, _ = pass_plain(encoded, 0, draw(st.integers(0, 60)), NONE, NONE, {})
        at = min(head + draw(st.integers(0, 11)), len(encoded) - 1)
        encoded[at : at + 1] = draw(st.binary(min_size=1, max_size=1) | st.binary(max_size=2))
    return bytes(encoded), sample.syntax


def outcome(encoded: bytes, syntax: TransferSyntax, whole: bool, max_elements: int) -> Header | str:
    try:
        return scan_header(encoded, syntax, WANTED, WANTED_SEQUENCES, whole=whole, max_elements=max_elements)
    except UnreadableInstance as refusal:
        return str(refusal)


@settings(max_examples=400)
@given(mutated(), st.booleans(), st.integers(0, 100) | st.just(2_000_000))
def test_what_is_plain_makes_no_difference_but_time(
    header: tuple[bytes, TransferSyntax], whole: bool, max_elements: int
) -> None:
    straight = outcome(*header, whole, max_elements)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header_module, "_PASS_PLAIN", {})  # every element takes the long way
        assert outcome(*header, whole, max_elements) == straight


def test_there_are_real_headers_where_all_must_be_there() -> None:
    if has_shared_data():
        assert len(SAMPLES) > 40
    else:
        shared_data()
