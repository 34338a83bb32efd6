"""Every real file goes in by C-STORE and comes out by WADO-RS with the bytes that were sent."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from pacs.archive import Archive, open_archive
from pacs.dicom.object_keys import parse_key
from pacs.dicom.part10 import encode_file_meta, split_part10
from pacs.errors import UnreadableInstance
from pacs.settings import Settings
from tests.backends import BACKENDS
from tests.data import read_manifest, shared_data
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.raw_sender import RawInstance, associated, send

STORED, KEPT_BESIDE, CANNOT_UNDERSTAND = 0x0000, 0xB000, 0xC000
CONTEXTS_AT_ONCE = 100

# Outside the folders of broken files these alone are refused: they have no Study Instance UID.
# (pr_gsps/jpeg2000-multiframe-multifragments.dcm has a SOP Instance UID of 67 characters, which none sends.)
REFUSED = {
    "sc_colour_matrix/SC_rgb_jls_lossy_line.dcm": CANNOT_UNDERSTAND,
    "sc_colour_matrix/SC_rgb_jls_lossy_sample.dcm": CANNOT_UNDERSTAND,
    "ts_htj2k/HTJ2KLossless_08_RGB.dcm": CANNOT_UNDERSTAND,
    "ts_htj2k/HTJ2K_08_RGB.dcm": CANNOT_UNDERSTAND,
    "ts_jpegls/JLSL_08_07_0_1F.dcm": CANNOT_UNDERSTAND,
    "ts_jpegls/JLSL_16_15_1_1F.dcm": CANNOT_UNDERSTAND,
    "ts_jpegls/JPEGLSNearLossless_08.dcm": CANNOT_UNDERSTAND,
    "ts_jpegls/JPEGLSNearLossless_16.dcm": CANNOT_UNDERSTAND,
}


@pytest.fixture(scope="module", params=BACKENDS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ArchiveProcess, Archive]]:
    """A running archive, and its index and store opened beside it to look at what is kept."""
    folder = tmp_path_factory.mktemp("archive")
    with BACKENDS[request.param](folder) as backend, pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in backend.environment.items():
            monkeypatch.setenv(name, value)
        with running_up(folder, backend.environment) as process:
            archive = open_archive(Settings())
            yield process, archive
            archive.close()


@lru_cache(maxsize=1)
def storage_objects() -> dict[str, RawInstance]:
    """Read every file that holds a composite instance, but those of the folders of broken files."""
    found = {}
    for name in (row["file"] for row in read_manifest() if not row["file"].startswith("malformed")):
        path = shared_data(*Path(name).parts)
        try:
            meta, chunks = split_part10([path.read_bytes()])
        except UnreadableInstance:
            continue  # no DICOM file: there is nothing to send
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        sop_class_uid, sop_instance_uid = dataset.get("SOPClassUID"), dataset.get("SOPInstanceUID")
        if sop_class_uid and sop_instance_uid and len(sop_instance_uid) <= 64:
            found[name] = RawInstance(
                str(sop_class_uid), str(sop_instance_uid), meta.transfer_syntax_uid, b"".join(chunks)
            )
    return found


def send_all(port: int, instances: dict[str, RawInstance]) -> dict[str, int]:
    statuses = {}
    left = iter(
        sorted(instances.items(), key=lambda pair: (pair[1].sop_class_uid, pair[1].transfer_syntax_uid))
    )
    while batch := list(islice(left, CONTEXTS_AT_ONCE)):
        contexts = [(instance.sop_class_uid, instance.transfer_syntax_uid) for _, instance in batch]
        with associated(port, contexts) as association:
            statuses.update({name: send(association, instance) for name, instance in batch})
    return statuses


def kept_bytes(archive: Archive, instance: RawInstance) -> bytes:
    """Read an object from the store by the key that FORMAT.md gives it."""
    meta = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
    whole = meta + instance.dataset
    (key,) = (
        key
        for key in archive.index.known_object_keys([instance.sop_instance_uid])
        if key.endswith(f".{hashlib.sha256(whole).hexdigest()}.dcm")
    )
    name = parse_key(key)
    assert name is not None
    assert (name.sop_instance_uid, name.sha256) == (instance.sop_instance_uid, key.split(".")[-2])
    with archive.store.open(key) as stream:
        return stream.read()


def retrieved_dataset(http_url: str, archive: Archive, sop_instance_uid: str) -> bytes:
    """Retrieve an instance by WADO-RS; return its data set as it stands in the answer."""
    (key, *_) = archive.index.known_object_keys([sop_instance_uid])
    name = parse_key(key)
    assert name is not None
    series = f"studies/{name.study_instance_uid}/series/{name.series_instance_uid}"
    answer = httpx.get(
        f"{http_url}/dicom-web/{series}/instances/{sop_instance_uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    )
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].split(";")[0].strip('"').encode()
    part = answer.content.split(b"--" + boundary, 1)[1].rsplit(b"\r\n--" + boundary + b"--", 1)[0]
    meta, chunks = split_part10([part.partition(b"\r\n\r\n")[2]])
    assert meta.sop_instance_uid == sop_instance_uid
    return b"".join(chunks)


def test_every_storage_object_is_accepted_and_comes_back_byte_for_byte(
    running: tuple[ArchiveProcess, Archive],
) -> None:
    process, archive = running
    instances = storage_objects()
    assert len(instances) > 500
    statuses = send_all(process.dicom_port, instances)
    refused = {name: status for name, status in statuses.items() if status not in (STORED, KEPT_BESIDE)}
    assert refused == REFUSED
    # The same instance is in the data set in several transfer syntaxes: the first is served, all are kept.
    first: dict[str, RawInstance] = {}
    for name, status in statuses.items():
        instance = instances[name]
        if status == STORED:
            first.setdefault(instance.sop_instance_uid, instance)
        if status == KEPT_BESIDE:
            assert first[instance.sop_instance_uid].dataset != instance.dataset or (
                first[instance.sop_instance_uid].transfer_syntax_uid != instance.transfer_syntax_uid
            )
            assert kept_bytes(archive, instance).endswith(instance.dataset), name
    for uid, instance in first.items():
        assert retrieved_dataset(process.http_url, archive, uid) == instance.dataset
    counts = Counter(statuses.values())
    assert counts[STORED] == len(first)

    again = send_all(process.dicom_port, instances)
    assert {name for name, status in again.items() if status == STORED} >= {
        name for name, status in statuses.items() if status == STORED
    }
