"""Bringing studies and orders together: what is certain is linked, the rest waits for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pacs.archive import Archive
from pacs.dicom.order_matching import Certainty, Judgement, StudyFacts, judge, same_name
from pacs.dicom.orders import Order
from pacs.errors import NotFound
from pacs.index.order_matches import Decision, MatchState, OrderMatch
from pacs.ledger.entries import MatchDecision

ADMINISTRATOR: Final = "administrator"
_MOST_STUDIES: Final = 200  # of one order


def match_study(archive: Archive, study_instance_uid: str) -> None:
    """Find the orders that a study is of, or may be of. Doing so again changes what has changed since.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    study = archive.index.read_study_facts(study_instance_uid)
    if study is not None:
        archive.index.matches.record(study_instance_uid, _judged(archive, study), datetime.now(UTC))


def match_order(archive: Archive, order: Order) -> None:
    """Find the studies that came before their order, or before it said what it says now.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    studies = dict.fromkeys(archive.index.list_studies_of_order(order, _MOST_STUDIES))
    known = archive.index.matches.list_matches(accession_number=order.accession_number, limit=_MOST_STUDIES)
    for study_instance_uid in studies | dict.fromkeys(match.study_instance_uid for match in known):
        match_study(archive, study_instance_uid)


def decide(
    archive: Archive,
    study_instance_uid: str,
    accession_number: str,
    decision: Decision,
    by: str = ADMINISTRATOR,
) -> None:
    """Say whether a study is of an order. It may be decided otherwise later.

    Raises
    ------
    pacs.errors.NotFound
        There is no such study or order.
    pacs.errors.IndexUnavailable
    """
    if archive.index.read_study_facts(study_instance_uid) is None:
        raise NotFound("there is no such study")
    archive.index.orders.find(accession_number)
    archive.index.matches.decide(study_instance_uid, accession_number, decision, by, datetime.now(UTC))


def decide_match(archive: Archive, match_id: int, decision: Decision) -> OrderMatch:
    """Say of a match that was found whether it is true; return it as it is then.

    Raises
    ------
    pacs.errors.NotFound, pacs.errors.IndexUnavailable
    """
    match = archive.index.matches.find(match_id)
    decide(archive, match.study_instance_uid, match.accession_number, decision)
    return archive.index.matches.find(match_id)


@dataclass(frozen=True, slots=True)
class Compared:
    """What a study and an order say of one thing; ``agrees`` is None where one of them says nothing."""

    name: str
    study: str
    order: str
    agrees: bool | None


def compare(archive: Archive, match: OrderMatch) -> list[Compared]:
    """Put side by side what study and order of a match say. It names the patient.

    Raises
    ------
    pacs.errors.NotFound
        The study was deleted.
    pacs.errors.IndexUnavailable
    """
    study = archive.index.read_study_facts(match.study_instance_uid)
    if study is None:
        raise NotFound("the study is not there any more")
    order = archive.index.orders.find(match.accession_number)
    modalities = sorted({step.modality for step in order.steps})
    days = sorted({step.start_date for step in order.steps})
    pairs = {
        "patient_id": (study.patient_id, order.patient_id),
        "patient_name": (study.patient_name, order.patient_name),
        "patient_birth_date": (study.patient_birth_date, order.patient_birth_date),
        "patient_sex": (study.patient_sex, order.patient_sex),
        "accession_number": (study.accession_number, order.accession_number),
        "study_instance_uid": (study.study_instance_uid, order.study_instance_uid),
        "modality": (", ".join(sorted(study.modalities)), ", ".join(modalities)),
        "date": (study.study_date, ", ".join(days)),
        "description": (study.description, order.description),
    }
    return [_compared(name, one, other or "") for name, (one, other) in pairs.items()]


def _compared(name: str, study: str, order: str) -> Compared:
    if not (study and order):
        return Compared(name, study, order, None)
    agrees = same_name(study, order) if name == "patient_name" else study == order
    return Compared(name, study, order, agrees)


def replay_decision(archive: Archive, entry: MatchDecision) -> bool:
    """Do what the ledger says that a person decided; False where it is not understood.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    if entry.decision not in set(Decision):
        return False
    pair = entry.study_instance_uid, entry.accession_number
    archive.index.matches.decide(*pair, Decision(entry.decision), entry.by, entry.at, in_ledger=False)
    return True


def _judged(archive: Archive, study: StudyFacts) -> dict[str, Judgement]:
    orders = _candidates(archive, study)
    of_uid = {
        order.accession_number for order in archive.index.orders.find_by_study(study.study_instance_uid)
    }
    judged = {number: judge(study, order, of_uid) for number, order in orders.items()}
    found = {number: judgement for number, judgement in judged.items() if judgement is not None}
    is_certain = any(judgement.certainty is Certainty.CERTAIN for judgement in found.values())
    return {
        number: judgement
        for number, judgement in found.items()
        if judgement.rests_on_identifiers
        or not (is_certain or _is_taken(archive, number, study.study_instance_uid))
    }


def _candidates(archive: Archive, study: StudyFacts) -> dict[str, Order]:
    orders = archive.index.orders
    found = orders.find_by_study(study.study_instance_uid)
    for procedure_id, step_id in study.requests:
        found += orders.find_by_step(step_id) if step_id else []
        found += orders.find_by_requested_procedure(procedure_id) if procedure_id else []
    found += orders.find_by_patient(study.patient_id) if study.patient_id else []
    known = {order.accession_number: order for order in found}
    return known | _by_number(archive, {study.accession_number, *study.performed_for} - {"", *known})


def _by_number(archive: Archive, numbers: Iterable[str]) -> dict[str, Order]:
    found = {}
    for number in numbers:
        try:
            found[number] = archive.index.orders.find(number)
        except NotFound:
            continue
    return found


def _is_taken(archive: Archive, accession_number: str, study_instance_uid: str) -> bool:
    """Tell whether another study is of an order, so that one that only fits is none of it."""
    linked = archive.index.matches.list_matches(MatchState.LINKED, accession_number=accession_number)
    return any(match.study_instance_uid != study_instance_uid for match in linked)
