"""Which presentation contexts are accepted, and in which transfer syntax."""

from __future__ import annotations

import pytest
from pynetdicom import sop_class

from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.contexts import Capability, choose_syntax_to_send, choose_transfer_syntax, negotiate
from pacs.dimse.pdu import ContextResult, ProposedContext
from pacs.dimse.user_information import SCU_ONLY, Roles
from tests.unit.pacs.dimse.wire import CT_IMAGE_STORAGE, EXPLICIT, IMPLICIT, JPEG_LOSSLESS, STUDY_ROOT_FIND

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
MPEG4 = "1.2.840.10008.1.2.4.102"
VIDEO_ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
GE_PRIVATE = "1.2.840.113619.5.2"  # implicit VR with big endian pixels: no reader would know


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([EXPLICIT], EXPLICIT),
        ([IMPLICIT], IMPLICIT),
        ([IMPLICIT, EXPLICIT], EXPLICIT),  # the same effort for the sender, and VRs are kept
        ([BIG_ENDIAN, IMPLICIT, EXPLICIT], EXPLICIT),
        ([BIG_ENDIAN, IMPLICIT], BIG_ENDIAN),
        ([BIG_ENDIAN], BIG_ENDIAN),
        ([JPEG_LOSSLESS, IMPLICIT, EXPLICIT], JPEG_LOSSLESS),  # it holds it compressed
        ([EXPLICIT, JPEG_LOSSLESS], EXPLICIT),
        ([IMPLICIT, JPEG_BASELINE], IMPLICIT),  # never made to compress with a loss
        ([DEFLATED, EXPLICIT], DEFLATED),
        ([GE_PRIVATE, IMPLICIT], IMPLICIT),
        ([GE_PRIVATE], None),
        (["not a UID"], None),
    ],
)
def test_the_senders_first_choice_is_kept_but_explicit_is_preferred_among_native_ones(
    proposed: list[str], chosen: str | None
) -> None:
    assert choose_transfer_syntax(proposed, TRANSFER_SYNTAXES) == chosen


@pytest.mark.parametrize("uid", TRANSFER_SYNTAXES)
def test_every_transfer_syntax_of_the_standard_is_taken(uid: str) -> None:
    assert choose_transfer_syntax([uid], TRANSFER_SYNTAXES) == uid


@pytest.mark.parametrize("uid", sop_class._STORAGE_CLASSES.values())
def test_every_storage_sop_class_is_known(uid: str) -> None:
    assert is_storage_sop_class(uid, accept_unknown=False)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image Storage, retired, on old devices
        "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction Storage
    ],
)
def test_retired_storage_is_known(uid: str) -> None:
    assert is_storage_sop_class(uid, accept_unknown=False)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.999.1",  # what the Standard may add
        "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image
        "1.2.840.113619.4.30",
    ],
)
def test_unknown_storage_is_taken_only_when_the_settings_say_so(uid: str) -> None:
    assert is_storage_sop_class(uid, accept_unknown=True)
    assert not is_storage_sop_class(uid, accept_unknown=False)


NOT_STORAGE = {
    "Verification": "1.2.840.10008.1.1",
    "Media Storage Directory": "1.2.840.10008.1.3.10",
    "Storage Commitment Push": "1.2.840.10008.1.20.1",
    "Study Root FIND": STUDY_ROOT_FIND,
    "Study Root MOVE": "1.2.840.10008.5.1.4.1.2.2.2",
    "Study Root GET": "1.2.840.10008.5.1.4.1.2.2.3",
    "Modality Worklist": "1.2.840.10008.5.1.4.31",
    "MPPS": "1.2.840.10008.3.1.2.3.3",
    "Grayscale Print": "1.2.840.10008.5.1.1.9",
    "Inventory FIND, below the arc of storage": "1.2.840.10008.5.1.4.1.1.201.2",
    "Protocol Approval MOVE, below it too": "1.2.840.10008.5.1.4.1.1.200.5",
    "Implant Template FIND": "1.2.840.10008.5.1.4.43.2",
    "UPS Push": "1.2.840.10008.5.1.4.34.6.1",
    "unknown, elsewhere in the Standard": "1.2.840.10008.5.1.4.99.1",
    "a transfer syntax": EXPLICIT,
}


@pytest.mark.parametrize("uid", NOT_STORAGE.values(), ids=NOT_STORAGE.keys())
def test_another_service_is_not_storage(uid: str) -> None:
    assert not is_storage_sop_class(uid, accept_unknown=True)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.38.1",  # Hanging Protocol Storage
        "1.2.840.10008.5.1.4.39.1",  # Color Palette Storage
        "1.2.840.10008.5.1.4.43.1",  # Generic Implant Template Storage
        "1.2.840.10008.5.1.4.45.9",  # what the Standard may add beside templates
        *sop_class._NON_PATIENT_OBJECT_CLASSES.values(),
    ],
)
def test_objects_of_no_study_are_not_taken(uid: str) -> None:
    assert not is_storage_sop_class(uid, accept_unknown=True)


