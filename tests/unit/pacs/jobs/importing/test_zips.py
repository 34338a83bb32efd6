import io
import random
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.jobs.importing import zips
from pacs.jobs.importing.sources import Refusal, file_source
from pacs.jobs.importing.zips import DamagedZip, OpenZip

BUFFER = memoryview(bytearray(4096))


def zip_of(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return path


def contents(path):
    opened = OpenZip(file_source(path))
    found = {}
    for member in opened.members():
        if isinstance(member, Refusal):
            found[member.name.rpartition("!")[2]] = member.reason
        else:
            found[member.info.filename] = b"".join(member.read(BUFFER))
            member.close()
    assert opened._file.closed
    return found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_and_folders_passed_over(tmp_path, method):
    members = {"a/": b"", "a/1.dcm": random.randbytes(20_000), "2": b""}
    assert contents(zip_of(tmp_path / "x.zip", members, method)) == {"a/1.dcm": members["a/1.dcm"], "2": b""}


def test_a_name_that_leads_upwards_is_only_a_name(tmp_path):
    path = zip_of(tmp_path / "x.zip", {"../../etc/passwd": b"1", "/etc/shadow": b"2", "C:\\x": b"3"})
    assert set(contents(path).values()) == {b"1", b"2", b"3"}
    assert list(tmp_path.iterdir()) == [path]


def test_other_compression_methods_and_encryption_are_refused(tmp_path):
    assert "method 14" in contents(zip_of(tmp_path / "x.zip", {"a": b"b"}, zipfile.ZIP_LZMA))["a"]
    path = zip_of(tmp_path / "y.zip", {"a": b"b"}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert contents(path)["a"] == "encrypted in its ZIP"


def test_a_member_that_grows_out_of_proportion_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "RATIO_FREE_MEMBER_BYTES", 100_000)
    path = zip_of(tmp_path / "x.zip", {"bomb": bytes(10_000_000), "fine": bytes(90_000)})
    opened = OpenZip(file_source(path))
    bomb, fine = opened.members()
    read = 0
    with pytest.raises(DamagedZip, match="200 times"):
        for piece in bomb.read(BUFFER):
            read += len(piece)
    assert read < 2_100_000
    assert b"".join(fine.read(BUFFER)) == bytes(90_000)


def test_many_members_together_do_not_grow_out_of_proportion(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "RATIO_FREE_ZIP_BYTES", 100_000)
    path = zip_of(tmp_path / "x.zip", {str(number): bytes(60_000_000) for number in range(3)})
    monkeypatch.setattr(zips, "MAX_RATIO", 600)
    with pytest.raises(DamagedZip):
        contents(path)


def test_a_directory_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "MAX_DIRECTORY_SIZE_BYTES", 100_000)
    path = zip_of(tmp_path / "x.zip", {f"{number:0100}": b"" for number in range(1000)})
    with pytest.raises(DamagedZip):
        OpenZip(file_source(path))


def test_a_wrong_checksum_is_told_at_the_end_of_the_member(tmp_path):
    path = zip_of(tmp_path / "x.zip", {"a": b"abcdefgh"}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh", b"abcdXfgh"))
    with pytest.raises(DamagedZip, match="damaged"):
        contents(path)


def test_the_version_of_a_member_changes_with_the_zip(tmp_path):
    path = zip_of(tmp_path / "x.zip", {"a": b"1", "b": b"1"})
    (a, b), (again, _) = ([member.version for member in OpenZip(file_source(path)).members()] for _ in "12")
    assert a == again != b


def test_a_member_that_begins_before_the_file_is_damaged(tmp_path):
    path = zip_of(tmp_path / "x.zip", {"a": b"1"})
    content = bytearray(path.read_bytes())
    content[-5] = 1  # of where the directory begins: 256 bytes further on
    path.write_bytes(content)
    with pytest.raises(DamagedZip, match="damaged"):
        contents(path)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_zip_is_read_or_refused(data, tmp_path_factory):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.dcm", b"some bytes" * 50)
        archive.writestr("2", struct.pack("<100H", *range(100)))
    content = bytearray(written.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip") / "x.zip"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        opened = OpenZip(file_source(path))
        for member in opened.members():
            if not isinstance(member, Refusal):
                for _ in member.read(BUFFER):
                    pass
    except DamagedZip as error:
        assert "ZIP" in error.strerror
