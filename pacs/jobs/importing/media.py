"""The files that a DICOMDIR names: those that are there, and those that are not or must not be followed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pacs.dicom.dicomdir import is_safe_file_id, read_referenced_files
from pacs.errors import UnreadableInstance
from pacs.jobs.importing.sources import Refusal, Source, file_source, told
from pacs.jobs.importing.zips import ZipMember
from storage.store import Buffer

MAX_DICOMDIR_SIZE_BYTES = 64 * 1024**2
_OUTSIDE = "its DICOMDIR entry leads out of the medium"
_MISSING = "named by the DICOMDIR, and not there"


def named_files(source: Source, chunks: Iterable[Buffer]) -> Iterator[Source | Refusal]:
    """List the files that a DICOMDIR names: sources where it lies in a folder, and whatever is wrong.

    The members of a ZIP are all given out by the ZIP itself, so only what is wrong is told of them.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The DICOMDIR is damaged or too large.
    """
    file_ids = read_referenced_files(_whole(chunks))
    if isinstance(source, ZipMember):
        return _of_zip(source, file_ids)
    assert source.folder is not None  # noqa: S101 - all sources but members of ZIPs have one
    return _of_folder(source.name, source.folder, file_ids)


def _whole(chunks: Iterable[Buffer]) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_DICOMDIR_SIZE_BYTES:
            raise UnreadableInstance("the DICOMDIR is too large")
    return bytes(content)


def _of_zip(member: ZipMember, file_ids: Iterable[tuple[str, ...]]) -> Iterator[Refusal]:
    names = member.zip.names()
    for components in file_ids:
        entry = f"{member.name} -> {'/'.join(components)}"
        if not is_safe_file_id(components):
            yield Refusal(entry, _OUTSIDE)
        elif str(member.base.joinpath(*components)).upper() not in names:
            yield Refusal(entry, _MISSING)


def _of_folder(name: str, folder: Path, file_ids: Iterable[tuple[str, ...]]) -> Iterator[Source | Refusal]:
    root = folder.resolve()
    for components in file_ids:
        entry = f"{name} -> {'/'.join(components)}"
        path = _find(folder, components) if is_safe_file_id(components) else None
        if not is_safe_file_id(components) or (path and not path.resolve().is_relative_to(root)):
            yield Refusal(entry, _OUTSIDE)
        elif path is None:
            yield Refusal(entry, _MISSING)
        else:
            try:
                yield file_source(path, expected=True)
            except OSError as error:
                yield Refusal(entry, told(error))


def _find(folder: Path, components: Iterable[str]) -> Path | None:
    """Find a file by its components; what is mounted or copied may have small letters instead of capitals."""
    path = folder
    for component in components:
        spellings = (path / component, path / component.lower(), path / component.upper())
        found = next((one for one in spellings if os.path.lexists(one)), None)
        if found is None:
            return None
        path = found
    return path
