"""The tables of the conformance statement that come from the code."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from pydicom._uid_dict import UID_dictionary
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_description
from pynetdicom import sop_class

from pacs.dicom.attributes import ATTRIBUTES, PATIENT_ATTRIBUTES, SEQUENCE_KEYS, Attribute, Matching
from pacs.dicom.identifier import Identifier, Item
from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.text import defined_terms
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.worklist_attributes import (
    CODE_ATTRIBUTES,
    CODE_SEQUENCES,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    Part,
    attributes_of,
)
from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.endings import IDENTITY_REFUSED, REJECT_CAUSES
from pacs.dimse.find_request import Negotiated, parse_find_request
from pacs.dimse.information_models import PATIENT_ROOT, QUERY_RETRIEVE_LEVEL, QueryLevel
from pacs.dimse.listener import _application_entity
from pacs.dimse.retrieving.outgoing import NATIVE
from pacs.dimse.statuses import Status, StatusCode, status_of
from pacs.dimse.worklist.request import EMPTY_SEQUENCES
from pacs.errors import ArchiveError
from pacs.pixels.transcode import TARGET_SYNTAXES, is_lossless
from pacs.settings import PREFIX, Settings
from storage.errors import StoreError
from tests.backends import fresh_archive

Row: TypeAlias = tuple[str, ...]

_WORDS_OF_MATCHING: Final = {
    Matching.TEXT: "single value, wildcard",
    Matching.FOLDED_TEXT: "single value, wildcard; blind to case and diacritics",
    Matching.PERSON_NAME: "name, see *Matching*",
    Matching.UID: "list of UID",
    Matching.CODE_STRING: "single value, wildcard, list",
    Matching.DATE: "single value, range",
    Matching.TIME: "single value, range",
    Matching.INTEGER: "single value, as a number",
    Matching.NONE: "returned only",
}
NETWORK_SETTINGS: Final = (
    *("ae_title", "other_ae_titles", "dicom_host", "dicom_port", "dicom_processes"),
    *("dicom_tls_port", "dicom_tls_certificate", "dicom_tls_key", "dicom_tls_authorities"),
    *("lan_open", "max_associations", "max_associations_per_peer", "max_unassociated"),
    *("associate_timeout_s", "network_timeout_s", "pdu_timeout_s"),
    *("max_pdu_length", "max_command_size_bytes", "max_object_size_bytes"),
    *("accept_unknown_sop_classes", "on_conflict", "accept_deleted_again", "undeclared_character_set"),
    *(
        "max_retrieved_instances",
        "max_retrieved_bytes",
        "max_retrievals_per_peer",
        "move_associations",
        "send_concurrency",
    ),
    *("worklist_own_station_only", "http_host", "http_port", "public_url", "trusted_proxies"),
    *("cors_origins", "auth", "allow_delete", "allow_peer_changes", "allow_match_decisions"),
)


def storage_sop_classes() -> str:
    """Every SOP class that the Storage SCP takes, whatever the settings say of unknown ones."""
    storage = [uid for uid in _sop_classes() if is_storage_sop_class(uid, accept_unknown=False)]
    return _table(("SOP class", "UID"), [(_name_of(uid), uid) for uid in storage])


def transfer_syntaxes() -> str:
    """Every transfer syntax of Storage, and in which of them converted instances go out."""
    rows = []
    for uid, syntax in TRANSFER_SYNTAXES.items():
        kind = "video" if syntax.video else "encapsulated" if syntax.encapsulated else "native"
        is_made = uid in TARGET_SYNTAXES or uid in NATIVE
        made = (
            "no" if not is_made else "yes" if uid in NATIVE or is_lossless(uid) else "with loss, if preferred"
        )
        rows.append((syntax.name, uid, kind, made))
    return _table(("transfer syntax", "UID", "kind", "made of others"), rows)


def accepted_contexts() -> str:
    """What is accepted of each SOP class but those of storage, asked of the listener's application entity."""
    entity = _entity()
    rows = []
    for uid in _sop_classes():
        operations = [one for one in entity.operations if one.supports(uid)]
        if not operations or is_storage_sop_class(uid, accept_unknown=True):
            continue
        capability = entity.capability(uid)
        messages = ", ".join(f"{one.name} ({one.right or 'everybody'})" for one in operations)
        roles = "SCU, SCP" if capability.invoked else "SCU"
        extended = entity.application_information(uid, b"\1" * 7)
        answered = "none" if extended is None else extended.hex(" ")
        rows.append((_name_of(uid), uid, messages, roles, _syntaxes(capability.performed), answered))
    header = (
        "SOP class",
        "UID",
        "messages (right)",
        "requestor may be",
        "transfer syntaxes",
        "extended negotiation",
    )
    return _table(header, rows)


