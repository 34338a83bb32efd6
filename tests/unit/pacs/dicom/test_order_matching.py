"""Which study is of which order: certain only where nothing contradicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.order_matching import Certainty, Reason, StudyFacts, judge
from pacs.dicom.orders import Order, ScheduledStep, StepState

R = Reason
ORDER = Order(
    patient_id="BN1",
    patient_name="NGUYỄN^VĂN ĐỨC",
    patient_birth_date="19700102",
    patient_sex="M",
    issuer_of_patient_id="BVMH",
    accession_number="A1",
    study_instance_uid="1.2.3",
    requested_procedure_id="RP1",
    steps=(ScheduledStep(modality="DX", start_date="20261120", step_id="S1"),),
)
OF_PATIENT = StudyFacts(
    "1.9",
    patient_id="BN1",
    patient_name="NGUYEN VAN DUC",
    patient_birth_date="19700102",
    patient_sex="M",
    study_date="20261120",
    modalities=frozenset({"DX"}),
)


def judged(
    study: StudyFacts, order: Order = ORDER, *orders_of_study_uid: str
) -> tuple[str, set[Reason]] | None:
    found = judge(study, order, orders_of_study_uid)
    return None if found is None else (found.certainty.value, set(found.reasons))


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"study_instance_uid": "1.2.3"}, R.STUDY_INSTANCE_UID),
        ({"accession_number": "A1"}, R.ACCESSION_NUMBER),
        ({"requests": frozenset({("RP1", "S1")})}, R.REQUEST),
        ({"requests": frozenset({("", "S1")})}, R.REQUEST),
        ({"requests": frozenset({("RP1", "")})}, R.REQUEST),
        ({"performed_for": frozenset({"A1"})}, R.PERFORMED_STEP),
    ],
)
def test_an_identifier_and_a_patient_who_agrees_make_it_certain(
    named: dict[str, Any], reason: Reason
) -> None:
    study = replace(OF_PATIENT, **named)
    assert judged(study) == ("certain", {reason, R.PATIENT_ID, R.NAME_AND_BIRTH_DATE})


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"patient_name": "TRẦN^THỊ HOA"}, R.OTHER_NAME),
        ({"patient_name": "NGUYEN VAN DUC A"}, R.OTHER_NAME),
        ({"patient_id": "BN2"}, R.OTHER_PATIENT_ID),
        ({"issuer_of_patient_id": "BVK"}, R.OTHER_PATIENT_ID),
        ({"patient_birth_date": "19700103"}, R.OTHER_BIRTH_DATE),
        ({"patient_sex": "F"}, R.OTHER_SEX),
        ({"patient_id": "", "patient_name": "", "patient_birth_date": ""}, R.PATIENT_UNKNOWN),
        ({"patient_id": "", "patient_birth_date": ""}, R.PATIENT_UNKNOWN),
    ],
)
def test_a_patient_who_does_not_agree_is_for_a_person(said: dict[str, str], reason: Reason) -> None:
    found = judged(replace(OF_PATIENT, accession_number="A1", **said))
    assert found is not None
    assert found[0] == "probable" and {reason, R.ACCESSION_NUMBER} <= found[1]


@pytest.mark.parametrize(
    "name",
    [
        "NGUYỄN^VĂN ĐỨC",
        "Nguyen Van Duc",
        "DUC^NGUYEN VAN",
        "nguyễn  văn^đức",
        "NGUYỄN^VĂN ĐỨC=阮",
        "NGUYEN^VAN^DUC",
    ],
)
def test_names_are_the_same_as_devices_write_them(name: str) -> None:
    found = judged(replace(OF_PATIENT, accession_number="A1", patient_name=name))
    assert found is not None and found[0] == "certain"


def test_identifiers_of_different_orders_are_for_a_person() -> None:
    study = replace(OF_PATIENT, study_instance_uid="1.2.3", accession_number="A2")
    other = replace(ORDER, accession_number="A2", study_instance_uid="1.2.4")
    assert judged(study, ORDER, "A1") == (
        "probable",
        {R.STUDY_INSTANCE_UID, R.PATIENT_ID, R.NAME_AND_BIRTH_DATE, R.OTHER_ACCESSION_NUMBER},
    )
    assert judged(study, other, "A1") == (
        "probable",
        {R.ACCESSION_NUMBER, R.PATIENT_ID, R.NAME_AND_BIRTH_DATE, R.OTHER_STUDY},
    )


def test_orders_that_share_a_study_are_both_certain() -> None:
    study = replace(OF_PATIENT, study_instance_uid="1.2.3")
    for order in (ORDER, replace(ORDER, accession_number="A2")):
        found = judged(study, order, "A1", "A2")
        assert found is not None and found[0] == "certain"


def test_a_patient_without_an_id_is_known_by_name_and_birth_date() -> None:
    found = judged(replace(OF_PATIENT, accession_number="A1", patient_id=""))
    assert found == ("certain", {R.ACCESSION_NUMBER, R.NAME_AND_BIRTH_DATE})


def test_a_canceled_order_is_for_a_person() -> None:
    canceled = replace(ORDER, steps=(replace(ORDER.steps[0], state=StepState.CANCELED),))
    found = judged(replace(OF_PATIENT, accession_number="A1"), canceled)
    assert found is not None and found[0] == "probable" and R.CANCELED in found[1]
    assert judged(OF_PATIENT, canceled) is None


@pytest.mark.parametrize("modality", ["DX", "CR"])
@pytest.mark.parametrize("day", ["20261119", "20261120", "20261121"])
def test_what_only_fits_is_for_a_person(modality: str, day: str) -> None:
    study = replace(OF_PATIENT, modalities=frozenset({modality, "SR"}), study_date=day)
    assert judged(study) == (
        "probable",
        {R.PATIENT_MODALITY_DAY, R.PATIENT_ID, R.NAME_AND_BIRTH_DATE},
    )


@pytest.mark.parametrize(
    "said",
    [
        {"modalities": frozenset({"CT"})},
        {"modalities": frozenset()},
        {"study_date": "20261122"},
        {"study_date": ""},
        {"study_date": "20261399"},
        {"patient_id": "BN2"},
        {"patient_id": ""},
        {"accession_number": "ELSEWHERE"},
    ],
)
def test_what_does_not_even_fit_is_none(said: dict[str, Any]) -> None:
    assert judged(replace(OF_PATIENT, **said)) is None


@st.composite
def _facts(draw: st.DrawFn) -> StudyFacts:
    def either(*values: str) -> str:
        return draw(st.sampled_from(values))

    return StudyFacts(
        either("1.2.3", "1.9"),
        either("", "A1", "A2"),
        either("", "BN1", "BN2"),
        either("", "BVMH", "BVK"),
        either("", "NGUYEN VAN DUC", "TRAN THI HOA"),
        either("", "19700102", "19800102"),
        either("", "M", "F", "O"),
        either("", "20261120", "20251120"),
        frozenset({either("DX", "CT")}),
        frozenset({(either("", "RP1", "RP2"), either("", "S1", "S2"))}),
        frozenset({either("A1", "A2")}) if draw(st.booleans()) else frozenset(),
    )


@given(_facts(), st.sampled_from([(), ("A1",), ("A2",)]))
@settings(max_examples=400, deadline=None)
def test_certain_is_only_what_names_the_order_and_contradicts_it_in_nothing(
    study: StudyFacts, orders_of_uid: tuple[str, ...]
) -> None:
    found = judge(study, ORDER, orders_of_uid)
    if found is None or found.certainty is not Certainty.CERTAIN:
        return
    assert found.rests_on_identifiers
    assert study.accession_number in ("", "A1")
    assert study.patient_id in ("", "BN1")
    assert study.patient_name in ("", "NGUYEN VAN DUC")
    assert study.patient_birth_date in ("", "19700102")
    assert study.patient_sex != "F"
    assert study.patient_id or (study.patient_name and study.patient_birth_date)
