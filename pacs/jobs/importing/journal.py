"""What earlier runs of an import have finished, so that the next one does not read it again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from pacs.jobs.importing.sources import Source
from pacs.settings import Settings, mask_password

DIGEST_SIZE_BYTES: Final = 16
_FILE_MODE: Final = 0o640


class Journal:
    """A file of digests, one for each source file that is stored; safe for several threads and processes.

    A digest is of the archive, the file's path, its size and its time of change: a file that was written
    again is read again, and so is every file when the archive is another one. No path can be read from it.
    A record is appended when the instance is durable; what a crash cuts off is only read once more.

    Parameters
    ----------
    path
        Made if it is not there.

    Raises
    ------
    OSError
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._salt = f"{mask_password(settings.resolved_database_url)} {settings.resolved_store_url}".encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE)
        try:
            size_bytes = os.fstat(self._descriptor).st_size
            whole_bytes = size_bytes - size_bytes % DIGEST_SIZE_BYTES
            if whole_bytes != size_bytes:
                os.truncate(self._descriptor, whole_bytes)
            self._high, self._low = _read_sorted(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def has(self, source: Source) -> bool:
        """Tell whether an earlier run has finished this file, and it has not been written again."""
        high, low = np.frombuffer(self._digest(source), "<u8")
        first, last = np.searchsorted(self._high, high, "left"), np.searchsorted(self._high, high, "right")
        return bool((self._low[first:last] == low).any())

    def add(self, source: Source) -> None:
        """Write down that this file is stored."""
        os.write(self._descriptor, self._digest(source))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _digest(self, source: Source) -> bytes:
        digest = hashlib.blake2b(self._salt, digest_size=DIGEST_SIZE_BYTES)
        for text in (str(Path(source.name).absolute()), source.version):
            digest.update(b"\0" + os.fsencode(text))
        return digest.digest()


def _read_sorted(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the digests as two halves, sorted by the first: ten million of them take 160 MB."""
    halves = np.fromfile(path, "<u8").reshape(-1, 2)
    order = np.argsort(halves[:, 0], kind="stable")
    return halves[order, 0], halves[order, 1]
