"""What every process of the command line shares: it stops when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.cli.running import stopped_by_signals

AUTOGROUP = Path("/proc/self/autogroup")


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


@pytest.mark.parametrize("leads_a_session", [True, False])
def test_who_stands_back_lets_other_processes_go_first(leads_a_session: bool) -> None:
    told = "from pacs.cli.running import stand_back; stand_back(); import os; print(os.nice(0))"
    command = [sys.executable, "-c", told]
    done = subprocess.run(command, start_new_session=leads_a_session, capture_output=True, check=True)
    assert int(done.stdout) == min(os.nice(0) + 10, 19)


def shares_processors_among_sessions() -> bool:
    """Tell whether this system does: the file may also be there and empty, for whom no session is known."""
    return AUTOGROUP.exists() and bool(AUTOGROUP.read_text())


@pytest.mark.skipif(
    not shares_processors_among_sessions(), reason="this system does not share processors among sessions"
)
def test_who_stands_back_lets_other_sessions_go_first_if_the_session_is_its_own() -> None:
    told = f"from pacs.cli.running import stand_back; stand_back(); print(open('{AUTOGROUP}').read())"
    command = [sys.executable, "-c", told]
    ours = AUTOGROUP.read_text().split()[-1]
    for leads_a_session, niceness in ((True, "10"), (False, ours)):
        done = subprocess.run(
            command, start_new_session=leads_a_session, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[-1] == niceness


LIMITS = """
import resource
from pacs.cli.running import apply_migrations, archive_process
from pacs.settings import load_settings
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, hard), hard))
apply_migrations(load_settings())
with archive_process(None):
    print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_a_process_may_open_as_many_files_as_the_system_allows_it(tmp_path: Path) -> None:
    environment = {**os.environ, "FILMLESS_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LIMITS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "True"
