"""A disk as recorded system calls changed it, and what may be left of it when the power is cut.

What was flushed is there. Of what was not, anything may be: nothing, all, some blocks of a write, a later
write without an earlier one, a file's length without its bytes, a new name beside the one that was taken
away. That is harder than any real file system is: most keep changes of names in their order.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tests.soak.system_calls import SystemCall

_BLOCKS = (512, 4096)


@dataclass(slots=True, eq=False)
class _Change:
    """Something that is durable once the file or folder that it belongs to is flushed after it."""

    call: SystemCall
    durable_at: int | None = None

    def is_durable(self, cut: int) -> bool:
        return self.durable_at is not None and self.durable_at <= cut


@dataclass(slots=True, eq=False)
class _Write(_Change):
    offset: int = 0
    content: bytes = b""


@dataclass(slots=True, eq=False)
class _Resize(_Change):
    size: int = 0


@dataclass(slots=True, eq=False)
class _Naming(_Change):
    """Names that change together: in a folder, a name now means this file or folder, or none."""

    names: tuple[tuple[_Folder, str, _File | _Folder | None], ...] = ()


@dataclass(slots=True, eq=False)
class _File:
    changes: list[_Write | _Resize] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Folder:
    changes: list[_Naming] = field(default_factory=list)
    names: dict[str, _File | _Folder] = field(default_factory=dict)  # as the processes see them


@dataclass(slots=True)
class _Opened:
    what: _File | _Folder
    position: int = 0
    appends: bool = False


Decide = Callable[[], bool]


class RecordedDisk:
    """The folder ``root``, empty and durable at first, as a list of calls left it."""

    def __init__(self, root: Path, calls: Iterable[SystemCall]) -> None:
        self._root_path = PurePosixPath(root)
        self._root = _Folder()
        self._namings: list[_Naming] = []
        self._families: dict[int, int] = {}
        self._opened: dict[int, dict[int, _Opened]] = defaultdict(dict)
        self.syncs: list[SystemCall] = []
        for call in calls:
            if call.result >= 0:
                self._replay(call)

    def after_cut(self, cut: int, folder: Path, rng: random.Random) -> None:
        """Write to ``folder`` what is left of the root when the power is cut at the moment ``cut``."""
        survives = _some_way_to_survive(rng)
        names: dict[_Folder, dict[str, _File | _Folder]] = defaultdict(dict)
        for naming in self._namings:
            if naming.is_durable(cut) or (naming.call.begun < cut and survives()):
                for parent, name, what in naming.names:
                    if what is None:
                        names[parent].pop(name, None)
                    else:
                        names[parent][name] = what
        _write_folder(folder, self._root, names, lambda file: _remains(file, cut, rng, survives))

    # --- replaying ----------------------------------------------------------------------------------------

    def _replay(self, call: SystemCall) -> None:
        match call.name:
            case "clone" | "clone3" | "fork" | "vfork":
                self._born(call)
            case "openat" | "creat":
                self._open(call)
            case "close":
                self._of(call).pop(int(call.numbers[0]), None)
            case "lseek" if opened := self._file(call):
                opened.position = call.result
            case "write" | "writev" if opened := self._file(call):
                offset = self._length(opened) if opened.appends else opened.position
                opened.position = offset + call.result
                self._write(call, opened, offset)
            case "pwrite64" | "pwritev" | "pwritev2" if opened := self._file(call):
                self._write(call, opened, int(call.numbers[-2 if call.name == "pwritev2" else -1]))
            case "ftruncate" if opened := self._file(call):
                self._resize(call, opened, int(call.numbers[-1]))
            case "fallocate" if (opened := self._file(call)) and "PUNCH_HOLE" in call.arguments:
                offset, length = map(int, call.numbers[-2:])
                assert isinstance(opened.what, _File)
                opened.what.changes.append(_Write(call, offset=offset, content=bytes(length)))
            case "fsync" | "fdatasync" if opened := self._file(call):
                self._sync(call, opened.what)
            case "mkdir" | "mkdirat" | "unlink" | "unlinkat" | "rmdir" | "link" | "linkat" | "rename":
                self._name(call)
            case "renameat" | "renameat2" | "truncate" | "dup" | "dup2" | "dup3" if self._touches(call):
                raise AssertionError(f"{call.name} is not understood here")
            case "copy_file_range" | "sendfile" | "sync_file_range" if self._file(call):
                raise AssertionError(f"{call.name} is not understood here")

    def _of(self, call: SystemCall) -> dict[int, _Opened]:
        """Give the open files of the process that a thread belongs to."""
        return self._opened[self._families.setdefault(call.thread, call.thread)]

    def _born(self, call: SystemCall) -> None:
        parent = self._families.setdefault(call.thread, call.thread)
        if "CLONE_THREAD" in call.arguments:
            self._families[call.result] = parent
        else:
            self._families[call.result] = call.result
            self._opened[call.result] |= self._opened[parent]

    def _file(self, call: SystemCall) -> _Opened | None:
        return self._of(call).get(int(call.numbers[0]))

    def _touches(self, call: SystemCall) -> bool:
        paths = [self._parts(content) for content in call.contents]
        return any(path is not None for path in paths) or (not paths and self._file(call) is not None)

    def _parts(self, path: bytes) -> tuple[str, ...] | None:
        """Give the way from the root to a path; None for one that is elsewhere."""
        given = PurePosixPath(path.decode())
        if not given.is_absolute() or not given.is_relative_to(self._root_path):
            return None
        return given.relative_to(self._root_path).parts

    def _parent(self, parts: tuple[str, ...]) -> _Folder:
        folder = self._root
        for part in parts[:-1]:
            inner = folder.names[part]
            assert isinstance(inner, _Folder)
            folder = inner
        return folder

    def _find(self, parts: tuple[str, ...]) -> _File | _Folder | None:
        return self._parent(parts).names.get(parts[-1]) if parts else self._root

    def _open(self, call: SystemCall) -> None:
        parts = self._parts(call.contents[0])
        if parts is None:
            self._of(call).pop(call.result, None)
            return
        found = self._find(parts)
        if found is None:
            assert "O_CREAT" in call.arguments, f"it was made before it was recorded: {parts}"
            found = _File()
            self._rename(call, [(parts, found)])
        opened = self._of(call)[call.result] = _Opened(found, appends="O_APPEND" in call.arguments)
        if "O_TRUNC" in call.arguments:
            self._resize(call, opened, 0)

    def _write(self, call: SystemCall, opened: _Opened, offset: int) -> None:
        assert isinstance(opened.what, _File)
        content = b"".join(call.contents)[: call.result]
        opened.what.changes.append(_Write(call, offset=offset, content=content))

    def _resize(self, call: SystemCall, opened: _Opened, size: int) -> None:
        assert isinstance(opened.what, _File)
        opened.what.changes.append(_Resize(call, size=size))

    @staticmethod
    def _length(opened: _Opened) -> int:
        assert isinstance(opened.what, _File)
        length = 0
        for change in opened.what.changes:
            if isinstance(change, _Resize):
                length = change.size
            else:
                length = max(length, change.offset + len(change.content))
        return length

    def _sync(self, call: SystemCall, what: _File | _Folder) -> None:
        """Make durable what had ended when the flush began."""
        self.syncs.append(call)
        for change in what.changes:
            if change.durable_at is None and change.call.ended < call.begun:
                change.durable_at = call.ended

    def _name(self, call: SystemCall) -> None:
        paths = [self._parts(content) for content in call.contents]
        if all(path is None for path in paths):
            return
        first, *others = (path for path in paths if path is not None)
        match call.name:
            case "mkdir" | "mkdirat":
                self._rename(call, [(first, _Folder())])
            case "unlink" | "unlinkat" | "rmdir":
                self._rename(call, [(first, None)])
            case "link" | "linkat":
                self._rename(call, [(others[0], self._find(first))])
            case "rename":
                self._rename(call, [(first, None), (others[0], self._find(first))])

    def _rename(self, call: SystemCall, names: list[tuple[tuple[str, ...], _File | _Folder | None]]) -> None:
        placed = tuple((self._parent(parts), parts[-1], what) for parts, what in names)
        naming = _Naming(call, names=placed)
        self._namings.append(naming)
        placed[-1][0].changes.append(naming)
        for parent, name, what in placed:
            if what is None:
                parent.names.pop(name, None)
            else:
                parent.names[name] = what


def _some_way_to_survive(rng: random.Random) -> Decide:
    """Choose for a cut how likely it is that what was not flushed survives; often it is all or nothing."""
    probability = rng.choice((0.0, 0.0, 1.0, 0.5, rng.random()))
    return lambda: rng.random() < probability


def _remains(file: _File, cut: int, rng: random.Random, survives: Decide) -> bytes:
    """Give what is left of the bytes of a file."""
    content = bytearray()
    for change in file.changes:
        if change.is_durable(cut):
            _apply(content, change)
        elif change.call.begun < cut and survives():
            if isinstance(change, _Write) and rng.random() < 0.5:
                _tear(content, change, rng)
            else:
                _apply(content, change)
    return bytes(content)


def _apply(content: bytearray, change: _Write | _Resize) -> None:
    if isinstance(change, _Resize):
        _lengthen(content, change.size)
        del content[change.size :]
    else:
        _lengthen(content, change.offset)
        content[change.offset : change.offset + len(change.content)] = change.content


def _lengthen(content: bytearray, size: int) -> None:
    content.extend(bytes(max(size - len(content), 0)))


def _tear(content: bytearray, write: _Write, rng: random.Random) -> None:
    """Write some blocks only; the file may get its length all the same, and zeros."""
    block, kept = rng.choice(_BLOCKS), rng.choice((0.0, 0.2, 0.8))
    end = write.offset + len(write.content)
    begin = write.offset
    while begin < end:
        border = min(begin - begin % block + block, end)
        if rng.random() < kept:
            _lengthen(content, begin)
            content[begin:border] = write.content[begin - write.offset : border - write.offset]
        begin = border
    if rng.random() < 0.5:
        _lengthen(content, end)


def _write_folder(
    path: Path,
    folder: _Folder,
    names: Mapping[_Folder, Mapping[str, _File | _Folder]],
    remains: Callable[[_File], bytes],
) -> None:
    path.mkdir(exist_ok=True)
    for name, what in names.get(folder, {}).items():
        if isinstance(what, _Folder):
            _write_folder(path / name, what, names, remains)
        else:
            (path / name).write_bytes(remains(what))
