import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs.dicom.dicomdir import is_safe_file_id, read_referenced_files
from pacs.dicom.part10 import encode_file_meta
from pacs.errors import UnreadableInstance
from tests.data import shared_data
from tests.datasets import encode

DICOMDIR, EXPLICIT = "1.2.840.10008.1.3.10", "1.2.840.10008.1.2.1"


def dicomdir(*records):
    """Encode a DICOMDIR of (record in use, Referenced File ID)."""
    dataset = Dataset()
    dataset.FileSetID = "TEST"
    items = []
    for in_use, file_id in records:
        item = Dataset()
        item.OffsetOfTheNextDirectoryRecord = 0
        item.RecordInUseFlag = 0xFFFF if in_use else 0
        if file_id is not None:
            item.ReferencedFileID = file_id
        items.append(item)
    dataset.DirectoryRecordSequence = Sequence(items)
    return encode_file_meta(DICOMDIR, "1.2.3", EXPLICIT) + encode(dataset)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
def test_the_files_of_a_real_dicomdir_are_listed(name):
    files = read_referenced_files(shared_data("dicomdir", name).read_bytes())
    assert len(files) == 31
    assert ("77654033", "CR1", "6154") in files
    assert all(map(is_safe_file_id, files))


def test_only_records_in_use_that_name_a_file_count_and_each_once():
    content = dicomdir((True, ["A", "B"]), (False, ["OLD"]), (True, None), (True, ["A", "B"]), (True, "C"))
    assert read_referenced_files(content) == [("A", "B"), ("C",)]


def test_more_than_a_thousand_records_are_listed():
    content = dicomdir(*((True, f"F{number}") for number in range(1500)))
    assert len(read_referenced_files(content)) == 1500


@pytest.mark.parametrize(
    "components",
    [
        ("..", "etc", "passwd"),
        ("A", ".."),
        ("A", ""),
        (".hidden",),
        ("/etc/passwd",),
        ("C:",),
        ("A/B",),
        ("A\0B",),
        ("A\nB",),
        ("Ａ",),
        ("A" * 65,),
        ("A",) * 17,
        (),
    ],
)
def test_what_leads_elsewhere_is_not_safe(components):
    assert not is_safe_file_id(components)


def test_a_traversal_is_listed_as_the_medium_has_it():
    assert read_referenced_files(dicomdir((True, ["..", "..", "etc", "passwd"]))) == [
        ("..", "..", "etc", "passwd")
    ]


def test_a_deflated_or_unknown_encoding_is_refused():
    for syntax in ("1.2.840.10008.1.2.1.99", "1.2.3"):
        with pytest.raises(UnreadableInstance):
            read_referenced_files(encode_file_meta(DICOMDIR, "1.2.3", syntax) + b"\0" * 20)


@given(st.data())
@settings(max_examples=50)
def test_a_damaged_dicomdir_is_read_or_refused(data):
    content = bytearray(dicomdir((True, ["A", "B"]), (True, ["C"])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(300, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        files = read_referenced_files(content)
    except UnreadableInstance:
        return
    assert all(isinstance(part, str) for components in files for part in components)
