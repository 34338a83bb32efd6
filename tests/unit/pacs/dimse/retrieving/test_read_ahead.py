"""The instance behind the one that is sent is opened meanwhile, and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pacs.dimse.retrieving.outgoing import Outgoing
from pacs.dimse.retrieving.read_ahead import ReadAhead
from pacs.errors import UnreadableInstance

INSTANCES: Any = [SimpleNamespace(sop_instance_uid=f"1.2.{number}") for number in range(4)]


class Opener:
    """Notes what it opens; the third instance is damaged, the last one nobody can take."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, instance: Any) -> Outgoing | None:
        self.opened.append(instance.sop_instance_uid)
        if instance is INSTANCES[2]:
            raise UnreadableInstance("damaged")
        return None if instance is INSTANCES[3] else Outgoing(instance.sop_instance_uid, [b"data"])


@pytest.mark.parametrize("looks_ahead", [True, False])
def test_all_come_in_their_order_and_what_cannot_be_opened_as_such(looks_ahead: bool) -> None:
    opener = Opener()
    ahead, seen = ReadAhead(INSTANCES, opener), []
    for number, (instance, outgoing) in enumerate(ahead):
        seen.append((instance, outgoing and outgoing.transfer_syntax_uid))
        if looks_ahead:
            ahead.look_ahead()
            ahead.look_ahead()  # again, which changes nothing
        assert len(opener.opened) == min(number + 1 + looks_ahead, 4)
    assert seen == list(zip(INSTANCES, ["1.2.0", "1.2.1", None, None], strict=True))
    assert opener.opened == [one.sop_instance_uid for one in INSTANCES]


def test_of_nothing_nothing_is_opened() -> None:
    opener = Opener()
    assert list(ReadAhead([], opener)) == []
    assert opener.opened == []
