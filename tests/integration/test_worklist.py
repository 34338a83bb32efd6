"""The Modality Worklist: what the index finds, and what a station is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pacs.archive import Archive
from pacs.dicom.orders import Code, Order, StepState
from pacs.dicom.worklist_attributes import CODE_ATTRIBUTES, WORKLIST_ATTRIBUTES, Part
from pacs.dimse.worklist.operation import MODALITY_WORKLIST
from pacs.errors import InvalidRequest
from pacs.index import worklist
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.index.records import WorklistQuery
from pacs.orders import place_order
from tests.backends import fresh_archive
from tests.integration.dimse_peers import listening
from tests.integration.find_peers import Answers, Searcher
from tests.made_orders import CHEST, ORDER, STEP, made_order, random_orders
from tests.unit.pacs.dimse import wire
from tests.worklist_reference import MATCHED, matching_steps

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEYS = {one.keyword: one for one in WORKLIST_ATTRIBUTES}
CODE_KEYS = {one.keyword: one for one in CODE_ATTRIBUTES}
ALL_ORDERS = random_orders(300)


def query(keys: dict[str, str], codes: dict[str, str], **more: object) -> WorklistQuery:
    return WorklistQuery(
        [(KEYS[name], value) for name, value in keys.items()],
        [(Part.ORDER, CODE_KEYS[name], value) for name, value in codes.items()],
        open_only="ScheduledProcedureStepStatus" not in keys,
        **more,  # type: ignore[arg-type]
    )


def steps_found(archive: Archive, asked: WorklistQuery) -> list[tuple[str, str]]:
    pages = archive.index.orders.search(asked)
    return [(item.order.accession_number, item.step.step_id) for page in pages for item in page]


@pytest.fixture(scope="module")
def filled(module_archive: Archive) -> Archive:
    """An archive of 300 orders, of which every third has moved on."""
    for count, order in enumerate(ALL_ORDERS):
        placed = module_archive.index.orders.place(order, AT).order
        state = list(StepState)[count % 24 % 8] if count % 3 == 0 else StepState.SCHEDULED
        module_archive.index.orders.set_state(placed.accession_number, state, AT)
    return module_archive


@pytest.fixture(scope="module")
def kept(filled: Archive) -> list[Order]:
    """The orders as they are kept."""
    return [*filled.index.orders.list_matching(WorklistQuery(open_only=False), 1000).orders]


def wanted_values(data: st.DataObject, orders: list[Order], name: str) -> str:
    """Make a value of a key: that of some order, cut by a wildcard perhaps, or one that nothing has."""
    order = data.draw(st.sampled_from(orders))
    field = KEYS[name].field
    value = getattr(order if KEYS[name].part is Part.ORDER else order.steps[0], field)
    if field in ("start_date", "start_time", "patient_birth_date"):
        other = getattr(data.draw(st.sampled_from(orders)), field, None) or value
        low, high = sorted((str(value), str(other)))
        return data.draw(st.sampled_from([low, f"{low}-{high}", f"{low}-", f"-{high}"]))
    if isinstance(value, tuple):
        return value[0] if value else "CT1"
    text = str(value or "nothing")
    cut = data.draw(st.integers(0, len(text)))
    shapes = [text, text[:cut] + "*", text.lower(), text + "?"]
    if name == "PatientName":
        words = re.split(r"[\^ ]", text)
        shapes += [words[-1] + "*", "*" + text[-2:], " ".join(reversed(words))]
    return data.draw(st.sampled_from(shapes))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_index_finds_what_matching_by_the_book_finds(
    filled: Archive, kept: list[Order], data: st.DataObject
) -> None:
    names = data.draw(st.lists(st.sampled_from(MATCHED), max_size=3, unique=True))
    keys = {name: wanted_values(data, kept, name) for name in names}
    keys = {name: value for name, value in keys.items() if value != "*"}
    codes = data.draw(st.sampled_from([{}, {}, {}, {"CodeValue": "18.*", "CodingSchemeDesignator": "99BYT"}]))
    expected = matching_steps(kept, keys, codes)
    found = steps_found(filled, query(keys, codes))
    assert sorted(found) == sorted(expected)
    moments = {(o.accession_number, s.step_id): (s.start_date, s.start_time) for o in kept for s in o.steps}
    assert [moments[one] for one in found] == sorted(moments[one] for one in found)


def test_a_long_list_of_uids_is_matched(filled: Archive, kept: list[Order]) -> None:
    others = [f"1.2.840.113619.2.55.3.604688119.971.1234567890.{number}" for number in range(900)]
    uids = "\\".join([*others, kept[0].study_instance_uid])
    asked = query({"StudyInstanceUID": uids, "ScheduledProcedureStepStatus": "*"}, {})
    assert {number for number, _ in steps_found(filled, asked)} == {kept[0].accession_number}


def test_pages_are_read_one_behind_the_other(filled: Archive) -> None:
    engine = filled.index.orders._engine
    whole = [*worklist.search_worklist(engine, WorklistQuery(), 1000)]
    pages = [*worklist.search_worklist(engine, WorklistQuery(), 7)]
    assert {len(page) for page in pages[:-1]} == {7}
    assert [item for page in pages for item in page] == [item for page in whole for item in page]


def test_orders_are_listed_by_pages_each_once(filled: Archive) -> None:
    asked = query({"Modality": "CT"}, {})
    whole = filled.index.orders.list_matching(asked, 1000)
    assert not whole.truncated
    first, second = (filled.index.orders.list_matching(asked, 20, offset) for offset in (0, 20))
    assert [*first.orders, *second.orders] == whole.orders[:40]
    assert first.truncated
    assert len({order.accession_number for order in whole.orders}) == len(whole.orders)


@pytest.mark.parametrize(
    "keys",
    [
        {"ScheduledProcedureStepStartDate": "yesterday"},
        {"ScheduledProcedureStepStartDate": "-"},
        {"ScheduledProcedureStepStartDate": "20261101-", "ScheduledProcedureStepStartTime": "x-"},
        {"StudyInstanceUID": "../etc"},
        {"PatientName": "*a*b*c*d*e*f*g*h*i*"},
        {"PatientID": "x" * 2000},
        {"PregnancyStatus": "yes"},
        {"PatientWeight": "60"},
        {"ScheduledStationAETitle": "\\"},
        {"StudyInstanceUID": "\\".join(f"1.2.{number}" for number in range(1001))},
    ],
)
def test_a_malformed_value_is_refused_by_name_only(archive: Archive, keys: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(keys))) as caught:
        steps_found(archive, query(keys, {}))
    assert not any(value in str(caught.value) for value in keys.values() if len(value) > 3)


# what a station is answered


@dataclass(frozen=True)
class _Worklist:
    find_sop_class: str = MODALITY_WORKLIST


class Station(Searcher):
    """A modality that asks for its worklist."""

    def __init__(self, port: int, calling: str = "CT1", syntax: str = wire.IMPLICIT) -> None:
        super().__init__(port, _Worklist(), calling=calling, syntax=syntax)  # type: ignore[arg-type]

    def ask(self, step: dict[str, object] | None = None, **keys: object) -> Answers:
        return self.find(None, ScheduledProcedureStepSequence=step or {}, **keys)


@pytest.fixture
def port(archive: Archive) -> Iterator[int]:
    with listening(archive) as number:
        yield number


@pytest.mark.parametrize("syntax", [wire.IMPLICIT, wire.EXPLICIT, "1.2.840.10008.1.2.2"])
def test_a_station_is_told_all_that_it_asks_for(archive: Archive, port: int, syntax: str) -> None:
    order = place_order(archive, ORDER).order
    keys = dict.fromkeys((one.keyword for one in WORKLIST_ATTRIBUTES if one.part is Part.ORDER), None)
    asked = {**keys, "RequestedProcedureCodeSequence": {}, "ReferencedStudySequence": {}}
    with Station(port, syntax=syntax) as station:
        answers = station.ask(**asked)
    assert answers.statuses == [0xFF00, 0x0000]
    (answer,) = answers.datasets
    for part, dataset in ((Part.ORDER, answer), (Part.STEP, answer.ScheduledProcedureStepSequence[0])):
        record = order if part is Part.ORDER else order.steps[0]
        for attribute in WORKLIST_ATTRIBUTES:
            if attribute.part is part:
                value = getattr(record, attribute.field)
                expected = "\\".join(value) if attribute.many else str(value)
                told = dataset[attribute.keyword].value
                assert ("\\".join(told) if isinstance(told, MultiValue) else str(told)) == expected
    (code,) = answer.RequestedProcedureCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == (
        CHEST.value, CHEST.scheme, CHEST.meaning,
    )  # fmt: skip
    (protocol,) = answer.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence
    assert (protocol.CodeValue, protocol.CodingSchemeVersion) == ("CHEST-PA", "1")
    assert len(answer.ReferencedStudySequence) == 0


def test_a_station_is_told_no_more_than_it_asks_for(archive: Archive, port: int) -> None:
    place_order(archive, ORDER)
    code = Dataset()
    code.CodeMeaning = ""
    step = {"Modality": "DX", "ScheduledProtocolCodeSequence": [code]}
    with Station(port) as station:
        (answer,) = station.ask(step, PatientName="").datasets
    assert set(answer.dir()) == {"SpecificCharacterSet", "PatientName", "ScheduledProcedureStepSequence"}
    (item,) = answer.ScheduledProcedureStepSequence
    assert set(item.dir()) == {"Modality", "ScheduledProtocolCodeSequence"}
    assert item.ScheduledProtocolCodeSequence[0].dir() == ["CodeMeaning"]


def test_a_long_code_is_told_as_one(archive: Archive, port: int) -> None:
    long = Code("18.0119.0028.K.12345", "99BYT", "Chụp ngực")
    place_order(archive, made_order(procedure_codes=(long,)))
    for syntax in (wire.IMPLICIT, wire.EXPLICIT):
        with Station(port, syntax=syntax) as station:
            (answer,) = station.ask(RequestedProcedureCodeSequence={}).datasets
        (code,) = answer.RequestedProcedureCodeSequence
        assert code.LongCodeValue == long.value
        assert "CodeValue" not in code


def test_an_order_without_a_description_is_told_by_its_code(archive: Archive, port: int) -> None:
    bare = replace(STEP, description=None, protocol_codes=())
    place_order(archive, replace(ORDER, description=None, steps=(bare,)))
    step = {"ScheduledProcedureStepDescription": ""}
    with Station(port) as station:
        (answer,) = station.ask(step, RequestedProcedureDescription="").datasets
    assert answer.RequestedProcedureDescription == CHEST.meaning
    assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription == CHEST.meaning


def test_a_step_of_no_station_is_for_every_station(archive: Archive, port: int) -> None:
    for number, titles in (("A1", ("CT1", "CT2")), ("A2", ("CT3",)), ("A3", ())):
        place_order(archive, made_order(accession_number=number, station_ae_titles=titles))
    with Station(port, "CT1") as station:
        own = station.ask({"ScheduledStationAETitle": "CT1"}, AccessionNumber="")
        everything = station.ask({"ScheduledStationAETitle": ""}, AccessionNumber="")
    assert own.values("AccessionNumber") == ["A1", "A3"]
    assert [str(d.ScheduledProcedureStepSequence[0].ScheduledStationAETitle) for d in own.datasets] == [
        "['CT1', 'CT2']", "CT1",
    ]  # fmt: skip
    assert everything.values("AccessionNumber") == ["A1", "A2", "A3"]


def test_c6_a_station_sees_only_its_own_steps_where_the_settings_say_so(tmp_path: Path) -> None:
    with (
        fresh_archive("sqlite-folder", tmp_path, {"FILMLESS_WORKLIST_OWN_STATION_ONLY": "true"}) as archive,
        listening(archive) as port,
    ):
        for number, titles in (("A1", ("CT1",)), ("A2", ("CT3",)), ("A3", ())):
            place_order(archive, made_order(accession_number=number, station_ae_titles=titles))
        with Station(port, "CT3") as station:
            assert station.ask(AccessionNumber="").values("AccessionNumber") == ["A2", "A3"]
            other = station.ask({"ScheduledStationAETitle": "CT1"}, AccessionNumber="A1")
            assert other.statuses == [0x0000]


def test_c6_a_peer_sees_only_its_own_steps_where_the_table_says_so(archive: Archive, port: int) -> None:
    for number, titles in (("A1", ("CT1",)), ("A2", ("CT3",)), ("A3", ())):
        place_order(archive, made_order(accession_number=number, station_ae_titles=titles))
    may = frozenset({PeerRight.WORKLIST})
    archive.index.peers.add(KnownPeer("CT3", rights=may, own_worklist_only=True))
    archive.index.peers.add(KnownPeer("CT1", rights=may))
    with Station(port, "CT3") as own, Station(port, "CT1") as whole:
        assert own.ask({"ScheduledStationAETitle": "*"}, AccessionNumber="").values("AccessionNumber") == [
            "A2",
            "A3",
        ]
        assert whole.ask(AccessionNumber="").values("AccessionNumber") == ["A1", "A2", "A3"]


def test_what_has_ended_is_shown_to_who_asks_for_it(archive: Archive, port: int) -> None:
    for number in ("A1", "A2", "A3"):
        place_order(archive, made_order(accession_number=number))
    archive.index.orders.set_state("A2", StepState.COMPLETED, AT)
    archive.index.orders.cancel("A3", AT)
    with Station(port) as station:
        assert station.ask(AccessionNumber="").values("AccessionNumber") == ["A1"]
        ended = station.ask({"ScheduledProcedureStepStatus": "COMPLETED\\CANCELED"}, AccessionNumber="")
        everything = station.ask({"ScheduledProcedureStepStatus": "?*"}, AccessionNumber="")
    assert ended.values("AccessionNumber") == ["A2", "A3"]
    assert everything.values("AccessionNumber") == ["A1", "A2", "A3"]


def test_keys_that_are_not_supported_are_told(archive: Archive, port: int) -> None:
    place_order(archive, ORDER)
    with Station(port) as station:
        assert station.ask(MilitaryRank="").statuses == [0xFF01, 0x0000]
        assert station.ask({"ScheduledProcedureStepStartDate": "today"}).final == 0xC000


def test_names_are_written_as_the_station_reads_them(archive: Archive, port: int) -> None:
    place_order(archive, ORDER)
    archive.index.peers.add(KnownPeer("OLD", rights=frozenset({PeerRight.WORKLIST}), unaccented=True))
    with Station(port) as station:
        (utf_8,) = station.ask(PatientName="tran thi bich ngoc").datasets
    with Station(port, "OLD") as station:
        (plain,) = station.ask(PatientName="").datasets
    assert (utf_8.SpecificCharacterSet, str(utf_8.PatientName)) == ("ISO_IR 192", "TRẦN^THỊ BÍCH NGỌC")
    assert "SpecificCharacterSet" not in plain
    assert str(plain.PatientName) == "TRAN^THI BICH NGOC"


def test_identifiers_keep_their_letters_also_for_who_cannot_read_names(archive: Archive, port: int) -> None:
    """Images come back with what the device was told, and D-12 is not Đ-12."""
    place_order(archive, replace(ORDER, accession_number="Đ-12"))
    archive.index.peers.add(KnownPeer("OLD", rights=frozenset({PeerRight.WORKLIST}), unaccented=True))
    with Station(port, "OLD") as station:
        (told,) = station.ask(PatientName="", AccessionNumber="", PatientID="").datasets
    assert (told.SpecificCharacterSet, told.AccessionNumber) == ("ISO_IR 192", "Đ-12")
    assert str(told.PatientName) == "TRAN^THI BICH NGOC"


def test_a8_a_caller_needs_the_right_to_ask_for_work(tmp_path: Path) -> None:
    with fresh_archive("sqlite-folder", tmp_path, {"FILMLESS_LAN_OPEN": "false"}) as archive:
        place_order(archive, ORDER)
        archive.index.peers.add(KnownPeer("CT1", rights=frozenset({PeerRight.WORKLIST})))
        archive.index.peers.add(KnownPeer("WS1", rights=frozenset({PeerRight.FIND})))
        with listening(archive) as port:
            with Station(port, "CT1") as station:
                assert station.ask().statuses == [0xFF00, 0x0000]
            with Station(port, "WS1") as station:
                assert station.ask().statuses == [0x0124]


def test_c3_an_identifier_without_end_or_without_bottom_is_refused(archive: Archive, port: int) -> None:
    deep = innermost = Dataset()
    for _ in range(9):
        innermost.ScheduledProcedureStepSequence = [Dataset()]
        innermost = innermost.ScheduledProcedureStepSequence[0]
    innermost.Modality = "CT"
    with Station(port) as station:
        assert station.find_by(deep).final == 0xC000
        assert station.find_bytes(bytes.fromhex("1000200000001000") + b"1" * 1024 * 1024).final == 0xC000
        assert station.ask().final == 0x0000


def test_no_query_and_no_order_is_logged(
    archive: Archive, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "pacs")
    place_order(archive, ORDER)
    with Station(port) as station:
        station.ask(PatientName="TRẦN*", PatientID="BN0005678")
        station.ask({"ScheduledProcedureStepStartDate": "BÍCH"}, PatientID="BN0005678")
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("pacs"))
    assert "CT1" in ours
    assert not any(secret in ours for secret in ("BÍCH", "BN0005678", "TRẦN"))
