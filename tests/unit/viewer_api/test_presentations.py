"""Presentation states as clients ask for them: pictures of the images that they are for."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.errors import NotFound
from pacs.index.records import StoredInstance
from pacs.pictures.presentations import show_presented
from pacs.pictures.rendering import Rendering, ShownFrame
from tests.datasets import make_dataset
from tests.unit.pacs.pixels.presentation_states import item, reference, state_attributes
from tests.unit.viewer_api.conftest import store_dataset
from viewer_api.state import DecodeQueue

# A ramp from 0 to 4080 in steps of 16, a stored value in each pixel of 16 x 16.
RAMP = (np.arange(256, dtype="<u2") * 16).reshape(16, 16)


def state_of(image: Dataset, frame: int | None = None, **changes: Any) -> Dataset:
    """Make a presentation state of an image, in a series of its own."""
    images = [item(ReferencedImageSequence=[reference(image.SOPInstanceUID, frame)])]
    changes = {"SOPInstanceUID": generate_uid(), "ReferencedSeriesSequence": images, **changes}
    state = state_attributes(**changes)
    for keyword in ("StudyInstanceUID", "StudyDate", "PatientID", "PatientName"):
        setattr(state, keyword, image[keyword].value)
    state.SeriesInstanceUID = generate_uid()
    return state


def get(client: TestClient, path: str) -> httpx.Response:
    return client.get(path, headers={"accept": "image/png"})


def picture(client: TestClient, path: str) -> np.ndarray:
    response = get(client, path)
    assert response.status_code == 200, response.text
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_a_presentation_state_is_shown_by_the_image_it_is_for(
    client: TestClient, module_archive: Archive
) -> None:
    image = make_dataset(PixelData=RAMP.tobytes(), WindowCenter="2048", WindowWidth="4096")
    state = state_of(image, SoftcopyVOILUTSequence=[item(WindowCenter="2048", WindowWidth="2")])
    path = store_dataset(module_archive, state)
    assert client.get(f"{path}/rendered").status_code == 406  # the image has not come yet
    of_image = store_dataset(module_archive, image)
    presented = picture(client, f"{path}/rendered")
    np.testing.assert_array_equal(presented, picture(client, f"{of_image}/rendered?window=2048,2"))
    assert not np.array_equal(presented, picture(client, f"{of_image}/rendered"))
    assert picture(client, f"{path}/thumbnail?viewport=8,8").shape == (8, 8)


@pytest.mark.parametrize("frame", [-1, 0, 4, 2_000_000_000])
def test_a_state_of_a_frame_that_its_image_has_not_is_not_found(
    client: TestClient, module_archive: Archive, frame: int
) -> None:
    image = make_dataset(NumberOfFrames=3, PixelData=bytes(3 * 512))
    store_dataset(module_archive, image)
    assert get(client, f"{store_dataset(module_archive, state_of(image, 3))}/rendered").status_code == 200
    state = state_of(image, frame)
    assert get(client, f"{store_dataset(module_archive, state)}/rendered").status_code == 404
    uids = state.StudyInstanceUID, state.SeriesInstanceUID, state.SOPInstanceUID
    (instance,) = module_archive.index.find_instances(*uids)
    with pytest.raises(NotFound, match=f"no frame {frame}, only 1 to 3"):  # before anything of it is read
        show_presented(module_archive, ShownFrame(instance, 1, Rendering()))


def test_a_presentation_state_waits_for_its_turn_however_small_its_image_is(
    client: TestClient, module_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[object] = []
    take_turn = DecodeQueue.run

    async def run(queue: DecodeQueue, work: Callable[[], Any]) -> Any:
        turns.append(work)
        return await take_turn(queue, work)

    monkeypatch.setattr(DecodeQueue, "run", run)
    image = make_dataset()
    of_image, of_state = (store_dataset(module_archive, one) for one in (image, state_of(image)))
    picture(client, f"{of_image}/rendered")
    assert turns == []
    picture(client, f"{of_state}/rendered")
    assert len(turns) == 1


def test_the_images_of_a_state_are_not_looked_for_without_end(
    client: TestClient, module_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, looked_for = make_dataset(), []
    find_instances = module_archive.index.find_instances

    def find(*uids: str | None) -> list[StoredInstance]:
        looked_for.append(uids)
        return find_instances(*uids)

    monkeypatch.setattr(module_archive.index, "find_instances", find)
    store_dataset(module_archive, image)
    for absent, status in ((63, 200), (5000, 406)):
        images = [reference(f"1.2.3.{number}") for number in range(absent)]
        images.append(reference(image.SOPInstanceUID))
        state = state_of(image, ReferencedSeriesSequence=[item(ReferencedImageSequence=images)])
        looked_for.clear()
        assert get(client, f"{store_dataset(module_archive, state)}/rendered").status_code == status
        assert len(looked_for) < 80
