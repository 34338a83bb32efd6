"""The loop of a job of the worker: what is to be done now is done, then it waits, and looks again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Final

from pacs.errors import ArchiveError
from storage.errors import StoreError

_EVERY_S: Final = 2.0
_RETRY_AFTER_S: Final = 30.0
_TIDY_EVERY_S: Final = 3600.0

_log = logging.getLogger(__name__)


def keep_working(
    work: Callable[[], int], stop: Event, what: str, tidy: Callable[[], None] | None = None
) -> None:
    """Do what there is until ``stop`` is set; where index or store are away, go on later.

    Parameters
    ----------
    work
        Does some, and returns how much: after nothing it waits for two seconds.
    what
        What will be done later, for the log.
    tidy
        Is called once an hour.
    """
    tidy_at_s = time.monotonic()
    while not stop.is_set():
        try:
            done = work()
            if tidy is not None and time.monotonic() > tidy_at_s:
                tidy()
                tidy_at_s += _TIDY_EVERY_S
        except (ArchiveError, StoreError) as error:
            _log.warning("%s later: %s", what, type(error).__name__)
            stop.wait(_RETRY_AFTER_S)
        else:
            stop.wait(0 if done else _EVERY_S)
