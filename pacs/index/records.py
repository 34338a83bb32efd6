"""What goes into the index and what comes out of it, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from pacs.conflict_policy import ConflictPolicy
from pacs.dicom.attributes import Attribute, Level, SequenceKey
from pacs.dicom.orders import Order, ScheduledStep
from pacs.dicom.worklist_attributes import CodeAttribute, Part, WorklistAttribute


@dataclass(frozen=True, slots=True)
class ProcedureCode:
    """A national procedure code on a study, with how it came there (``sequence``, ``rule``, ``order``)."""

    value: str
    scheme: str
    meaning: str
    origin: str


@dataclass(frozen=True, slots=True)
class RequestAttributes:
    """One item of the Request Attributes Sequence (PS3.3 Table 10-9)."""

    requested_procedure_id: str | None
    scheduled_procedure_step_id: str | None


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """Where an object lies and where in it the parts are; offsets count from the object's first byte."""

    key: str
    size_bytes: int
    sha256: str
    dataset_offset: int
    pixel_data_offset: int | None  # of the value, not of the element's header
    pixel_data_size_bytes: int | None  # None: encapsulated (undefined length), or no pixel data

    @property
    def header_size_bytes(self) -> int:
        """Size of what lies before the pixel data, or of everything where it is not known to be there."""
        return self.size_bytes if self.pixel_data_offset is None else self.pixel_data_offset


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance as ingest hands it to the writer.

    The three mappings hold the values by column name of :mod:`pacs.dicom.attributes`, absent where the data
    set has none: text in NFC, integers as ``int``. With a ``door`` the writer puts a receipt into the ledger,
    in the same transaction; without one there is a receipt already.
    """

    study: Mapping[str, str | int | None]
    series: Mapping[str, str | int | None]
    instance: Mapping[str, str | int | None]
    transfer_syntax_uid: str
    location: ObjectLocation
    received_at: datetime
    procedure_codes: Sequence[ProcedureCode] = ()
    request_attributes: Sequence[RequestAttributes] = ()
    calling_ae_title: str | None = None
    spooled: bool = False  # the object lies in the spool of this machine, and is to be uploaded
    door: str | None = None
    on_conflict: ConflictPolicy = ConflictPolicy.KEEP


class WriteOutcome(Enum):
    """What the index did with an instance."""

    ADDED = "added"
    PATIENT_DIFFERS = "added, patient differs"  # from that of its study: recorded as a conflict
    ALREADY_THERE = "already there"  # the same content: nothing written
    CONFLICT = "conflict"  # another content under the same SOP Instance UID: recorded beside the first
    KNOWN_CONFLICT = "known conflict"  # the same as CONFLICT, again: nothing written
    REPLACED = "replaced"  # as CONFLICT, and the new one is current now
    REFUSED = "refused"  # as CONFLICT, and settled: the first stays
    REFUSED_AGAIN = "refused again"  # the same as REFUSED, again: nothing written


class ConflictKind(Enum):
    """What a conflict is about."""

    CONTENT = "content"  # another content under a known SOP Instance UID
    PATIENT = "patient"  # an instance of another patient than its study


@dataclass(frozen=True, slots=True)
class Content:
    """One of the contents of a conflict."""

    object_key: str
    sha256: str
    calling_ae_title: str | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Conflict:
    """A question for a person, and how it was settled (None while it is open).

    ``first`` is the content that was current when ``new`` came; None where it is the patient that differs.
    ``differs`` names attributes and never their values.
    """

    conflict_id: int
    kind: ConflictKind
    subject: str
    study_instance_uid: str
    sop_instance_uid: str
    new: Content
    first: Content | None
    differs: str
    kept: str | None
    settled_by: str | None
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance as readers need it: names, description and place."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    number_of_frames: int
    location: ObjectLocation
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """A search (QIDO-RS, C-FIND): answers of ``level`` that match every key.

    ``keys`` pairs an attribute with the value as the client wrote it; an empty value matches everything.
    ``text`` is the worklist's search box: every word must match the name, the description, the patient ID,
    the accession number, or a procedure code. ``fuzzy``: words of names are beginnings. ``match_empty``: two
    quotation marks match what has no value (PS3.4 C.2.2.2.7). ``match_all_values``: of a list of modalities
    all must be there (C.2.2.2.8). ``combined_ranges``: a range of dates and one of times are one range from
    moment to moment (C.2.2.2.5.3); without it each is matched for itself.
    """

    level: Level
    keys: Sequence[tuple[Attribute | SequenceKey, str]] = ()
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    text: str | None = None
    fuzzy: bool = False
    match_empty: bool = False
    match_all_values: bool = False
    combined_ranges: bool = True
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """One answer: the values by keyword, of the query's level and of the levels above it.

    Multi-valued attributes are lists. ``procedure_codes`` belong to the study, ``request_attributes`` to
    the series.
    """

    values: Mapping[str, str | int | list[str] | None]
    procedure_codes: Sequence[ProcedureCode] = field(default_factory=tuple)
    request_attributes: Sequence[RequestAttributes] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A page of answers; ``truncated`` when there are more behind it."""

    matches: Sequence[Match]
    truncated: bool


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """A query of the worklist: scheduled steps that match every key; an empty value matches everything.

    ``codes`` are keys of the items of code sequences, by the part of the order that has them. ``open_only``:
    steps that have not ended. ``station``: those for this station, or for any. ``fuzzy``: as in `Query`.
    """

    keys: Sequence[tuple[WorklistAttribute, str]] = ()
    codes: Sequence[tuple[Part, CodeAttribute, str]] = ()
    open_only: bool = True
    station: str | None = None
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class WorklistItem:
    """A scheduled step, with the order that it is of."""

    order: Order
    step: ScheduledStep


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Some orders of a list; ``truncated`` when there are more behind them."""

    orders: Sequence[Order]
    truncated: bool
