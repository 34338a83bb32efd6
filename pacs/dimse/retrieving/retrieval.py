"""What C-GET and C-MOVE have in common: who may have how much at a time, and how the end is told."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pacs.archive import Archive
from pacs.dimse.association import Association
from pacs.dimse.information_models import InformationModel
from pacs.dimse.message import Message
from pacs.dimse.received_identifier import read_identifier
from pacs.dimse.retrieving.identifier import read_selection
from pacs.dimse.retrieving.progress import Progress
from pacs.dimse.statuses import PENDING
from pacs.errors import IndexUnavailable, MatchesUncountable, RetrievalRefused
from pacs.index.records import StoredInstance

logger = logging.getLogger(__name__)


class Retrievals:
    """The retrievals of one process. Safe for use by several threads.

    Raises
    ------
    RetrievalRefused
        From its methods: more is asked for than the settings allow.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def begun(self, association: Association) -> Iterator[None]:
        """Perform a retrieval for a caller, unless there are too many for it already."""
        caller = association.calling_ae_title
        with self._lock:
            if self._under_way[caller] >= self.archive.settings.max_retrievals_per_peer:
                raise RetrievalRefused("too many retrievals at a time for this AE title")
            self._under_way[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[caller] -= 1
                self._under_way += Counter()  # drops who has none any more

    def find_instances(self, message: Message, model: InformationModel) -> list[StoredInstance]:
        """Find what a request asks for.

        Raises
        ------
        pacs.errors.InvalidRequest, pacs.errors.UnreadableInstance
            The identifier is none of this information model, or none at all.
        MatchesUncountable
            The index does not answer.
        """
        identifier = read_identifier(message, self.archive.settings.undeclared_character_set)
        selection = read_selection(identifier, model)
        most = self.archive.settings.max_retrieved_instances
        try:
            found = self.archive.index.select_instances(selection, most + 1)
        except IndexUnavailable as error:
            raise MatchesUncountable("index not available, try again later") from error
        if len(found) > most:
            raise RetrievalRefused(f"more than {most} instances at a time")
        most_bytes = self.archive.settings.max_retrieved_bytes
        if sum(one.location.size_bytes for one in found) > most_bytes:
            raise RetrievalRefused(f"more than {most_bytes} bytes at a time")
        return found


def tell_progress(
    association: Association, message: Message, progress: Progress, *, soon: bool = False
) -> None:
    """Send a pending response with the numbers of sub-operations (PS3.4 C.4.2.3.1, C.4.3.3.1).

    ``soon``: with the sub-operation that follows over the same association.
    """
    association.respond(message, PENDING, progress.pending_elements(), soon=soon)


def tell_end(
    association: Association, message: Message, progress: Progress, *, cancelled: bool, what: str
) -> None:
    """Send the last response, with the UIDs of what failed."""
    logger.info(
        "%s for %s: %d of %d instances sent, %d failed%s",
        what, association.calling_ae_title, progress.completed + progress.warning, progress.total,
        len(progress.failed_uids), ", cancelled" if cancelled else "",
    )  # fmt: skip
    association.respond(
        message,
        progress.final_status(cancelled=cancelled),
        progress.pending_elements() if cancelled else progress.final_elements(),
        progress.encode_failed_uids(message.context.transfer_syntax_uid),
    )
