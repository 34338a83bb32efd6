from __future__ import annotations

import errno
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs.archive import Archive
from pacs.dicom.attributes import Level
from pacs.errors import (
    IndexUnavailable,
    InvalidUid,
    ObjectTooLarge,
    SopClassMismatch,
    UnreadableInstance,
    UnsupportedSopClass,
    UnsupportedTransferSyntax,
)
from pacs.index.records import Query, SearchResult
from pacs.ingest import Disposition, IncomingInstance, Origin, open_part10, store_instance
from pacs.jobs.sweep import sweep
from pacs.retrieve import find_instances, read_attributes, read_chunks
from storage.errors import StoreUnavailable
from storage.packed_keys import own_key
from storage.store import Buffer
from tests.damage import damage
from tests.datasets import encode, encode_file, make_dataset

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
ORIGIN = Origin("dimse", "CT1")


def incoming(dataset: Dataset, chunks: Iterable[Buffer] | None = None, **claims: str) -> IncomingInstance:
    return IncomingInstance(
        claims.get("transfer_syntax_uid", EXPLICIT),
        claims.get("sop_class_uid", dataset.SOPClassUID),
        claims.get("sop_instance_uid", dataset.SOPInstanceUID),
        [encode(dataset)] if chunks is None else chunks,
    )


def studies(archive: Archive) -> SearchResult:
    return archive.index.search(Query(Level.STUDY))


def keys(archive: Archive) -> list[str]:
    return sorted(stat.key for stat in archive.store.list())


def test_an_instance_is_kept_byte_for_byte_under_its_uids_and_digest(archive: Archive) -> None:
    dataset = make_dataset()
    outcome = store_instance(archive, incoming(dataset), ORIGIN)
    assert outcome.disposition is Disposition.STORED
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    kept = b"".join(read_chunks(archive, found))
    assert kept[found.location.dataset_offset :] == encode(dataset)
    assert hashlib.sha256(kept).hexdigest() == found.location.sha256
    assert keys(archive) == [found.location.key]
    assert found.location.key.endswith(f"/{dataset.SOPInstanceUID}.{found.location.sha256}.dcm")
    assert kept[found.location.pixel_data_offset :] == dataset.PixelData


def test_chunks_may_be_views_of_one_buffer_that_is_used_again(archive: Archive) -> None:
    dataset = make_dataset()
    encoded = encode(dataset)

    def through_one_buffer() -> Iterator[memoryview]:
        buffer = bytearray(100)
        for start in range(0, len(encoded), 100):
            piece = encoded[start : start + 100]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]

    store_instance(archive, incoming(dataset, through_one_buffer()), ORIGIN)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert b"".join(read_chunks(archive, found)).endswith(encoded)


def test_the_same_instance_again_is_success_and_changes_nothing(archive: Archive) -> None:
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    before = keys(archive), studies(archive)
    assert store_instance(archive, incoming(dataset), ORIGIN).disposition is Disposition.ALREADY_STORED
    assert store_instance(archive, open_part10([encode_file(dataset)]), ORIGIN).disposition is (
        Disposition.ALREADY_STORED
    )
    assert (keys(archive), studies(archive)) == before


def test_other_bytes_under_a_known_uid_are_kept_beside_the_first(archive: Archive) -> None:
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    (first,) = find_instances(archive, dataset.StudyInstanceUID)
    dataset.PatientName = "Someone^Else"
    assert store_instance(archive, incoming(dataset), ORIGIN).disposition is Disposition.CONFLICT
    (current,) = find_instances(archive, dataset.StudyInstanceUID)
    assert current.location == first.location
    assert len(keys(archive)) == 2
    assert studies(archive).matches[0].values["PatientName"] == "NGUYỄN^VĂN ĐỨC"


def test_concurrent_senders_of_one_instance_store_it_once(archive: Archive) -> None:
    dataset = make_dataset()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: store_instance(archive, incoming(dataset), ORIGIN), range(16)))
    dispositions = [outcome.disposition for outcome in outcomes]
    assert dispositions.count(Disposition.STORED) == 1
    assert dispositions.count(Disposition.ALREADY_STORED) == 15
    assert len(keys(archive)) == 1


def test_missing_and_empty_values_that_are_not_needed_are_normal(archive: Archive) -> None:
    dataset = make_dataset(PatientName="", PatientID="", StudyDate=None, AccessionNumber=None, Modality=None)
    store_instance(archive, incoming(dataset), ORIGIN)
    values = studies(archive).matches[0].values
    assert values["PatientID"] is None
    assert values["StudyDate"] is None


