"""A C-STORE sender that sends the bytes it is given, on pynetdicom's association and message classes."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import build_context


@dataclass(frozen=True, slots=True)
class RawInstance:
    """An encoded data set and what a C-STORE command says of it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: bytes


@contextmanager
def associated(
    port: int, contexts: Iterable[tuple[str, str]], ae_title: str = "FILMLESS"
) -> Iterator[Association]:
    """Associate with one presentation context for each pair of SOP class and transfer syntax."""
    ae = AE(ae_title="RAW")
    ae.maximum_pdu_size = 0
    pairs = sorted(set(contexts))
    association = ae.associate("127.0.0.1", port, [build_context(*pair) for pair in pairs], ae_title=ae_title)
    assert association.is_established
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(association: Association, instance: RawInstance) -> int:
    """Send one instance; return the status."""
    context_id = next(
        context.context_id
        for context in association.accepted_contexts
        if context.abstract_syntax == instance.sop_class_uid
        and context.transfer_syntax[0] == instance.transfer_syntax_uid
    )
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = instance.sop_class_uid
    request.AffectedSOPInstanceUID = instance.sop_instance_uid
    request.Priority = 2
    request.DataSet = io.BytesIO(instance.dataset)
    association._reactor_checkpoint.clear()  # as the library's own send_c_store does
    while not association._is_paused:
        time.sleep(0.0001)
    association.dimse.send_msg(request, context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert response is not None, "the association ended without an answer"
    return int(response.Status)
