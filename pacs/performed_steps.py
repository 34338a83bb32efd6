"""What modalities say of their work: checked, made durable, and only then answered (PS3.4 F.7).

A message is an object of the store, and then a row of the index, as an instance is. Of two that come at the
same moment one is the next, and the other one is judged by what that has made of the step.
"""

from __future__ import annotations

import hashlib
import random
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from time import sleep
from typing import Final

import orjson

from pacs.archive import Archive
from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.json_model import JsonDataset, encode_dataset
from pacs.dicom.part10 import encode_file_meta, split_part10
from pacs.dicom.performed_step_keys import StepMessageName, read_step_message_key
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.whole_dataset import read_whole_dataset
from pacs.errors import DuplicateProcedureStep, IndexUnavailable, UnknownProcedureStep, UnreadableInstance
from pacs.index.engine import TransactionLost
from pacs.index.performed_steps import PerformedStep
from pacs.ledger.entries import StepMessage

MAX_MESSAGE_SIZE_BYTES: Final = 4 * 1024**2  # references to some 25,000 images
_MAX_ATTEMPTS: Final = 50  # of as many processes that change a step at once, one is the next each time
_PAUSE_S: Final = 0.002  # longer by this each time: some 2 s in all
_TURNS: Final = tuple(Lock() for _ in range(64))


@dataclass(frozen=True, slots=True)
class Said:
    """A message as it came: the data set of an N-CREATE or an N-SET."""

    sop_instance_uid: str  # of the step
    transfer_syntax_uid: str
    data: bytes
    calling_ae_title: str | None

    def read(self, archive: Archive) -> JsonDataset:
        """Read the data set, as it is read back from the index."""
        syntax = TRANSFER_SYNTAXES[self.transfer_syntax_uid]
        read = read_whole_dataset(self.data, syntax, archive.settings.undeclared_character_set)
        plain: JsonDataset = orjson.loads(encode_dataset(read))
        return plain


def create_step(archive: Archive, said: Said) -> None:
    """Take in an N-CREATE; durable when this returns.

    The same once more is success and changes nothing: a device sends it again that has not heard our answer,
    and would never tell the end of its examination if it were refused.

    Raises
    ------
    DuplicateProcedureStep
        A step of this UID is known, and was created with something else.
    pacs.errors.MissingAttribute, pacs.errors.MissingAttributeValue, pacs.errors.InvalidAttributeValue
    pacs.errors.UnreadableInstance, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    _create(archive, said, None)


def set_step(archive: Archive, said: Said) -> tuple[str, ...]:
    """Take in an N-SET; durable when this returns. The same once more changes nothing.

    Returns
    -------
    tuple of str
        Tags of attributes that may not be set, were to be changed, and are as they were.

    Raises
    ------
    UnknownProcedureStep, pacs.errors.EndedProcedureStep
    pacs.errors.MissingAttribute, pacs.errors.MissingAttributeValue, pacs.errors.InvalidAttributeValue
    pacs.errors.UnreadableInstance, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    for attempt in range(_MAX_ATTEMPTS):
        sleep(random.uniform(0, attempt * _PAUSE_S))  # others lost with us, and try again too
        with _turn(said.sop_instance_uid), suppress(TransactionLost):
            refused = _set(archive, said, None)
            if refused is not None:
                return refused
    raise IndexUnavailable("the step is being changed by others, again and again")


def replay_message(archive: Archive, message: StepMessage) -> str | None:
    """Take a message over from the store, at its number; give the UID of its step, or None if it was known.

    Raises
    ------
    pacs.errors.ArchiveError
        It does not fit to what is known of its step, or cannot be read.
    storage.errors.ObjectNotFound, storage.errors.StoreError
    """
    name = read_step_message_key(message.key)
    known = archive.index.performed_steps.find(name.sop_instance_uid)
    if (0 if known is None else known.number_of_messages) >= name.number:
        return None
    said = read_message(archive, message.key, message.calling_ae_title)
    if name.number == 1:
        _create(archive, said, message)
    else:
        _set(archive, said, message)
    return name.sop_instance_uid


def read_message(archive: Archive, key: str, calling_ae_title: str | None) -> Said:
    """Read from the store what a modality said, byte for byte.

    Raises
    ------
    UnreadableInstance
        It is not what it was.
    storage.errors.ObjectNotFound, storage.errors.StoreError
    """
    name = read_step_message_key(key)
    with archive.store.open(key) as source:
        data = source.read(2 * MAX_MESSAGE_SIZE_BYTES)
    if hashlib.sha256(data).hexdigest() != name.sha256:
        raise UnreadableInstance("a message is not what it was")
    meta, chunks = split_part10([data])
    encoded = b"".join(map(bytes, chunks))
    return Said(name.sop_instance_uid, meta.transfer_syntax_uid, encoded, calling_ae_title)


def _create(archive: Archive, said: Said, replayed: StepMessage | None) -> None:
    dataset = said.read(archive)
    mpps.check_creation(dataset)
    digest = hashlib.sha256(orjson.dumps(dataset, option=orjson.OPT_SORT_KEYS)).hexdigest()
    steps = archive.index.performed_steps
    known = steps.find(said.sop_instance_uid)
    if known is None:
        message = replayed or _keep(archive, said, 1)
        status, at = mpps.StepStatus.IN_PROGRESS, message.at
        step = PerformedStep(said.sop_instance_uid, status, dataset, digest, 1, at, at)
        if steps.add(step, message, in_ledger=replayed is None):
            return
        known = steps.find(said.sop_instance_uid)
    if known is None or known.creation_sha256 != digest:
        raise DuplicateProcedureStep("another procedure step has this SOP Instance UID")


def _set(archive: Archive, said: Said, replayed: StepMessage | None) -> tuple[str, ...] | None:
    """Apply an N-SET to a step as it stands; None if that was changed by somebody else meanwhile."""
    steps = archive.index.performed_steps
    step = steps.find(said.sop_instance_uid)
    if step is None:
        raise UnknownProcedureStep("no procedure step has this SOP Instance UID")
    modified = mpps.modify(step.dataset, said.read(archive))
    if modified.dataset == step.dataset and replayed is None:
        return modified.refused
    message = replayed or _keep(archive, said, step.number_of_messages + 1)
    changed = replace(
        step,
        status=mpps.StepStatus(mpps.text(modified.dataset, mpps.STATUS)),
        dataset=modified.dataset,
        number_of_messages=read_step_message_key(message.key).number,
        changed_at=message.at,
    )
    is_changed = steps.change(step, changed, message, in_ledger=replayed is None)
    return modified.refused if is_changed else None


def _turn(sop_instance_uid: str) -> Lock:
    """Return the lock of who changes a step: in this process nobody loses the race, and leaves an object."""
    return _TURNS[hash(sop_instance_uid) % len(_TURNS)]


def _keep(archive: Archive, said: Said, number: int) -> StepMessage:
    """Put a message into the store, as a file that any DICOM program reads.

    Where it then loses the race for its number, or the process dies, an object is left behind that nobody
    was promised; a rebuild takes it over if it is the next one of its step.
    """
    meta = encode_file_meta(
        mpps.MODALITY_PERFORMED_PROCEDURE_STEP, said.sop_instance_uid, said.transfer_syntax_uid
    )
    data = meta + said.data
    name = StepMessageName(said.sop_instance_uid, number, hashlib.sha256(data).hexdigest())
    archive.store.put(name.key(), data)
    return StepMessage(datetime.now(UTC), name.key(), said.calling_ae_title)