def test_identifiers_longer_than_any_index_takes_are_kept_apart_and_refuse_no_image(archive: Archive) -> None:
    """PostgreSQL's error would be told as A700, try again later, for ever."""
    long = "".join(chr(0x20000 + (place * 7919) % 40_000) for place in range(1_000))  # 4 bytes each
    for end in "ab":
        request = Dataset()
        request.RequestedProcedureID = request.ScheduledProcedureStepID = long + end
        dataset = make_dataset(
            PatientID=long + end, IssuerOfPatientID=long,
            StudyInstanceUID=f"1.2.{ord(end)}", SOPInstanceUID=f"1.2.3.{ord(end)}",
            RequestAttributesSequence=Sequence([request]),
        )  # fmt: skip
        assert store_instance(archive, incoming(dataset), ORIGIN).disposition is Disposition.STORED
    found = studies(archive).matches
    assert sorted(match.values["PatientID"] or "" for match in found) == [long + "a", long + "b"]


def test_a_deflated_instance_is_indexed_and_kept_deflated(archive: Archive) -> None:
    dataset = make_dataset()
    deflater = zlib.compressobj(wbits=-15)
    deflated = deflater.compress(encode(dataset)) + deflater.flush()
    store_instance(archive, incoming(dataset, [deflated], transfer_syntax_uid=DEFLATED), ORIGIN)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert b"".join(read_chunks(archive, found)).endswith(deflated)
    assert studies(archive).matches[0].values["PatientID"] == "BN0001"


