"""Keeping the processes of one machine alive: listener, web and worker, each restarted when it dies."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pacs.errors import SettingsError
from pacs.settings import Settings

GRACE_S = 9.0  # stopping takes 10 s at most; associations in flight have most of it
_QUICK_DEATH_S = 5.0
_LONGEST_PAUSE_S = 5.0
_TICK_S = 0.1
_OTHER_PORTS = 100
_BACKLOG = 512


@dataclass(frozen=True, slots=True)
class Door:
    """One kind of process: how it is started, how many there are, and what to tell when all are ready."""

    name: str
    command: Sequence[str]  # of ``filmless``, e.g. ("listen",)
    processes: int
    line: str
    # What all processes of the door accept from, by the option that hands it over.
    listening: Mapping[str, socket.socket] = field(default_factory=dict)
    keeps_to_processors: bool = False  # each process to one, where there are processes for all


@dataclass(slots=True)
class _Child:
    """One process, and the socket that ties it to us: it says ready there, and stops when we are gone."""

    door: Door
    number: int  # of the door's processes, from 0
    process: subprocess.Popen[bytes] | None = None
    link: socket.socket | None = None
    ready: bool = False
    started_at: float = 0.0
    start_at: float = 0.0
    deaths_in_a_row: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts the doors and keeps them open until told to stop. Used by one thread; ``stop`` by any."""

    doors: Sequence[Door]
    environment: Mapping[str, str]
    tell: Callable[[str], None]
    dicom_port: int
    url: str
    log: Path | None = None  # where the processes log to; None: to our own output
    _children: list[_Child] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start all processes; they become ready while :meth:`tend` runs."""
        self._children = [_Child(door, n) for door in self.doors for n in range(door.processes)]
        for child in self._children:
            self._spawn(child)

    def stop(self) -> None:
        """Ask :meth:`tend` to stop the processes and return; safe in a signal handler."""
        self._stopping.set()

    def tend(self, until_ready: bool = False) -> bool:
        """Restart what dies until :meth:`stop` is called, or, if asked, only until every door is ready.

        Returns
        -------
        bool
            True when every door is ready, False when told to stop (all processes are gone then).
        """
        told: set[str] = set()
        while not self._stopping.is_set():
            self._hear()
            for child in self._children:
                self._revive(child)
            for door in self.doors:
                if door.name not in told and all(c.ready for c in self._children if c.door is door):
                    told.add(door.name)
                    if until_ready:
                        self.tell(door.line)
            if until_ready and len(told) == len(self.doors):
                return True
        self._end()
        return False

    def _spawn(self, child: _Child) -> None:
        ours, theirs = socket.socketpair()
        handed_over = {"--supervisor-fd": theirs, **child.door.listening}
        inherited = {option: handed.fileno() for option, handed in handed_over.items()}
        options = [text for option, descriptor in inherited.items() for text in (option, str(descriptor))]
        with self.log.open("ab") if self.log else contextlib.nullcontext() as output:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "pacs.cli", *child.door.command, *options],
                env={**self.environment},
                pass_fds=tuple(inherited.values()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        theirs.close()
        if child.door.keeps_to_processors:
            keep_to_processor(child.process.pid, child.number, child.door.processes)
        ours.setblocking(False)
        child.link, child.ready, child.started_at = ours, False, time.monotonic()

    def _hear(self) -> None:
        """Wait a moment for word from a child; a death wakes us at once."""
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                if child.link is not None:
                    selector.register(child.link, selectors.EVENT_READ, child)
            for key, _ in selector.select(_TICK_S) if selector.get_map() else ():
                self._read_link(key.data)
            if not selector.get_map():
                time.sleep(_TICK_S)

    @staticmethod
    def _read_link(child: _Child) -> None:
        assert child.link is not None  # noqa: S101 - it was selected
        try:
            word = child.link.recv(64)
        except OSError:
            word = b""
        if word:
            child.ready = True
        else:
            child.link.close()
            child.link = None

    def _revive(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is not None and (code := child.process.poll()) is not None:
            if child.link is not None:
                child.link.close()
            quick = now - child.started_at < _QUICK_DEATH_S
            child.deaths_in_a_row = child.deaths_in_a_row + 1 if quick else 0
            pause = min(0.2 * 2**child.deaths_in_a_row, _LONGEST_PAUSE_S) if child.deaths_in_a_row else 0.0
            child.process, child.link, child.ready, child.start_at = None, None, False, now + pause
            self.tell(f"{child.door.name}: a process ended ({_cause(code)}); starting another")
        if child.process is None and now >= child.start_at:
            self._spawn(child)

    def _end(self) -> None:
        """Ask every process to finish, and end those that have not after the grace."""
        for door in self.doors:
            for listening in door.listening.values():
                listening.close()  # or peers would go on queueing for processes that accept no more
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        for process in running:
            try:
                process.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            if child.link is not None:
                child.link.close()


def supervise(
    settings: Settings,
    tell: Callable[[str], None],
    *,
    other_ports: bool = False,
    log: Path | None = None,
) -> Supervisor:
    """Make the supervisor of all doors that ``settings`` describe; nothing is started yet.

    Parameters
    ----------
    tell
        Gets one line for each door that is ready, and for each process that ended.
    other_ports
        Take the next free port where one is in use, instead of failing.
    log
        File that the processes log to, instead of to our output.

    Raises
    ------
    pacs.errors.SettingsError
        A port is in use, or an address is not one of this machine.
    """
    listening = _claim_dicom_addresses(settings, other_ports)
    dicom_port, *tls_port = (int(one.getsockname()[1]) for one in listening.values())
    with claim_address("HTTP", settings.http_host, settings.http_port, other_ports) as probe:
        http_port = int(probe.getsockname()[1])  # its processes share the port themselves
    environment = {
        **os.environ,
        "FILMLESS_DICOM_PORT": str(dicom_port),
        "FILMLESS_HTTP_PORT": str(http_port),
    }
    address = f"{settings.dicom_host}:{dicom_port}" + "".join(f" and {port} with TLS" for port in tls_port)
    url = settings.model_copy(update={"http_port": http_port}).resolved_public_url
    doors = (
        Door(
            "DICOM",
            ("listen",),
            settings.dicom_processes,
            f"DICOM   {settings.ae_title} on {address}  ready",
            listening,
            keeps_to_processors=True,
        ),
        Door("web", ("web",), settings.http_processes, f"Web     {url}/  ready"),
        Door("worker", ("work",), 1, "Worker  ready"),
    )
    return Supervisor(doors, environment, tell, dicom_port, url, log)


def _claim_dicom_addresses(settings: Settings, other_ports: bool) -> dict[str, socket.socket]:
    ports = {"--listening-fd": ("DICOM", settings.dicom_port)}
    if settings.dicom_tls_port is not None:
        ports["--tls-listening-fd"] = ("DICOM_TLS", settings.dicom_tls_port)
    return {
        option: claim_address(door, settings.dicom_host, port, other_ports)
        for option, (door, port) in ports.items()
    }


def claim_address(door: str, host: str, port: int, other_ports: bool = False) -> socket.socket:
    """Listen on an address that nobody else has.

    Parameters
    ----------
    other_ports
        Where ``port`` is in use, take the next free one.

    Returns
    -------
    socket.socket
        It listens: on ``port``, or on a free one where that is 0.

    Raises
    ------
    pacs.errors.SettingsError
    """
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise SettingsError(f"{door}_HOST={host} is not a known address") from error
    for candidate in range(port, port + (_OTHER_PORTS if other_ports and port else 1)):
        try:
            return socket.create_server((host, candidate), family=_family(host), backlog=_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise SettingsError(f"{door}_HOST={host} is not an address of this machine") from error
            if error.errno == errno.EACCES:
                raise SettingsError(
                    f"{door}_PORT={candidate} needs more rights; use one above 1023"
                ) from error
    raise SettingsError(
        f"{door}_PORT={port} is in use on {host}: is Filmless, or another program, running there?"
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def keep_to_processor(pid: int, number: int, processes: int) -> None:
    """Keep a process that has no threads yet to one processor, if there are processes for all of them.

    The threads of an interpreter take turns anyway. Where the kernel spreads them over processors, each turn
    wakes another one, which costs a fifth to a third of the work on a small instance.

    Parameters
    ----------
    number
        Of the process among its like, from 0.
    processes
        How many of them there are. With fewer than processors, some of these would never be used.
    """
    with contextlib.suppress(OSError, AttributeError):  # not every system knows it
        processors = sorted(os.sched_getaffinity(0))
        if processes >= len(processors):
            os.sched_setaffinity(pid, {processors[number % len(processors)]})


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class SupervisorLink:
    """A child's end: says when it is ready, and stops the process when the supervisor is gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)
        threading.Thread(target=self._watch, name="supervisor-link", daemon=True).start()

    def ready(self) -> None:
        """Tell the supervisor that the door is open."""
        with contextlib.suppress(OSError):
            self._socket.sendall(b"ready\n")

    def _watch(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
