"""How far the sub-operations of a retrieval are, and how it ends."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.command import Element
from pacs.dimse.statuses import CANCEL, SUCCESS, Status, StatusCode

_FAILED_SOP_INSTANCE_UID_LIST: Final = (0x0008, 0x0058)
_MAX_SHORT_LENGTH: Final = 0xFFFE
_MAX_COUNT: Final = 0xFFFF  # the numbers are of VR US
_STORE_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})


class SubOperationResult(Enum):
    """What became of one C-STORE sub-operation."""

    COMPLETED = "completed"
    WARNING = "warning"
    FAILED = "failed"


def result_of(store_status: int) -> SubOperationResult:
    """Sort a status of C-STORE (PS3.7 Annex C, PS3.4 B.2.3): Bxxx and three others are warnings."""
    if store_status == 0:
        return SubOperationResult.COMPLETED
    if store_status & 0xF000 == 0xB000 or store_status in _STORE_WARNINGS:
        return SubOperationResult.WARNING
    return SubOperationResult.FAILED


@dataclass(slots=True)
class Progress:
    """The numbers of a retrieval of ``total`` instances. One thread counts."""

    total: int
    completed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Sub-operations of which nothing is known yet."""
        return self.total - self.completed - self.warning - len(self.failed_uids)

    def count(self, sop_instance_uid: str, result: SubOperationResult) -> None:
        """Count what became of an instance."""
        if result is SubOperationResult.FAILED:
            self.failed_uids.append(sop_instance_uid)
        elif result is SubOperationResult.WARNING:
            self.warning += 1
        else:
            self.completed += 1

    def count_all(self, results: Iterable[tuple[str, SubOperationResult]]) -> None:
        """Count what became of several instances."""
        for sop_instance_uid, result in results:
            self.count(sop_instance_uid, result)

    def pending_elements(self) -> list[tuple[Element, int | str]]:
        """Return the numbers for a pending response, or for one that tells of a cancel."""
        return [
            (Element.NUMBER_OF_REMAINING_SUB_OPERATIONS, min(self.remaining, _MAX_COUNT)),
            *self.final_elements(),
        ]

    def final_elements(self) -> list[tuple[Element, int | str]]:
        """Return the numbers for the last response, in which nothing remains (PS3.7 9.3.3.2, 9.3.4.2)."""
        return [
            (Element.NUMBER_OF_COMPLETED_SUB_OPERATIONS, min(self.completed, _MAX_COUNT)),
            (Element.NUMBER_OF_FAILED_SUB_OPERATIONS, min(len(self.failed_uids), _MAX_COUNT)),
            (Element.NUMBER_OF_WARNING_SUB_OPERATIONS, min(self.warning, _MAX_COUNT)),
        ]

    def final_status(self, *, cancelled: bool) -> Status:
        """Say how it ended (PS3.4 Tables C.4-2 and C.4-3).

        All is well; or it was cancelled; or of several some failed, or went in with a warning; or none went
        in at all, which is a refusal.
        """
        if cancelled:
            return CANCEL
        if self.total and len(self.failed_uids) == self.total:
            return Status(StatusCode.CANNOT_PERFORM_SUB_OPERATIONS, "no sub-operation was successful")
        if self.failed_uids or self.warning:
            return Status(StatusCode.SUB_OPERATIONS_FAILED)
        return SUCCESS

    def encode_failed_uids(self, transfer_syntax_uid: str) -> bytes | None:
        """Encode the data set of the last response; None where nothing failed.

        References
        ----------
        PS3.4 C.4.2.1.4.2; PS3.5 6.2.2: what is too long for its VR is UN
        """
        if not self.failed_uids:
            return None
        value = "\\".join(self.failed_uids).encode("ascii")
        value += b"\0" * (len(value) % 2)
        tag = struct.pack("<HH", *_FAILED_SOP_INSTANCE_UID_LIST)
        if TRANSFER_SYNTAXES[transfer_syntax_uid].implicit_vr:
            return tag + struct.pack("<I", len(value)) + value
        if len(value) > _MAX_SHORT_LENGTH:
            return tag + b"UN\0\0" + struct.pack("<I", len(value)) + value
        return tag + b"UI" + struct.pack("<H", len(value)) + value
