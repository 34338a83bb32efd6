"""Which SOP classes are storage, be they of this edition of the Standard, of a later one, or private."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class

_DICOM_ROOT = "1.2.840.10008."
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR, which does not travel (PS3.4 I.4)
# Arcs of the Standard under which storage SOP classes are registered; those to come will be found there too.
_STORAGE_ARCS = (
    "1.2.840.10008.5.1.4.1.1.",
    "1.2.840.10008.5.1.4.34.7.",
)


def _known_storage_sop_classes() -> frozenset[str]:
    """Join the storage SOP classes of pynetdicom with the retired ones, which pydicom names.

    Not those of non-patient objects (PS3.4 GG.3): they have no study, by which all is kept and found here.
    """
    names = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class"}
    named = {uid for uid, name in names.items() if "Storage" in name and "Storage Commitment" not in name}
    elsewhere = {_MEDIA_STORAGE_DIRECTORY, *sop_class._NON_PATIENT_OBJECT_CLASSES.values()}
    return frozenset(sop_class._STORAGE_CLASSES.values()) | named - elsewhere


_STORAGE_SOP_CLASSES = _known_storage_sop_classes()


def is_storage_sop_class(uid: str, *, accept_unknown: bool) -> bool:
    """Tell whether instances of a SOP class are taken in.

    With ``accept_unknown`` these are also the private ones and those that the Standard adds after this
    version, recognised by their place in the tree; never those that are known to be another service, such
    as the FIND, MOVE and GET of an information model, or the storage of non-patient objects.

    References
    ----------
    PS3.4 B.5, GG.3; PS3.6 Table A-1
    """
    if uid in _STORAGE_SOP_CLASSES:
        return True
    if not accept_unknown or uid in UID_dictionary:
        return False
    return uid.startswith(_STORAGE_ARCS) or not uid.startswith(_DICOM_ROOT)
