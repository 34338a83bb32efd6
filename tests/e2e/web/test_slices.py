"""From the metadata of a series to slices in order, and to the letters around them."""

from __future__ import annotations

import pytest

from tests.e2e.web.modules import Evaluate, attribute

AXIAL = [1, 0, 0, 0, 1, 0]


def image(number: int, z: float | None = None, frames: int = 1, orientation: list[float] = AXIAL) -> dict:
    """Metadata of an image instance."""
    dataset = {
        "00080018": attribute("UI", f"1.2.{number}"),
        "00200013": attribute("IS", number),
        "00280008": attribute("IS", frames),
        "00280010": attribute("US", 64),
        "00280011": attribute("US", 64),
    }
    if z is not None:
        dataset |= {"00200032": attribute("DS", 0, 0, z), "00200037": attribute("DS", *orientation)}
    return dataset


@pytest.mark.parametrize(
    "hostile", [None, {}, {"Value": None}, {"Value": "x"}, {"Value": [None]}, {"Value": [{}]}]
)
def test_readers_answer_nothing_for_what_is_not_as_it_should_be(evaluate, hostile):
    body = """
      const m = await import('/dicom-json.js');
      const tags = ['00100010', '00200013', '00281050'];
      const dataset = Object.fromEntries(tags.map((tag) => [tag, given[0]]));
      return [m.personName(dataset, 'PatientName'), m.text(dataset, 'PatientName'),
              m.number(dataset, 'InstanceNumber'), m.numbers(dataset, 'WindowCenter')];
    """
    assert evaluate(body, hostile) == ["", "", None, []]


def test_numbers_may_come_as_strings(evaluate):
    body = "return (await import('/dicom-json.js')).numbers({ '00281050': given[0] }, 'WindowCenter');"
    assert evaluate(body, {"Value": ["40", -600.5]}) == [40, -600.5]


def test_attributes_of_a_frame_come_from_its_own_group_then_the_shared_one_then_the_data_set(evaluate):
    body = """
      const m = await import('/dicom-json.js');
      const center = (value) => ({ '00281050': { Value: [value] } });
      const group = (value) => ({ '00289132': { Value: [center(value)] } });
      const own = { '52009230': { Value: [group(1), {}] } }, shared = { '52009229': { Value: [group(2)] } };
      const all = { ...own, ...shared, ...center(3) };
      return [[all, 1], [all, 2], [center(3), 1]].map(([dataset, frame]) =>
        m.number(m.frameGroup(dataset, frame, 'FrameVOILUTSequence'), 'WindowCenter'));
    """
    assert evaluate(body) == [1, 2, 3]


def order_of(evaluate: Evaluate, instances: list[dict]) -> list[list[str]]:
    body = """
      const { stacksOfSeries } = await import('/slices.js');
      return stacksOfSeries(given[0]).map((stack) => stack.kind === 'object' ? ['object'] :
        stack.slices.map((slice) => `${slice.sopInstanceUid}/${slice.frameNumber}`));
    """
    return evaluate(body, instances)


def test_slices_are_ordered_by_position_and_not_by_instance_number(evaluate):
    instances = [image(1, z=0), image(2, z=20), image(3, z=10), image(4, z=30)]
    assert order_of(evaluate, instances) == [["1.2.1/1", "1.2.3/1", "1.2.2/1", "1.2.4/1"]]


def test_the_direction_is_that_in_which_the_device_numbered(evaluate):
    instances = [image(1, z=30), image(2, z=20), image(3, z=10)]
    assert order_of(evaluate, instances) == [["1.2.1/1", "1.2.2/1", "1.2.3/1"]]


def test_slices_at_one_place_stay_in_the_order_of_their_numbers(evaluate):
    instances = [image(1, z=0), image(2, z=10), image(3, z=0), image(4, z=10)]
    assert order_of(evaluate, instances) == [["1.2.1/1", "1.2.3/1", "1.2.2/1", "1.2.4/1"]]


def test_planes_that_are_not_parallel_are_ordered_by_instance_number(evaluate):
    sagittal = [0, 1, 0, 0, 0, -1]
    instances = [image(3, z=0), image(1, z=50), image(2, z=10, orientation=sagittal)]
    assert order_of(evaluate, instances) == [["1.2.1/1", "1.2.2/1", "1.2.3/1"]]


