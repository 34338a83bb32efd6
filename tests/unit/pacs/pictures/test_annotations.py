from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.pictures.annotations import PATIENT, TECHNIQUE, annotate
from pacs.pixels.text import draw_text
from tests.datasets import make_dataset


def test_vietnamese_names_are_written_with_all_their_marks() -> None:
    picture = np.zeros((640, 640), np.uint8)
    dataset = make_dataset(
        PatientName="NGUYỄN^THỊ ƯNG", PatientID=None, PatientBirthDate=None, PatientSex=None
    )
    del dataset.StudyDate, dataset.AccessionNumber
    annotated = annotate(picture, dataset, [PATIENT])
    expected = draw_text("NGUYỄN THỊ ƯNG", 20)
    height, width = expected.shape
    np.testing.assert_array_equal(annotated[11 : 11 + height, 11 : 11 + width], expected)
    plain = draw_text("NGUYEN THI UNG", 20)
    assert plain.shape[0] < height


def test_words_can_be_read_on_white_and_in_colour() -> None:
    for picture in (np.full((300, 300), 255, np.uint8), np.full((300, 300, 3), 255, np.uint8)):
        annotated = annotate(picture, make_dataset(), [PATIENT, TECHNIQUE])
        assert annotated.shape == picture.shape
        assert annotated.min() < 40


def test_nothing_to_say_leaves_the_picture_as_it_is() -> None:
    picture = np.zeros((64, 64), np.uint8)
    empty = make_dataset()
    for keyword in list(empty.dir()):
        delattr(empty, keyword)
    assert annotate(picture, empty, [PATIENT, TECHNIQUE]) is picture
    assert annotate(picture, make_dataset(), []) is picture


@pytest.mark.parametrize("shape", [(1, 1), (5, 400), (400, 3), (12, 12, 3)])
def test_a_picture_too_small_for_words_keeps_its_size(shape: tuple[int, ...]) -> None:
    assert annotate(np.zeros(shape, np.uint8), make_dataset(), [PATIENT, TECHNIQUE]).shape == shape


@given(st.text(max_size=300), st.text(max_size=80))
@settings(max_examples=40, deadline=None)
def test_any_text_is_written_or_left_out(name: str, description: str) -> None:
    dataset = make_dataset(
        PatientName=name.replace("\\", ""), SeriesDescription=description.replace("\\", "")
    )
    assert annotate(np.zeros((64, 64), np.uint8), dataset, [PATIENT, TECHNIQUE]).shape == (64, 64)
