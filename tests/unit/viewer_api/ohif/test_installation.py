from __future__ import annotations

import fcntl
import gzip
import os
import threading

import pytest

from tests.unit.viewer_api.ohif.packages import BUNDLE, FILES, make_package, release_of
from viewer_api.ohif import installation
from viewer_api.ohif.installation import InstallationBusy, OhifFolder
from viewer_api.ohif.tarball import UnusableTarball


def install(data_dir, files=FILES):
    package = make_package(files)
    return OhifFolder(data_dir).install(package, release_of(package))


def other_files():
    return {**FILES, "package/dist/assets/images/CT.png": b"another"}


def folders(data_dir):
    return [path.name for path in (data_dir / "ohif").iterdir() if path.is_dir()]


def test_what_is_installed_is_seen_by_who_looked_before(tmp_path):
    data_dir = tmp_path / "data"
    folder = OhifFolder(data_dir)
    assert folder.installed() is None
    made = install(data_dir)
    assert folder.installed() == made
    assert folder.installed() is folder.installed()


def test_a_file_lies_there_as_it_is_sent(tmp_path):
    made = install(tmp_path)
    assert made.files[BUNDLE].is_compressed
    assert gzip.decompress(made.read(BUNDLE)).count(b"// the application") == 200
    assert not made.files["0123456789abcdef.woff2"].is_compressed
    assert made.read("0123456789abcdef.woff2") == bytes(range(256))
    assert made.files["0fedcba987654321.wasm"].media_type == "application/wasm"
    assert made.files[BUNDLE].media_type.startswith("text/javascript")
    assert made.files["LICENSE"].media_type == "application/octet-stream"
    assert made.size_bytes() == sum(len(made.read(path)) for path in made.files)


@pytest.mark.parametrize("files", [FILES, other_files()], ids=["the same", "another"])
def test_installing_again_replaces(tmp_path, files):
    folder = OhifFolder(tmp_path)
    first = install(tmp_path)
    assert folder.installed() == first
    second = install(tmp_path, files)
    assert folder.installed() == second
    assert folders(tmp_path) == [second.folder.name]
    with pytest.raises(FileNotFoundError):
        first.read(BUNDLE)


@pytest.mark.parametrize("step", ["_write", "_sync_folders", "sync_folder"])
def test_an_installation_that_fails_leaves_what_was_there(tmp_path, monkeypatch, step):
    first = install(tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(installation, step, fail)
        with pytest.raises(OSError, match="No space"):
            install(tmp_path, other_files())
    now = OhifFolder(tmp_path).installed()
    assert now is not None
    assert now.read(BUNDLE) == gzip.compress(gzip.decompress(now.read(BUNDLE)), 9, mtime=0)
    if step != "sync_folder":
        assert now == first
        assert folders(tmp_path) == [first.folder.name]


def test_what_a_crash_left_is_never_served_and_removed_by_the_next(tmp_path):
    half = tmp_path / "ohif" / "0123456789abcdef-00000000"
    half.mkdir(parents=True)
    (half / "index.html").write_bytes(b"half")
    (tmp_path / "ohif" / "installed.json.new").write_bytes(b"{")
    assert OhifFolder(tmp_path).installed() is None
    assert folders(tmp_path) != [install(tmp_path).folder.name, half.name]
    assert not half.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff\xfe"])
def test_a_damaged_record_is_no_installation(tmp_path, content, caplog):
    install(tmp_path)
    (tmp_path / "ohif" / "installed.json").write_bytes(content)
    assert OhifFolder(tmp_path).installed() is None
    assert "damaged" in caplog.text
    assert OhifFolder(tmp_path).installed() != install(tmp_path)


def test_a_package_of_another_release_changes_nothing(tmp_path):
    first = install(tmp_path)
    with pytest.raises(UnusableTarball):
        OhifFolder(tmp_path).install(make_package(other_files()))
    assert OhifFolder(tmp_path).installed() == first


def test_removing_leaves_nothing_to_serve(tmp_path):
    folder = OhifFolder(tmp_path)
    assert not folder.remove()
    assert not (tmp_path / "ohif").exists()
    install(tmp_path)
    assert folder.remove()
    assert folder.installed() is None
    assert folders(tmp_path) == []
    assert not folder.remove()


def test_one_installs_at_a_time(tmp_path):
    install(tmp_path)
    descriptor = os.open(tmp_path / "ohif" / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(InstallationBusy):
            install(tmp_path)
        with pytest.raises(InstallationBusy):
            OhifFolder(tmp_path).remove()
    finally:
        os.close(descriptor)


def test_who_reads_while_it_is_replaced_gets_a_whole_file_or_is_told(tmp_path):
    install(tmp_path)
    folder, over, wrong = OhifFolder(tmp_path), threading.Event(), []

    def read() -> None:
        while not over.is_set():
            found = folder.installed()
            try:
                if found is None or b"the application" not in gzip.decompress(found.read(BUNDLE)):
                    wrong.append(found)
            except FileNotFoundError:
                continue

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(4):
        install(tmp_path)
        install(tmp_path, other_files())
    over.set()
    reader.join()
    assert wrong == []
