"""The members of a ZIP as sources: read as a stream, never unpacked, and bounded in every direction."""

from __future__ import annotations

import io
import os
import threading
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from pacs.jobs.importing.content import HEAD_SIZE_BYTES
from pacs.jobs.importing.sources import FileSource, Refusal, is_dicom_name
from storage.store import Buffer

MAX_DIRECTORY_SIZE_BYTES: Final = 64 * 1024**2  # some 600,000 members; it is read at once
MAX_RATIO: Final = 200
# A black image of any size is a thousand times smaller as a ZIP: only what is large and small is suspicious.
RATIO_FREE_MEMBER_BYTES: Final = 64 * 1024**2
RATIO_FREE_ZIP_BYTES: Final = 1024**3

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
# A RuntimeError tells of a feature that zipfile lacks.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class DamagedZip(OSError):
    """A ZIP, or a member of one, that cannot be read or goes past a bound."""


class OpenZip:
    """An open ZIP: closed when its members have been given out and each of them has been closed."""

    def __init__(self, source: FileSource) -> None:
        self.source = source
        self._file = source.path.open("rb")
        self._lock = threading.Lock()
        self._users = 1
        self._inflated_left = max(RATIO_FREE_ZIP_BYTES, MAX_RATIO * source.size_bytes)
        try:
            with _damage_translated():
                self._zip = zipfile.ZipFile(cast("BinaryIO", _ModestReader(self._file, source.size_bytes)))
        except BaseException:
            self._file.close()
            raise

    def names(self) -> set[str]:
        """Return the names of all members, in capital letters: of a DICOMDIR's files not all keep to them."""
        return {info.filename.upper() for info in self._zip.infolist()}

    def members(self) -> Iterator[ZipMember | Refusal]:
        """Give out the members that are files; folders are passed over, and names lead nowhere."""
        try:
            for info in self._zip.infolist():
                if info.is_dir():
                    continue
                member = ZipMember(self, info)
                if info.flag_bits & _ENCRYPTED:
                    yield Refusal(member.name, "encrypted in its ZIP")
                elif info.compress_type not in _METHODS:
                    yield Refusal(member.name, f"ZIP compression method {info.compress_type} is not known")
                else:
                    with self._lock:
                        self._users += 1
                    yield member
        finally:
            self.release()

    def read(self, info: zipfile.ZipInfo, size_bytes: int) -> Generator[bytes, None, None]:
        """Read a member: its head, then pieces of ``size_bytes``; raises ``DamagedZip`` at a bound."""
        left = max(RATIO_FREE_MEMBER_BYTES, MAX_RATIO * info.compress_size)
        with _damage_translated(), self._zip.open(info) as stream:
            wanted = HEAD_SIZE_BYTES
            while piece := stream.read(wanted):
                left -= len(piece)
                if left < 0 or not self._spend(len(piece)):
                    raise DamagedZip(None, f"grows to more than {MAX_RATIO} times its size in the ZIP")
                yield piece
                wanted = size_bytes

    def release(self) -> None:
        """Close the ZIP if this was its last user."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._zip.close()
                self._file.close()

    def _spend(self, size_bytes: int) -> bool:
        with self._lock:
            self._inflated_left -= size_bytes
            return self._inflated_left >= 0


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in a ZIP."""

    zip: OpenZip
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Path of the ZIP and name in it."""
        return f"{self.zip.source.name}!{self.info.filename}"

    @property
    def size_bytes(self) -> int:
        """Size in the ZIP."""
        return self.info.compress_size

    @property
    def version(self) -> str:
        """Version of the ZIP, and place and checksum in it."""
        return f"{self.zip.source.version} {self.info.header_offset} {self.info.CRC}"

    @property
    def expected(self) -> bool:
        """Whether the name promises DICOM."""
        return is_dicom_name(self.info.filename)

    @property
    def folder(self) -> Path | None:
        """None: a member lies in no folder of a file system."""
        return None

    @property
    def base(self) -> PurePosixPath:
        """The folder in the ZIP."""
        return PurePosixPath(self.info.filename.upper()).parent

    def read(self, buffer: memoryview) -> Generator[Buffer, None, None]:
        """Read the member, inflated; the checksum is compared at its end."""
        return self.zip.read(self.info, len(buffer))

    def close(self) -> None:
        """Let go of the ZIP."""
        self.zip.release()


class _ModestReader(io.RawIOBase):
    """Keeps :mod:`zipfile` from reading a directory of any size at once, and from seeking before the file."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._size_bytes = size_bytes

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size_bytes - self._file.tell())
        wanted = left if size < 0 else min(size, left)
        if wanted > MAX_DIRECTORY_SIZE_BYTES:
            raise zipfile.BadZipFile("its directory is too large")
        return self._file.read(wanted)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("a member begins before the file")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


@contextmanager
def _damage_translated() -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise DamagedZip(None, f"the ZIP is damaged: {type(error).__name__}") from error
