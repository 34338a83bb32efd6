import os
import socket
import threading

import pytest

from pacs.jobs.importing.sources import MAX_DEPTH, Count, Frontier, Refusal, count_files, file_source


def walk(*paths):
    frontier = Frontier()
    frontier.push(paths)
    found = list(iter(frontier.take, None))
    refused = {one.name: one.reason for one in found if isinstance(one, Refusal)}
    return sorted(one.name for one in found if not isinstance(one, Refusal)), refused


def test_files_are_found_in_folders_in_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    files = [tmp_path / "1", tmp_path / "a" / "2.dcm", tmp_path / "a" / "b" / "3"]
    for file in files:
        file.write_bytes(b"x")
    assert walk(tmp_path) == ([str(file) for file in files], {})
    assert walk(files[0]) == ([str(files[0])], {})


def test_links_to_files_are_followed_and_links_to_folders_are_told(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"x")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "real" / "link").symlink_to(tmp_path / "real" / "file")
    (tmp_path / "real" / "nowhere").symlink_to(tmp_path / "absent")
    names, refused = walk(tmp_path)
    assert names == [str(tmp_path / "real" / "file"), str(tmp_path / "real" / "link")]
    assert "symbolic link" in refused.pop(str(tmp_path / "real" / "loop"))
    assert "No such file" in refused.pop(str(tmp_path / "real" / "nowhere"))
    assert refused == {}
    (tmp_path / "itself").symlink_to(tmp_path / "real")
    assert len(walk(tmp_path / "itself")[0]) == 2  # a path that was named is followed


def test_what_is_no_file_is_never_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        names, refused = walk(tmp_path)
    assert names == []
    assert set(refused.values()) == {"not a regular file"}
    assert len(refused) == 2


def test_a_file_that_became_a_fifo_is_not_waited_for(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    source = file_source(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        list(source.read(memoryview(bytearray(10))))


def test_a_folder_that_is_gone_is_told(tmp_path):
    assert list(walk(tmp_path / "absent")[1]) == [str(tmp_path / "absent")]


def test_folders_end_at_a_depth(tmp_path):
    path = tmp_path
    for _ in range(MAX_DEPTH + 2):
        path /= "d"
        path.mkdir()
    (path / "file").write_bytes(b"x")
    names, refused = walk(tmp_path)
    assert names == []
    assert list(refused.values()) == [f"more than {MAX_DEPTH} folders deep"]


def test_a_file_comes_as_its_head_and_then_in_views_of_the_buffer(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    buffer = memoryview(bytearray(5000))
    content = bytearray()
    for number, piece in enumerate(file_source(path).read(buffer)):
        assert isinstance(piece, memoryview) == (number > 0)
        content += piece
    assert content == path.read_bytes()


def test_names_that_are_not_unicode_are_read(tmp_path):
    path = tmp_path / os.fsdecode(b"b\xe9nh.dcm")
    path.write_bytes(b"x")
    assert walk(tmp_path) == ([str(path)], {})


def test_everything_is_counted_ahead(tmp_path):
    for number in range(5):
        (tmp_path / str(number)).write_bytes(bytes(10))
    count = Count()
    count_files([tmp_path], count, threading.Event())
    assert (count.files, count.size_bytes, count.complete) == (5, 50, True)
    stopped, count = threading.Event(), Count()
    stopped.set()
    count_files([tmp_path], count, stopped)
    assert not count.complete
