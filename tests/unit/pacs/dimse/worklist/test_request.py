"""What an identifier asks of the worklist."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.attributes import Matching
from pacs.dicom.identifier import Identifier, Item
from pacs.dicom.worklist_attributes import (
    BY_TAG,
    CODE_BY_TAG,
    CODE_SEQUENCES,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    Part,
)
from pacs.dimse.worklist.request import EMPTY_SEQUENCES, WorklistRequest, parse_worklist_request
from pacs.errors import InvalidRequest

STEP, STATION, MODALITY, STATUS = SCHEDULED_PROCEDURE_STEP_SEQUENCE, 0x00400001, 0x00080060, 0x00400020
NAME, WEIGHT, CODES, PROTOCOLS = 0x00100010, 0x00101030, 0x00321064, 0x00400008


def parse(values: dict[int, str], **sequences: Item) -> WorklistRequest:
    return parse_worklist_request(
        Identifier(values, {int(tag[1:], 16): [item] for tag, item in sequences.items()})
    )


def test_keys_are_taken_from_the_order_and_from_the_item_of_the_step() -> None:
    request = parse({NAME: "x*", WEIGHT: ""}, _00400100=Item({STATION: "CT1", MODALITY: ""}))
    assert [(key.keyword, value) for key, value in request.query.keys] == [
        ("PatientName", "x*"),
        ("ScheduledStationAETitle", "CT1"),
    ]
    assert request.returned == {Part.ORDER: {NAME, WEIGHT, STEP}, Part.STEP: {STATION, MODALITY}}
    assert not request.has_unsupported_keys
    assert request.query.open_only
    assert request.query.station is None


def test_an_attribute_of_a_step_beside_its_sequence_is_no_key() -> None:
    assert parse({STATION: "CT1"}).has_unsupported_keys
    assert parse({}, _00400100=Item({NAME: "x"})).has_unsupported_keys


@pytest.mark.parametrize("items", [[], [Item({})]])
def test_a_step_of_which_nothing_is_asked_is_returned_whole(items: list[Item]) -> None:
    request = parse_worklist_request(Identifier({}, {STEP: items}))
    assert request.returned[Part.STEP] == {*BY_TAG[Part.STEP], PROTOCOLS}
    assert parse_worklist_request(Identifier({STEP: ""}, {})) == request


def test_codes_are_matched_by_the_keys_of_their_item() -> None:
    protocol = Item({0x00080100: "P1", 0x00080104: ""})
    step = Item({MODALITY: "CT"}, {PROTOCOLS: [protocol]})
    request = parse({}, _00321064=Item({0x00080102: "99BYT"}), _00400100=step)
    assert {(part, key.keyword, value) for part, key, value in request.query.codes} == {
        (Part.ORDER, "CodingSchemeDesignator", "99BYT"),
        (Part.STEP, "CodeValue", "P1"),
    }
    assert request.returned_of_codes == {
        Part.ORDER: {0x00080102}, Part.STEP: {0x00080100, 0x00080104},
    }  # fmt: skip


@pytest.mark.parametrize(("value", "open_only"), [("", True), ("*", True), ("COMPLETED", False)])
def test_who_asks_for_a_status_sees_what_has_ended(value: str, open_only: bool) -> None:
    assert parse({}, _00400100=Item({STATUS: value})).query.open_only == open_only


def test_what_is_not_known_or_not_matched_is_not_supported() -> None:
    for values in ({0x00102154: ""}, {WEIGHT: "60"}, {0x00091001: "x"}):
        assert parse(values).has_unsupported_keys
    for values in ({0x00080005: "ISO_IR 192"}, {0x00080201: "+0700"}, {WEIGHT: "*"}, {0x00081110: ""}):
        assert not parse(values).has_unsupported_keys
    assert parse({}, _00080051=Item({})).has_unsupported_keys
    assert parse({}, _00321064=Item({0x00080105: "x"})).has_unsupported_keys


def test_a_sequence_of_two_items_is_refused() -> None:
    for sequences in ({STEP: [Item({}), Item({})]}, {CODES: [Item({}), Item({})]}):
        with pytest.raises(InvalidRequest):
            parse_worklist_request(Identifier({}, sequences))


tags = st.sampled_from([
    *BY_TAG[Part.ORDER], *BY_TAG[Part.STEP], *CODE_BY_TAG, *EMPTY_SEQUENCES,
    STEP, CODES, PROTOCOLS, 0x00091001,
])  # fmt: skip
values = st.dictionaries(tags, st.text(max_size=6), max_size=8)
items = st.recursive(
    st.builds(Item, values),
    lambda inner: st.builds(Item, values, st.dictionaries(tags, st.lists(inner, max_size=2), max_size=3)),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(items)
def test_every_key_is_matched_and_returned_or_told_not_to_be(item: Item) -> None:
    try:
        request = parse_worklist_request(Identifier(item.values, item.sequences))
    except InvalidRequest:
        return
    for part in Part:
        known = {*BY_TAG[part], CODE_SEQUENCES[part][0], *EMPTY_SEQUENCES, STEP}
        assert request.returned[part] <= known
    for key, value in request.query.keys:
        assert value
        assert key.matching is not Matching.NONE
        assert key.tag in request.returned[key.part]
    asked = {tag for tag in item.values if tag not in (0x00080005, 0x00080201)} | item.sequences.keys()
    assert request.has_unsupported_keys or asked <= request.returned[Part.ORDER]
