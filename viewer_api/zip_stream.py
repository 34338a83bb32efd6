"""Instances as a ZIP with a DICOMDIR, made while it is sent (PS3.18 10.4.4, PS3.12 Annex V).

Nothing in a name comes from a data set. The files are not compressed: pixels that could be are asked for in
another transfer syntax.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pacs.archive import Archive
from pacs.dicom.file_set import FileSetDirectory
from pacs.errors import UnreadableInstance
from pacs.retrieve import read_own_attributes
from viewer_api.instance_parts import OutgoingInstance, read_outgoing

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A member that may grow past 4 GiB has to say so in its head; old programs understand the others better.
_SURELY_SMALL_SIZE_BYTES: Final = 64 * 1024 * 1024


def stream_zip(archive: Archive, outgoing: Sequence[OutgoingInstance], uid: str) -> Iterator[bytes]:
    """Write instances into a ZIP, as files ``DICOM/SE000001/IM000001``, and then its DICOMDIR.

    Parameters
    ----------
    uid
        Of the study, series or instance: the File-set has it too.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    sink, directory = _Sink(), FileSetDirectory()
    series: dict[str, int] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as container:
        for number, one in enumerate(outgoing, 1):
            instance = one.instance
            folder = series.setdefault(instance.series_instance_uid, len(series) + 1)
            file_id = ("DICOM", f"SE{folder:06d}", f"IM{number:06d}")
            syntax, chunks = read_outgoing(archive, one)
            info = zipfile.ZipInfo("/".join(file_id), instance.received_at.timetuple()[:6])
            may_be_large = not one.as_stored or instance.location.size_bytes > _SURELY_SMALL_SIZE_BYTES
            with container.open(info, "w", force_zip64=may_be_large) as member:
                for chunk in chunks:
                    member.write(chunk)
                    yield sink.take()
            _add(directory, archive, one, syntax, file_id)
        container.writestr("DICOMDIR", directory.encode(uid))
        yield sink.take()
    yield sink.take()


def _add(
    directory: FileSetDirectory,
    archive: Archive,
    one: OutgoingInstance,
    transfer_syntax_uid: str,
    file_id: tuple[str, ...],
) -> None:
    """Add a file to the directory; one that pydicom cannot read is in the ZIP without a record."""
    instance = one.instance
    uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
    try:
        attributes = read_own_attributes(archive, instance)
        directory.add(attributes, uids, instance.sop_class_uid, transfer_syntax_uid, file_id)
    except UnreadableInstance:
        return


class _Sink(io.RawIOBase):
    """Takes what the ZIP is made of; zipfile sees that it cannot go back, and writes sizes behind members."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take a piece."""
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
