"""Instances on their way to a peer, over one or several associations, from threads of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

from pacs.archive import Archive
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.dimse.retrieving.courier import Courier, Destination
from pacs.dimse.retrieving.progress import SubOperationResult
from pacs.dimse.statuses import code_location
from pacs.index.records import StoredInstance

logger = logging.getLogger(__name__)

_RELEASE_S: Final = 1.0  # for a peer to confirm the release, once it has everything


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
        self._results: deque[tuple[str, SubOperationResult]] = deque()
        self._finished = threading.Event()  # nobody is at work any more
        self._couriers = [Courier(archive, destination) for _ in range(min(associations, len(instances)))]
        for courier in self._couriers:
            courier.expect(instances)
        self._at_work = len(self._couriers)
        self._given_up = self._broken_off = False
        self._threads = [
            threading.Thread(target=self._work, args=(courier,), name="delivery", daemon=True)
            for courier in self._couriers
        ]

    def __enter__(self) -> Delivery:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(_RELEASE_S if self._finished.is_set() else 0)

    def wait(self, timeout_s: float) -> None:
        """Wait until all is done, or a while.

        Who watches is not woken for each instance: it would take the interpreter from the couriers.
        """
        self._finished.wait(timeout_s)

    def results(self) -> list[tuple[str, SubOperationResult]]:
        """Return what became of instances since it was asked last."""
        return [self._results.popleft() for _ in range(len(self._results))]

    def stop(self, grace_s: float) -> None:
        """Begin no further instance; break off what is under way after ``grace_s`` seconds."""
        with self._lock:
            self._waiting.clear()
        deadline = monotonic() + grace_s
        for courier, thread in zip(self._couriers, self._threads, strict=True):
            thread.join(max(deadline - monotonic(), 0))
            if thread.is_alive():
                self._broken_off = True
                courier.break_off()

    def _work(self, courier: Courier) -> None:
        while (instance := self._take()) is not None:
            try:
                result = SubOperationResult.FAILED if self._given_up else courier.deliver(instance).result
            except (PeerUnreachable, PeerRejected) as error:
                if self._broken_off or self._hand_over(instance):
                    break
                logger.warning("a peer is given up: %s", error)
                self._given_up, result = True, SubOperationResult.FAILED
            except Exception as error:  # a thread that dies silently would leave the requestor waiting
                logger.error("%s was not sent: %s", instance.sop_instance_uid, code_location(error))
                result = SubOperationResult.FAILED
            self._results.append((instance.sop_instance_uid, result))
        if not self._at_work:
            self._finished.set()
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
