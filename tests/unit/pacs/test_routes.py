"""Rules that lead studies to peers: what they mean, and what is none."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.errors import InvalidRequest
from pacs.index.known_routes import KnownRoute, SeriesTraits
from pacs.routes import Arrival, check_route, leads, wants_priors

AT = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
CHEST = SeriesTraits("CT", "CT_TANG_2", "CHEST", "BỆNH VIỆN ĐA KHOA TỈNH")
ARRIVAL = Arrival(CHEST, "CT1", AT)
ROUTE = KnownRoute("night", "DEST")


@pytest.mark.parametrize(
    ("conditions", "fulfilled"),
    [
        ({}, True),
        ({"modalities": ("CT",)}, True),
        ({"modalities": ("MR", "ct")}, True),
        ({"modalities": ("C",)}, False),
        ({"calling_ae_titles": ("CT*",)}, True),
        ({"calling_ae_titles": ("DEST",)}, False),
        ({"station_names": ("*tang?2",)}, True),
        ({"station_names": ("tang",)}, False),
        ({"body_parts": ("HEAD", "CHEST")}, True),
        ({"institutions": ("benh vien*",)}, True),
        ({"institutions": ("Bệnh viện K",)}, False),
        ({"hours": "22:00-05:00"}, True),
        ({"hours": "05:00-22:00"}, False),
        ({"modalities": ("CT",), "body_parts": ("HEAD",)}, False),
        ({"created_at": AT + timedelta(seconds=1)}, False),
        ({"created_at": AT}, True),
    ],
)
def test_all_conditions_are_to_be_fulfilled(conditions: dict[str, Any], fulfilled: bool) -> None:
    assert leads(replace(ROUTE, **conditions), ARRIVAL) is fulfilled


def test_what_the_peer_has_sent_is_not_led_back_to_it() -> None:
    assert not leads(ROUTE, replace(ARRIVAL, calling_ae_title="DEST"))
    assert leads(ROUTE, replace(ARRIVAL, calling_ae_title=None))


def test_what_has_no_value_fulfils_no_condition() -> None:
    nothing = Arrival(SeriesTraits(None, None, None, None), None, AT)
    for name in ("modalities", "calling_ae_titles", "station_names", "body_parts", "institutions"):
        assert not leads(replace(ROUTE, **{name: ("*",)}), nothing)


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        ({}, False),
        ({"priors": 3}, True),
        ({"priors": 3, "modalities": ("MR", "CT")}, True),
        ({"priors": 3, "modalities": ("US",)}, False),
        ({"priors": 3, "hours": "05:00-22:00"}, False),
        ({"priors": 3, "created_at": AT + timedelta(seconds=1)}, False),
    ],
)
def test_a_route_for_orders_wants_previous_studies_and_leads_nothing_that_comes(
    conditions: dict[str, Any], wanted: bool
) -> None:
    route = replace(ROUTE, **conditions)
    assert wants_priors(route, ["CT", "SR"], AT) is wanted
    assert leads(route, ARRIVAL) is (route.priors == 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a b"},
        {"name": "x" * 65},
        {"ae_title": "A\\B"},
        {"ae_title": "SEVENTEEN_LETTERS"},
        {"quiet_s": -1},
        {"quiet_s": 86_401},
        {"priority": 10},
        {"priors": 21},
        {"priors": 3, "body_parts": ("CHEST",)},
        {"fetches": True},
        {"fetches": True, "priors": 3, "priority": 1},
        {"hours": "night"},
        {"modalities": ("C\\T",)},
        {"station_names": ("a\nb",)},
        {"body_parts": ("x" * 65,)},
        {"institutions": tuple(map(str, range(65)))},
    ],
)
def test_what_is_no_route_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check_route(replace(ROUTE, **wrong))


def test_a_route_is_kept_as_it_is_written_best() -> None:
    typed = replace(ROUTE, modalities=(" CT", "", "CT", "MR "), hours="1:00-2:00, 22:00-5:00")
    assert check_route(typed) == replace(ROUTE, modalities=("CT", "MR"), hours="01:00-02:00,22:00-05:00")


TEXT = st.text(max_size=70)


@given(st.lists(TEXT, max_size=4), TEXT, TEXT, st.none() | TEXT)
def test_whatever_is_typed_is_a_route_or_refused_and_whatever_comes_is_led_or_not(
    conditions: list[str], hours: str, value: str, sender: str | None
) -> None:
    try:
        route = check_route(replace(ROUTE, station_names=tuple(conditions), hours=hours or None))
    except InvalidRequest:
        return
    assert check_route(route) == route
    assert leads(route, Arrival(SeriesTraits(None, value, None, None), sender, AT)) in (True, False)


@given(st.text("AB1*?", max_size=8), st.text("ABab1", min_size=1, max_size=8))
def test_wildcards_are_those_of_a_shell(pattern: str, station: str) -> None:
    route = check_route(replace(ROUTE, station_names=(pattern,)))
    expected = not pattern or fnmatch.fnmatchcase(station.lower(), pattern.lower())
    assert leads(route, Arrival(replace(CHEST, station_name=station), None, AT)) is expected
