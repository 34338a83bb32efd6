"""The entries of the ledger, each one line of JSON. What is read back is hostile, as all of the store is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

import orjson

from pacs.errors import MalformedLedgerEntry
from storage.keys import is_key

MAX_LINE_SIZE_BYTES: Final = 64 * 1024
_MAX_TEXT_LENGTH: Final = 1024

Kept: TypeAlias = Literal["first", "new"]


class Door(StrEnum):
    """How an object came to be indexed, as its receipt says (storage/FORMAT.md)."""

    DIMSE = "dimse"
    STOW = "stow"
    IMPORT = "import"
    FETCH = "fetch"  # from another archive, by our wish
    SWEEP = "sweep"  # it lay in the store, and nobody knew
    REBUILD = "rebuild"  # the same


@dataclass(frozen=True, slots=True)
class Receipt:
    """An object came, and what became of it. The key has its UIDs and its digest.

    The door is one of `Door`, or one that a later version has.
    """

    at: datetime
    key: str
    size_bytes: int
    transfer_syntax_uid: str
    door: str
    calling_ae_title: str | None
    disposition: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """A conflict was settled; ``subject`` is that of the conflict."""

    at: datetime
    subject: str
    kept: Kept
    by: str


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An object was deleted on purpose, and is not to come back but by a door."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Move:
    """An object was damaged or gone, and what was sent again lies under another key in its place."""

    at: datetime
    key: str
    new_key: str


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """An order was placed or replaced, and is this now. Of all entries the only one that names a patient.

    ``order`` is it as JSON has it (`pacs.dicom.order_values`), with the states of its steps.
    """

    at: datetime
    accession_number: str
    version: int
    order: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderState:
    """Scheduled steps of an order were moved to a state."""

    at: datetime
    accession_number: str
    version: int
    step_ids: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True)
class StepMessage:
    """A modality said something of its work (MPPS). The key has the step's UID and the message's number."""

    at: datetime
    key: str
    calling_ae_title: str | None


@dataclass(frozen=True, slots=True)
class MatchDecision:
    """A person said whether a study is of an order."""

    at: datetime
    study_instance_uid: str
    accession_number: str
    decision: str
    by: str


Entry: TypeAlias = (
    Receipt | Settlement | Tombstone | Move | OrderPlaced | OrderState | StepMessage | MatchDecision
)


def write_entry(entry: Entry) -> str:
    """Write an entry as one line, without the line feed."""
    match entry:
        case Receipt():
            values: dict[str, Any] = {
                "type": "receipt",
                "at": entry.at,
                "key": entry.key,
                "size_bytes": entry.size_bytes,
                "transfer_syntax_uid": entry.transfer_syntax_uid,
                "door": entry.door,
                "calling_ae_title": entry.calling_ae_title,
                "disposition": entry.disposition,
            }
        case Settlement():
            values = {
                "type": "settlement",
                "at": entry.at,
                "subject": entry.subject,
                "kept": entry.kept,
                "by": entry.by,
            }
        case Tombstone():
            values = {"type": "tombstone", "at": entry.at, "key": entry.key}
        case Move():
            values = {"type": "move", "at": entry.at, "key": entry.key, "new_key": entry.new_key}
        case OrderPlaced() | OrderState():
            values = {"type": _ORDER_TYPES[type(entry)], **_members(entry)}
        case MatchDecision():
            values = {"type": "match", **_members(entry)}
        case StepMessage():
            values = {
                "type": "performed_step",
                "at": entry.at,
                "key": entry.key,
                "calling_ae_title": entry.calling_ae_title,
            }
    return orjson.dumps(values, option=orjson.OPT_UTC_Z).decode()


def _members(entry: OrderPlaced | OrderState | MatchDecision) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(entry)}


def read_entry(line: str) -> Entry | None:
    """Read a line back; None for an entry of a type that this version does not know.

    Raises
    ------
    pacs.errors.MalformedLedgerEntry
    """
    try:
        values = orjson.loads(line) if len(line) <= MAX_LINE_SIZE_BYTES else None
    except orjson.JSONDecodeError as error:
        raise MalformedLedgerEntry("a line of the ledger is not JSON") from error
    if not isinstance(values, dict) or not isinstance(values.get("type"), str):
        raise MalformedLedgerEntry("a line of the ledger is no entry")
    read = _READERS.get(values["type"])
    return None if read is None else read(values)


def read_moment(text: object) -> datetime:
    """Read a time as the ledger writes it: ISO 8601 in UTC.

    Raises
    ------
    pacs.errors.MalformedLedgerEntry
    """
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        raise MalformedLedgerEntry("a time of the ledger is none")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedLedgerEntry("a time of the ledger is none") from error


def _receipt(values: Mapping[str, object]) -> Receipt:
    size_bytes = values.get("size_bytes")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or not 0 <= size_bytes < 2**63:
        raise MalformedLedgerEntry("size_bytes of a receipt is no size")
    return Receipt(
        at=read_moment(values.get("at")),
        key=_key(values),
        size_bytes=size_bytes,
        transfer_syntax_uid=_text(values, "transfer_syntax_uid"),
        door=_text(values, "door"),
        calling_ae_title=_text_or_none(values, "calling_ae_title"),
        disposition=_text(values, "disposition"),
    )


def _settlement(values: Mapping[str, object]) -> Settlement:
    match values.get("kept"):
        case "first" | "new" as kept:
            at = read_moment(values.get("at"))
            return Settlement(at, _text(values, "subject"), kept, _text(values, "by"))
    raise MalformedLedgerEntry("kept of a settlement is neither first nor new")


def _tombstone(values: Mapping[str, object]) -> Tombstone:
    return Tombstone(read_moment(values.get("at")), _key(values))


def _move(values: Mapping[str, object]) -> Move:
    return Move(read_moment(values.get("at")), _key(values), _key(values, "new_key"))


def _order_placed(values: Mapping[str, object]) -> OrderPlaced:
    order = values.get("order")
    if not isinstance(order, dict):
        raise MalformedLedgerEntry("order of an entry is no object")
    return OrderPlaced(*_of_order(values), order)


def _order_state(values: Mapping[str, object]) -> OrderState:
    step_ids = values.get("step_ids")
    if not isinstance(step_ids, list) or not all(isinstance(one, str) for one in step_ids):
        raise MalformedLedgerEntry("step_ids of an entry are no list of texts")
    return OrderState(*_of_order(values), tuple(step_ids), _text(values, "state"))


def _of_order(values: Mapping[str, object]) -> tuple[datetime, str, int]:
    version = values.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version < 2**31:
        raise MalformedLedgerEntry("version of an entry is no number of a version")
    return read_moment(values.get("at")), _text(values, "accession_number"), version


def _match_decision(values: Mapping[str, object]) -> MatchDecision:
    names = ("study_instance_uid", "accession_number", "decision", "by")
    return MatchDecision(read_moment(values.get("at")), *(_text(values, name) for name in names))


def _step_message(values: Mapping[str, object]) -> StepMessage:
    at = read_moment(values.get("at"))
    return StepMessage(at, _key(values), _text_or_none(values, "calling_ae_title"))


def _key(values: Mapping[str, object], name: str = "key") -> str:
    key = _text(values, name)
    if not is_key(key):
        raise MalformedLedgerEntry(f"{name} of an entry is no key")
    return key


def _text_or_none(values: Mapping[str, object], name: str) -> str | None:
    return None if values.get(name) is None else _text(values, name)


def _text(values: Mapping[str, object], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT_LENGTH or "\0" in text:
        raise MalformedLedgerEntry(f"{name} of an entry is missing or malformed")
    return text


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_READERS: Mapping[str, Callable[[Mapping[str, object]], Entry]] = {
    "receipt": _receipt,
    "settlement": _settlement,
    "tombstone": _tombstone,
    "move": _move,
    "order": _order_placed,
    "order_state": _order_state,
    "performed_step": _step_message,
    "match": _match_decision,
}
_ORDER_TYPES: Final = {OrderPlaced: "order", OrderState: "order_state"}
