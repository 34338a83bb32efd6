"""Where OHIF's files lie in the data folder, and how they get there at once or not at all.

``installed.json`` names the folder that is served, and every file in it. It is replaced last, when all of
them are on the disk; a web server looks at it for every request, so nothing has to be restarted.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import logging
import mimetypes
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pacs.errors import ArchiveError
from storage.posix import make_folders, sync_folder
from viewer_api.ohif.rewriting import prepare_files
from viewer_api.ohif.tarball import RELEASE, Release, check_integrity, read_files

_RECORD: Final = "installed.json"
_LOCK: Final = "lock"
_GZIP_LEVEL: Final = 9
_WORTHWHILE: Final = 0.9
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
    ".ico": "image/x-icon",
}

_log = logging.getLogger(__name__)


class InstallationBusy(ArchiveError):
    """Another process is installing or removing OHIF just now."""


class InstalledFile(BaseModel):
    """A file that is served; ``is_compressed`` if it lies there with gzip."""

    model_config = ConfigDict(frozen=True)

    media_type: str
    is_compressed: bool


class _Record(BaseModel):
    """What ``installed.json`` says."""

    model_config = ConfigDict(frozen=True)

    version: str
    content_name: str
    folder: str
    files: Mapping[str, InstalledFile]


@dataclass(frozen=True, slots=True)
class Installation:
    """An installed OHIF; ``content_name`` names its files' folder in addresses."""

    version: str
    content_name: str
    files: Mapping[str, InstalledFile]
    folder: Path

    def read(self, path: str) -> bytes:
        """Read a file of :attr:`files` as it lies there, perhaps compressed.

        Raises
        ------
        FileNotFoundError
            The installation was replaced or removed meanwhile.
        """
        return (self.folder / path).read_bytes()

    def size_bytes(self) -> int:
        """Return what the files take on the disk."""
        return sum((self.folder / path).stat().st_size for path in self.files)


class OhifFolder:
    """The folder ``ohif`` of the data folder, which may not be there. Safe for use by several threads."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "ohif"
        self._known: tuple[tuple[int, int], Installation | None] | None = None

    def installed(self) -> Installation | None:
        """Return what is installed now, or None."""
        record = self._root / _RECORD
        try:
            stat = record.stat()
            state = (stat.st_mtime_ns, stat.st_ino)
            if self._known is None or self._known[0] != state:
                self._known = (state, self._read_record(record))
            return self._known[1]
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.error("OHIF is installed and cannot be read: %s", error.strerror)
            return None

    def install(self, tarball: BinaryIO, release: Release = RELEASE) -> Installation:
        """Make a package the installed one, in the place of another if there is one.

        Raises
        ------
        UnusableTarball
            It is not the package of ``release``, or not of its form. What was installed stays.
        InstallationBusy
            Another process is at it.
        """
        check_integrity(tarball, release)
        content_name, files = prepare_files(read_files(tarball))
        with self._lock():
            # Never the name of another installation, which may be the same files and be served just now.
            folder = self._root / f"{content_name}-{secrets.token_hex(4)}"
            try:
                installed = {path: _write(folder / path, content) for path, content in files.items()}
                _sync_folders(folder)
                record = _Record(
                    version=release.version, content_name=content_name, folder=folder.name, files=installed
                )
                self._replace_record(record)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._remove_folders(but=folder.name)
        return Installation(release.version, content_name, installed, folder)

    def remove(self) -> bool:
        """Remove what is installed; tell whether there was anything."""
        if not self._root.is_dir():
            return False
        with self._lock():
            was_there = (self._root / _RECORD).exists()
            (self._root / _RECORD).unlink(missing_ok=True)
            sync_folder(self._root)
            self._remove_folders()
        return was_there

    def _read_record(self, path: Path) -> Installation | None:
        try:
            record = _Record.model_validate_json(path.read_bytes())
        except ValidationError:
            _log.error("%s is damaged; install OHIF again", path.name)
            return None
        return Installation(record.version, record.content_name, record.files, self._root / record.folder)

    def _replace_record(self, record: _Record) -> None:
        temporary = self._root / f"{_RECORD}.new"
        _write_durably(temporary, record.model_dump_json().encode())
        temporary.replace(self._root / _RECORD)
        sync_folder(self._root)

    def _remove_folders(self, but: str = "") -> None:
        for entry in self._root.iterdir():
            if entry.is_dir() and entry.name != but:
                shutil.rmtree(entry, ignore_errors=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        make_folders(self._root.parent)
        self._root.mkdir(exist_ok=True)
        descriptor = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InstallationBusy("another process is installing or removing OHIF just now") from error
            yield
        finally:
            os.close(descriptor)


def _write(path: Path, content: bytes) -> InstalledFile:
    suffix = PurePosixPath(path.name).suffix
    media_type = _MEDIA_TYPES.get(suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    compressed = gzip.compress(content, _GZIP_LEVEL, mtime=0)
    is_compressed = len(compressed) < _WORTHWHILE * len(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_durably(path, compressed if is_compressed else content)
    return InstalledFile(media_type=media_type, is_compressed=is_compressed)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folders(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        sync_folder(Path(folder))
