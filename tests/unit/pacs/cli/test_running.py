"""What every process of the command line shares: it stops when it is told to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pacs.cli.running import stopped_by_signals


@pytest.fixture
def other_thread() -> Iterator[int]:
    """A thread that the kernel may give a signal to; Python runs no handler there."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert thread.ident is not None
    yield thread.ident
    over.set()
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_main_thread_that_waits_whichever_thread_it_comes_to(
    number: signal.Signals, other_thread: int
) -> None:
    stop = threading.Event()
    with stopped_by_signals(stop.set):
        sending = threading.Timer(0.1, signal.pthread_kill, (other_thread, number))
        sending.start()
        assert stop.wait(30)
        sending.join()


def test_signals_that_come_again_and_again_do_no_harm() -> None:
    stop = threading.Event()
    with stopped_by_signals(stop.set):
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(30)


def test_another_signal_stops_nothing_and_what_was_before_is_there_again() -> None:
    stop, handlers = threading.Event(), [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)]
    signal.signal(signal.SIGUSR1, lambda *_: None)
    with stopped_by_signals(stop.set):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not stop.wait(0.2)
    signal.signal(signal.SIGUSR1, handlers[1] or signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) == handlers[0]
    assert signal.set_wakeup_fd(-1) == -1
