"""What is to be fetched, and how it goes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Final, NamedTuple, Protocol

from pacs.archive import Archive
from pacs.dicom.order_matching import StudyFacts
from pacs.dimse.statuses import code_location
from pacs.errors import IndexUnavailable
from pacs.index.selection import Selection
from pacs.ingest import IncomingInstance, Origin, StoreOutcome, store_instance
from pacs.ledger.entries import Door
from storage.errors import StoreError
from storage.store import Buffer

MOST_INSTANCES: Final = 100_000
ENDS: Final = (IndexUnavailable, StoreError)  # nothing can be kept any more; other errors are of an instance

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The studies that have these values; None: any."""

    study_instance_uid: str | None = None
    patient_id: str | None = None
    accession_number: str | None = None

    def may_be(self, study: StudyFacts) -> bool:
        """Tell whether nothing that is told of a study is another value than the wanted one."""
        pairs = (
            (self.study_instance_uid, study.study_instance_uid),
            (self.patient_id, study.patient_id),
            (self.accession_number, study.accession_number),
        )
        return all(not wanted or told in ("", wanted.strip()) for wanted, told in pairs)


class RemoteInstance(NamedTuple):
    """An instance of another archive, as far as that names it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str | None


@dataclass(slots=True)
class Progress:
    """How far a fetch is. One thread counts."""

    studies: int = 0
    listed: int = 0  # instances, of the studies that were looked at
    here_before: int = 0
    fetched: int = 0
    size_bytes: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # SOP Instance UID: why


class Source(Protocol):
    """Another archive that can be asked, and fetched from."""

    def find_studies(self, wanted: Wanted) -> list[StudyFacts]:
        """List the studies that are wanted, with what the archive says of their patients."""

    def list_instances(self, study_instance_uid: str) -> list[RemoteInstance]:
        """List the instances of a study."""

    def fetch(self, instances: list[RemoteInstance], receiver: Receiver) -> None:
        """Fetch instances of one study, until the receiver wants no more."""


class Receiver:
    """Takes in what comes from a peer. One thread uses it; ``stop`` is set by any."""

    def __init__(self, archive: Archive, ae_title: str, progress: Progress, stop: Event) -> None:
        self.archive = archive
        self.progress = progress
        self.stop = stop
        self._origin = Origin(Door.FETCH, ae_title)

    def take(self, incoming: IncomingInstance) -> StoreOutcome:
        """Keep one instance. Raises what `store_instance` raises."""
        counted = replace(incoming, chunks=self._count(incoming.chunks))
        outcome = store_instance(self.archive, counted, self._origin)
        self.progress.fetched += 1
        self.progress.failed.pop(outcome.sop_instance_uid, None)
        return outcome

    def _count(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            self.progress.size_bytes += len(chunk)
            yield chunk

    def note_failure(self, sop_instance_uid: str, error: Exception | str) -> None:
        """Note that an instance was not kept, without the words of an error that may name anybody."""
        told = error if isinstance(error, str) else code_location(error)
        self.progress.failed[sop_instance_uid] = told


def fetch_wanted(source: Source, wanted: Wanted, receiver: Receiver) -> None:
    """Fetch all that is wanted and not here yet; run again, it goes on where it was.

    An archive that passes over a key, as one of QIDO-RS may that does not match by it, answers with every
    study that it has: other people's images are not fetched for that.

    Raises as `fetch_studies` does.
    """
    found = source.find_studies(wanted)
    meant = [study.study_instance_uid for study in found if wanted.may_be(study)]
    if others := len(found) - len(meant):
        _log.warning("the peer answers with %d studies that were not asked for: they are left out", others)
    fetch_studies(source, meant, receiver)


def fetch_studies(source: Source, study_instance_uids: Iterable[str], receiver: Receiver) -> None:
    """Fetch what is not here yet of studies.

    Raises
    ------
    pacs.dimse.requestor.PeerUnreachable, pacs.dimse.requestor.PeerRejected
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    progress = receiver.progress
    for study in study_instance_uids:
        if receiver.stop.is_set():
            return
        listed = source.list_instances(study)
        missing = _missing(receiver.archive, listed)
        progress.studies += 1
        progress.listed += len(listed)
        progress.here_before += len(listed) - len(missing)
        if missing:
            source.fetch(missing, receiver)
            for instance in _missing(receiver.archive, missing) if not receiver.stop.is_set() else ():
                progress.failed.setdefault(instance.sop_instance_uid, "the peer did not send it")


def _missing(archive: Archive, listed: list[RemoteInstance]) -> list[RemoteInstance]:
    """Leave out what is here, in whatever study."""
    uids = tuple(one.sop_instance_uid for one in listed)
    known = archive.index.select_instances(Selection(sop_instance_uids=uids), len(uids)) if uids else []
    here = {one.sop_instance_uid for one in known}
    return [one for one in listed if one.sop_instance_uid not in here]
