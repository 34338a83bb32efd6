"""Group commit: writers that come together share one transaction and its sync, and none waits for others."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pacs.errors import IndexUnavailable
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.index.writer import IndexWriter

MAX_GROUP: Final = 64


@dataclass(slots=True, eq=False)
class _Ticket:
    """A record that waits to be written, and then what became of it."""

    record: InstanceRecord
    outcome: WriteOutcome | None = None
    error: BaseException | None = None

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

    A thread that finds nobody writing leads: it writes what waits, its own record and others', in one
    transaction. Those that come meanwhile wait, and the next leader takes them all. So a lone association
    waits for nobody, and the busier the archive is, the fewer syncs an instance costs.
    """

    def __init__(self, writer: IndexWriter) -> None:
        self._writer = writer
        self._waiting: deque[_Ticket] = deque()
        self._leading = threading.Lock()

    def write(self, record: InstanceRecord) -> WriteOutcome:
        """Index one instance; committed and durable when this returns.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        ticket = _Ticket(record)
        self._waiting.append(ticket)
        with self._leading:
            while not ticket.done:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
                self._commit(group)
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
        with self._leading:
            return self._writer.write(records)

    def forget(self) -> None:
        """Forget the rows that the writer takes for known, as somebody has removed them."""
        with self._leading:
            self._writer.forget()

    def close(self) -> None:
        """Let go of the writer's connection."""
        with self._leading:
            self._writer.close()

    def _commit(self, group: Sequence[_Ticket]) -> None:
        try:
            self._commit_together(group)
        except IndexUnavailable as error:
            for ticket in group:
                ticket.error = error
        except Exception as error:  # one of them is not like the others, which must not suffer
            if len(group) == 1:
                group[0].error = error
            else:
                for ticket in group:
                    self._commit([ticket])
        except BaseException as error:
            for ticket in group:
                ticket.error = error
            raise

    def _commit_together(self, group: Sequence[_Ticket]) -> None:
        ordered = sorted(group, key=lambda ticket: ticket.order)
        outcomes = self._writer.write([ticket.record for ticket in ordered])
        for ticket, outcome in zip(ordered, outcomes, strict=True):
            ticket.outcome = outcome
