from __future__ import annotations

from typing import Any

import pytest

from pacs.pictures.cine import read_frame_time_ms
from tests.datasets import make_dataset


@pytest.mark.parametrize(
    ("said", "time_ms"),
    [
        ({"FrameTime": "40"}, 40),
        ({"FrameTimeVector": ["0", "50", "50"]}, 50),
        ({"RecommendedDisplayFrameRate": 25}, 40),
        ({"CineRate": 10}, 100),
        ({"FrameTime": "40", "CineRate": 10}, 40),
        ({}, 1000 / 15),
        ({"FrameTime": "0"}, 1000 / 15),
        ({"CineRate": 0}, 1000 / 15),
        ({"FrameTime": "-3"}, 1000 / 15),
        ({"FrameTime": "0.001"}, 10),
        ({"FrameTime": "9999999"}, 5000),
        ({"FrameTimeVector": ["0"]}, 1000 / 15),
    ],
)
def test_the_time_of_a_frame_is_within_reason(said: dict[str, Any], time_ms: float) -> None:
    assert read_frame_time_ms(make_dataset(**said)) == pytest.approx(time_ms)
