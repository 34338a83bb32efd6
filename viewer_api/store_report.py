"""What is told of the instances of a store transaction (PS3.18 10.5.3, Annex I)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus

from pacs.dicom.json_model import JsonDataset, element, sequence
from pacs.dicomweb_urls import DicomWebUrls
from pacs.errors import (
    DeletedInstance,
    DuplicateInstance,
    IndexUnavailable,
    InvalidRequest,
    ObjectTooLarge,
    SopClassMismatch,
    UnreadableInstance,
    UnsupportedSopClass,
    UnsupportedTransferSyntax,
)
from pacs.ingest import Disposition, StoreOutcome
from storage.errors import StoreError, StoreFull
from viewer_api.dicom_json import RETRIEVE_URL

_REFERENCED_SOP_CLASS_UID = "00081150"
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_WARNING_REASON = "00081196"
_FAILURE_REASON = "00081197"
_FAILED_SOP_SEQUENCE = "00081198"
_REFERENCED_SOP_SEQUENCE = "00081199"


class Reason(IntEnum):
    """Failure Reason (0008,1197) and Warning Reason (0008,1196) (PS3.18 I.2)."""

    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    COERCION_OF_DATA_ELEMENTS = 0xB000
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX_NOT_SUPPORTED = 0xC122
    OBJECT_TOO_LARGE = 0xC213  # as C-STORE says it; A7xx would have it sent again


# The first that fits counts; the others are failures that may pass, and the sender tries again.
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (ObjectTooLarge, Reason.OBJECT_TOO_LARGE),
    (SopClassMismatch, Reason.DATA_SET_MISMATCH),
    (DuplicateInstance, Reason.DUPLICATE_SOP_INSTANCE),
    (DeletedInstance, Reason.NOT_AUTHORIZED),
    (UnsupportedSopClass, Reason.SOP_CLASS_NOT_SUPPORTED),
    (UnsupportedTransferSyntax, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED),
    (UnreadableInstance, Reason.CANNOT_UNDERSTAND),
    (InvalidRequest, Reason.CANNOT_UNDERSTAND),
)

_WARNED = (Disposition.CONFLICT, Disposition.PATIENT_DIFFERS)


@dataclass(frozen=True, slots=True)
class Failure:
    """An instance that was not stored; its UIDs are what it claims to be, None where it did not say."""

    error: Exception
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def reason(self) -> Reason:
        """Why it was not stored."""
        found = (reason for kind, reason in _REASONS if isinstance(self.error, kind))
        return next(found, Reason.OUT_OF_RESOURCES)

    @property
    def may_pass(self) -> bool:
        """Whether the same instance may be stored when it is sent again."""
        return isinstance(self.error, StoreError | IndexUnavailable)


@dataclass(slots=True)
class StoreReport:
    """What became of the instances of one request."""

    stored: list[StoreOutcome] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def add(self, result: StoreOutcome | Failure) -> None:
        """Add what became of an instance."""
        if isinstance(result, Failure):
            self.failures.append(result)
        else:
            self.stored.append(result)

    @property
    def too_large(self) -> bool:
        """Whether an instance was larger than what is taken in."""
        return any(isinstance(failure.error, ObjectTooLarge) for failure in self.failures)

    @property
    def status(self) -> HTTPStatus:
        """The status of the answer (PS3.18 Table 10.5.3-1); when to try again is 503 or 507."""
        if self.stored:
            warned = any(outcome.disposition in _WARNED for outcome in self.stored)
            return HTTPStatus.ACCEPTED if self.failures or warned else HTTPStatus.OK
        if self.failures and all(failure.may_pass for failure in self.failures):
            full = isinstance(self.failures[0].error, StoreFull)
            return HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if self.too_large else HTTPStatus.CONFLICT

    def to_json(self, urls: DicomWebUrls) -> JsonDataset:
        """Write the Store Instances Response Module (PS3.18 Table I.1-1)."""
        studies = {outcome.study_instance_uid for outcome in self.stored}
        url = urls.study(studies.pop()) if len(studies) == 1 else None
        written: JsonDataset = {RETRIEVE_URL: element("UR", url)}
        if self.failures:
            written[_FAILED_SOP_SEQUENCE] = sequence(map(_failure_to_json, self.failures))
        if self.stored:
            items = (_outcome_to_json(outcome, urls) for outcome in self.stored)
            written[_REFERENCED_SOP_SEQUENCE] = sequence(items)
        return written


def _failure_to_json(failure: Failure) -> JsonDataset:
    return {
        _REFERENCED_SOP_CLASS_UID: element("UI", failure.sop_class_uid),
        _REFERENCED_SOP_INSTANCE_UID: element("UI", failure.sop_instance_uid),
        _FAILURE_REASON: element("US", failure.reason),
    }


def _outcome_to_json(outcome: StoreOutcome, urls: DicomWebUrls) -> JsonDataset:
    url = urls.instance(outcome.study_instance_uid, outcome.series_instance_uid, outcome.sop_instance_uid)
    written = {
        _REFERENCED_SOP_CLASS_UID: element("UI", outcome.sop_class_uid),
        _REFERENCED_SOP_INSTANCE_UID: element("UI", outcome.sop_instance_uid),
        RETRIEVE_URL: element("UR", url),
    }
    if outcome.disposition in _WARNED:
        written[_WARNING_REASON] = element("US", Reason.COERCION_OF_DATA_ELEMENTS)
    return dict(sorted(written.items()))
