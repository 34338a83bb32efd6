"""The package of OHIF as npm has it: fetched or given, known by its digest, read within bounds."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from pacs.errors import ArchiveError
from pacs.settings import mask_password

MAX_TARBALL_SIZE_BYTES: Final = 128 * 1024**2
MAX_UNPACKED_SIZE_BYTES: Final = 512 * 1024**2
MAX_FILES: Final = 2000

_TIMEOUT_S: Final = 60.0
_CHUNK_SIZE_BYTES: Final = 1024**2
_FOLDER: Final = "package/"  # npm puts everything below it
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]*(/[A-Za-z0-9_@-][A-Za-z0-9_.@-]*)*")


class UnusableTarball(ArchiveError):
    """The package cannot be fetched, is another one than this version knows, or is not of its form."""


@dataclass(frozen=True, slots=True)
class Release:
    """A published version; ``integrity`` is what npm calls so: ``sha512-`` and the digest in base64."""

    version: str
    integrity: str


# The one whose files `rewriting` knows, and that the tests open in a browser.
RELEASE: Final = Release(
    "3.13.2",
    "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==",
)


def fetch_tarball(url: str, target: BinaryIO) -> None:
    """Download the package; the proxy of the environment is used, if there is one.

    Raises
    ------
    UnusableTarball
        The server cannot be reached or refuses, or what it sends is larger than the package can be.
    """
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UnusableTarball("OHIF_TARBALL_URL must begin with https:// or http://")
        with urllib.request.build_opener().open(url, timeout=_TIMEOUT_S) as answer:
            _copy(answer, target)
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise UnusableTarball(
            f"OHIF cannot be fetched ({reason}); fetch {mask_password(url)} on another machine and give the "
            "file by --tarball FILE"
        ) from error


def _copy(answer: BinaryIO, target: BinaryIO) -> None:
    left = MAX_TARBALL_SIZE_BYTES
    while chunk := answer.read(_CHUNK_SIZE_BYTES):
        left -= len(chunk)
        if left < 0:
            raise UnusableTarball("what the server of OHIF_TARBALL_URL sends is no package of OHIF")
        target.write(chunk)


def check_integrity(tarball: BinaryIO, release: Release) -> None:
    """Compare the digest of a package, from its beginning, with the one that was published.

    Raises
    ------
    UnusableTarball
        It is another package, or damaged.
    """
    tarball.seek(0)
    digest = hashlib.sha512()
    while chunk := tarball.read(_CHUNK_SIZE_BYTES):
        digest.update(chunk)
    if "sha512-" + base64.b64encode(digest.digest()).decode() != release.integrity:
        raise UnusableTarball(
            f"this is not the package @ohif/app {release.version} that npm publishes: its SHA-512 differs"
        )


def read_files(tarball: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a package, by their paths below its folder; nothing is written anywhere.

    Raises
    ------
    UnusableTarball
        It is damaged, too large, or has something else than plain files with plain names.
    """
    tarball.seek(0)
    seen: set[str] = set()
    try:
        unpacked = _Bounded(gzip.GzipFile(fileobj=tarball))
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                path = _path_of(member)
                if path in seen or len(seen) >= MAX_FILES:
                    raise UnusableTarball(f"the package has too many files, or {path} twice")
                seen.add(path)
                content = archive.extractfile(member)
                yield path, content.read() if content else b""
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise UnusableTarball("the package is damaged") from error


def _path_of(member: tarfile.TarInfo) -> str:
    path = member.name.removeprefix(_FOLDER)
    if not member.isreg() or path == member.name or not _PLAIN_PATH.fullmatch(path):
        raise UnusableTarball(f"the package has something that is no plain file: {member.name[:100]!r}")
    return path


class _Bounded(io.RawIOBase):
    """Ends reading with an error where a package would unpack to more than it can be."""

    def __init__(self, stream: BinaryIO | gzip.GzipFile) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED_SIZE_BYTES

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise UnusableTarball("the package unpacks to more than it can be")
        return data