def test_each_context_is_answered_on_its_own_and_in_order() -> None:
    offered = {CT_IMAGE_STORAGE: {EXPLICIT, JPEG_LOSSLESS}}
    answers = negotiate(
        [
            ProposedContext(1, CT_IMAGE_STORAGE, (GE_PRIVATE, JPEG_LOSSLESS)),
            ProposedContext(3, STUDY_ROOT_FIND, (IMPLICIT,)),
            ProposedContext(5, CT_IMAGE_STORAGE, (GE_PRIVATE,)),
            ProposedContext(7, CT_IMAGE_STORAGE, (EXPLICIT,)),
        ],
        lambda abstract_syntax: Capability(offered.get(abstract_syntax, ())),
        {},
    )
    assert [(a.context_id, a.result, a.transfer_syntax_uid) for a in answers] == [
        (1, ContextResult.ACCEPTANCE, JPEG_LOSSLESS),
        (3, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
        (5, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, GE_PRIVATE),
        (7, ContextResult.ACCEPTANCE, EXPLICIT),
    ]


@pytest.mark.parametrize(
    ("roles", "result"),
    [
        (Roles(scu=True, scp=False), ContextResult.ACCEPTANCE),
        (Roles(scu=True, scp=True), ContextResult.ACCEPTANCE),
        (Roles(scu=False, scp=True), ContextResult.USER_REJECTION),
        (Roles(scu=False, scp=False), ContextResult.ACCEPTANCE),  # means nothing: the default holds
    ],
)
def test_a_requestor_that_wants_to_be_scp_only_is_not_served(roles: Roles, result: ContextResult) -> None:
    proposed = [ProposedContext(1, CT_IMAGE_STORAGE, (EXPLICIT,))]
    (answer,) = negotiate(proposed, lambda _: Capability({EXPLICIT}), {CT_IMAGE_STORAGE: roles})
    assert answer.result == result
    assert answer.roles == SCU_ONLY


@pytest.mark.parametrize(
    ("capability", "wanted", "granted"),
    [
        (Capability({EXPLICIT}, {EXPLICIT}), Roles(scu=False, scp=True), Roles(scu=False, scp=True)),
        (Capability({EXPLICIT}, {EXPLICIT}), Roles(scu=True, scp=True), Roles(scu=True, scp=True)),
        (Capability({EXPLICIT}, {EXPLICIT}), Roles(scu=True, scp=False), SCU_ONLY),
        (Capability({EXPLICIT}, {EXPLICIT}), None, SCU_ONLY),
        (Capability({EXPLICIT}, ()), Roles(scu=True, scp=True), SCU_ONLY),
        (Capability((), {EXPLICIT}), Roles(scu=True, scp=True), Roles(scu=False, scp=True)),
        (Capability((), {EXPLICIT}), None, None),
        (Capability({EXPLICIT}, ()), Roles(scu=False, scp=True), None),
        (Capability({EXPLICIT}, {IMPLICIT}), Roles(scu=False, scp=True), None),
    ],
)
def test_a_requestor_gets_the_roles_that_it_wants_and_that_there_are(
    capability: Capability, wanted: Roles | None, granted: Roles | None
) -> None:
    """As the requestor of a C-GET, which is SCP of the storage that comes of it (PS3.4 C.5.3)."""
    proposed = [ProposedContext(1, CT_IMAGE_STORAGE, (EXPLICIT,))]
    (answer,) = negotiate(
        proposed, lambda _: capability, {} if wanted is None else {CT_IMAGE_STORAGE: wanted}
    )
    assert (answer.result == ContextResult.ACCEPTANCE) == (granted is not None)
    if granted is not None:
        assert answer.roles == granted


@pytest.mark.parametrize(
    ("abstract_syntax", "proposed", "chosen"),
    [
        (CT_IMAGE_STORAGE, [IMPLICIT, EXPLICIT], EXPLICIT),
        (CT_IMAGE_STORAGE, [JPEG_LOSSLESS, IMPLICIT], IMPLICIT),  # everything can be sent so
        (CT_IMAGE_STORAGE, [JPEG_LOSSLESS], JPEG_LOSSLESS),
        (CT_IMAGE_STORAGE, [MPEG4, JPEG_LOSSLESS, EXPLICIT], EXPLICIT),
        (VIDEO_ENDOSCOPIC, [EXPLICIT, MPEG4], MPEG4),  # but videos
        (VIDEO_ENDOSCOPIC, [EXPLICIT], EXPLICIT),
        (CT_IMAGE_STORAGE, ["1.2.3"], None),
    ],
)
def test_where_we_send_what_is_uncompressed_is_chosen(
    abstract_syntax: str, proposed: list[str], chosen: str | None
) -> None:
    assert choose_syntax_to_send(abstract_syntax, proposed, TRANSFER_SYNTAXES) == chosen
