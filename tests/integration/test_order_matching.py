"""Studies and orders find each other, whichever comes first; a person decides what is not certain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.dicom.attributes import Level, find_key
from pacs.dicom.order_matching import Reason
from pacs.dicom.orders import Code, Order, ScheduledStep
from pacs.errors import NotFound
from pacs.index.order_matches import Decision, MatchState, OrderMatch
from pacs.index.records import Query
from pacs.ingest import IncomingInstance, Origin, store_instance
from pacs.jobs import order_keeping
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.order_keeping import OrderKeeper
from pacs.order_matching import compare, decide, decide_match, match_order
from pacs.orders import place_order
from pacs.performed_steps import Said, create_step
from tests.backends import BACKENDS, fresh_archive
from tests.datasets import encode, make_dataset
from tests.integration.performed_steps import begun, item, scheduled
from tests.integration.rebuilding import rebuilt
from tests.made_orders import random_orders

EXPLICIT = "1.2.840.10008.1.2.1"
CHEST_CT = Code("18.0220.0040", "99BYT", "")
CHEST = Code("18.0119.0028", "99BYT", "")


@pytest.fixture(scope="module", params=BACKENDS)
def archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    with fresh_archive(request.param, folder, {"FILMLESS_METADATA_AFTER_S": "1"}) as opened:
        yield opened


@pytest.fixture
def keeper(archive: Archive) -> OrderKeeper:
    """A worker that has just started, and thinks that what has come is quiet."""
    object.__setattr__(archive.settings, "metadata_after_s", -1.0)
    return OrderKeeper(archive, Event())


_counted = iter(range(10**6))


def place(archive: Archive, **values: Any) -> Order:
    """An order for a CT of a patient of its own, unless told otherwise."""
    number = next(_counted)
    step = ScheduledStep(modality=values.pop("modality", "CT"), start_date="20261120")
    named = {
        "patient_id": f"BN{number}",
        "patient_name": "NGUYỄN^VĂN ĐỨC",
        "patient_birth_date": "19700102",
        "patient_sex": "M",
        "accession_number": f"ACC{number}",
        "steps": (step,),
        **values,
    }
    return place_order(archive, Order(**named)).order


def of_order(order: Order, **attributes: Any) -> Dataset:
    """A study as a modality makes it that has read the order from the worklist."""
    request = item(
        RequestedProcedureID=order.requested_procedure_id, ScheduledProcedureStepID=order.steps[0].step_id
    )
    return make_dataset(
        **{
            "PatientID": order.patient_id,
            "AccessionNumber": order.accession_number,
            "StudyInstanceUID": order.study_instance_uid,
            "RequestAttributesSequence": [request],
            **attributes,
        }
    )


def store(archive: Archive, dataset: Dataset) -> str:
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    store_instance(archive, incoming, Origin("dimse", "CT"))
    return str(dataset.StudyInstanceUID)


def matches(archive: Archive, study: str) -> dict[str, OrderMatch]:
    found = archive.index.matches.list_matches(study_instance_uid=study)
    return {match.accession_number: match for match in found}


def linked(archive: Archive, study: str) -> list[str]:
    found = archive.index.matches.list_matches(MatchState.LINKED, study_instance_uid=study)
    return [match.accession_number for match in found]


def test_a_study_that_names_its_order_is_linked(archive: Archive, keeper: OrderKeeper) -> None:
    order = place(archive)
    study = store(archive, of_order(order))
    keeper.run_once()
    (match,) = matches(archive, study).values()
    assert (match.state, match.accession_number) == (MatchState.LINKED, order.accession_number)
    assert {Reason.STUDY_INSTANCE_UID, Reason.ACCESSION_NUMBER, Reason.REQUEST} <= set(match.reasons)


def test_a_study_that_came_before_its_order_is_linked_when_that_comes(
    archive: Archive, keeper: OrderKeeper
) -> None:
    dataset = make_dataset(AccessionNumber="LATER", PatientID="BNLATER", StudyInstanceUID=generate_uid())
    study = store(archive, dataset)
    keeper.run_once()
    assert matches(archive, study) == {}
    place(archive, accession_number="LATER", patient_id="BNLATER")
    keeper.run_once()
    assert linked(archive, study) == ["LATER"]


def test_an_order_that_is_corrected_is_matched_again(archive: Archive, keeper: OrderKeeper) -> None:
    order = place(archive, patient_name="NGUYỄN^VĂN ĐỆ")
    study = store(archive, of_order(order))
    keeper.run_once()
    (match,) = matches(archive, study).values()
    assert (match.is_open, Reason.OTHER_NAME in match.reasons) == (True, True)
    place(archive, accession_number=order.accession_number, patient_id=order.patient_id)
    keeper.run_once()
    assert linked(archive, study) == [order.accession_number]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"PatientName": "TRẦN^THỊ HOA"}, Reason.OTHER_NAME),
        ({"PatientBirthDate": "19810102"}, Reason.OTHER_BIRTH_DATE),
        ({"PatientID": "SOMEBODY"}, Reason.OTHER_PATIENT_ID),
        ({"AccessionNumber": "UNKNOWN"}, Reason.OTHER_ACCESSION_NUMBER),
    ],
)
def test_what_contradicts_waits_for_a_person(
    archive: Archive, keeper: OrderKeeper, said: dict[str, str], reason: Reason
) -> None:
    order = place(archive)
    study = store(archive, of_order(order, **said))
    keeper.run_once()
    (match,) = matches(archive, study).values()
    assert match.is_open and reason in match.reasons
    assert linked(archive, study) == []
    compared = {one.name: one.agrees for one in compare(archive, match)}
    assert compared["patient_name"] == ("PatientName" not in said)


def test_names_without_diacritics_are_the_same(archive: Archive, keeper: OrderKeeper) -> None:
    order = place(archive)
    study = store(archive, of_order(order, PatientName="NGUYEN VAN DUC", SpecificCharacterSet=None))
    keeper.run_once()
    assert linked(archive, study) == [order.accession_number]


def test_a_performed_step_leads_from_study_to_order(archive: Archive, keeper: OrderKeeper) -> None:
    order, study = place(archive), generate_uid()
    performed = scheduled(
        StudyInstanceUID=study,
        AccessionNumber=order.accession_number,
        RequestedProcedureID="",
        ScheduledProcedureStepID="",
    )
    said = encode(begun(performed, PatientID=order.patient_id))
    create_step(archive, Said(generate_uid(), EXPLICIT, said, "CT"))
    store(archive, make_dataset(StudyInstanceUID=study, PatientID=order.patient_id, AccessionNumber=""))
    keeper.run_once()
    (match,) = matches(archive, study).values()
    assert match.state is MatchState.LINKED and Reason.PERFORMED_STEP in match.reasons


def test_two_orders_that_a_study_fits_wait_for_a_person_who_accepts_one(
    archive: Archive, keeper: OrderKeeper
) -> None:
    first = place(archive)
    second = place(archive, patient_id=first.patient_id)
    fitting = make_dataset(PatientID=first.patient_id, AccessionNumber="", StudyInstanceUID=generate_uid())
    study = store(archive, fitting)
    keeper.run_once()
    found = matches(archive, study)
    assert found.keys() == {first.accession_number, second.accession_number}
    assert all(match.is_open for match in found.values())
    decided = decide_match(archive, found[second.accession_number].match_id, Decision.ACCEPTED)
    assert decided.state is MatchState.LINKED
    assert matches(archive, study)[first.accession_number].state is MatchState.REJECTED
    keeper.run_once()
    assert linked(archive, study) == [second.accession_number]


def test_an_order_that_has_its_study_is_not_looked_for_by_others(
    archive: Archive, keeper: OrderKeeper
) -> None:
    order = place(archive)
    store(archive, of_order(order))
    keeper.run_once()
    fitting = make_dataset(PatientID=order.patient_id, AccessionNumber="", StudyInstanceUID=generate_uid())
    study = store(archive, fitting)
    keeper.run_once()
    assert matches(archive, study) == {}


def test_a_decision_stays_whatever_is_found_later_and_may_be_changed(
    archive: Archive, keeper: OrderKeeper
) -> None:
    order = place(archive)
    study = store(archive, of_order(order))
    keeper.run_once()
    decide(archive, study, order.accession_number, Decision.REJECTED)
    keeper.run_once()
    assert linked(archive, study) == []
    store(archive, of_order(order, SeriesInstanceUID=generate_uid()))
    keeper.run_once()
    assert linked(archive, study) == []
    decide(archive, study, order.accession_number, Decision.ACCEPTED)
    assert linked(archive, study) == [order.accession_number]


def test_only_what_there_is_can_be_decided(archive: Archive, keeper: OrderKeeper) -> None:
    order = place(archive)
    with pytest.raises(NotFound):
        decide(archive, "1.2.3", order.accession_number, Decision.ACCEPTED)
    study = store(archive, make_dataset(StudyInstanceUID=generate_uid(), AccessionNumber="NONE"))
    with pytest.raises(NotFound):
        decide(archive, study, "NONE", Decision.ACCEPTED)
    with pytest.raises(NotFound):
        decide_match(archive, 10**9, Decision.ACCEPTED)


def codes_of(archive: Archive, study: str) -> list[tuple[str, str]]:
    found = archive.index.search(Query(level=Level.STUDY, study_instance_uid=study)).matches
    return [(code.value, code.origin) for code in found[0].procedure_codes]


def found_by_code(archive: Archive, code: str) -> list[Any]:
    key = find_key("ProcedureCodeSequence.CodeValue")
    assert key is not None
    found = archive.index.search(Query(level=Level.STUDY, keys=[(key, code)])).matches
    return [match.values["StudyInstanceUID"] for match in found]


def test_a_study_without_a_code_has_that_of_its_order_as_long_as_it_is_of_it(
    archive: Archive, keeper: OrderKeeper
) -> None:
    order = place(archive, procedure_codes=(CHEST,))
    study = store(archive, of_order(order))
    keeper.run_once()
    assert codes_of(archive, study) == [(CHEST.value, "order")]
    assert found_by_code(archive, CHEST.value) == [study]
    decide(archive, study, order.accession_number, Decision.REJECTED)
    assert codes_of(archive, study) == []
    assert found_by_code(archive, CHEST.value) == []


def test_codes_of_a_study_of_its_own_count_before_those_of_its_order(
    archive: Archive, keeper: OrderKeeper
) -> None:
    order = place(archive, procedure_codes=(CHEST,))
    own = item(CodeValue=CHEST_CT.value, CodingSchemeDesignator="99BYT", CodeMeaning="CT")
    study = store(archive, of_order(order))
    keeper.run_once()
    assert codes_of(archive, study) == [(CHEST.value, "order")]
    store(archive, of_order(order, ProcedureCodeSequence=[own], SeriesInstanceUID=generate_uid()))
    keeper.run_once()
    assert codes_of(archive, study) == [(CHEST_CT.value, "sequence")]


def test_a_study_that_still_comes_in_is_left_alone(archive: Archive, keeper: OrderKeeper) -> None:
    keeper.run_once()
    object.__setattr__(archive.settings, "metadata_after_s", 60.0)
    dataset = make_dataset(AccessionNumber="GROWS", PatientID="BNGROWS", StudyInstanceUID=generate_uid())
    study = store(archive, dataset)
    keeper.run_once()
    object.__setattr__(archive.settings, "metadata_after_s", -1.0)
    place(archive, accession_number="OTHER", patient_id="BNGROWS")
    keeper.run_once()
    assert matches(archive, study) == {}  # it names another order
    place(archive, accession_number="GROWS", patient_id="BNGROWS")
    keeper.run_once()
    assert linked(archive, study) == ["GROWS"]


def test_decisions_are_there_again_after_a_rebuild(archive: Archive, keeper: OrderKeeper) -> None:
    certain, doubtful, unlike = place(archive), place(archive), place(archive)
    first = store(archive, of_order(certain))
    second = store(archive, of_order(doubtful, PatientName="TRẦN^THỊ HOA"))
    third = store(archive, make_dataset(StudyInstanceUID=generate_uid(), PatientID="X", AccessionNumber=""))
    found, asked = (
        store(archive, of_order(place(archive))),
        store(archive, of_order(place(archive), PatientSex="F")),
    )
    keeper.run_once()
    decide(archive, first, certain.accession_number, Decision.REJECTED)
    (match,) = matches(archive, second).values()
    decide_match(archive, match.match_id, Decision.ACCEPTED)
    decide(archive, third, unlike.accession_number, Decision.ACCEPTED)
    seal_ledger(archive)

    def told(study: str) -> list[tuple[Any, ...]]:
        found = archive.index.matches.list_matches(study_instance_uid=study)
        return [(m.accession_number, m.state, m.decision, m.decided_by, m.decided_at) for m in found]

    before = [told(study) for study in (first, second, third)]
    assert rebuilt(archive, from_scratch=True).faults == []
    assert [told(study) for study in (first, second, third)] == before
    OrderKeeper(archive, Event()).run_once()
    assert [told(study) for study in (first, second, third)] == before
    states = [[match.state for match in matches(archive, study).values()] for study in (found, asked)]
    assert states == [[MatchState.LINKED], [MatchState.OPEN]]


def test_what_is_odd_about_one_order_does_not_keep_others_back(
    archive: Archive, keeper: OrderKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.run_once()
    odd, plain = place(archive), place(archive)
    study = store(archive, of_order(plain))

    def match(of: Archive, order: Order) -> None:
        if order.accession_number == odd.accession_number:
            raise ValueError("odd")
        match_order(of, order)

    monkeypatch.setattr(order_keeping, "match_order", match)
    monkeypatch.setattr(order_keeping, "match_study", lambda *_: None)
    keeper.run_once()
    assert linked(archive, study) == [plain.accession_number]


def test_orders_of_one_moment_are_all_looked_at_and_each_once(
    archive: Archive, keeper: OrderKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.run_once()
    seen: list[str] = []
    monkeypatch.setattr(order_keeping, "_BATCH_SIZE", 2)
    monkeypatch.setattr(order_keeping, "match_order", lambda _, order: seen.append(order.accession_number))
    at = datetime.now(UTC)
    placed = [archive.index.orders.place(one, at).order.accession_number for one in random_orders(7)]
    for _ in range(2):
        keeper.run_once()
    assert sorted(seen) == sorted(placed)
    OrderKeeper(archive, Event()).run_once()  # another worker looks again at what came just now
    assert set(placed) <= set(seen[len(placed) :])


def test_a_worker_that_ends_leaves_the_rest_to_the_next(archive: Archive, keeper: OrderKeeper) -> None:
    keeper.run_once()
    order = place(archive)
    study = store(archive, of_order(order))
    stop = Event()
    ending = OrderKeeper(archive, stop)
    stop.set()
    ending.run_once()
    assert linked(archive, study) == []
    keeper.run_once()
    assert linked(archive, study) == [order.accession_number]
