"""What the archive refuses or cannot do. Knows neither HTTP nor DIMSE.

``pacs/dimse/statuses.py`` and ``viewer_api/problems.py`` translate this tree, each once. A message may name
UIDs, tags and AE titles, and never a patient.
"""


class ArchiveError(Exception):
    """Base of every error that the archive raises on purpose."""


class SettingsError(ArchiveError):
    """The settings are not usable; the message tells an IT person what to change."""


class InvalidRequest(ArchiveError):
    """The request itself is wrong: an unknown key, a malformed value."""


class IdentifierMismatch(InvalidRequest):
    """The keys of a query are not those of its information model: no level, or none of the keys above it."""


class MatchesUncountable(ArchiveError):
    """What a retrieval asks for cannot be found out now."""


class RetrievalRefused(ArchiveError):
    """A retrieval asks for more than this archive gives at a time."""


class UnknownDestination(ArchiveError):
    """A retrieval names a destination that is no peer, or none that can be called."""


class UnreadableInstance(ArchiveError):
    """The data set cannot be understood: not DICOM, cut short, or without the attributes that name it."""


class InvalidUid(UnreadableInstance):
    """A UID breaks the rules of PS3.5 9.1."""


class SopClassMismatch(ArchiveError):
    """The data set names another SOP Class or SOP Instance than the message that carried it."""


class UnsupportedSopClass(ArchiveError):
    """The SOP Class is not one that this archive accepts."""


class ObjectTooLarge(ArchiveError):
    """The object is larger than what this archive takes in."""


class UnsupportedTransferSyntax(ArchiveError):
    """The transfer syntax is not one that this archive accepts, or cannot be produced."""


class NotFound(ArchiveError):
    """No such study, series, instance or frame."""


class PixelsUnavailable(ArchiveError):
    """The instance has no pixels, or none that this version can turn into an image."""


class UndecodablePixels(PixelsUnavailable):
    """The pixel data is damaged, contradicts its description, or is larger than what is allowed."""


class DecodingInterrupted(UndecodablePixels):
    """The codec died on the frame or took too long: the frame may be the cause, or a machine in need."""


class DecodingUnavailable(ArchiveError):
    """No process for codecs can be started: the machine lacks memory or processes. It may succeed later."""


class UnfaithfulCompression(ArchiveError):
    """What was compressed is not read back as what it was made of; the instance stays as it is stored."""


class DuplicateInstance(ArchiveError):
    """Another content has this SOP Instance UID, and the settings say that it is refused."""


class DeletedInstance(ArchiveError):
    """The instance was deleted here, and the settings say that it is not taken in again."""


class DeletionNotAllowed(ArchiveError):
    """The settings say that nothing is deleted."""


class PeerChangesNotAllowed(ArchiveError):
    """The settings say that peers and routes are changed on the command line only."""


class MatchDecisionsNotAllowed(ArchiveError):
    """The settings say that matches of studies and orders are decided on the command line only."""


class OrderChanged(ArchiveError):
    """An order has another version than the one that was to be changed: somebody was faster."""


class OrderBegun(ArchiveError):
    """An order cannot be changed like this any more: images of it may exist."""


class ImpossibleState(ArchiveError):
    """A scheduled step cannot go from the state that it has to the one that is wanted."""


class UnknownAction(ArchiveError):
    """An action that is not performed on this kind of object."""


class TooManyRequests(ArchiveError):
    """More of one peer's requests wait than are kept."""


class DuplicateTransaction(ArchiveError):
    """A transaction UID that its peer has used for something else."""


class MissingAttribute(ArchiveError):
    """An attribute that has to be there is not."""


class MissingAttributeValue(ArchiveError):
    """An attribute that has to have a value is empty."""


class InvalidAttributeValue(ArchiveError):
    """An attribute has a value that it must not have there."""


class DuplicateProcedureStep(ArchiveError):
    """A performed procedure step of this SOP Instance UID is known, and it said something else."""


class UnknownProcedureStep(NotFound):
    """No performed procedure step has this SOP Instance UID."""


class EndedProcedureStep(ArchiveError):
    """A performed procedure step is completed or discontinued, and may not be changed any more."""


class PeerRefused(ArchiveError):
    """The calling application entity may not do this here."""


class MalformedLedgerEntry(ArchiveError):
    """A line of the ledger cannot be understood: it was damaged, or altered."""


class LedgerFromNewerVersion(ArchiveError):
    """The ledger in the store has a format that this version does not know."""


class IndexUnavailable(ArchiveError):
    """The database is away, locked or full. The same request may succeed later."""
