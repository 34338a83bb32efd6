"""Files and folders made durable: the few system calls under :mod:`storage.filesystem`.

Everything here raises ``OSError``; the store translates.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from storage.staging import Temporary

FILE_MODE, FOLDER_MODE = 0o640, 0o750  # patients' images: nothing for others

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
_COMPARE_BYTES = 1024**2


class LockedTemporary(Temporary):
    """A named file, locked (flock) until it is closed or its writer dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(16)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.descriptor = os.open(self.path, flags, FILE_MODE)
        with suppress(OSError):  # a file system without locks: then nobody can lock it to remove it, either
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def unlink(self) -> None:
        """Remove the name, if it is still there."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the name and let go of the file."""
        with suppress(OSError):  # what cannot be removed now is abandoned, and removed later
            self.unlink()
        os.close(self.descriptor)


def remove_if_abandoned(path: Path, older_than_s: float) -> bool:
    """Remove a temporary that is old and that no live process has locked; tell whether it was."""
    try:
        descriptor = open_for_reading(path)
    except FileNotFoundError:
        return False
    try:
        if time.time() - os.fstat(descriptor).st_mtime < older_than_s:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError as error:
        # In use, removed by another, or on a file system without locks, where nobody can know.
        if error.errno in (errno.EWOULDBLOCK, errno.ENOENT, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    else:
        return True
    finally:
        os.close(descriptor)


def link_or_rename(temporary: Path, path: Path, lock_path: Path) -> None:
    """Give a temporary its final name, and never overwrite: a link refuses to, a rename does not.

    Raises
    ------
    FileExistsError
        Something has this name already.
    """
    try:
        path.hardlink_to(temporary)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _rename_under_lock(temporary, path, lock_path)


def _rename_under_lock(temporary: Path, path: Path, lock_path: Path) -> None:
    """Rename, one writer of the store at a time, so that what is absent stays absent until the rename."""
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        temporary.rename(path)
    finally:
        os.close(lock)


def make_folders(path: Path) -> list[Path]:
    """Make a folder and the missing ones above it; return those that were missing.

    (``Path.mkdir(parents=True)`` would give the ones above another mode.)
    """
    missing: list[Path] = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        try:
            folder.mkdir(FOLDER_MODE)
        except FileExistsError:
            if not folder.is_dir():
                raise
    return missing


def make_durable_folders(path: Path) -> None:
    """Make a folder and the missing ones above it, and flush the names of those that were missing."""
    for made in make_folders(path):
        sync_folder(made.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_for_reading(path: Path | str, flags: int = 0) -> int:
    """Open a file, and no symbolic link; has the signature of the opener of :func:`open`."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)


def size_of_file(descriptor: int) -> int:
    """Return the size of an open file, in bytes; what is no regular file is refused."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return found.st_size


def read_at(descriptor: int, offset: int, size_bytes: int) -> bytes:
    """Read ``size_bytes`` bytes from ``offset``, fewer where the file ends before."""
    size_bytes = min(size_bytes, size_of_file(descriptor) - offset)
    if size_bytes <= 0:
        return b""
    first = os.pread(descriptor, size_bytes, offset)
    if len(first) in (0, size_bytes):
        return first
    # The system reads 2 GiB at most in one step.
    return first + read_at(descriptor, offset + len(first), size_bytes - len(first))


def has_same_content(descriptor: int, path: Path) -> bool:
    """Tell whether the file at ``path`` has the bytes of the open file; what is no regular file has not."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    other = open_for_reading(path)
    try:
        size = os.fstat(descriptor).st_size
        return size == os.fstat(other).st_size and all(
            os.pread(descriptor, _COMPARE_BYTES, offset) == os.pread(other, _COMPARE_BYTES, offset)
            for offset in range(0, size, _COMPARE_BYTES)
        )
    finally:
        os.close(other)
