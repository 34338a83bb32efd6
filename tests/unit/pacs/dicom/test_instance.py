from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs.dicom.header import MAX_ELEMENTS, MAX_ITEMS, scan_header
from pacs.dicom.instance import CodedEntry, InstanceAttributes, RequestItem, read_instance
from pacs.dicom.text import MAX_TEXT_LENGTH
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import InvalidUid, UnreadableInstance
from tests.datasets import encode, make_dataset
from tests.raw_elements import ITEM_END, SEQUENCE_END, UNDEFINED, element, item

IMPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2"]
EXPLICIT = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1"]
BIG_ENDIAN = TRANSFER_SYNTAXES["1.2.840.10008.1.2.2"]
UIDS = {0x00080016: b"1.2\0", 0x00080018: b"1.3\0", 0x0020000D: b"1.4\0", 0x0020000E: b"1.5\0"}
UNWANTED, WANTED = 0x00081140, 0x00400275  # sequences

Result = TypeVar("Result")


def read(encoded: bytes, syntax: TransferSyntax = EXPLICIT) -> InstanceAttributes:
    return read_instance(encoded, syntax, "windows-1258")


def encoded_uids(**changed: bytes) -> bytes:
    """Encode the four UIDs; the names of those to change are tags, as in ``x00080018``."""
    values = {**UIDS, **{int(name[1:], 16): value for name, value in changed.items()}}
    return b"".join(element(tag, b"UI", value) for tag, value in values.items())


def peak_size_bytes(read_it: Callable[[], Result]) -> tuple[Result, int]:
    tracemalloc.start()
    try:
        return read_it(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN], ids=lambda syntax: syntax.name)
def test_the_values_of_the_index_are_read_in_every_encoding(syntax: TransferSyntax) -> None:
    code, request = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "18.0119.0028", "99BYT", "Ngực thẳng"
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP1", "SPS1"
    dataset = make_dataset(
        PatientName="NGUYỄN^VĂN ĐỨC",
        ProcedureCodeSequence=Sequence([code, code]),
        RequestAttributesSequence=Sequence([request]),
        InstanceNumber=7,
        PatientSex="",
    )
    found = read(encode(dataset, syntax.uid), syntax)
    assert found.study["patient_name"] == "NGUYỄN^VĂN ĐỨC"
    assert found.study["study_instance_uid"] == found.study_instance_uid == dataset.StudyInstanceUID
    assert found.series["series_instance_uid"] == found.series_instance_uid == dataset.SeriesInstanceUID
    assert found.instance["sop_instance_uid"] == found.sop_instance_uid == dataset.SOPInstanceUID
    assert found.instance["sop_class_uid"] == found.sop_class_uid == dataset.SOPClassUID
    assert (found.instance["rows"], found.instance["instance_number"]) == (16, 7)
    assert found.series["modality"] == "CT"
    assert "patient_sex" not in found.study
    assert found.procedure_codes == (CodedEntry("18.0119.0028", "99BYT", "Ngực thẳng"),)
    assert found.request_items == (RequestItem("RP1", "SPS1"),)


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "column", "value"),
    [
        (0x00080020, b"DA", b"20261120", "study_date", "20261120"),
        (0x00080020, b"DA", b"2026.11.20", "study_date", "20261120"),
        (0x00080020, b"DA", b"yesterday ", "study_date", None),
        (0x00080030, b"TM", b"08", "study_time", "080000"),
        (0x00080030, b"TM", b"08:15:00.5 ", "study_time", "081500.5"),
        (0x00080030, b"TM", b"noon", "study_time", None),
        (0x00200011, b"IS", b" -12 ", "series_number", -12),
        (0x00200011, b"IS", b"99999999999 ", "series_number", None),
        (0x00200011, b"IS", b"1.5 ", "series_number", None),
        (0x00280010, b"US", b"\0\2", "rows", 512),
        (0x00280010, b"US", b"\0\2\0", "rows", None),
        (0x00080060, b"CS", b"MR\0 ", "modality", "MR"),
        (0x00100020, b"LO", b" BN\0 01 ", "patient_id", "BN 01"),
        (0x00100020, b"LO", b"\0\0", "patient_id", None),
    ],
)
def test_a_value_is_read_as_its_vr_says_or_left_out(
    tag: int, vr: bytes, raw: bytes, column: str, value: str | int | None
) -> None:
    for _ in range(2):  # the second time it is remembered
        found = read(encoded_uids() + element(tag, vr, raw))
        assert {**found.study, **found.series, **found.instance}.get(column) == value


def test_the_same_bytes_are_read_anew_in_another_character_set() -> None:
    name = element(0x00100010, b"PN", b"J\xe9r\xf4me")
    declared = [element(0x00080005, b"CS", term) for term in (b"ISO_IR 100", b"ISO_IR 144")]
    names = [read(term + encoded_uids() + name).study["patient_name"] for term in declared]
    assert names == ["Jérôme", "Jщrєme"]


