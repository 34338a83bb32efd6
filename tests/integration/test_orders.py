"""Orders in the index: placed once, replaced, moved from state to state, never lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from pacs.archive import Archive
from pacs.changes import read_changes
from pacs.dicom.orders import Code, Order, StepState
from pacs.errors import ImpossibleState, InvalidRequest, NotFound, OrderBegun, OrderChanged
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.ledger.entries import OrderPlaced, OrderState, read_entry
from pacs.orders import place_order
from tests.index_dump import dump_index
from tests.integration.rebuilding import rebuilt
from tests.made_orders import ORDER, STEP, made_order, random_orders

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TWO_STEPS = replace(ORDER, steps=(STEP, replace(STEP, start_time="093000")))


def ledger_entries(archive: Archive) -> list[object]:
    _, lines = archive.index.ledger.waiting_from(1, 1000)
    return [read_entry(line) for line in lines]


def number(archive: Archive) -> None:
    archive.index.ledger.number()


def test_an_order_is_kept_as_it_was_placed(archive: Archive) -> None:
    placed = place_order(archive, ORDER)
    assert placed.is_new and placed.is_changed
    found = archive.index.orders.find("XQ261123042")
    assert found == placed.order
    kept = replace(
        found, study_instance_uid="", requested_procedure_id="", version=0,
        steps=(replace(found.steps[0], step_id=""),),
    )  # fmt: skip
    assert kept == ORDER


def test_it_is_found_by_each_of_its_identifiers(archive: Archive) -> None:
    order = place_order(archive, TWO_STEPS).order
    orders = archive.index.orders
    assert orders.find_by_study(order.study_instance_uid) == [order]
    assert orders.find_by_patient("BN0005678") == [order]
    assert orders.find_by_placer_number("HIS-2026-000042") == [order]
    assert orders.find_by_requested_procedure("XQ261123042") == [order]
    assert orders.find_by_step("XQ261123042-2") == [order]
    assert orders.find_by_step("nothing") == []
    with pytest.raises(NotFound):
        orders.find("nothing")


def test_the_same_again_changes_nothing(archive: Archive) -> None:
    first = place_order(archive, ORDER).order
    again = place_order(archive, ORDER)
    assert (again.order, again.is_new, again.is_changed) == (first, False, False)
    number(archive)
    assert len(ledger_entries(archive)) == 1


def test_another_one_of_its_number_replaces_it(archive: Archive) -> None:
    first = place_order(archive, TWO_STEPS).order
    archive.index.orders.set_state("XQ261123042", StepState.ARRIVED, AT, step_id="XQ261123042")
    changed = replace(
        ORDER, patient_name="Trần^Thị Bích Ngọc", procedure_codes=(), steps=(replace(STEP, modality="CT"),)
    )
    second = place_order(archive, changed)
    assert (second.is_new, second.is_changed, second.order.version) == (False, True, 3)
    found = archive.index.orders.find("XQ261123042")
    assert found == second.order
    assert found.study_instance_uid == first.study_instance_uid
    assert [(s.modality, s.state) for s in found.steps] == [("CT", StepState.ARRIVED)]


def test_an_order_without_a_number_is_that_of_its_placers_number(archive: Archive) -> None:
    unnumbered = replace(ORDER, accession_number="", placer_order_number="HIS 77")
    first = place_order(archive, unnumbered).order
    assert first.accession_number.startswith("F") and len(first.accession_number) == 13
    again = place_order(archive, replace(unnumbered, reason="khác"))
    assert not again.is_new
    assert again.order.accession_number == first.accession_number
    short = place_order(archive, replace(unnumbered, placer_order_number="HIS-78")).order
    assert short.accession_number == "HIS-78"


def test_the_number_of_a_placer_is_nobody_elses_accession_number(archive: Archive) -> None:
    other = place_order(archive, replace(ORDER, accession_number="78", patient_id="BN1")).order
    mine = place_order(archive, replace(ORDER, accession_number="", placer_order_number="78")).order
    assert mine.accession_number != "78"
    assert archive.index.orders.find("78") == other


def test_several_orders_of_one_placers_number_need_their_own(archive: Archive) -> None:
    for one in ("A1", "A2"):
        place_order(archive, replace(ORDER, accession_number=one))
    with pytest.raises(InvalidRequest, match="placer_order_number"):
        place_order(archive, replace(ORDER, accession_number=""))


def test_orders_without_any_number_are_all_different(archive: Archive) -> None:
    nameless = replace(ORDER, accession_number="", placer_order_number=None)
    numbers = {place_order(archive, nameless).order.accession_number for _ in range(3)}
    assert len(numbers) == 3


def test_national_codes_get_the_names_of_the_table(archive: Archive) -> None:
    local = (Code("18.0119.0028", "99HIS", "xq nguc"), Code("X1", "99HIS", "Khác"))
    codes = place_order(archive, made_order(procedure_codes=local, protocol_codes=local[:1])).order
    assert codes.procedure_codes == (ORDER.procedure_codes[0], local[1])
    assert codes.steps[0].protocol_codes == ORDER.procedure_codes
    with pytest.raises(InvalidRequest, match="99BYT"):
        place_order(archive, made_order(procedure_codes=(Code("NGUC", "99BYT", "x"),)))


def test_steps_go_from_state_to_state_and_not_where_they_cannot(archive: Archive) -> None:
    orders = archive.index.orders
    place_order(archive, TWO_STEPS)
    first, second = "XQ261123042", "XQ261123042-2"
    moved = orders.set_state(first, StepState.ARRIVED, AT)
    assert [s.state for s in moved.steps] == [StepState.ARRIVED] * 2
    orders.set_state(first, StepState.STARTED, AT, step_id=first)
    orders.set_state(first, StepState.COMPLETED, AT, step_id=first)
    for state in (StepState.SCHEDULED, StepState.CANCELED):
        with pytest.raises(ImpossibleState):
            orders.set_state(first, state, AT, step_id=first)
    assert [s.state for s in orders.cancel(first, AT).steps] == [StepState.COMPLETED, StepState.CANCELED]
    version = orders.find(first).version
    assert orders.set_state(first, StepState.CANCELED, AT, step_id=second).version == version
    with pytest.raises(ImpossibleState, match="ended"):
        orders.cancel(first, AT)
    with pytest.raises(NotFound):
        orders.set_state(first, StepState.READY, AT, step_id="none")
    with pytest.raises(NotFound):
        orders.set_state("none", StepState.READY, AT)


def test_what_has_begun_is_neither_canceled_nor_taken_away(archive: Archive) -> None:
    place_order(archive, ORDER)
    archive.index.orders.set_state("XQ261123042", StepState.STARTED, AT)
    before = dump_index(archive)
    with pytest.raises(ImpossibleState):
        archive.index.orders.cancel("XQ261123042", AT)
    with pytest.raises(OrderBegun):
        place_order(archive, made_order(step_id="another"))
    assert dump_index(archive) == before


def test_who_knows_another_version_is_refused(archive: Archive) -> None:
    orders = archive.index.orders
    with pytest.raises(OrderChanged):
        place_order(archive, ORDER, expected_version=1)
    place_order(archive, ORDER, expected_version=0)
    with pytest.raises(OrderChanged):
        place_order(archive, replace(ORDER, reason="x"), expected_version=0)
    assert place_order(archive, replace(ORDER, reason="x"), expected_version=1).order.version == 2
    with pytest.raises(OrderChanged):
        orders.set_state("XQ261123042", StepState.ARRIVED, AT, expected_version=1)
    assert orders.cancel("XQ261123042", AT, expected_version=2).version == 3


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    barrier = Barrier(count)

    def run(one: int) -> object:
        barrier.wait()
        return work(one)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_of_many_writers_none_is_lost(archive: Archive) -> None:
    steps = tuple(replace(STEP, step_id=f"S{one}") for one in range(8))
    at_once(6, lambda one: place_order(archive, replace(ORDER, steps=steps, reason=f"reason {one % 2}")))
    before = archive.index.orders.find("XQ261123042").version
    move = archive.index.orders.set_state
    at_once(8, lambda one: move("XQ261123042", StepState.STARTED, AT, step_id=f"S{one}"))
    order = archive.index.orders.find("XQ261123042")
    assert {step.state for step in order.steps} == {StepState.STARTED}
    assert order.version == before + 8
    number(archive)
    versions = [e.version for e in ledger_entries(archive) if isinstance(e, OrderPlaced | OrderState)]
    assert versions == list(range(1, order.version + 1))


def test_one_order_of_a_placer_that_comes_many_times_at_once_is_one(archive: Archive) -> None:
    unnumbered = replace(ORDER, accession_number="", placer_order_number="HIS 77")
    placed = at_once(6, lambda _: place_order(archive, unnumbered).order)
    assert len({order.accession_number for order in placed if isinstance(order, Order)}) == 1
    assert len(archive.index.orders.find_by_patient("BN0005678")) == 1


def fill(archive: Archive) -> None:
    """Place orders, change some, move and cancel others, at times of their own."""
    orders = archive.index.orders
    for count, order in enumerate(random_orders(30)):
        at = AT + timedelta(minutes=count)
        archive.index.orders.place(order, at)
        if count % 3 == 0:
            orders.set_state(order.accession_number, StepState.ARRIVED, at + timedelta(hours=1))
        if count % 5 == 0:
            orders.place(
                replace(order, patient_name="Đổi^Tên", steps=order.steps[:1]), at + timedelta(hours=2)
            )
        if count % 7 == 0:
            orders.cancel(order.accession_number, at + timedelta(hours=3))
    place_order(archive, TWO_STEPS)
    orders.set_state("XQ261123042", StepState.STARTED, AT, step_id="XQ261123042")
    orders.set_state("XQ261123042", StepState.DISCONTINUED, AT, step_id="XQ261123042")


def test_orders_are_the_same_after_the_index_was_made_again(archive: Archive) -> None:
    fill(archive)
    before = dump_index(archive)
    assert before["imaging_order"] and before["order_code"] and before["order_word"]
    report = rebuilt(archive, from_scratch=True)
    assert report.faults == []
    assert dump_index(archive) == before


def test_another_index_learns_them_from_the_ledger_and_nothing_twice(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    fill(archive)
    seal_ledger(archive)
    other = bare()
    assert rebuilt(other).faults == []
    assert dump_index(other) == dump_index(archive)
    # a segment that is replayed again, as by a process that died in the middle, undoes nothing
    other.index.orders.set_state("XQ261123042", StepState.SCHEDULED, AT, step_id="XQ261123042")
    before = dump_index(other)
    moved = other.index.orders.find("XQ261123042")
    other.index.orders.replay_placed(replace(moved, reason="old", version=moved.version - 1), AT)
    steps = ["XQ261123042"]
    assert other.index.orders.replay_state("XQ261123042", moved.version, steps, StepState.STARTED, AT)
    assert dump_index(other) == before


def test_the_feed_of_changes_passes_orders_over(archive: Archive) -> None:
    place_order(archive, ORDER)
    archive.index.orders.cancel("XQ261123042", AT)
    page = read_changes(archive, 0, 100)
    assert (list(page.changes), page.last) == ([], 2)