@pytest.mark.parametrize(
    ("attributes", "claims", "error"),
    [
        ({"StudyInstanceUID": None}, {}, UnreadableInstance),
        ({"SeriesInstanceUID": ""}, {}, UnreadableInstance),
        ({"StudyInstanceUID": "1.2.3"}, {"sop_instance_uid": "../../../etc/passwd"}, InvalidUid),
        ({}, {"sop_instance_uid": "1.2.3"}, SopClassMismatch),
        ({}, {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4"}, SopClassMismatch),
        ({}, {"sop_class_uid": "1.2.840.10008.1.3.10"}, UnsupportedSopClass),
        ({}, {"transfer_syntax_uid": "1.2.3"}, UnsupportedTransferSyntax),
        ({}, {"transfer_syntax_uid": DEFLATED}, UnreadableInstance),
    ],
)
def test_what_cannot_be_placed_is_refused_and_leaves_nothing(
    archive: Archive, attributes: dict[str, Any], claims: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        store_instance(archive, incoming(make_dataset(**attributes), **claims), ORIGIN)
    assert keys(archive) == []
    assert studies(archive).matches == []


@pytest.mark.parametrize("uid", ["1" * 65, "1.2..3", "../../../x", "1.2/3"])
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_odd_uid_in_the_data_set_never_becomes_a_path(archive: Archive, keyword: str, uid: str) -> None:
    dataset = make_dataset()
    encoded = encode(dataset)
    old = getattr(dataset, keyword).encode()
    old += b"\0" * (len(old) % 2)
    new = uid.encode() + b"\0" * (len(uid) % 2)
    index = encoded.index(old)
    damaged = encoded[: index - 2] + len(new).to_bytes(2, "little") + new + encoded[index + len(old) :]
    with pytest.raises(InvalidUid, match=keyword[:5]):
        store_instance(archive, incoming(dataset, [damaged]), ORIGIN)
    assert keys(archive) == []


def test_an_object_over_the_limit_is_refused_before_its_end(archive: Archive) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1 << 20
            yield bytes(1 << 20)

    small = Archive(
        archive.index,
        archive.store,
        archive.tagger,
        archive.settings.model_copy(update={"max_object_size_bytes": 40 << 20}),
    )
    with pytest.raises(ObjectTooLarge):
        store_instance(small, incoming(make_dataset(), endless()), ORIGIN)
    assert taken < 45 << 20
    assert keys(archive) == []


def test_national_codes_come_from_sequences(archive: Archive) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "18.0119.0028", "99BYT", "Chụp ngực"
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    request.RequestedProcedureCodeSequence = Sequence([code])
    dataset = make_dataset(RequestAttributesSequence=Sequence([request]))
    store_instance(archive, incoming(dataset), ORIGIN)
    (match,) = archive.index.search(Query(Level.STUDY, text="18.0119.0028")).matches
    assert [found.value for found in match.procedure_codes] == ["18.0119.0028"]
    assert match.procedure_codes[0].origin == "sequence"


def test_an_object_whose_index_failed_is_found_by_the_sweep(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()

    def away(*_: object, **__: object) -> None:
        raise IndexUnavailable("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(archive.index, "write", away)
        with pytest.raises(IndexUnavailable):
            store_instance(archive, incoming(dataset), ORIGIN)
    assert studies(archive).matches == []
    report = sweep(archive, Event(), settled_after=timedelta(0))
    assert (report.examined, report.adopted, report.unreadable) == (1, 1, 0)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert b"".join(read_chunks(archive, found))[found.location.dataset_offset :] == encode(dataset)
    assert sweep(archive, Event(), settled_after=timedelta(0)).adopted == 0


def store_beside(archive: Archive, content: bytes) -> None:
    """Store an instance, and put an object of other content into its series that the index does not know."""
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    (key,) = keys(archive)
    archive.store.put(own_key(key).replace(dataset.SOPInstanceUID, "1.2.3.4"), content)


def test_the_sweep_never_indexes_a_damaged_or_foreign_object(archive: Archive) -> None:
    store_beside(archive, b"no DICOM at all")
    archive.store.put("readme.txt", b"a note of the administrator")
    report = sweep(archive, Event(), settled_after=timedelta(0))
    assert (report.examined, report.adopted, report.unreadable) == (2, 0, 1)
    assert len(keys(archive)) == 3


def test_an_object_that_the_disk_damaged_is_set_aside_and_replaced_when_sent_again(archive: Archive) -> None:
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    (key,) = keys(archive)
    damage(archive, key, b"what a failing disk left")
    assert store_instance(archive, incoming(dataset), ORIGIN).disposition is Disposition.ALREADY_STORED
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert b"".join(read_chunks(archive, found)).endswith(encode(dataset))
    (aside,) = set(keys(archive)) - {found.location.key}
    assert b"what a failing disk left" in archive.store.read_range(aside, 0, 1000)


def test_an_object_that_cannot_be_read_any_more_is_replaced_when_sent_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    (former,) = keys(archive)

    def bad_sector(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failing:
        failing.setattr("os.preadv", bad_sector)
        assert store_instance(archive, incoming(dataset), ORIGIN).disposition is Disposition.ALREADY_STORED
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert (found.location.key != former) == (own_key(former) != former)  # in a bucket it has one key
    assert set(keys(archive)) == {former, found.location.key}
    assert b"".join(read_chunks(archive, found)).endswith(encode(dataset))


def test_an_instance_that_comes_again_takes_no_space(archive: Archive) -> None:
    dataset = make_dataset()
    store_instance(archive, incoming(dataset), ORIGIN)
    (key,) = keys(archive)
    store_instance(archive, incoming(dataset), ORIGIN)
    other = make_dataset(SOPInstanceUID=dataset.SOPInstanceUID)
    store_instance(archive, incoming(other), ORIGIN)
    assert len(keys(archive)) == 2
    assert store_instance(archive, incoming(other), ORIGIN).disposition is Disposition.CONFLICT
    assert len(keys(archive)) == 2
    assert key in keys(archive)


def test_a_sweep_that_meets_a_database_that_is_away_is_tried_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_beside(archive, b"another")

    def away(*_: object) -> None:
        raise IndexUnavailable("the database is away")

    monkeypatch.setattr("pacs.jobs.sweep.adopt_object", away)
    with pytest.raises(IndexUnavailable):
        sweep(archive, Event(), settled_after=timedelta(0))


def test_an_object_that_cannot_be_read_now_does_not_end_the_sweep(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_beside(archive, b"another")

    def away(*_: object) -> None:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr("pacs.jobs.sweep.adopt_object", away)
    report = sweep(archive, Event(), settled_after=timedelta(0))
    assert (report.examined, report.postponed) == (2, 1)


def test_a_data_set_of_a_million_items_is_kept_and_never_unfolded(archive: Archive) -> None:
    items = b"\xfe\xff\x00\xe0\x00\x00\x00\x00" * 1_000_000
    content = b"\x40\x00\x30\xa7SQ\x00\x00" + len(items).to_bytes(4, "little") + items
    dataset = make_dataset()
    del dataset.PixelData
    store_instance(archive, incoming(dataset, [encode(dataset), content]), ORIGIN)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    with pytest.raises(UnreadableInstance, match="items"):
        read_attributes(archive, found)
    assert b"".join(read_chunks(archive, found)).endswith(items)


@pytest.mark.parametrize("term", ["rot13", "idna", "punycode"])
def test_a_character_set_that_names_a_codec_of_python_does_no_harm(archive: Archive, term: str) -> None:
    dataset = make_dataset(PatientName="A^B")
    encoded = encode(dataset).replace(b"CS\x0a\x00ISO_IR 192", b"CS\x0a\x00" + term.encode().ljust(10))
    store_instance(archive, incoming(dataset, [encoded]), ORIGIN)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert read_attributes(archive, found).PatientName == "A^B"


def test_a_young_object_is_left_to_its_ingest(archive: Archive) -> None:
    store_instance(archive, incoming(make_dataset()), ORIGIN)
    assert sweep(archive, Event()).examined == 0