@pytest.mark.parametrize("tag", UIDS)
def test_an_instance_without_one_of_its_uids_is_refused(tag: int) -> None:
    for nothing in (b"", b"\0\0", b"  "):
        with pytest.raises(UnreadableInstance, match="the data set has no "):
            read(encoded_uids(**{f"x{tag:08x}": nothing}))


@pytest.mark.parametrize("tag", UIDS)
@pytest.mark.parametrize(
    "uid",
    [
        b"../../../../etc/passwd",
        b"/etc/cron.d/x",
        b"..\\..\\boot.ini",
        b"C:1",
        b"1.2\x003.4",
        b"1.2.3/../4",
        b"1..2",
        b"9" * 65,
        b"1." * 30_000 + b"1",
        "１.２".encode(),
        "1.٣".encode(),
    ],
)
def test_b1_a_uid_that_could_be_a_path_is_refused_and_not_repeated(tag: int, uid: bytes) -> None:
    for _ in range(2):  # what is refused is not remembered as taken
        with pytest.raises(InvalidUid) as refusal:
            read(encoded_uids(**{f"x{tag:08x}": uid}))
    assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in str(refusal.value)
    assert uid.decode() not in str(refusal.value)


def nested(tag: int, levels: int, undefined: bool) -> bytes:
    """Encode sequences inside one another; of known length, so many as 32 bits can tell."""
    encoded = b""
    for _ in range(levels):
        if undefined:
            encoded = element(tag, b"SQ", item(encoded + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED)
        else:
            encoded = element(tag, b"SQ", item(encoded))
    return encoded


@pytest.mark.parametrize("undefined", [True, False])
def test_b7_wanted_sequences_nested_too_deep_are_refused(undefined: bool) -> None:
    read(encoded_uids() + nested(WANTED, 60, undefined))
    with pytest.raises(UnreadableInstance, match="nested more than 64 deep"):
        read(encoded_uids() + nested(WANTED, 1500, undefined))


def test_b7_other_sequences_nested_too_deep_are_refused_or_never_entered() -> None:
    with pytest.raises(UnreadableInstance, match="nested more than 64 deep"):
        read(encoded_uids() + nested(UNWANTED, 1500, undefined=True))
    assert read(encoded_uids() + nested(UNWANTED, 1500, undefined=False)).sop_instance_uid == "1.3"


@pytest.mark.parametrize(
    "sequence",
    [
        element(UNWANTED, b"SQ", item(b"", UNDEFINED), UNDEFINED),
        element(UNWANTED, b"SQ", item(b"", UNDEFINED) + ITEM_END, UNDEFINED),
        element(UNWANTED, b"SQ", item(b"ABCDEFGH"), UNDEFINED),
        element(WANTED, b"SQ", item(b"", UNDEFINED), UNDEFINED),
        element(WANTED, b"SQ", item(b"", UNDEFINED) + ITEM_END, UNDEFINED),
        element(WANTED, b"SQ", item(b"", UNDEFINED)),
        element(0x00091001, b"UN", b"", UNDEFINED),
    ],
)
def test_b8_an_undefined_length_without_its_delimiter_is_refused(sequence: bytes) -> None:
    with pytest.raises(UnreadableInstance):
        read(encoded_uids() + sequence)


@pytest.mark.parametrize("tag", [UNWANTED, WANTED])
@pytest.mark.parametrize("length", [9, 10_000, 0xFFFFFFFE])
def test_b8_an_item_that_runs_past_the_end_is_refused(tag: int, length: int) -> None:
    with pytest.raises(UnreadableInstance):
        read(encoded_uids() + element(tag, b"SQ", item(b"", length), UNDEFINED))


@pytest.mark.parametrize("tag", [0x00080060, 0x00091001, 0x00100010, 0x7FE00010])
@pytest.mark.parametrize("vr", [b"UN", b"OB", b"UT", b"ZZ"])
def test_b8_a_value_of_4_gib_in_a_small_data_set_is_refused_unallocated(tag: int, vr: bytes) -> None:
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFE)

    def refused() -> None:
        with pytest.raises(UnreadableInstance):
            read(encoded_uids() + head + b"ABCD")

    assert peak_size_bytes(refused)[1] < 1 << 20


def test_b8_an_odd_length_is_read_as_it_is() -> None:
    found = read(encoded_uids() + element(0x00100020, b"LO", b"BN001") + element(0x00100040, b"CS", b"F "))
    assert (found.study["patient_id"], found.study["patient_sex"]) == ("BN001", "F")


