"""Instances that are sent one after the other, each opened while the receiver is busy with the one before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from pacs.dimse.retrieving.outgoing import Outgoing
from pacs.dimse.statuses import code_location
from pacs.index.records import StoredInstance

logger = logging.getLogger(__name__)


class ReadAhead:
    """Iterates over instances and what was opened of each; None where it cannot be sent.

    Parameters
    ----------
    open_one
        Opens an instance; None where the receiver can take nothing of it. What it raises concerns this
        instance, and the others may do well.
    """

    def __init__(
        self, instances: Sequence[StoredInstance], open_one: Callable[[StoredInstance], Outgoing | None]
    ) -> None:
        self._left = iter(instances)
        self._open_one = open_one
        self._next: tuple[StoredInstance, Outgoing | None] | None = None

    def __iter__(self) -> Iterator[tuple[StoredInstance, Outgoing | None]]:
        self.look_ahead()
        while (opened := self._next) is not None:
            self._next = None
            yield opened
            self.look_ahead()

    def look_ahead(self) -> None:
        """Open the next one, unless it is open or there is none."""
        if self._next is None and (instance := next(self._left, None)) is not None:
            self._next = instance, self._open(instance)

    def _open(self, instance: StoredInstance) -> Outgoing | None:
        try:
            return self._open_one(instance)
        except Exception as error:  # of this instance, of which nothing is sent yet
            logger.warning("%s cannot be sent: %s", instance.sop_instance_uid, code_location(error))
            return None
