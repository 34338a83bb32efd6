"""Storage commitment: saying that instances are safe here, which lets a device delete its own (PS3.4 J)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pacs.archive import Archive
from pacs.index.commitments import Reference
from pacs.index.records import StoredInstance
from pacs.index.selection import Selection
from pacs.integrity import is_whole, require_store
from storage.errors import DamagedObject, ObjectNotFound, StoreError


class FailureReason(IntEnum):
    """Why an instance is not committed to (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(slots=True)
class Verdict:
    """Of which instances it is certain that they are safe, and of which not."""

    committed: list[Reference] = field(default_factory=list)
    failed: list[tuple[Reference, FailureReason]] = field(default_factory=list)


def judge(
    archive: Archive, references: Sequence[Reference], go_on: Callable[[int], bool] = lambda _: True
) -> Verdict:
    """Read the bytes of instances again and say which are here as they came.

    Parameters
    ----------
    go_on
        Called with the size of each piece read. Where it says no, the verdict means nothing.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
        The index or the store is away, so nothing can be said. Where it answers and an object cannot be
        read, that one has failed.
    """
    uids = tuple(reference.sop_instance_uid for reference in references)
    known = archive.index.select_instances(Selection(sop_instance_uids=uids), len(uids))
    instances = {instance.sop_instance_uid: instance for instance in known}
    verdict = Verdict()
    for reference in references:
        reason = _fault(archive, reference, instances.get(reference.sop_instance_uid), go_on)
        if reason is None:
            verdict.committed.append(reference)
        else:
            verdict.failed.append((reference, reason))
    return verdict


def _fault(
    archive: Archive, reference: Reference, instance: StoredInstance | None, go_on: Callable[[int], bool]
) -> FailureReason | None:
    if instance is None:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    if instance.sop_class_uid != reference.sop_class_uid:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    location = instance.location
    try:
        whole = is_whole(archive.store, location.key, location.size_bytes, location.sha256, go_on)
    except (ObjectNotFound, DamagedObject):
        whole = False
    except StoreError:
        require_store(archive)
        whole = False
    return None if whole else FailureReason.PROCESSING_FAILURE
