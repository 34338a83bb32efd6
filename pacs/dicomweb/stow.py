"""Instances on their way to a peer by STOW-RS, one in each request (PS3.18 10.5)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from typing import Any, Final
from uuid import uuid4

from pacs.archive import Archive
from pacs.dicomweb.connection import WebConnection
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.dimse.retrieving.courier import Delivered, Pace
from pacs.dimse.retrieving.progress import SubOperationResult, result_of
from pacs.dimse.statuses import StatusCode, code_location
from pacs.errors import ArchiveError
from pacs.index.records import StoredInstance
from pacs.retrieve import read_chunks
from storage.errors import StoreError

_JSON: Final = "application/dicom+json"
_FAILED, _STORED = "00081198", "00081199"  # Failed and Referenced SOP Sequence
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_MAY_PASS: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        HTTPStatus.INSUFFICIENT_STORAGE,
    }
)
_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_log = logging.getLogger(__name__)


class StowCourier:
    """Brings instances to a peer, as they are stored. One thread uses it, but for `break_off`."""

    def __init__(self, archive: Archive, connection: WebConnection, pace: Pace) -> None:
        self._archive = archive
        self._connection = connection
        self._pace = pace
        self._stopped = False

    def expect(self, instances: Iterable[StoredInstance]) -> None:
        """Hear what will have to be brought; nothing is negotiated over HTTP."""

    def deliver(self, instance: StoredInstance) -> Delivered:
        """Bring one instance, and say what the peer did with it.

        Raises
        ------
        PeerUnreachable, PeerRejected
        """
        try:
            return self._store(instance)
        except PeerUnreachable:
            if self._stopped:
                raise
        return self._store(instance)  # a connection that was kept open may have been closed

    def break_off(self) -> None:
        """Have the thread that delivers give up at once. Called from any thread."""
        self._stopped = True
        self._connection.break_off()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _store(self, instance: StoredInstance) -> Delivered:
        size_bytes = instance.location.size_bytes
        boundary = uuid4().hex
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(len(head) + size_bytes + len(tail)),
            "Accept": _JSON,
        }
        try:
            pieces = _opened(read_chunks(self._archive, instance, 0, size_bytes))
            body = chain([head], self._pace(pieces), [tail])
            response = self._connection.request("POST", "/studies", headers, body)
            return self._judge(response.status, self._connection.read_json(response))
        except (PeerUnreachable, PeerRejected):
            raise
        except (ArchiveError, StoreError) as error:
            _log.warning("%s cannot be sent: %s", instance.sop_instance_uid, code_location(error))
            self._connection.close()  # half a request may be on its way
            return Delivered(SubOperationResult.FAILED, error=error)

    def _judge(self, status: int, answer: Any) -> Delivered:
        """Sort an answer (PS3.18 Tables 10.5.3-1 and 10.5.3-3); reasons are statuses of C-STORE (I.2)."""
        failure = _reason(answer, _FAILED, _FAILURE_REASON)
        if failure is not None:
            return Delivered(SubOperationResult.FAILED, failure)
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            warning = _reason(answer, _STORED, _WARNING_REASON) or 0
            return Delivered(result_of(warning), warning)
        if status in _MAY_PASS:
            return Delivered(SubOperationResult.FAILED, StatusCode.OUT_OF_RESOURCES)
        if status in _REFUSED:
            return Delivered(SubOperationResult.FAILED, StatusCode.NOT_AUTHORIZED)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return Delivered(SubOperationResult.FAILED, StatusCode.OBJECT_TOO_LARGE)
        if status in (HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE):
            return Delivered(SubOperationResult.FAILED, StatusCode.CANNOT_UNDERSTAND)
        raise PeerRejected(f"{self._connection.ae_title} answers a STOW-RS with {status}")


def _opened(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Read the first piece, so that what is not there fails before a request begins."""
    return chain([next(pieces, b"")], pieces)


def _reason(answer: Any, sequence: str, tag: str) -> int | None:
    """Read the reason of the first item of a sequence, in the DICOM JSON Model; None where there is none."""
    try:
        (item, *_) = answer[sequence]["Value"]
        (reason, *_) = item[tag]["Value"]
    except (KeyError, TypeError, ValueError):
        return StatusCode.CANNOT_UNDERSTAND if sequence == _FAILED and _has(answer, sequence) else None
    return reason if isinstance(reason, int) and 0 <= reason <= 0xFFFF else StatusCode.CANNOT_UNDERSTAND


def _has(answer: Any, sequence: str) -> bool:
    return isinstance(answer, dict) and bool((answer.get(sequence) or {}).get("Value"))
