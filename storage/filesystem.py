"""Objects as files below one folder, small ones together in packs (``FORMAT.md``)."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from storage.identity import IDENTITY_KEY
from storage.keys import check_key, check_prefix, is_key
from storage.os_errors import os_errors_translated, store_error
from storage.packed_keys import FOLDER as PACKS_FOLDER
from storage.packed_keys import parse_packed_key
from storage.packs import Appended, Packs
from storage.posix import (
    LockedTemporary,
    has_same_content,
    link_or_rename,
    make_durable_folders,
    make_folders,
    open_for_reading,
    read_at,
    remove_if_abandoned,
    size_of_file,
    sync_folder,
)
from storage.staging import SPILL_SIZE_BYTES, SpillingStage, write_all
from storage.store import Buffer, ObjectStat, ObjectStore, StagedObject, check_range
from storage.stored_file import StoredFile

TEMPORARY_FOLDER = ".tmp"
_LOCK_FILE = ".lock"
_READ_BUFFER_BYTES = 64 * 1024

# A name under which no regular file is: nothing there, below a file, a folder, a symbolic link.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
# Folders known to be durable; past this many the knowledge is dropped and gathered anew.
_MAX_DURABLE_FOLDERS = 10_000


class FilesystemStore(ObjectStore):
    """An :class:`~storage.store.ObjectStore` in a folder.

    Parameters
    ----------
    root
        All of it, temporaries included, lies on one file system.
    make
        Make it if it is not there. Otherwise only its folder of temporaries is made, and that only where the
        store's identity tells that there is one: a copy may lack it, a disk that is not mounted has neither.
    spill_size_bytes
        Contents larger than this wait in a temporary file instead of in memory.

    Raises
    ------
    storage.errors.StoreFull, storage.errors.StoreUnavailable
        The folder cannot be made.
    """

    def __init__(
        self, root: Path | str, spill_size_bytes: int = SPILL_SIZE_BYTES, *, make: bool = True
    ) -> None:
        self._root = Path(root).absolute()
        self._temporaries = self._root / TEMPORARY_FOLDER
        self._spill_size_bytes = spill_size_bytes
        self._packs = Packs(self._root)
        self._durable_folders: set[str] = set()  # a path takes a kilobyte
        with os_errors_translated(str(self._root)):
            if make or (self._root / IDENTITY_KEY).is_file():
                make_durable_folders(self._temporaries)

    def stage(self, *, packed: bool = False) -> StagedObject:
        """Begin a new object; a ``packed`` one that fits into memory goes to a pack."""
        return _FileStage(self, self._spill_size_bytes, self._packs if packed else None)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        path, packed = self._path(key), parse_packed_key(key)
        with self._reading(key):
            if packed is not None:
                return self._packs.open(packed)
            return io.BufferedReader(_ObjectFile(path, key), _READ_BUFFER_BYTES)

    def open_file(self, key: str) -> StoredFile | None:
        """Open the file, or the pack, of an object."""
        check_key(key)
        packed = parse_packed_key(key)
        with self._reading(key):
            if packed is not None:
                return self._packs.open_file(packed)
            descriptor = open_for_reading(self._root / key)
            try:
                size_bytes = size_of_file(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            return StoredFile(descriptor, 0, size_bytes)

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read a part of an object."""
        check_range(offset, size_bytes)
        path, packed = self._path(key), parse_packed_key(key)
        with self._reading(key):
            if packed is not None:
                return self._packs.read_range(packed, offset, size_bytes)
            descriptor = open_for_reading(path)
            try:
                return read_at(descriptor, offset, size_bytes)
            finally:
                os.close(descriptor)

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object."""
        path, packed = self._path(key), parse_packed_key(key)
        with self._reading(key):
            if packed is not None:
                return self._packs.stat(packed)
            found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ObjectNotFound(key)
        return _object_stat(key, found)

    def find_missing(self, keys: Iterable[str]) -> set[str]:
        """Tell which of several objects are not there; a pack is opened once for all of its objects."""
        packed = {key: parse_packed_key(key) for key in keys}
        missing = {key for key, found in packed.items() if found is None and not self._has(key)}
        with os_errors_translated(PACKS_FOLDER):
            missing |= self._packs.find_missing({key: one for key, one in packed.items() if one is not None})
        if missing:
            self.require_there()
        return missing

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the objects below the folders that ``prefix`` names, reading one folder at a time."""
        check_prefix(prefix)
        return self._walk(prefix)

    def delete(self, key: str) -> None:
        """Remove an object, durably. Its folders stay: another process may be about to write into them."""
        path, packed = self._path(key), parse_packed_key(key)
        with suppress(ObjectNotFound), self._reading(key):
            if packed is not None:
                self._packs.delete(packed)
                return
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def remove_abandoned(self, older_than_s: float) -> int:
        """Remove the temporaries that are old and that no live process has locked, and packs that are empty.

        Age alone would not do: a slow modality may send for hours.
        """
        with os_errors_translated(TEMPORARY_FOLDER):
            with os.scandir(self._temporaries) as entries:
                paths = [Path(entry) for entry in entries if entry.is_file(follow_symlinks=False)]
            removed = sum(remove_if_abandoned(path, older_than_s) for path in paths)
            return removed + self._packs.remove_empty()

    def check(self) -> None:
        """Prove that a file can be made, written and flushed."""
        with os_errors_translated(TEMPORARY_FOLDER):
            temporary = self.open_temporary()
            try:
                write_all(temporary.descriptor, b"check")
                os.fsync(temporary.descriptor)
                sync_folder(self._temporaries)
            finally:
                temporary.close()

    def close(self) -> None:
        """Finish the pack that this process writes."""
        self._packs.close()

    def open_temporary(self) -> LockedTemporary:
        """Open a new temporary on the file system of the objects."""
        return LockedTemporary(self._temporaries)

    def publish(self, temporary: LockedTemporary, key: str) -> ObjectStat:
        """Flush a temporary and give it its key, durably; raises ``OSError`` where that fails.

        The folder is flushed also where the same content was there before: whoever put it there may not have
        got that far yet, and this caller is about to give a promise of its own.
        """
        path = self._path(key)
        os.fsync(temporary.descriptor)
        while not self._link(temporary, path, key):
            with suppress(FileNotFoundError):  # removed since: try again
                if not has_same_content(temporary.descriptor, path):
                    raise ObjectExists(key)
                break
        temporary.unlink()
        self._make_folder_durable(path.parent)
        return _object_stat(key, path.lstat())

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _ABSENT:
                self.require_there()
                raise ObjectNotFound(key) from error
            raise store_error(error, key) from error

    def require_there(self) -> None:
        """Prove that the store is there at all: of a disk that is not mounted, nothing is known.

        Raises
        ------
        StoreUnavailable
        """
        if not self._temporaries.is_dir():
            raise StoreUnavailable(f"{self._root}: no store is there; is its disk mounted?")

    def _link(self, temporary: LockedTemporary, path: Path, key: str) -> bool:
        """Link the temporary to ``path``, in a new folder if need be; False where something has this name."""
        lock_path = self._root / _LOCK_FILE
        try:
            try:
                link_or_rename(temporary.path, path, lock_path)
            except FileNotFoundError:
                self._make_folder(path.parent, key)
                link_or_rename(temporary.path, path, lock_path)
        except FileExistsError:
            return False
        except NotADirectoryError as error:
            raise ObjectExists(f"{key}: a folder of it is the key of an object") from error
        return True

    def _make_folder(self, folder: Path, key: str) -> None:
        self._durable_folders.clear()  # if somebody removed this one, who knows what else
        try:
            make_folders(folder)
        except FileExistsError as error:
            raise ObjectExists(f"{key}: a folder of it is the key of an object") from error

    def _make_folder_durable(self, folder: Path) -> None:
        """Flush a folder, and the way to it unless this process has done so before.

        Not only above folders that this call made: another process may have made them and not flushed yet.
        """
        sync_folder(folder)
        if str(folder) in self._durable_folders:
            return
        above = folder
        while above != self._root:
            above = above.parent
            sync_folder(above)
        if len(self._durable_folders) >= _MAX_DURABLE_FOLDERS:
            self._durable_folders.clear()
        self._durable_folders.add(str(folder))

    def _walk(self, prefix: str) -> Iterator[ObjectStat]:
        self.require_there()
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                key = f"{folder}/{entry.name}" if folder else entry.name
                if (
                    not is_key(key) or key == PACKS_FOLDER
                ):  # our own files, lost+found, and whatever else is none of ours
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if key.startswith(prefix) or prefix.startswith(f"{key}/"):
                        folders.append(key)
                elif key.startswith(prefix) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # removed since
                        yield _object_stat(key, entry.stat(follow_symlinks=False))

        with os_errors_translated(PACKS_FOLDER):
            yield from self._packs.list(prefix)

    def _entries(self, folder: str) -> tuple[os.DirEntry[str], ...]:
        try:
            with os.scandir(self._root / folder) as entries:
                return tuple(entries)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise store_error(error, folder) from error


