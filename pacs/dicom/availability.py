"""Instance Availability Notifications: which instances can be had, and from whom (PS3.3 C.4.23)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.performed_procedure_step import MODALITY_PERFORMED_PROCEDURE_STEP
from pacs.dicom.transfer_syntaxes import TransferSyntax

INSTANCE_AVAILABILITY_NOTIFICATION: Final = "1.2.840.10008.5.1.4.33"

_RETRIEVE_AE_TITLE, _INSTANCE_AVAILABILITY = 0x00080054, 0x00080056
_REFERENCED_PERFORMED_STEP_SEQUENCE: Final = 0x00081111
_REFERENCED_SERIES_SEQUENCE: Final = 0x00081115
_SOP_CLASS, _SOP_INSTANCE = 0x00081150, 0x00081155
_REFERENCED_SOP_SEQUENCE: Final = 0x00081199
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_PERFORMED_WORKITEM_CODE_SEQUENCE: Final = 0x00404019


class SeriesReference(NamedTuple):
    """An instance, with the series that it is in."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


def encode_availability(
    syntax: TransferSyntax,
    ae_title: str,
    study_instance_uid: str,
    references: Sequence[SeriesReference],
    performed_step_uid: str | None = None,
) -> bytes:
    """Encode a notification that instances of a study, series by series, can be had at once.

    Parameters
    ----------
    ae_title
        Who gives them.
    performed_step_uid
        The performed procedure step that they are of, where it is known.

    References
    ----------
    PS3.4 Table R.3.2-1, which forbids all other attributes
    """
    encoder = ElementEncoder(syntax)
    steps = [] if performed_step_uid is None else [_step(encoder, performed_step_uid)]
    of_series = groupby(references, lambda one: one.series_instance_uid)
    series = [_series(encoder, ae_title, uid, list(found)) for uid, found in of_series]
    return (
        encoder.sequence(_REFERENCED_PERFORMED_STEP_SEQUENCE, steps)
        + encoder.sequence(_REFERENCED_SERIES_SEQUENCE, series)
        + _uid(encoder, _STUDY_INSTANCE_UID, study_instance_uid)
    )


def _step(encoder: ElementEncoder, uid: str) -> bytes:
    return (
        _uid(encoder, _SOP_CLASS, MODALITY_PERFORMED_PROCEDURE_STEP)
        + _uid(encoder, _SOP_INSTANCE, uid)
        + encoder.sequence(_PERFORMED_WORKITEM_CODE_SEQUENCE, [])
    )


def _series(encoder: ElementEncoder, ae_title: str, uid: str, references: Sequence[SeriesReference]) -> bytes:
    available = encoder.text(_RETRIEVE_AE_TITLE, "AE", ae_title.encode("ascii", "replace"))
    available += encoder.text(_INSTANCE_AVAILABILITY, "CS", b"ONLINE")
    items = (
        available
        + _uid(encoder, _SOP_CLASS, one.sop_class_uid)
        + _uid(encoder, _SOP_INSTANCE, one.sop_instance_uid)
        for one in references
    )
    return encoder.sequence(_REFERENCED_SOP_SEQUENCE, items) + _uid(encoder, _SERIES_INSTANCE_UID, uid)


def _uid(encoder: ElementEncoder, tag: int, uid: str) -> bytes:
    return encoder.text(tag, "UI", uid.encode("ascii"))
