"""What makes an order, and orders as JSON has them. Every value comes from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.order_values import MAX_ORDER_SIZE_BYTES, MAX_STEPS, check_order, from_plain, to_plain
from pacs.dicom.orders import Code, Order, StepState, completed
from pacs.errors import InvalidRequest
from tests.made_orders import CHEST, ORDER, STEP, made_order

CHECKED = check_order(ORDER)


def test_an_order_in_full_is_one_and_comes_back_from_json() -> None:
    order = replace(completed(CHECKED), steps=(replace(STEP, step_id="1", state=StepState.READY),))
    assert from_plain(json.loads(json.dumps(to_plain(order)))) == order


def test_nothing_but_a_patient_and_a_step_is_needed() -> None:
    plain = {"patient_id": "1", "patient_name": "A", "steps": [{"modality": "CT", "start_date": "20261123"}]}
    assert to_plain(from_plain(plain)) == {
        **plain,
        "steps": [{"modality": "CT", "start_date": "20261123", "start_time": "000000", "state": "SCHEDULED"}],
    }


def test_text_becomes_nfc_without_padding_and_times_are_whole() -> None:
    order = check_order(made_order(patient_name=" Nguye\u0302\u0303n^An ", start_time="08"))
    assert order.patient_name == "Nguyễn^An"
    assert order.steps[0].start_time == "080000"
    assert check_order(order) == order


def test_a_blank_value_is_none() -> None:
    order = check_order(replace(ORDER, reason=" ", allergies=("", " "), patient_sex=""))
    assert (order.reason, order.allergies, order.patient_sex) == (None, (), None)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"patient_id": ""}, "patient_id"),
        ({"patient_name": "^"}, "patient_name"),
        ({"patient_name": "A" * 65}, "patient_name"),
        ({"patient_name": "a=b=c=d"}, "patient_name"),
        ({"accession_number": "1" * 17}, "accession_number"),
        ({"accession_number": "1\\2"}, "accession_number"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": "a\nb"}, "reason"),
        ({"comments": "a\x1bb"}, "comments"),
        ({"study_instance_uid": "../etc"}, "study_instance_uid"),
        ({"patient_birth_date": "20260230"}, "patient_birth_date"),
        ({"patient_birth_date": "2026-02-03"}, "patient_birth_date"),
        ({"patient_birth_date": "٢٠٢٦٠١٠١"}, "patient_birth_date"),
        ({"patient_sex": "X"}, "patient_sex"),
        ({"patient_weight": "1e9999"}, "patient_weight"),
        ({"pregnancy_status": 5}, "pregnancy_status"),
        ({"allergies": ("x",) * 21}, "allergies"),
        ({"allergies": ("x" * 65,)}, "allergies"),
        ({"modality": ""}, "modality"),
        ({"modality": "ct"}, "modality"),
        ({"start_date": ""}, "start_date"),
        ({"start_time": "2460"}, "start_time"),
        ({"station_ae_titles": ("CT1\\CT2",)}, "station_ae_titles"),
        ({"station_ae_titles": ("A" * 17,)}, "station_ae_titles"),
        ({"procedure_codes": (Code("1", "", "x"),)}, "procedure_codes"),
        ({"procedure_codes": (CHEST,) * 21}, "procedure_codes"),
        ({"steps": ()}, "steps"),
        ({"steps": (STEP,) * (MAX_STEPS + 1)}, "steps"),
        ({"steps": (replace(STEP, step_id="1"), replace(STEP, step_id="1"))}, "step_id"),
        ({"comments": "x" * 3000}, "comments"),
        ({"steps": (replace(STEP, comments="ễ" * 2000),) * MAX_STEPS}, "KiB"),
    ],
)
def test_what_is_malformed_is_refused_by_name_and_not_repeated(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest, match=name) as caught:
        check_order(made_order(**changes))
    assert "2026-02" not in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**10) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_json_holds_it_is_an_order_or_refused(data: st.DataObject) -> None:
    plain = to_plain(CHECKED)
    for _ in range(data.draw(st.integers(1, 3))):
        plain[data.draw(st.sampled_from(sorted(plain)))] = data.draw(anything)
    if data.draw(st.booleans()):
        plain["steps"] = [{**to_plain(CHECKED)["steps"][0], "state": data.draw(anything)}]
    try:
        order = from_plain(plain)
    except InvalidRequest:
        return
    assert from_plain(json.loads(json.dumps(to_plain(order)))) == order
    assert len(json.dumps(to_plain(order), ensure_ascii=False).encode()) <= MAX_ORDER_SIZE_BYTES


texts = st.text(max_size=80)


@settings(max_examples=200, deadline=None)
@given(texts, texts, texts, st.lists(texts, max_size=3))
def test_whatever_an_order_says_it_is_checked_once_or_refused(
    name: str, patient_id: str, comments: str, allergies: list[str]
) -> None:
    order: Order = replace(
        ORDER, patient_name=name, patient_id=patient_id, comments=comments, allergies=tuple(allergies)
    )
    try:
        checked = check_order(order)
    except InvalidRequest:
        return
    assert check_order(checked) == checked
    assert "\0" not in json.dumps(to_plain(checked))
