"""A peer that is told something, made of pynetdicom; for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import InstanceAvailabilityNotification, ModalityPerformedProcedureStep

HOST = "127.0.0.1"
BOTH = (InstanceAvailabilityNotification, ModalityPerformedProcedureStep)
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


@dataclass(frozen=True, slots=True)
class Heard:
    """A message: N-CREATE or N-SET, class and instance, the bytes, and what they say."""

    what: str
    sop_class_uid: str
    uid: str
    data: bytes
    dataset: Dataset
    syntax: str


@dataclass
class Hearer:
    """Hears notices. ``answer`` is asked for the status of each, and may do what it likes."""

    answer: Callable[[Heard], int | Dataset] = lambda _: 0x0000
    classes: Sequence[str] = BOTH
    syntaxes: Sequence[str] = NATIVE
    ae_title: str = "RIS"
    heard: list[Heard] = field(default_factory=list)
    port: int = 0

    def _create(self, event: evt.Event) -> tuple[int | Dataset, Dataset | None]:
        request = event.request
        names = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        status = self._hear("N-CREATE", names, request.AttributeList, event.attribute_list, event)
        return status, Dataset() if status == 0 else None

    def _set(self, event: evt.Event) -> tuple[int | Dataset, Dataset | None]:
        request = event.request
        names = (str(request.RequestedSOPClassUID), str(request.RequestedSOPInstanceUID))
        status = self._hear("N-SET", names, request.ModificationList, event.modification_list, event)
        return status, Dataset() if status == 0 else None

    def _hear(
        self, what: str, names: tuple[str, str], data: Any, dataset: Dataset, event: evt.Event
    ) -> int | Dataset:
        said = Heard(what, *names, data.getvalue(), dataset, str(event.context.transfer_syntax))
        self.heard.append(said)
        return self.answer(said)

    def told(self) -> list[tuple[str, str]]:
        return [(one.what, one.uid) for one in self.heard]

    @contextlib.contextmanager
    def listening(self, port: int = 0) -> Iterator[int]:
        entity = AE(self.ae_title)
        for one in self.classes:
            entity.add_supported_context(one, list(self.syntaxes))
        handlers: Any = [(evt.EVT_N_CREATE, self._create), (evt.EVT_N_SET, self._set)]
        server: Any = entity.start_server((HOST, port), block=False, evt_handlers=handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
