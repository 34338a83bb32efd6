from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from pacs.pixels.description import describe_pixels
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.presentation_description import describe_presentation
from tests.unit.pacs.pixels.images import EXPLICIT, gradient, image_attributes
from tests.unit.pacs.pixels.test_grayscale import table_item


def entries(table: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(table["entries"]), "<u2")


def as_a_client(stored: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    """Follow the description's words, with nothing of the server's code."""
    values = np.asarray(stored, float)
    lut = told["modality_lut"]
    if "slope" in lut:
        values = values * lut["slope"] + lut["intercept"]
    else:
        places = np.clip(values - lut["first_value"], 0, len(entries(lut)) - 1).astype(int)
        values = entries(lut)[places].astype(float)
    voi = told["default_voi"]
    if "center" in voi:
        center, width = voi["center"], voi["width"]
        if voi["function"] == "LINEAR" and width >= 1:
            center, width = center - 0.5, width - 1
        shown = np.clip((values - center) / width + 0.5, 0, 1)
    else:
        places = np.clip(np.rint(values - voi["first_value"]), 0, len(entries(voi)) - 1).astype(int)
        shown = entries(voi)[places] / (2 ** voi["bits_per_entry"] - 1)
    levels = np.floor((1 - shown if told["inverted"] else shown) * 255 + 1e-7)
    if told["padding"] is not None:
        levels[(stored >= told["padding"][0]) & (stored <= told["padding"][1])] = 0
    return levels.astype(np.uint8)


@pytest.mark.parametrize(
    "changes",
    [
        {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": [40, 50], "WindowWidth": [400, 80]},
        {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0},
        {"ModalityLUTSequence": [table_item(0, list(range(0, 65536, 16)), 16)]},
        {"VOILUTSequence": [table_item(0, list(range(4096)), 12)], "PresentationLUTShape": "INVERSE"},
    ],
)
def test_a_client_that_follows_the_description_shows_what_the_server_shows(changes: dict[str, Any]) -> None:
    stored = gradient()
    attributes = image_attributes(Rows=stored.shape[0], Columns=stored.shape[1], **changes)
    description = describe_pixels(attributes, EXPLICIT)
    told = json.loads(json.dumps(describe_presentation(stored, attributes, description, 0)))
    shown = read_transformation(stored, attributes, description, 0, None).apply(stored)
    assert np.array_equal(as_a_client(stored, told), shown) and len(np.unique(shown)) > 10


def test_all_that_the_data_set_offers_is_listed_in_the_order_of_its_places() -> None:
    attributes = image_attributes(
        VOILUTSequence=[table_item(0, [0, 255], 8)],
        WindowCenter=[40, 300],
        WindowWidth=[400, 1500],
        WindowCenterWidthExplanation=["SOFT", "BONE"],
        PixelSpacing=[2, 1],
    )
    told = describe_presentation(gradient(), attributes, describe_pixels(attributes, EXPLICIT), 0)
    assert [voi["explanation"] for voi in told["vois"]] == ["", "SOFT", "BONE"]
    assert told["default_voi"] == told["vois"][0]
    assert told["vois"][2]["center"] == 300 and told["pixel_aspect_ratio"] == 2
