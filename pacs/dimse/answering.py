"""Answering a C-FIND: its matches one after the other, until there are no more or the peer wants none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from pacs.dicom.character_sets import AnswerCharacterSet
from pacs.dimse.answer_writer import AnswerWriter
from pacs.dimse.association import Association
from pacs.dimse.callers import Caller
from pacs.dimse.message import Message
from pacs.dimse.statuses import CANCEL, SUCCESS, Status

ANSWERS_IN_ONE_GO = 100  # between them a cancel is looked for
T = TypeVar("T")


def answer_with(
    association: Association,
    message: Message,
    pending: Status,
    pages: Iterable[Sequence[T]],
    writer: AnswerWriter[T],
) -> None:
    """Answer with each match, and then with success; or with cancel, once the peer wants no more.

    References
    ----------
    PS3.7 9.1.2, 9.3.2.3
    """
    for matches in _in_small_pages(pages):
        if association.is_cancelled(message):
            association.respond(message, CANCEL)
            return
        association.respond_pending(message, pending, map(writer.write, matches))
    association.respond(message, CANCEL if association.is_cancelled(message) else SUCCESS)


def character_set_of(caller: Caller) -> AnswerCharacterSet:
    """Return the character set that a caller is answered in."""
    if caller.peer is None:
        return AnswerCharacterSet()
    return AnswerCharacterSet(caller.peer.character_set, caller.peer.unaccented)


def _in_small_pages(pages: Iterable[Sequence[T]]) -> Iterator[Sequence[T]]:
    for page in pages:
        for begin in range(0, len(page), ANSWERS_IN_ONE_GO):
            yield page[begin : begin + ANSWERS_IN_ONE_GO]