def test_b8_of_a_tag_that_stands_there_twice_the_first_counts() -> None:
    ids = element(0x00100020, b"LO", b"BN01") + element(0x00100020, b"LO", b"BN02")
    found = read(encoded_uids() + ids + element(0x0020000D, b"UI", b"1.9\0"))
    assert (found.study["patient_id"], found.study_instance_uid) == ("BN01", "1.4")


def test_b8_elements_out_of_order_are_read() -> None:
    found = read(element(0x00280010, b"US", b"\0\2") + encoded_uids() + element(0x00080060, b"CS", b"CT"))
    assert (found.instance["rows"], found.series["modality"]) == (512, "CT")


@pytest.mark.parametrize("group", [0x0000, 0x0002, 0xFFFE])
def test_b8_an_element_of_another_kind_of_group_is_refused(group: int) -> None:
    with pytest.raises(UnreadableInstance, match=f"group {group:04X}"):
        read(encoded_uids() + element(group << 16 | 0x0010, b"UI", b"1.2\0"))


@pytest.mark.parametrize("vr", [b"OB", b"UN", b"FD", b"SQ", b"??", b"\0\0"])
def test_b8_a_value_under_a_wrong_vr_is_read_as_its_tag_says(vr: bytes) -> None:
    found = read(encoded_uids() + element(0x00100020, vr, b"BN01") + element(0x00280010, b"LO", b"\0\2"))
    assert (found.study["patient_id"], found.instance["rows"]) == ("BN01", 512)


EMPTY_ELEMENT = element(0x00091001, b"LO", b"")
REQUEST = item(element(0x00401001, b"SH", b"RP"))


def test_b9_a_million_elements_are_read_and_two_million_refused() -> None:
    assert read(encoded_uids() + EMPTY_ELEMENT * 1_000_000).sop_instance_uid == "1.3"
    with pytest.raises(UnreadableInstance, match="too many elements"):
        read(encoded_uids() + EMPTY_ELEMENT * MAX_ELEMENTS)


@pytest.mark.parametrize("tag", [UNWANTED, WANTED])
def test_b9_a_million_items_are_read_and_more_than_the_cap_refused(tag: int) -> None:
    million = element(tag, b"SQ", item(b"") * 1_000_000 + SEQUENCE_END, UNDEFINED)
    assert read(encoded_uids() + million).sop_instance_uid == "1.3"
    with pytest.raises(UnreadableInstance, match="too many elements"):
        scan_header(million, EXPLICIT, wanted_sequences=frozenset({WANTED}), max_elements=10_000)


@pytest.mark.parametrize(
    "many",
    [
        EMPTY_ELEMENT * 20_000,
        element(WANTED, b"SQ", REQUEST * 20_000),
        element(WANTED, b"SQ", REQUEST * 20_000 + SEQUENCE_END, UNDEFINED),
        element(UNWANTED, b"SQ", REQUEST * 20_000 + SEQUENCE_END, UNDEFINED),
        element(WANTED, b"SQ", item(element(WANTED, b"SQ", REQUEST * 200)) * 100),
    ],
)
def test_b9_many_elements_and_items_take_little_memory(many: bytes) -> None:
    encoded = encoded_uids() + many
    _, peak = peak_size_bytes(lambda: read(encoded))
    assert peak < 1024 * MAX_ITEMS


def test_b9_items_whose_values_together_are_large_are_refused_before_they_are_held() -> None:
    long_name = item(element(0x00080104, b"UT", b"N" * 60_000))
    encoded = encoded_uids() + element(WANTED, b"SQ", long_name * 500)

    def refused() -> None:
        with pytest.raises(UnreadableInstance, match="too large values"):
            read(encoded)

    assert peak_size_bytes(refused)[1] < 5 << 20


def test_b9_a_private_element_of_64_mib_is_passed_over() -> None:
    encoded = (
        encoded_uids() + element(0x00091001, b"OB", bytes(64 << 20)) + element(0x00280010, b"US", b"\0\2")
    )
    found, peak = peak_size_bytes(lambda: read(encoded))
    assert found.instance["rows"] == 512
    assert peak < 1 << 20


@pytest.mark.parametrize("character", ["N", "ễ", "e\u0302\u0303"])
def test_b9_of_a_name_of_10_mb_the_beginning_is_kept(character: str) -> None:
    name = (character * (10_000_000 // len(character.encode()))).encode()
    tags = {**UIDS, 0x00080005: b"ISO_IR 192", 0x00100010: name}
    encoded = b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(tags[tag])) + tags[tag] for tag in sorted(tags)
    )
    found, peak = peak_size_bytes(lambda: read(encoded, IMPLICIT))
    assert MAX_TEXT_LENGTH // 2 < len(str(found.study["patient_name"])) <= MAX_TEXT_LENGTH
    assert peak < 1 << 20
