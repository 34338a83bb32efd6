"""Whether a study is what an order asked for, how certain that is, and why.

A modality that has read the order from the worklist repeats its identifiers, and those lead here. What is
said of the patient has to agree. Whatever contradicts is a person's to decide, and so is a study that only
fits: of the same patient, modality and day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from pacs.dicom.orders import Order, StepState
from pacs.text import fold

_RADIOGRAPHY: Final = frozenset({"CR", "DX", "RG"})  # devices and orders name the same thing differently
_DAYS_APART: Final = 1


class Certainty(StrEnum):
    """How certain it is that a study is of an order."""

    CERTAIN = "certain"
    PROBABLE = "probable"


class Reason(StrEnum):
    """What speaks for a match, and what against it."""

    STUDY_INSTANCE_UID = "study instance uid"
    ACCESSION_NUMBER = "accession number"
    REQUEST = "requested procedure and step"
    PERFORMED_STEP = "performed procedure step"
    PATIENT_MODALITY_DAY = "patient, modality and day"
    PATIENT_ID = "patient id"
    NAME_AND_BIRTH_DATE = "name and birth date"
    OTHER_STUDY = "study instance uid of another order"
    OTHER_ACCESSION_NUMBER = "other accession number"
    OTHER_PATIENT_ID = "other patient id"
    OTHER_NAME = "other name"
    OTHER_BIRTH_DATE = "other birth date"
    OTHER_SEX = "other sex"
    PATIENT_UNKNOWN = "patient not told"
    CANCELED = "order canceled"


_IDENTIFIERS: Final = frozenset(
    {Reason.STUDY_INSTANCE_UID, Reason.ACCESSION_NUMBER, Reason.REQUEST, Reason.PERFORMED_STEP}
)
_CONTRADICTIONS: Final = frozenset(
    {
        Reason.OTHER_STUDY,
        Reason.OTHER_ACCESSION_NUMBER,
        Reason.OTHER_PATIENT_ID,
        Reason.OTHER_NAME,
        Reason.OTHER_BIRTH_DATE,
        Reason.OTHER_SEX,
        Reason.PATIENT_UNKNOWN,
        Reason.CANCELED,
    }
)
# With these a study of the same patient, modality and day is one of another order.
_EXCLUDING: Final = frozenset({Reason.OTHER_STUDY, Reason.OTHER_ACCESSION_NUMBER, Reason.CANCELED})


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What an archive knows of a study, as far as orders say it too. Empty where nothing is known."""

    study_instance_uid: str
    accession_number: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    description: str = ""
    modalities: frozenset[str] = frozenset()
    requests: frozenset[tuple[str, str]] = frozenset()  # requested procedure ID, scheduled step ID
    performed_for: frozenset[str] = frozenset()  # accession numbers of orders that performed steps are of


@dataclass(frozen=True, slots=True)
class Judgement:
    """How certain a match is, and why: first what speaks for it."""

    certainty: Certainty
    reasons: tuple[Reason, ...]

    @property
    def rests_on_identifiers(self) -> bool:
        """Whether the study names the order, and does not only fit."""
        return not _IDENTIFIERS.isdisjoint(self.reasons)


def judge(study: StudyFacts, order: Order, orders_of_study_uid: Iterable[str] = ()) -> Judgement | None:
    """Judge whether a study is of an order; None where nothing leads from one to the other.

    Parameters
    ----------
    orders_of_study_uid
        The accession numbers of the orders that have the study's Study Instance UID.
    """
    others = set(orders_of_study_uid) - {order.accession_number}
    reasons = [*_identifiers(study, order), *_patient_agrees(study, order)]
    reasons += _contradictions(study, order, is_of_another=bool(others))
    if _IDENTIFIERS.isdisjoint(reasons):
        if not _fits(study, order) or not _EXCLUDING.isdisjoint(reasons):
            return None
        return Judgement(Certainty.PROBABLE, (Reason.PATIENT_MODALITY_DAY, *reasons))
    is_certain = _CONTRADICTIONS.isdisjoint(reasons)
    return Judgement(Certainty.CERTAIN if is_certain else Certainty.PROBABLE, tuple(reasons))