def query_keys() -> str:
    """What C-FIND makes of each key at each level, asked of the parser of its identifiers."""
    keys = {attribute.tag: attribute for attribute in (*ATTRIBUTES, *PATIENT_ATTRIBUTES)}
    rows = []
    for tag in sorted(keys):
        uses = [_use(keys[tag], level) for level in QueryLevel]
        matching = keys[tag].matching if set(uses) & {"U", "M"} else Matching.NONE
        words = _WORDS_OF_MATCHING[matching]
        rows.append((dictionary_description(tag), _tag(tag), keys[tag].vr, *uses, words))
    rows += [
        (
            f"{dictionary_description(key.sequence_tag)} > {dictionary_description(key.tag)}",
            f"{_tag(key.sequence_tag)} > {_tag(key.tag)}",
            key.vr,
            *(_use_in_item(key.sequence_tag, key.tag, level) for level in QueryLevel),
            _WORDS_OF_MATCHING[Matching.TEXT],
        )
        for key in SEQUENCE_KEYS
    ]
    return _table(("key", "tag", "VR", *(level.name for level in QueryLevel), "matching"), rows)


def worklist_keys() -> str:
    """The keys of the Modality Worklist."""
    rows: list[Row] = []
    for part in Part:
        before = "" if part is Part.ORDER else f"{_tag(SCHEDULED_PROCEDURE_STEP_SEQUENCE)} > "
        keys = [(one.tag, one.vr, _WORDS_OF_MATCHING[one.matching]) for one in attributes_of(part)]
        sequence = CODE_SEQUENCES[part][0]
        for tag, vr, matching in sorted(keys):
            rows.append((dictionary_description(tag), before + _tag(tag), vr, matching))
        for code in CODE_ATTRIBUTES:
            name = f"{dictionary_description(sequence)} > {dictionary_description(code.tag)}"
            path = f"{before}{_tag(sequence)} > {_tag(code.tag)}"
            rows.append((name, path, code.vr, _WORDS_OF_MATCHING[Matching.TEXT]))
    for tag in sorted(EMPTY_SEQUENCES):
        rows.append((dictionary_description(tag), _tag(tag), "SQ", "returned without items"))
    return _table(("key", "tag", "VR", "matching"), rows)


def statuses() -> str:
    """Every value of Status that is answered, with what is refused by it."""
    refusals: dict[StatusCode, list[str]] = {}
    for kind in _kinds_of(ArchiveError, StoreError):
        status = status_of(kind("."))
        if status is not None and status != _status_of_base(kind):
            meaning = (kind.__doc__ or "").partition("\n")[0].rstrip(".")
            refusals.setdefault(status.code, []).append(meaning)
    names: dict[StatusCode, list[str]] = {}
    for name, code in StatusCode.__members__.items():
        words = name.replace("_", " ").capitalize()
        names.setdefault(code, []).append(re.sub(r"(?i)\b(sop|uid)\b", lambda found: found[0].upper(), words))
    rows = [
        (f"{code:04X}", " / ".join(names[code]), "; ".join(refusals.get(code, []))) for code in sorted(names)
    ]
    return _table(("status", "name", "refusals"), rows)


