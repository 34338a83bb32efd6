from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from pacs import __version__
from pacs.archive import Archive
from pacs.errors import NotFound
from pacs.index.records import StoredInstance
from pacs.ingest import Origin, open_part10, store_instance
from pacs.pictures.media_types import PNG
from pacs.pictures.pictures import Pictures
from pacs.pictures.rendering import Rendering, ShownFrame, representative
from pacs.pixels.appearance import Appearance
from pacs.pixels.window import Window, default_windows
from pacs.settings import Settings
from storage import stored_file
from storage.errors import ObjectNotFound
from tests.datasets import encode_file, make_dataset
from tests.empty_index import open_empty_archive

J2K, JPEG_LS = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"
LARGE = (np.arange(1 << 20, dtype="<u2") % 4096).reshape(1024, 1024)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = open_empty_archive(Settings(data_dir=tmp_path))
    yield opened
    opened.close()


def store(
    archive: Archive, dataset: Dataset, transfer_syntax_uid: str = "1.2.840.10008.1.2.1"
) -> StoredInstance:
    content = encode_file(dataset, transfer_syntax_uid)
    uids = store_instance(archive, open_part10([content]), Origin("stow"))
    names = uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid
    (instance,) = archive.index.find_instances(*names)
    return instance


def large(archive: Archive) -> StoredInstance:
    return store(archive, make_dataset(Rows=1024, Columns=1024, PixelData=LARGE.tobytes()))


def test_every_wish_has_a_name_of_its_own(archive: Archive) -> None:
    instance = store(archive, make_dataset())
    other = store(archive, make_dataset(PixelData=bytes(512)))
    wishes = [
        Rendering(),
        Rendering(quality=89),
        Rendering(media_type=PNG),
        Rendering(Appearance(size=(8, 8))),
        Rendering(Appearance(voi=Window(1, 2))),
        Rendering(Appearance(flipped_vertically=True)),
        Rendering(Appearance(flipped_horizontally=True)),
        Rendering(annotations=("patient",)),
        Rendering(has_profile=True),
    ]
    digests = [ShownFrame(instance, 1, wish).digest for wish in wishes]
    digests += [ShownFrame(instance, 2, Rendering()).digest, ShownFrame(other, 1, Rendering()).digest]
    assert len(set(digests)) == len(digests)
    assert ShownFrame(instance, 1, Rendering(Appearance(voi=Window(1, 2)))).digest == digests[4]


def test_what_was_made_is_taken_from_where_it_was_kept(archive: Archive) -> None:
    instance = large(archive)
    pictures = Pictures(archive)
    shown = ShownFrame(instance, 1, Rendering(media_type=PNG))
    made = pictures.draw(shown)
    archive.store.delete(instance.location.key)
    assert pictures.draw(shown) == made
    assert Pictures(archive).draw(shown) == made  # of another process: from the disk


def test_pictures_are_held_in_memory_only_as_far_as_it_is_given(archive: Archive) -> None:
    instance = large(archive)
    for memory_bytes, held in ((0, None), (1 << 20, b"picture")):
        pictures = Pictures(archive, memory_bytes)
        pictures.keep(instance, "key", b"picture", took_s=1)
        assert pictures.find_in_memory(instance, "key") == held
        assert pictures.find(instance, "key") == b"picture"


def small(archive: Archive, **values: object) -> StoredInstance:
    return store(archive, make_dataset(PixelData=LARGE[:16, :16].tobytes(), **values))


@pytest.mark.parametrize(
    "rendering",
    [
        Rendering(),
        Rendering(Appearance(voi=Window(100, 90))),
        Rendering(Appearance(size=(7, 7), flipped_vertically=True), quality=50),
    ],
)
def test_what_memory_has_all_of_is_made_at_once_and_no_other(archive: Archive, rendering: Rendering) -> None:
    shown = ShownFrame(small(archive, WindowCenter=128, WindowWidth=256), 1, rendering)
    pictures = Pictures(archive, memory_bytes=1 << 20)
    assert pictures.make_at_once(shown) is None  # its data set has not been read
    made = Pictures(archive).make(shown)
    assert pictures.make_at_once(shown) == made
    assert pictures.find_in_memory(shown.instance, shown.digest) == made


def test_what_takes_longer_is_not_made_at_once(archive: Archive) -> None:
    colour = make_dataset(SamplesPerPixel=3, PhotometricInterpretation="RGB", PixelData=bytes(3 * 256))
    colour.BitsAllocated, colour.BitsStored, colour.HighBit, colour.PlanarConfiguration = 8, 8, 7, 0
    lossless = make_dataset(PixelData=encapsulate([imagecodecs.jpegls_encode(LARGE[:16, :16])]))
    lossless["PixelData"].VR = "OB"
    bits = make_dataset(Rows=1025, Columns=1024, PixelData=bytes(1025 * 128), WindowCenter=1, WindowWidth=1)
    bits.BitsAllocated, bits.BitsStored, bits.HighBit = 1, 1, 0
    gray, frames = small(archive), small(archive, NumberOfFrames=2, Rows=8)
    wishes = [
        (store(archive, colour), Rendering()),
        (store(archive, lossless, JPEG_LS), Rendering()),
        (large(archive), Rendering()),
        (store(archive, bits), Rendering()),  # a small object, and a large picture
        (small(archive, PixelSpacing=[9, 1]), Rendering()),
        (frames, Rendering()),
        (gray, Rendering(media_type=PNG)),
        (gray, Rendering(annotations=("patient",))),
    ]
    pictures = Pictures(archive, memory_bytes=1 << 20)
    for instance, rendering in wishes:
        shown = ShownFrame(instance, 1, rendering)
        assert pictures.make(shown)
        assert pictures.make_at_once(shown) is None