def test_a_missing_position_leaves_the_order_of_the_numbers(evaluate):
    assert order_of(evaluate, [image(2, z=0), image(1)]) == [["1.2.1/1", "1.2.2/1"]]


def test_every_loop_is_a_stack_of_its_own_and_objects_come_last(evaluate):
    report = {"00080018": attribute("UI", "1.2.9")}
    instances = [report, image(2, frames=2), image(1), image(3, frames=3)]
    stacks = order_of(evaluate, instances)
    assert stacks == [["1.2.1/1"], ["1.2.2/1", "1.2.2/2"], ["1.2.3/1", "1.2.3/2", "1.2.3/3"], ["object"]]


@pytest.mark.parametrize(
    ("claimed", "believed"), [(2_000_000_000, 20_000), (-3, 1), (0, 1), (2.7, 2), ("x", 1)]
)
def test_a_number_of_frames_is_believed_within_reason(evaluate, claimed, believed):
    body = "return (await import('/slices.js')).numberOfFrames({ '00280008': { Value: [given[0]] } });"
    assert evaluate(body, claimed) == believed


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"00280030": attribute("DS", 0.5, 0.25)}, [0.5, 0.25, "mm", False]),
        ({"00181164": attribute("DS", 0.2, 0.2)}, [0.2, 0.2, "mm", True]),
        ({"00280034": attribute("IS", 2, 1)}, [2, 1, None, False]),
        ({"00280030": attribute("DS", 0, 0)}, [1, 1, None, False]),
        ({}, [1, 1, None, False]),
    ],
)
def test_the_size_of_a_pixel_tells_where_it_was_measured(evaluate, attributes, expected):
    body = """
      const { pixelSize } = await import('/slices.js');
      const { row, column, unit, atDetector } = pixelSize({ dataset: given[0], frameNumber: 1 });
      return [row, column, unit, atDetector];
    """
    assert evaluate(body, attributes) == expected


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (AXIAL, {"left": "R", "right": "L", "top": "A", "bottom": "P"}),
        ([0, 1, 0, 0, 0, -1], {"left": "A", "right": "P", "top": "H", "bottom": "F"}),
        ([1, 0, 0, 0, 0, -1], {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
        ([1, 0, 0, 0, 0.94, -0.34], {"left": "R", "right": "L", "top": "AH", "bottom": "PF"}),
        ([1, 0.01, 0, -0.01, 1, 0], {"left": "R", "right": "L", "top": "A", "bottom": "P"}),
    ],
)
def test_letters_at_the_edges_tell_how_the_patient_lies(evaluate, orientation, expected):
    assert (
        evaluate("return (await import('/orientation.js')).edgeLetters(given[0]);", orientation) == expected
    )


@pytest.mark.parametrize(
    ("patient_orientation", "expected"),
    [
        (["L", "F"], {"left": "R", "right": "L", "top": "H", "bottom": "F"}),
        (["A", "FR"], {"left": "P", "right": "A", "top": "HL", "bottom": "FR"}),
        (["<b>", "F"], None),
        (["L"], None),
        ([], None),
    ],
)
def test_projections_have_the_letters_that_the_device_wrote(evaluate, patient_orientation, expected):
    body = "return (await import('/orientation.js')).edgeLetters([], given[0]);"
    assert evaluate(body, patient_orientation) == expected


@pytest.mark.parametrize(
    ("turns", "flipped", "clockwise_from_top"),
    [
        (0, False, "ALPR"),
        (1, False, "RALP"),
        (2, False, "PRAL"),
        (3, False, "LPRA"),
        (0, True, "ARPL"),
        (1, True, "LARP"),
    ],
)
def test_letters_turn_and_flip_with_the_image(evaluate, turns, flipped, clockwise_from_top):
    body = """
      const { edgeLetters, turnedLetters } = await import('/orientation.js');
      const { top, right, bottom, left } = turnedLetters(edgeLetters([1, 0, 0, 0, 1, 0]), given[0], given[1]);
      return top + right + bottom + left;
    """
    assert evaluate(body, turns, flipped) == clockwise_from_top
