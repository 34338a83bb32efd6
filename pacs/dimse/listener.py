"""The DICOM door: a port, and a thread for each association behind it."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import threading
from functools import partial
from time import monotonic, sleep

from pacs.archive import Archive
from pacs.dimse.admission import Admission
from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.association import Association
from pacs.dimse.c_echo import C_ECHO
from pacs.dimse.c_find import c_find_operations
from pacs.dimse.c_store import c_store_operation
from pacs.dimse.callers import EVERY_RIGHT, Reception
from pacs.dimse.commitment_reports import commitment_report_operation
from pacs.dimse.limits import Limits
from pacs.dimse.own_certificate import warn_of_end
from pacs.dimse.performed_steps import performed_step_operations
from pacs.dimse.retrieving.c_get import c_get_operation
from pacs.dimse.retrieving.c_move import c_move_operation
from pacs.dimse.retrieving.retrieval import Retrievals
from pacs.dimse.secure_transport import acceptor_context, tls_credentials
from pacs.dimse.storage_commitment import commitment_operation
from pacs.dimse.worklist.operation import worklist_operation
from pacs.errors import SettingsError
from pacs.index.known_peers import PeerRight
from pacs.ingest import store_instance
from pacs.peers import PeerBook
from pacs.settings import Settings, is_loopback

logger = logging.getLogger(__name__)

THREAD_NAME = "association"
_BACKLOG = 512
_COURTESY_S, _MOST_COURTEOUS = 0.001, 2  # not more: a flood must be accepted faster than it comes
_BREATH_S = 0.05
_SHORTAGE_S = 0.5
_SETTLE_S = 1.0  # between two messages of one association there is less, when it is busy
_FAREWELL_S = 0.5  # for the aborts at the end of the grace; the supervisor kills after 9 s


class Listener:
    """Hears modalities on one port, or on a second one that speaks TLS, until it is stopped.

    Parameters
    ----------
    entity
        What a peer meets behind the port.
    listening
        A socket that listens.
    secure
        Another one, whose connections speak TLS in this context.
    max_associations
        Above it an A-ASSOCIATE-RQ is rejected for the time being.
    max_associations_per_peer
        The same for one address.
    max_unassociated
        Connections that have not asked for an association yet; above it the oldest make room.
    shared
        Other processes accept from the same socket: the one that has least to do is to be quickest.
    grace_s
        How long associations in flight may go on after `stop`.
    """

    def __init__(
        self,
        entity: ApplicationEntity,
        listening: socket.socket,
        *,
        secure: tuple[socket.socket, ssl.SSLContext] | None = None,
        max_associations: int = 200,
        max_associations_per_peer: int = 200,
        max_unassociated: int = 256,
        shared: bool = False,
        grace_s: float = 8.0,
    ) -> None:
        self._entity = entity
        self._grace_s = grace_s
        self._admission: Admission[Association] = Admission(
            max_associations, max_associations_per_peer, max_unassociated
        )
        self._shared = shared
        self._doors: dict[socket.socket, ssl.SSLContext | None] = {listening: None}
        self._doors |= (secure,) if secure is not None else ()
        for door in self._doors:
            door.setblocking(False)
        self._wake_reader, self._wake_writer = socket.socketpair()

    @property
    def port(self) -> int:
        """The TCP port that is open without TLS."""
        return self._ports[0]

    @property
    def _ports(self) -> list[int]:
        return [int(door.getsockname()[1]) for door in self._doors]

    def serve_forever(self) -> None:
        """Accept connections until `stop` is called, then let the associations in flight finish."""
        logger.info(
            "%s listens on port %s", self._entity.ae_title, " and, with TLS, ".join(map(str, self._ports))
        )
        with selectors.DefaultSelector() as selector:
            for watched in (*self._doors, self._wake_reader):
                selector.register(watched, selectors.EVENT_READ)
            while self._wake_reader not in (ready := [key.fileobj for key, _ in selector.select()]):
                for door, tls in self._doors.items():
                    if door in ready:
                        self._accept(door, tls)
        for door in self._doors:
            door.close()
        self._finish()
        self._wake_reader.close()
        self._wake_writer.close()

    def stop(self) -> None:
        """Have `serve_forever` finish and return. Any thread or signal handler may call it, and twice."""
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def _accept(self, door: socket.socket, tls: ssl.SSLContext | None) -> None:
        if self._shared:
            sleep(_COURTESY_S * min(len(self._admission.present()), _MOST_COURTEOUS))
        try:
            connection, address = door.accept()
        except BlockingIOError:
            return  # gone again, or another process was quicker
        except OSError as error:
            logger.error("no connection can be accepted: %s", error.strerror)
            sleep(_SHORTAGE_S)  # of descriptors: the connection stays in the queue, select returns at once
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        association = Association(connection, self._entity, self._admission.admit, tls)
        for evicted in self._admission.enter(association, str(address[0])):
            evicted.interrupt()
        try:
            threading.Thread(target=self._serve, args=(association,), name=THREAD_NAME, daemon=True).start()
        except RuntimeError:  # no more threads
            logger.error("no thread can be started for a connection")
            self._admission.leave(association)
            connection.close()

    def _serve(self, association: Association) -> None:
        try:
            association.serve()
        finally:
            self._admission.leave(association)

    def _finish(self) -> None:
        """Let messages in flight be answered for a while; then, and where nothing is in flight, abort."""
        begin = monotonic()
        settle_s = min(_SETTLE_S, self._grace_s)
        while associations := self._admission.present():
            elapsed_s = monotonic() - begin
            if elapsed_s > self._grace_s + _FAREWELL_S:
                break
            for association in associations:
                if elapsed_s > self._grace_s or (elapsed_s > settle_s and association.idle):
                    association.interrupt()
            sleep(_BREATH_S)
        if associations:
            logger.warning("%d associations did not finish in time", len(associations))


def open_port(host: str, port: int, *, share_port: bool = False) -> socket.socket:
    """Listen on a port; 0 takes a free one.

    Parameters
    ----------
    share_port
        Several processes listen on the same port (SO_REUSEPORT), and the kernel chooses.

    Raises
    ------
    SettingsError
        The address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=share_port)
    except OSError as error:
        raise SettingsError(
            f"DICOM_PORT={port} on DICOM_HOST={host} cannot be opened: {error.strerror}"
        ) from None


