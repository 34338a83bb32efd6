"""The one map from the operating system's errors to ours."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import StoreError, StoreFull, StoreUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def store_error(error: OSError, subject: str) -> StoreError:
    """Translate ``error``, met while working on ``subject``: StoreFull, or else StoreUnavailable."""
    message = f"{subject}: {error.strerror or error}"
    return StoreFull(message) if error.errno in _FULL else StoreUnavailable(message)


@contextmanager
def os_errors_translated(subject: str) -> Iterator[None]:
    """Raise StoreFull or StoreUnavailable for an ``OSError`` of the block."""
    try:
        yield
    except OSError as error:
        raise store_error(error, subject) from error
