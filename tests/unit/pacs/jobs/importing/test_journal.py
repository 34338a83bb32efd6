import os

import pytest

from pacs.jobs.importing.journal import DIGEST_SIZE_BYTES, Journal
from pacs.jobs.importing.sources import file_source
from pacs.settings import Settings


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "NGUYEN VAN A.dcm"
    path.write_bytes(b"x")
    return file_source(path)


def test_what_one_run_has_finished_the_next_one_knows(tmp_path, source):
    with Journal(tmp_path / "j", Settings()) as journal:
        assert not journal.has(source)
        journal.add(source)
    with Journal(tmp_path / "j", Settings()) as journal:
        assert journal.has(source)


def test_a_file_that_was_written_again_is_not_finished(tmp_path, source):
    with Journal(tmp_path / "j", Settings()) as journal:
        journal.add(source)
    os.utime(source.path, ns=(1, 1))
    with Journal(tmp_path / "j", Settings()) as journal:
        assert not journal.has(file_source(source.path))
    source.path.write_bytes(b"longer")
    os.utime(source.path, ns=(source.modified_ns, source.modified_ns))
    with Journal(tmp_path / "j", Settings()) as journal:
        assert not journal.has(file_source(source.path))


def test_another_archive_has_finished_nothing(tmp_path, source):
    with Journal(tmp_path / "j", Settings()) as journal:
        journal.add(source)
    with Journal(tmp_path / "j", Settings(store_url="s3://bucket/other")) as journal:
        assert not journal.has(source)


def test_no_name_can_be_read_from_it(tmp_path, source):
    with Journal(tmp_path / "j", Settings()) as journal:
        journal.add(source)
    content = (tmp_path / "j").read_bytes()
    assert len(content) == DIGEST_SIZE_BYTES
    assert b"NGUYEN" not in content


def test_a_record_that_a_crash_cut_off_does_not_shift_the_others(tmp_path, source):
    with Journal(tmp_path / "j", Settings()) as journal:
        journal.add(source)
    with (tmp_path / "j").open("ab") as file:
        file.write(b"cut")
    other = tmp_path / "other"
    other.write_bytes(b"y")
    with Journal(tmp_path / "j", Settings()) as journal:
        assert journal.has(source)
        journal.add(file_source(other))
    with Journal(tmp_path / "j", Settings()) as journal:
        assert journal.has(source)
        assert journal.has(file_source(other))


def test_records_are_found_among_many(tmp_path):
    paths = [tmp_path / str(number) for number in range(300)]
    for path in paths:
        path.write_bytes(b"x")
    with Journal(tmp_path / "j", Settings()) as journal:
        for path in paths[::2]:
            journal.add(file_source(path))
    with Journal(tmp_path / "j", Settings()) as journal:
        assert [journal.has(file_source(path)) for path in paths] == [True, False] * 150
