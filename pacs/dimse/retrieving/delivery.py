"""Instances on their way to a peer, over one or several associations, from threads of their own."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic

from pacs.archive import Archive
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.dimse.retrieving.courier import Courier, Destination
from pacs.dimse.retrieving.progress import SubOperationResult
from pacs.dimse.statuses import code_location
from pacs.index.records import StoredInstance

logger = logging.getLogger(__name__)


class Delivery:
    """Sends instances to one peer; the end of the ``with`` block ends it, whatever is left.

    Of each instance there is one result, unless it is stopped before.

    Parameters
    ----------
    associations
        How many there are at a time, at most. Where the peer does not want so many, those that it wants.
    """

    def __init__(
        self,
        archive: Archive,
        destination: Destination,
        instances: Sequence[StoredInstance],
        associations: int,
    ) -> None:
        self._lock = threading.Lock()
        self._waiting = deque(instances)
        self._results: queue.SimpleQueue[tuple[str, SubOperationResult]] = queue.SimpleQueue()
        self._couriers = [Courier(archive, destination) for _ in range(min(associations, len(instances)))]
        for courier in self._couriers:
            courier.expect(instances)
        self._at_work = len(self._couriers)
        self._given_up = False
        self._threads = [
            threading.Thread(target=self._work, args=(courier,), name="delivery", daemon=True)
            for courier in self._couriers
        ]

    def __enter__(self) -> Delivery:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(0)

    def results(self, timeout_s: float) -> list[tuple[str, SubOperationResult]]:
        """Return what became of instances since it was asked last; wait a while for the first."""
        found = []
        with contextlib.suppress(queue.Empty):
            found.append(self._results.get(timeout=timeout_s))
            while True:
                found.append(self._results.get_nowait())
        return found

    def stop(self, grace_s: float) -> None:
        """Begin no further instance; break off what is under way after ``grace_s`` seconds."""
        with self._lock:
            self._waiting.clear()
        deadline = monotonic() + grace_s
        for courier, thread in zip(self._couriers, self._threads, strict=True):
            thread.join(max(deadline - monotonic(), 0))
            if thread.is_alive():
                courier.break_off()

    def _work(self, courier: Courier) -> None:
        while (instance := self._take()) is not None:
            try:
                result = SubOperationResult.FAILED if self._given_up else courier.deliver(instance).result
            except (PeerUnreachable, PeerRejected) as error:
                if self._hand_over(instance):
                    break
                logger.warning("a peer is given up: %s", error)
                self._given_up, result = True, SubOperationResult.FAILED
            except Exception as error:  # a thread that dies silently would leave the requestor waiting
                logger.error("%s was not sent: %s", instance.sop_instance_uid, code_location(error))
                result = SubOperationResult.FAILED
            self._results.put((instance.sop_instance_uid, result))
        courier.close()

    def _take(self) -> StoredInstance | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None

    def _hand_over(self, instance: StoredInstance) -> bool:
        """Leave an instance, and all others, to couriers that have an association; False if there is none."""
        with self._lock:
            if self._at_work <= 1:
                return False
            self._at_work -= 1
            self._waiting.appendleft(instance)
            return True