def test_what_lies_on_the_disk_is_not_read_at_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = ShownFrame(small(archive), 1, Rendering())
    pictures = Pictures(archive)
    pictures.make(shown)
    monkeypatch.setattr(stored_file, "lies_in_memory", lambda *_: False)
    assert pictures.make_at_once(shown) is None


def test_decoded_values_are_kept_for_other_windows(archive: Archive) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (512, 512)).astype("<u2")
    codestream = imagecodecs.jpeg2k_encode(noise, level=0, codecformat="j2k", reversible=True)
    dataset = make_dataset(Rows=512, Columns=512, PixelData=encapsulate([codestream]))
    dataset["PixelData"].VR = "OB"
    instance = store(archive, dataset, J2K)
    pictures = Pictures(archive)
    np.testing.assert_array_equal(pictures.decode(instance, 1).stored_values, noise)
    archive.store.delete(instance.location.key)
    shown = pictures.draw(ShownFrame(instance, 1, Rendering(Appearance(voi=Window(2048, 100)))))
    assert shown.startswith(b"\xff\xd8")
    np.testing.assert_array_equal(pictures.decode(instance, 1).stored_values, noise)


def test_kept_values_of_another_size_are_not_believed(archive: Archive) -> None:
    dataset = make_dataset(PixelData=encapsulate([imagecodecs.jpegls_encode(LARGE[:16, :16])]))
    dataset["PixelData"].VR = "OB"
    instance = store(archive, dataset, JPEG_LS)
    pictures = Pictures(archive)
    pictures.keep(instance, f"values-{__version__}-1", b"short", took_s=1)
    np.testing.assert_array_equal(pictures.decode(instance, 1).stored_values, LARGE[:16, :16])


def test_what_is_kept_of_one_content_is_not_taken_for_another(archive: Archive) -> None:
    instance = large(archive)
    pictures = Pictures(archive)
    pictures.keep(instance, "key", b"picture", took_s=1)
    assert pictures.find(instance, "key") == b"picture"
    other = replace(instance, location=replace(instance.location, sha256="0" * 64))
    assert pictures.find(other, "key") is None


def test_a_frame_that_is_not_there_has_no_picture(archive: Archive) -> None:
    with pytest.raises(NotFound):
        Pictures(archive).draw(ShownFrame(store(archive, make_dataset()), 2, Rendering()))


def test_nothing_is_read_for_a_frame_that_is_not_there(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, asked = store(archive, make_dataset(NumberOfFrames=2, PixelData=bytes(1024))), []
    monkeypatch.setattr(
        "pacs.pictures.pictures.read_frame_attributes", lambda *request: asked.append(request)
    )
    for number in (-1, 0, 3, 2_000_000_000):
        with pytest.raises(NotFound):
            Pictures(archive).decode(instance, number)
    assert asked == []


def test_the_middle_image_of_the_first_series_of_images_stands_for_all(archive: Archive) -> None:
    report = store(archive, make_dataset(PixelData=None))
    images = [store(archive, make_dataset()) for _ in range(2)]
    assert representative([report, *images]) == images[0]


def test_each_frame_of_a_large_object_is_shown_by_its_own_functional_groups(archive: Archive) -> None:
    frames, groups = 300, []
    for number in range(frames):
        group, window = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = str(number), "0.5"
        window.VOILUTFunction = "LINEAR_EXACT"
        window.WindowCenterWidthExplanation = "x" * 64
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    values = np.arange(frames, dtype="<u2").repeat(256)
    dataset = make_dataset(NumberOfFrames=frames, PixelData=values.tobytes())
    dataset.PerFrameFunctionalGroupsSequence = groups
    instance = store(archive, dataset)
    assert instance.location.header_size_bytes > 32 * 1024
    pictures = Pictures(archive)
    for number in (1, 2, 150, 300):
        frame = pictures.decode(instance, number)
        shown = default_windows(frame.attributes, frame.frame_index)
        assert [window.center for window in shown] == [number - 1]
        np.testing.assert_array_equal(frame.stored_values, number - 1)
    with pytest.raises(NotFound):
        pictures.decode(instance, 301)


def test_another_window_of_a_large_image_takes_the_averages_that_are_kept(archive: Archive) -> None:
    side = 2048
    values = (np.add.outer(np.arange(side), np.arange(side)) % 4096).astype("<u2")
    instance = store(archive, make_dataset(Rows=side, Columns=side, PixelData=values.tobytes()))
    first, second = (
        ShownFrame(instance, 1, Rendering(Appearance(Window(center, 900), size=(600, 600)), PNG))
        for center in (500, 3000)
    )
    expected = [Pictures(archive).make(one) for one in (first, second)]
    assert expected[0] != expected[1]
    pictures = Pictures(archive, memory_bytes=1 << 24)
    pictures._disk.drop(instance.location.sha256)
    pictures.make(first)
    archive.store.delete(instance.location.key)
    assert pictures.make(second) == expected[1]
    with pytest.raises(ObjectNotFound):
        pictures.make(replace(second, rendering=Rendering(Appearance(size=(601, 601)), PNG)))