class _ObjectFile(io.FileIO):
    """The file of an object; a sector that cannot be read is an error of the store."""

    def __init__(self, path: Path, key: str) -> None:
        super().__init__(path, opener=open_for_reading)
        self._key = key

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        with os_errors_translated(self._key):
            return super().readinto(buffer)

    def readall(self) -> bytes:
        with os_errors_translated(self._key):
            return super().readall()


class _FileStage(SpillingStage[LockedTemporary]):
    """Spills into the store's own folder: a large object is written once, and only linked at the end."""

    def __init__(self, store: FilesystemStore, spill_size_bytes: int, packs: Packs | None) -> None:
        super().__init__(store.open_temporary, spill_size_bytes)
        self._store = store
        self._packs = packs
        self._appended: Appended | None = None

    def _keep(self, key: str) -> ObjectStat:
        with os_errors_translated(key):
            if self._packs is not None and not self._has_spilled:
                self._store.require_there()  # a new pack would be made on whatever disk there is
                with self.view() as content:
                    self._appended = self._packs.append(key, content)
                return self._appended.stat
            return self._store.publish(self._spilled(), key)

    def flush(self) -> None:
        """Flush the pack up to this object; together with those that came before it."""
        if self._appended is not None:
            with os_errors_translated(self._appended.stat.key):
                self._appended.flush()


def _object_stat(key: str, found: os.stat_result) -> ObjectStat:
    return ObjectStat(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
