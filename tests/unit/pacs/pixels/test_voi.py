from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.description import describe_pixels
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import Rescale
from pacs.pixels.voi import Voi, VoiChoice, choose_voi
from pacs.pixels.window import Window
from tests.unit.pacs.pixels.images import EXPLICIT, image_attributes
from tests.unit.pacs.pixels.test_grayscale import dataset, table_item


def choose(choice: VoiChoice, **changes: Any) -> Voi:
    attributes = image_attributes(**changes)
    return choose_voi(attributes, 0, Rescale(), describe_pixels(attributes, EXPLICIT), choice)


TWO_WINDOWS = {
    "WindowCenter": [40, 300],
    "WindowWidth": [400, 1500],
    "WindowCenterWidthExplanation": ["SOFT", "Bone "],
}


def test_a_window_is_chosen_by_its_place_or_its_explanation() -> None:
    assert choose(VoiChoice(index=1), **TWO_WINDOWS) == Window(40, 400)
    assert choose(VoiChoice(index=2), **TWO_WINDOWS) == Window(300, 1500)
    assert choose(VoiChoice(explanation="bone"), **TWO_WINDOWS) == Window(300, 1500)


def test_tables_come_before_windows_and_have_explanations_too() -> None:
    item = table_item(0, [0, 255], 8)
    item.LUTExplanation = "HARD"
    changes: dict[str, Any] = {**TWO_WINDOWS, "VOILUTSequence": [table_item(0, [0, 9], 4), item]}
    assert isinstance(choose(VoiChoice(index=1), **changes), LookupTable)
    assert choose(VoiChoice(index=3), **changes) == Window(40, 400)
    hard = choose(VoiChoice(explanation="HARD"), **changes)
    assert isinstance(hard, LookupTable) and hard.highest_output == 255


def test_a_table_of_the_frame_comes_before_that_of_the_data_set() -> None:
    own = Dataset()
    own.FrameVOILUTSequence = [dataset(VOILUTSequence=[table_item(0, [0, 7], 3)])]
    changes = {"PerFrameFunctionalGroupsSequence": [own], "VOILUTSequence": [table_item(0, [0, 255], 8)]}
    chosen = choose(VoiChoice(index=1), **changes)
    assert isinstance(chosen, LookupTable) and chosen.highest_output == 7


@pytest.mark.parametrize("choice", [{"index": 3}, {"explanation": "LUNG"}, {"explanation": ""}])
def test_what_the_image_does_not_offer_is_an_invalid_request(choice: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        choose(VoiChoice(**choice), **TWO_WINDOWS)


@pytest.mark.parametrize("choice", [{}, {"index": 0}, {"index": 1, "explanation": "BONE"}])
def test_an_impossible_choice_is_an_invalid_request(choice: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        VoiChoice(**choice)
