"""Keys of the messages of performed procedure steps (storage/FORMAT.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from pacs.errors import UnreadableInstance

KEY_PREFIX: Final = "performed/"

_KEY: Final = re.compile(
    r"performed/[0-9a-f]{2}/(?P<sop>[0-9.]{1,64})/(?P<number>\d{6})\.(?P<sha256>[0-9a-f]{64})\.dcm", re.ASCII
)


@dataclass(frozen=True, slots=True)
class StepMessageName:
    """What a key tells: number 1 is the N-CREATE of the step, those behind it are its N-SETs."""

    sop_instance_uid: str
    number: int
    sha256: str  # of the whole object

    def key(self) -> str:
        """Build the key."""
        fan_out = hashlib.sha256(self.sop_instance_uid.encode("ascii")).hexdigest()[:2]
        return f"{KEY_PREFIX}{fan_out}/{self.sop_instance_uid}/{self.number:06d}.{self.sha256}.dcm"


def parse_step_message_key(key: str) -> StepMessageName | None:
    """Read a key back; None if it is not one of a message."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    name = StepMessageName(found["sop"], int(found["number"]), found["sha256"])
    return name if name.number and name.key() == key else None


def read_step_message_key(key: str) -> StepMessageName:
    """Read the key of a message back.

    Raises
    ------
    UnreadableInstance
        It is not one of a message.
    """
    name = parse_step_message_key(key)
    if name is None:
        raise UnreadableInstance("the key of a message is none")
    return name
