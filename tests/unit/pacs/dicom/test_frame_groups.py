from __future__ import annotations

import io
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from pacs.dicom.frame_groups import find_frame_groups, keep_one_group, place_group
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance
from tests.datasets import encode, make_dataset

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
SEQUENCE = "PerFrameFunctionalGroupsSequence"


def make_enhanced(frames: int, *, undefined_length: bool = False) -> Dataset:
    dataset = make_dataset(NumberOfFrames=frames, PixelData=None)
    groups = []
    for number in range(frames):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, number]
        group.PlanePositionSequence = [position]
        group["PlanePositionSequence"].is_undefined_length = undefined_length
        group.is_undefined_length_sequence_item = undefined_length
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset[SEQUENCE].is_undefined_length = undefined_length
    return dataset


HEADS = [encode(make_enhanced(3, undefined_length=undefined)) for undefined in (False, True)]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("undefined_length", [False, True])
def test_one_frame_has_its_own_groups_and_all_that_is_not_of_frames(
    syntax: str, undefined_length: bool
) -> None:
    dataset = make_enhanced(5, undefined_length=undefined_length)
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.add_new(0x60000010, "US", 16)  # behind the groups
    head = b"a preamble" + encode(dataset, syntax)
    groups = find_frame_groups(head, 10, TRANSFER_SYNTAXES[syntax])
    assert groups is not None and len(groups.items) == 5
    for frame_index in range(5):
        kept = keep_one_group(head, groups, frame_index)
        assert kept.startswith(b"a preamble")
        read = dcmread(io.BytesIO(kept[10:]), force=True) if syntax == IMPLICIT else parse_explicit(kept[10:])
        place_group(read, frame_index)
        sequence = read[SEQUENCE].value
        assert len(sequence) == frame_index + 1
        assert sequence[frame_index] == dataset[SEQUENCE].value[frame_index]
        assert not any(list(item) for item in sequence[:frame_index])
        del read[SEQUENCE]
        rest = deepcopy(dataset)
        del rest[SEQUENCE]
        assert read == rest


def parse_explicit(data: bytes) -> Dataset:
    return read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)


def test_a_frame_behind_the_last_group_has_none() -> None:
    head = encode(make_enhanced(2))
    groups = find_frame_groups(head, 0, TRANSFER_SYNTAXES[EXPLICIT])
    assert groups is not None
    for frame_index in (2, 7, -1, 10**15):  # the last of which no memory has room for
        read = parse_explicit(keep_one_group(head, groups, frame_index))
        place_group(read, frame_index)
        assert list(read[SEQUENCE].value) == []


def test_an_object_without_groups_has_none_to_find() -> None:
    assert find_frame_groups(encode(make_dataset()), 0, TRANSFER_SYNTAXES[EXPLICIT]) is None
    assert find_frame_groups(b"", 0, TRANSFER_SYNTAXES[EXPLICIT]) is None
    head = encode(make_enhanced(2))
    assert find_frame_groups(head, 0, TRANSFER_SYNTAXES[BIG_ENDIAN]) is None


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_head_is_read_or_refused(data: st.DataObject) -> None:
    head = bytearray(data.draw(st.sampled_from(HEADS)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(head) - 1))
        head[place] = data.draw(st.integers(0, 255))
    head = head[: data.draw(st.integers(0, len(head)))]
    try:
        groups = find_frame_groups(bytes(head), 0, TRANSFER_SYNTAXES[EXPLICIT])
    except UnreadableInstance:
        return
    if groups is not None:
        assert 0 <= groups.start < groups.end <= len(head)
        assert all(groups.start < start < end <= groups.end for start, end in groups.items)
        assert len(keep_one_group(bytes(head), groups, 1)) <= len(head)


def test_nesting_has_a_bound() -> None:
    item, sequence = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\x00\x52\x29\x92SQ\0\0\xff\xff\xff\xff"
    head = b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff" + (item + sequence) * 1000
    with pytest.raises(UnreadableInstance, match="nested"):
        find_frame_groups(head, 0, TRANSFER_SYNTAXES[EXPLICIT])
