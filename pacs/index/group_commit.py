"""Group commit: writers that come together share one flush and one transaction, and none waits for long."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from pacs.errors import IndexUnavailable
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.index.writer import IndexWriter

MAX_GROUP: Final = 64
_LONGEST_PATIENCE_S: Final = 0.005


def _is_durable() -> None:
    """Make nothing durable: the object is so already."""


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Ticket:
    """A record that waits to be written, and then what became of it."""

    record: InstanceRecord
    make_durable: Callable[[], None]
    outcome: WriteOutcome | None = None
    error: BaseException | None = None
    woken: threading.Lock = field(default_factory=_locked)  # released when it is done, or is to lead

    @property
    def done(self) -> bool:
        return self.outcome is not None or self.error is not None

    @property
    def order(self) -> tuple[str, str, str]:
        """Rows are locked in the same order in every process, so that two do not wait for each other."""
        record = self.record
        return (
            str(record.study["study_instance_uid"]),
            str(record.series["series_instance_uid"]),
            str(record.instance["sop_instance_uid"]),
        )


class GroupCommit:
    """Writes records for many threads at once.

    A thread that finds nobody writing leads: it makes durable and writes what waits, its own record and
    others', with one flush and one transaction. Those that come meanwhile wait, and one of them leads next.

    Associations that all got their answers together come back nearly together, too. So a leader waits for as
    many as there were of late, though never longer than half a commit takes: that is won back, as whoever
    came too late would wait for a whole one. A lone association waits for nobody.
    """

    def __init__(self, writer: IndexWriter) -> None:
        self._writer = writer
        self._writing = threading.Lock()
        self._lock = threading.Lock()  # of all that follows
        self._waiting: deque[_Ticket] = deque()
        self._has_leader = False
        self._enough = MAX_GROUP  # so many waiting wake the leader that waits for them
        self._arrived = _locked()
        self._expected = 1
        self._patience_s = 0.0

    def write(self, record: InstanceRecord, make_durable: Callable[[], None] = _is_durable) -> WriteOutcome:
        """Index one instance; committed and durable when this returns.

        Parameters
        ----------
        make_durable
            Called first, by any thread, if the object may not be durable yet. What it raises is raised.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        ticket = _Ticket(record, make_durable)
        if not self._enter(ticket):
            ticket.woken.acquire()
        if not ticket.done:
            self._lead()
        if ticket.outcome is None:
            assert ticket.error is not None  # noqa: S101 - a ticket that is done has one of the two
            raise ticket.error
        return ticket.outcome

    def write_in_order(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        """Index instances in one transaction, in this order; returns what became of each.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        with self._writing:
            return self._writer.write(records)

    def forget(self) -> None:
        """Forget the rows that the writer takes for known, as somebody has removed them."""
        with self._writing:
            self._writer.forget()

    def close(self) -> None:
        """Let go of the writer's connection."""
        with self._writing:
            self._writer.close()

    def _enter(self, ticket: _Ticket) -> bool:
        """Wait in line; True for the one who finds no leader, and is to lead."""
        with self._lock:
            self._waiting.append(ticket)
            if not self._has_leader:
                self._has_leader = True
                return True
            if len(self._waiting) == self._enough:
                self._arrived.release()
            return False

    def _lead(self) -> None:
        """Commit a group, the first of which is the leader, and hand on."""
        group: Sequence[_Ticket] = ()
        try:
            group = self._gather()
            begin = monotonic()
            with self._writing:
                self._commit(group)
            self._patience_s = min((monotonic() - begin) / 2, _LONGEST_PATIENCE_S)
        finally:
            self._hand_on(group)

    def _gather(self) -> list[_Ticket]:
        with self._lock:
            if len(self._waiting) < self._expected:
                self._enough = self._expected
        if self._enough < MAX_GROUP:
            self._arrived.acquire(timeout=self._patience_s)
        with self._lock:
            self._enough = MAX_GROUP
            self._arrived.acquire(blocking=False)  # released in the moment in which patience ended
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]

    def _hand_on(self, group: Sequence[_Ticket]) -> None:
        for ticket in group:
            if not ticket.done:
                ticket.error = RuntimeError("its group was not written to the end")
        for ticket in group[1:]:
            ticket.woken.release()
        with self._lock:
            self._expected = min(len(group) + len(self._waiting), MAX_GROUP - 1)
            if self._waiting:
                self._waiting[0].woken.release()
            else:
                self._has_leader = False

    def _commit(self, group: Sequence[_Ticket]) -> None:
        durable = [ticket for ticket in group if _made_durable(ticket)]
        try:
            self._write(durable)
        except IndexUnavailable as error:
            for ticket in durable:
                ticket.error = error
        except Exception:  # one of them is not like the others, which must not suffer
            self._write_one_by_one(durable)

    def _write(self, group: Sequence[_Ticket]) -> None:
        if not group:
            return
        ordered = sorted(group, key=lambda ticket: ticket.order)
        outcomes = self._writer.write([ticket.record for ticket in ordered])
        for ticket, outcome in zip(ordered, outcomes, strict=True):
            ticket.outcome = outcome

    def _write_one_by_one(self, group: Sequence[_Ticket]) -> None:
        for ticket in group:
            try:
                self._write([ticket])
            except Exception as error:
                ticket.error = error


def _made_durable(ticket: _Ticket) -> bool:
    """Make the object of a record durable, unless somebody just has; False where that failed."""
    try:
        ticket.make_durable()
    except Exception as error:
        ticket.error = error
        return False
    return True
