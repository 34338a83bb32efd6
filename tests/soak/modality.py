"""A modality that sends under fire, and its ledger: what it sent, and what it was told."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pacs.dimse.command import CommandField, Element
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable, RequestedAssociation
from tests.datasets import encode, make_dataset

SUCCESS = 0x0000
_OFFER = (str(CTImageStorage), str(ExplicitVRLittleEndian))
_SERIES_OF_A_STUDY, _INSTANCES_OF_A_SERIES = 2, 6
_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Image:
    """An instance ready to be sent."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    dataset: bytes


@dataclass(slots=True)
class Entry:
    """What a modality knows of an instance that it began to send."""

    study_instance_uid: str
    series_instance_uid: str
    sha256: str  # of the data set
    status: int | None = None  # of the last answer; None: there was none yet
    answered_at: float | None = None

    @property
    def is_acknowledged(self) -> bool:
        """Tell whether the archive has said Success, and so must have it."""
        return self.status == SUCCESS


Ledger = dict[str, Entry]  # by SOP Instance UID


def make_images(side: int = 104) -> Iterator[Image]:
    """Make studies of two series without end, of images with ``side`` rows and columns."""
    while True:
        study = make_dataset(PatientID=generate_uid()[-12:], Rows=side, Columns=side)
        for _ in range(_SERIES_OF_A_STUDY):
            study.SeriesInstanceUID = generate_uid()
            for number in range(1, _INSTANCES_OF_A_SERIES + 1):
                study.SOPInstanceUID, study.InstanceNumber = generate_uid(), number
                study.PixelData = random.randbytes(2 * side * side)
                yield Image(
                    study.StudyInstanceUID, study.SeriesInstanceUID, study.SOPInstanceUID, encode(study)
                )


class OpenAssociation:
    """An association over which images go; what is said of them goes into a ledger."""

    def __init__(self, port: int, ledger: Ledger, timeout_s: float = 60.0) -> None:
        self._ledger = ledger
        self._association = RequestedAssociation(
            Peer("127.0.0.1", port, "FILMLESS"), "SOAK", [_OFFER], timeout_s
        )

    def send(self, image: Image) -> int:
        """Send an image and return the status; raises where the association ends instead."""
        sha256 = hashlib.sha256(image.dataset).hexdigest()
        entry = self._ledger.setdefault(
            image.sop_instance_uid, Entry(image.study_instance_uid, image.series_instance_uid, sha256)
        )
        elements: list[tuple[Element, int | str]] = [
            (Element.PRIORITY, 0),
            (Element.AFFECTED_SOP_INSTANCE_UID, image.sop_instance_uid),
        ]
        response = self._association.perform(
            self._context(), CommandField.C_STORE_RQ, elements, [image.dataset]
        )
        status = response.command.required_number(Element.STATUS)
        if not entry.is_acknowledged:  # what was promised once stays promised
            entry.status, entry.answered_at = status, time.time()
        return status

    def _context(self) -> NegotiatedContext:
        context = self._association.find_context(*_OFFER)
        assert context is not None
        return context

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self._association.__exit__(*ending)  # type: ignore[arg-type]


class Modality(threading.Thread):
    """Sends images until told to stop, each until it is acknowledged, over associations without end."""

    def __init__(
        self, port: int, *, side: int = 104, timeout_s: float = 60.0, rests_up_to_s: float = 0.0
    ) -> None:
        super().__init__(daemon=True)
        self.rests_up_to_s = rests_up_to_s  # between two images, so that hours do not make millions of them
        self.port = port
        self.side = side
        self.timeout_s = timeout_s
        self.ledger: Ledger = {}
        self.acknowledged = 0
        self.stopped = threading.Event()
        self.start()

    def run(self) -> None:
        images = make_images(self.side)
        image = next(images)
        while not self.stopped.is_set():
            try:
                with OpenAssociation(self.port, self.ledger, self.timeout_s) as association:
                    while not self.stopped.is_set():
                        if association.send(image) == SUCCESS:
                            self.acknowledged += 1
                            image = next(images)
                            self.stopped.wait(random.uniform(0, self.rests_up_to_s))
                        else:
                            self.stopped.wait(_PAUSE_S)
            except (PeerUnreachable, PeerRejected):
                self.stopped.wait(_PAUSE_S)


def acknowledged(modalities: Sequence[Modality]) -> int:
    """How many images the archive has promised to keep so far."""
    return sum(modality.acknowledged for modality in modalities)


def stop(modalities: Sequence[Modality]) -> Ledger:
    """Stop modalities and give all that they know."""
    for modality in modalities:
        modality.stopped.set()
    for modality in modalities:
        modality.join(timeout=modality.timeout_s + 30)
        assert not modality.is_alive(), "a modality waits for ever"
    return {uid: entry for modality in modalities for uid, entry in modality.ledger.items()}
