from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.errors import InvalidRequest
from viewer_api.media_types import parse_media_type, split_unquoted
from viewer_api.negotiation import Acceptable, Representation, parse_accept
from viewer_api.problems import NotAcceptable

JPEG = Representation("image/jpeg")
PNG = Representation("image/png")
JLS = "1.2.840.10008.1.2.4.80"
LITTLE = "1.2.840.10008.1.2.1"
STORED = Representation("image/jls", JLS, multipart=True)
RAW = Representation("application/octet-stream", JLS, multipart=True, implied=False)
NATIVE = Representation("application/octet-stream", LITTLE, multipart=True)
FRAMES = [STORED, RAW, NATIVE]


def choose(offered: list[Representation], header: str, parameter: str = "") -> Representation:
    return Acceptable(parse_accept(parameter), parse_accept(header)).choose(offered)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*/*", JPEG),
        ("image/*", JPEG),
        ("image/png", PNG),
        ("image/png;q=0.5, image/jpeg;q=0.4", PNG),
        ("image/jpeg;q=0.1, */*", PNG),  # the closer range overrules
        ("image/*;q=0.2, image/png;q=0.9", PNG),
        ("IMAGE/PNG", PNG),
        ("text/html, */*;q=0.8", JPEG),
        ("*", JPEG),
        ('image/png;x="a,b;c", text/plain', PNG),
        ("nonsense, image/png", PNG),
    ],
)
def test_the_best_range_chooses(header: str, expected: Representation) -> None:
    assert choose([JPEG, PNG], header) == expected


@pytest.mark.parametrize("header", ["text/html", "image/jpeg;q=0", "image/gif, video/*", "*/*;q=0"])
def test_what_is_not_acceptable_is_refused_and_what_there_is_is_listed(header: str) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        choose([JPEG], header)
    assert refusal.value.status == 406
    assert refusal.value.members == {"available": ["image/jpeg"]}


def test_the_query_parameter_comes_before_the_header() -> None:
    header = 'multipart/related; type="image/jpeg", image/png'
    assert choose([JPEG, PNG], header, "image/jpeg") == JPEG


def test_the_header_decides_where_nothing_of_the_parameter_is_offered() -> None:
    assert choose([JPEG, PNG], "image/png", "image/gif") == PNG


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", RAW),
        ('multipart/related; type="application/octet-stream"', NATIVE),
        (f'multipart/related; type="application/octet-stream"; transfer-syntax={LITTLE}', NATIVE),
        (f"multipart/related; type=application/octet-stream; transfer-syntax={JLS}", RAW),
        ('multipart/related; type="image/jls"', STORED),
        ('multipart/related; type="image/*"', STORED),
        (f'multipart/related; type="image/jls"; transfer-syntax={JLS}', STORED),
        ("multipart/related", STORED),
        ("*/*", STORED),
    ],
)
def test_parts_are_chosen_by_their_type_and_transfer_syntax(header: str, expected: Representation) -> None:
    assert choose(FRAMES, header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "image/jls",  # a single part, and only parts are offered
        'multipart/related; type="image/jp2"',
        'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.81',
        "multipart/form-data",
    ],
)
def test_another_type_or_transfer_syntax_is_not_sent_instead(header: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(FRAMES, header)


def test_too_many_ranges_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        parse_accept("a/b," * 100)


def test_an_endless_header_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        parse_accept("a" * 10_000)


def test_a_quoted_value_may_hold_separators_and_escapes() -> None:
    parsed = parse_media_type('multipart/related; boundary="a;b\\"c"; TYPE="application/dicom"')
    assert parsed is not None
    assert parsed.parameters == {"boundary": 'a;b"c', "type": "application/dicom"}


@given(st.text(max_size=200))
def test_any_header_is_parsed_or_ignored(text: str) -> None:
    for one in parse_accept(text) if text.count(",") < 60 else []:
        assert 0 <= one.quality <= 1
        assert one.media_type.name.count("/") == 1


@given(st.lists(st.text(alphabet="ab;=/*.1", max_size=8), max_size=8))
def test_splitting_loses_nothing(pieces: list[str]) -> None:
    assert split_unquoted(",".join(pieces), ",") == (pieces or [""])
