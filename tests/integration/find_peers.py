"""An archive behind a listener, and who searches it by C-FIND."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_AC

from pacs.dimse.information_models import STUDY_ROOT, InformationModel
from tests.integration.dimse_peers import Peer
from tests.unit.pacs.dimse import wire

C_FIND_RQ = 0x0020
EVERYTHING_NEGOTIATED = bytes((1, 1, 1, 1, 1, 1, 1))
RELATIONAL = bytes((1,))


@dataclass
class Answers:
    """The statuses of all responses, the identifiers of the pending ones, and the comment of the last."""

    syntax: UID
    statuses: list[int] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    comment: str = ""

    @property
    def final(self) -> int:
        return self.statuses[-1]

    @cached_property
    def datasets(self) -> list[Dataset]:
        return [self.decoded(data) for data in self.encoded]

    def decoded(self, data: bytes) -> Dataset:
        return decode(BytesIO(data), self.syntax.is_implicit_VR, self.syntax.is_little_endian)

    def values(self, keyword: str) -> list[str]:
        return [str(dataset.get(keyword)) for dataset in self.datasets]


class Searcher:
    """An association on which is searched.

    Not pynetdicom's: of answers that come quickly its reactor now and then takes one away (seen with 3.0.4,
    one query of 300).
    """

    def __init__(
        self,
        port: int,
        model: InformationModel = STUDY_ROOT,
        negotiate: bytes = b"",
        syntax: str = wire.IMPLICIT,
        calling: str = "WS01",
    ) -> None:
        self._sop_class, self._syntax = model.find_sop_class, UID(syntax)
        uid = self._sop_class.encode()
        item = wire.item(0x56, struct.pack(">H", len(uid)) + uid + negotiate) if negotiate else b""
        self._peer = Peer(port)
        proposals = [wire.proposal(1, self._sop_class, syntax)]
        self._peer.send(wire.associate_request(proposals, calling=calling, user_items=item))
        self.acceptance = A_ASSOCIATE_AC()
        self.acceptance.decode(self._peer.read_pdu())

    @property
    def negotiated(self) -> dict[str, bytes]:
        """What was answered to the extended negotiation, by SOP class."""
        items = self.acceptance.user_information.ext_neg
        return {str(item.uid): item.app_info for item in items}

    def find(self, level: str | None, **keys: object) -> Answers:
        return self.find_by(identifier(level, **keys))

    def find_by(self, dataset: Dataset) -> Answers:
        encoded = encode(dataset, self._syntax.is_implicit_VR, self._syntax.is_little_endian)
        assert encoded is not None
        return self.find_bytes(encoded)

    def find_bytes(self, encoded: bytes) -> Answers:
        command = wire.command(C_FIND_RQ, sop_class=self._sop_class, dataset=True)
        pdus = [wire.p_data(wire.pdv(1, command, is_command=True))]
        for begin in range(0, len(encoded) or 1, 100_000):
            fragment = encoded[begin : begin + 100_000]
            pdus.append(wire.p_data(wire.pdv(1, fragment, is_last=begin + 100_000 >= len(encoded))))
        self._peer.send(b"".join(pdus))
        answers = Answers(self._syntax)
        while not answers.statuses or answers.final in (0xFF00, 0xFF01):
            response = wire.decode_response(self._peer.read_pdu())
            answers.statuses.append(int.from_bytes(response[0x0900], "little"))
            answers.comment = response.get(0x0902, b"").decode("ascii").strip()
            if answers.final in (0xFF00, 0xFF01):
                answers.encoded.append(self._read_dataset())
        return answers

    def _read_dataset(self) -> bytes:
        data, is_last = b"", False
        while not is_last:
            pdu = self._peer.read_pdu()
            data, is_last = data + pdu[12:], bool(pdu[11] & 0b10)
        return data

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.release()


def identifier(level: str | None, **keys: object) -> Dataset:
    """Write an identifier in UTF-8; the value of a sequence is the keys of its item."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    if level is not None:
        dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        if isinstance(value, dict):
            item = Dataset()
            for inner, text in value.items():
                setattr(item, inner, text)
            setattr(dataset, keyword, [item])
        else:
            setattr(dataset, keyword, value)
    return dataset