def rejections() -> str:
    """Every A-ASSOCIATE-RJ."""
    causes = sorted((*REJECT_CAUSES, IDENTITY_REFUSED), key=lambda one: (one.result, one.source, one.reason))
    kinds = {1: "permanent", 2: "transient"}
    rows = [
        (f"{one.result} ({kinds[one.result]})", str(one.source), str(one.reason), one.meaning)
        for one in causes
    ]
    return _table(("result", "source", "reason", "meaning"), rows)


def network_settings() -> str:
    """The settings that shape how other application entities are talked to, with their defaults."""
    rows = []
    for name in NETWORK_SETTINGS:
        field = Settings.model_fields[name]
        rows.append((f"`{PREFIX}{name.upper()}`", _default(field.default), field.description or ""))
    return _table(("setting", "default", "meaning"), rows)


def character_sets() -> str:
    """The defined terms of Specific Character Set that are decoded."""
    terms = [term for term in python_encoding if defined_terms(term.encode("ascii")) == [term] and term]
    return _table(("defined term", "codec"), [(term, python_encoding[term]) for term in sorted(terms)])


TABLES: Final[dict[str, Callable[[], str]]] = {
    "storage-sop-classes": storage_sop_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "accepted-contexts": accepted_contexts,
    "query-keys": query_keys,
    "worklist-keys": worklist_keys,
    "statuses": statuses,
    "rejections": rejections,
    "network-settings": network_settings,
    "character-sets": character_sets,
}


@cache
def _entity() -> ApplicationEntity:
    with tempfile.TemporaryDirectory() as folder, fresh_archive("sqlite-folder", Path(folder)) as archive:
        return _application_entity(archive)


def _sop_classes() -> list[str]:
    """List every SOP class that the libraries know, by name."""
    named = {uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"}
    return sorted(named | set(sop_class._STORAGE_CLASSES.values()), key=lambda uid: (_name_of(uid), uid))


def _name_of(uid: str) -> str:
    if uid in UID_dictionary:
        name, _, _, retired, _ = UID_dictionary[uid]
        return f"{name.removesuffix(' (Retired)')}, retired" if retired else name
    return next(name for name, known in sop_class._STORAGE_CLASSES.items() if known == uid)


def _syntaxes(uids: Iterable[str]) -> str:
    """Name transfer syntaxes in the order in which they are preferred."""
    short = dict(zip(NATIVE_TRANSFER_SYNTAXES, ("Explicit LE", "Implicit LE", "Explicit BE"), strict=True))
    return ", ".join(short[uid] for uid in NATIVE_TRANSFER_SYNTAXES if uid in set(uids))


def _default(value: object) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case Enum():
            return str(value.value)
    return str(value)


def _use(attribute: Attribute, level: QueryLevel) -> str:
    request = parse_find_request(
        Identifier({QUERY_RETRIEVE_LEVEL: level.name, attribute.tag: "1"}),
        PATIENT_ROOT,
        Negotiated(relational=True),
    )
    if attribute is level.unique_key:
        return "U"
    if request.query.keys:
        return "M"
    return "R" if attribute.tag in request.returned else ""


def _use_in_item(sequence_tag: int, tag: int, level: QueryLevel) -> str:
    identifier = Identifier({QUERY_RETRIEVE_LEVEL: level.name}, {sequence_tag: [Item({tag: "1"})]})
    request = parse_find_request(identifier, PATIENT_ROOT, Negotiated(relational=True))
    return "M" if request.query.keys else ""


def _status_of_base(kind: type[Exception]) -> Status | None:
    """Return the status of the errors of which this kind is one."""
    base = kind.__base__
    return status_of(base(".")) if base is not None and issubclass(base, Exception) else None


def _kinds_of(*bases: type[Exception]) -> Iterator[type[Exception]]:
    for base in bases:
        yield base
        yield from _kinds_of(*base.__subclasses__())


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _table(header: Row, rows: Iterable[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))