def open_listener(
    archive: Archive, listening_fd: int | None = None, tls_listening_fd: int | None = None
) -> Listener:
    """Open the DICOM door of an archive.

    Parameters
    ----------
    listening_fd
        A socket that listens, from which all processes of this machine accept; without it the port is
        opened here, and the kernel chooses among processes that do so (SO_REUSEPORT).
    tls_listening_fd
        The same for the port that speaks TLS, if there is one.

    Raises
    ------
    SettingsError
        The address cannot be bound, or the certificates cannot be used.
    """
    settings = archive.settings
    several = settings.dicom_processes > 1

    def listen(port: int, descriptor: int | None) -> socket.socket:
        if descriptor is not None:
            return socket.socket(fileno=descriptor)
        return open_port(settings.dicom_host, port, share_port=several)

    secure = None
    if settings.dicom_tls_port is not None:
        credentials = tls_credentials(settings)
        context = acceptor_context(credentials)
        warn_of_end(credentials)
        secure = (listen(settings.dicom_tls_port, tls_listening_fd), context)
    return Listener(
        _application_entity(archive),
        listen(settings.dicom_port, listening_fd),
        secure=secure,
        max_associations=settings.max_associations,
        max_associations_per_peer=settings.max_associations_per_peer,
        max_unassociated=settings.max_unassociated,
        shared=several and listening_fd is not None,
    )


def _application_entity(archive: Archive) -> ApplicationEntity:
    settings = archive.settings
    book = PeerBook(archive.index.peers.list_all)
    retrievals = Retrievals(archive)
    return ApplicationEntity(
        ae_title=settings.ae_title,
        operations=(
            C_ECHO,
            c_store_operation(
                partial(store_instance, archive),
                accept_unknown_sop_classes=settings.accept_unknown_sop_classes,
            ),
            *c_find_operations(archive),
            worklist_operation(archive),
            c_get_operation(retrievals),
            c_move_operation(retrievals, book),
            commitment_operation(archive),
            commitment_report_operation(archive),
            *performed_step_operations(archive),
        ),
        limits=Limits(
            associate_timeout_s=settings.associate_timeout_s,
            network_timeout_s=settings.network_timeout_s,
            pdu_timeout_s=settings.pdu_timeout_s,
            max_pdu_length=settings.max_pdu_length,
            max_command_size_bytes=settings.max_command_size_bytes,
        ),
        # What is too large is refused by ingest and its rest received in vain, but not for ever.
        max_dataset_bytes=2 * settings.max_object_size_bytes,
        reception=_reception(settings, book),
    )


def _reception(settings: Settings, book: PeerBook) -> Reception:
    """Let in peers; strangers where the settings say so, who may read something on this machine only."""
    strangers = None
    if settings.resolved_lan_open:
        strangers = EVERY_RIGHT if is_loopback(settings.dicom_host) else frozenset({PeerRight.STORE})
    return Reception(settings.ae_titles, book, strangers)
