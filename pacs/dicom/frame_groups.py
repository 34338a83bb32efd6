"""The functional groups of one frame out of the thousands of an object, the others left unread.

A data set of a thousand frames takes a parser a tenth of a second, nearly all of it for the Per-Frame
Functional Groups Sequence (PS3.3 C.7.6.16). Who shows one frame needs one item of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from pacs.dicom.element_heads import LITTLE_ENDIAN, UNDEFINED_LENGTH, is_vr
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

PER_FRAME_FUNCTIONAL_GROUPS: Final = 0x52009230
MAX_ELEMENTS: Final = 2_000_000
MAX_DEPTH: Final = 128

_ITEM: Final = 0xFFFEE000
_ITEM_DELIMITER: Final = 0xFFFEE00D
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class FrameGroups:
    """Where the Per-Frame Functional Groups Sequence lies in the head of an object.

    ``start`` and ``end`` are those of the element; ``items`` has start and end of each item, its own head
    included.
    """

    start: int
    end: int
    implicit_vr: bool
    items: Sequence[tuple[int, int]]


def find_frame_groups(head: bytes, dataset_offset: int, syntax: TransferSyntax) -> FrameGroups | None:
    """Find the sequence in the beginning of an object; None where there is none, or in big endian.

    Parameters
    ----------
    head
        An object up to the value of its pixel data.
    dataset_offset
        Where its data set begins.

    Raises
    ------
    UnreadableInstance
        An element runs past the end, or there are too many.
    """
    if syntax.big_endian:
        return None
    walk = _Walk(head)
    vr = head[dataset_offset + 4 : dataset_offset + 6]
    implicit_vr = syntax.implicit_vr or not is_vr(vr)
    offset = dataset_offset
    while offset + 8 <= len(head):
        tag, vr, length, start = walk.read(offset, implicit_vr)
        if tag > PER_FRAME_FUNCTIONAL_GROUPS:
            return None
        if tag == PER_FRAME_FUNCTIONAL_GROUPS and vr in (b"SQ", b""):
            items, end = walk.list_items(start, length, implicit_vr)
            return FrameGroups(offset, end, implicit_vr, items)
        offset = walk.skip(start, length, in_sequence=True, implicit_vr=implicit_vr or vr == b"UN")
    return None


def keep_one_group(head: bytes, groups: FrameGroups, frame_index: int) -> bytes:
    """Write the head anew with the item of one frame (0-based) and no other; :func:`place_group` moves it."""
    start, end = groups.items[frame_index] if 0 <= frame_index < len(groups.items) else (0, 0)
    tag = PER_FRAME_FUNCTIONAL_GROUPS.to_bytes(4, "big")
    element = bytes((tag[1], tag[0], tag[3], tag[2])) + (b"" if groups.implicit_vr else b"SQ\0\0")
    length = (end - start).to_bytes(4, "little")
    return b"".join((head[: groups.start], element, length, head[start:end], head[groups.end :]))


def place_group(dataset: Dataset, frame_index: int) -> None:
    """Give the only item of the sequence the place of its frame (0-based), behind empty ones."""
    item = list(dataset[PER_FRAME_FUNCTIONAL_GROUPS].value)[:1]
    # Made here and not read: a parser takes ten times as long for a thousand items of nothing.
    # The number of a frame that has no item is anybody's word.
    dataset.PerFrameFunctionalGroupsSequence = [Dataset()] * (frame_index if item else 0) + item


class _Walk:
    """Goes from element to element, with what may still be spent on that."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._elements_left = MAX_ELEMENTS

    def read(self, offset: int, implicit_vr: bool) -> tuple[int, bytes, int, int]:
        self._elements_left -= 1
        if self._elements_left < 0:
            raise UnreadableInstance("the data set has too many elements")
        return LITTLE_ENDIAN.read(self._head, offset, len(self._head), implicit_vr)

    def list_items(self, offset: int, length: int, implicit_vr: bool) -> tuple[list[tuple[int, int]], int]:
        """Return the extents of the items of a sequence whose value begins here, and where it ends."""
        end = len(self._head) if length == UNDEFINED_LENGTH else offset + length
        items: list[tuple[int, int]] = []
        while offset < min(end, len(self._head)):
            tag, _, item_length, start = self.read(offset, implicit_vr)
            if tag == _SEQUENCE_DELIMITER:
                return items, start
            if tag != _ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            item_end = self.skip(start, item_length, in_sequence=False, implicit_vr=implicit_vr)
            items.append((offset, item_end))
            offset = item_end
        if offset != end or length == UNDEFINED_LENGTH:
            raise UnreadableInstance("the functional groups do not end where they should")
        return items, end

    def skip(self, offset: int, length: int, *, in_sequence: bool, implicit_vr: bool) -> int:
        """Return where a value ends; one of undefined length is a sequence, or an item, of whatever depth."""
        if length != UNDEFINED_LENGTH:
            return self._within(offset + length)
        stack = [(in_sequence, implicit_vr)]
        while stack:
            in_sequence, implicit = stack[-1]
            tag, vr, length, offset = self.read(offset, implicit)
            if tag == (_SEQUENCE_DELIMITER if in_sequence else _ITEM_DELIMITER):
                stack.pop()
            elif in_sequence and tag != _ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            elif length != UNDEFINED_LENGTH:
                offset = self._within(offset + length)
            else:
                stack.append((not in_sequence, implicit or vr == b"UN"))
            if len(stack) > MAX_DEPTH:
                raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
        return offset

    def _within(self, offset: int) -> int:
        if offset > len(self._head):
            raise UnreadableInstance("an element runs past the end")
        return offset