def _identifiers(study: StudyFacts, order: Order) -> Iterator[Reason]:
    if study.study_instance_uid == order.study_instance_uid:
        yield Reason.STUDY_INSTANCE_UID
    if study.accession_number and study.accession_number == order.accession_number:
        yield Reason.ACCESSION_NUMBER
    step_ids = {step.step_id for step in order.steps}
    for procedure_id, step_id in study.requests:
        if (
            (procedure_id or step_id)
            and procedure_id in ("", order.requested_procedure_id)
            and (not step_id or step_id in step_ids)
        ):
            yield Reason.REQUEST
            break
    if order.accession_number in study.performed_for:
        yield Reason.PERFORMED_STEP


def _patient_agrees(study: StudyFacts, order: Order) -> Iterator[Reason]:
    has_name = bool(study.patient_name) and same_name(study.patient_name, order.patient_name)
    has_birth_date = bool(study.patient_birth_date) and study.patient_birth_date == order.patient_birth_date
    if study.patient_id and study.patient_id == order.patient_id and _same_issuer(study, order):
        yield Reason.PATIENT_ID
    if has_name and has_birth_date:
        yield Reason.NAME_AND_BIRTH_DATE


def _contradictions(study: StudyFacts, order: Order, *, is_of_another: bool) -> Iterator[Reason]:
    if is_of_another and study.study_instance_uid != order.study_instance_uid:
        yield Reason.OTHER_STUDY
    if study.accession_number not in ("", order.accession_number):
        yield Reason.OTHER_ACCESSION_NUMBER
    yield from contradicting_patient(study, order)
    if not study.patient_id and Reason.NAME_AND_BIRTH_DATE not in set(_patient_agrees(study, order)):
        yield Reason.PATIENT_UNKNOWN
    if all(step.state is StepState.CANCELED for step in order.steps):
        yield Reason.CANCELED


def contradicting_patient(study: StudyFacts, order: Order) -> Iterator[Reason]:
    """Tell what shows that a study is of another patient than an order; what is not said shows nothing."""
    if study.patient_id and (study.patient_id != order.patient_id or not _same_issuer(study, order)):
        yield Reason.OTHER_PATIENT_ID
    if study.patient_name and not same_name(study.patient_name, order.patient_name):
        yield Reason.OTHER_NAME
    if study.patient_birth_date and order.patient_birth_date not in (None, study.patient_birth_date):
        yield Reason.OTHER_BIRTH_DATE
    if {study.patient_sex, order.patient_sex} == {"F", "M"}:
        yield Reason.OTHER_SEX


def _fits(study: StudyFacts, order: Order) -> bool:
    if not study.patient_id or study.patient_id != order.patient_id or not _same_issuer(study, order):
        return False
    return any(
        _same_kind(step.modality, study.modalities) and _near(step.start_date, study.study_date)
        for step in order.steps
        if step.state is not StepState.CANCELED
    )


def _same_issuer(study: StudyFacts, order: Order) -> bool:
    return not study.issuer_of_patient_id or order.issuer_of_patient_id in (None, study.issuer_of_patient_id)


def _same_kind(modality: str, modalities: frozenset[str]) -> bool:
    return modality in modalities or (modality in _RADIOGRAPHY and not _RADIOGRAPHY.isdisjoint(modalities))


def _near(one: str, other: str) -> bool:
    try:
        return abs((_day(one) - _day(other)).days) <= _DAYS_APART
    except ValueError:
        return False


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def same_name(one: str, other: str) -> bool:
    """Tell whether two names are the same as devices write them.

    So are ``NGUYỄN^VĂN ĐỨC``, ``Nguyen Van Duc`` and ``DUC^NGUYEN VAN``: blind to case, to diacritics, and to
    which word comes first.
    """
    return _words(one) == _words(other)


def _words(name: str) -> list[str]:
    return sorted(fold(name.partition("=")[0].replace("^", " ")).split())
