"""The User Information item: what both sides negotiate besides presentation contexts (PS3.7 D.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from pacs.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs.dimse.endings import invalid_parameter
from pacs.dimse.items import encode_field, encode_item, items, take_field, text_of, uid_of

Parsed = TypeVar("Parsed")

MIN_MAXIMUM_LENGTH = 8  # of a P-DATA-TF: below it not one fragment fits (PS3.8 D.1)
MAX_SUB_ITEMS = 1024  # 128 presentation contexts have use for half of them
MAX_RELATED_SOP_CLASSES = 64


class SubItem(IntEnum):
    """Types of sub-items (PS3.7 Annex D, PS3.8 Annex D)."""

    MAXIMUM_LENGTH = 0x51
    IMPLEMENTATION_CLASS_UID = 0x52
    ASYNCHRONOUS_OPERATIONS_WINDOW = 0x53
    ROLE_SELECTION = 0x54
    IMPLEMENTATION_VERSION_NAME = 0x55
    EXTENDED_NEGOTIATION = 0x56
    COMMON_EXTENDED_NEGOTIATION = 0x57
    USER_IDENTITY = 0x58
    USER_IDENTITY_RESPONSE = 0x59


@dataclass(frozen=True, slots=True)
class Roles:
    """What the requestor of an association wants to be, or may be, for one SOP class (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


SCU_ONLY = Roles(scu=True, scp=False)  # where nothing else is negotiated


@dataclass(frozen=True, slots=True)
class OperationsWindow:
    """How many operations may be under way at a time; 0 is any number (PS3.7 D.3.3.3)."""

    invoked: int
    performed: int


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """What a requestor knows of a SOP class that we may not know (PS3.7 D.3.3.6)."""

    service_class_uid: str
    related_general_sop_classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who uses the requesting device (PS3.7 D.3.3.7). The two fields may be secrets, and are never shown."""

    kind: int  # 1 name, 2 name and passcode, 3 Kerberos ticket, 4 SAML assertion, 5 JSON web token
    positive_response_requested: bool
    primary_field: bytes = field(repr=False)
    secondary_field: bytes = field(repr=False)

    @property
    def has_secret(self) -> bool:
        """Whether something came along that opens doors elsewhere."""
        return self.kind != 1


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The sub-items that one side sends. Mappings are by SOP Class UID."""

    maximum_length: int = 0  # of a P-DATA-TF towards the sender of this; 0: any
    implementation_version_name: str = ""
    operations_window: OperationsWindow | None = None
    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)  # service class application information
    common_extended: Mapping[str, CommonExtendedNegotiation] = field(default_factory=dict)
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = field(default=None, repr=False)  # of an acceptor


def parse_user_information(value: memoryview) -> UserInformation:
    """Parse the User Information item of an A-ASSOCIATE-RQ; sub-items that we do not know are passed over.

    Raises
    ------
    AssociationAborted
        A length that lies, a UID that is too long, more sub-items than can have a meaning.
    """
    single: dict[int, memoryview] = {}
    roles: dict[str, Roles] = {}
    extended: dict[str, bytes] = {}
    common_extended: dict[str, CommonExtendedNegotiation] = {}
    for kind, sub_item in _few_items(value):
        match kind:
            case SubItem.ROLE_SELECTION:
                _add_roles(roles, sub_item)
            case SubItem.EXTENDED_NEGOTIATION:
                uid, information = take_field(sub_item)
                extended[uid_of(uid)] = bytes(information)
            case SubItem.COMMON_EXTENDED_NEGOTIATION:
                _add_common_extended(common_extended, sub_item)
            case _:
                single[kind] = sub_item
    return UserInformation(
        maximum_length=parse_maximum_length(single.get(SubItem.MAXIMUM_LENGTH)),
        implementation_version_name=text_of(
            single.get(SubItem.IMPLEMENTATION_VERSION_NAME, memoryview(b""))[:16]
        ),
        operations_window=_parsed(_operations_window, single.get(SubItem.ASYNCHRONOUS_OPERATIONS_WINDOW)),
        roles=roles,
        extended=extended,
        common_extended=common_extended,
        user_identity=_parsed(_user_identity, single.get(SubItem.USER_IDENTITY)),
    )


def parse_maximum_length(value: memoryview | None) -> int:
    """Parse the Maximum Length sub-item; an absent one means any length (PS3.8 D.1).

    Raises
    ------
    AssociationAborted
        Not even one fragment fits.
    """
    if value is None:
        return 0
    if len(value) != 4:
        raise invalid_parameter("the maximum length item has not four bytes")
    maximum_length = int.from_bytes(value, "big")
    if 0 < maximum_length < MIN_MAXIMUM_LENGTH:
        raise invalid_parameter("no fragment fits into the maximum length")
    return maximum_length


def _few_items(value: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, item in enumerate(items(value)):
        if number >= MAX_SUB_ITEMS:
            raise invalid_parameter("the user information has too many sub-items")
        yield item


def _parsed(parse: Callable[[memoryview], Parsed], value: memoryview | None) -> Parsed | None:
    return None if value is None else parse(value)


def _add_roles(roles: dict[str, Roles], value: memoryview) -> None:
    uid, rest = take_field(value)
    if len(rest) != 2:
        raise invalid_parameter("a role selection has not two roles")
    roles[uid_of(uid)] = Roles(scu=rest[0] == 1, scp=rest[1] == 1)


def _operations_window(value: memoryview) -> OperationsWindow:
    if len(value) != 4:
        raise invalid_parameter("an operations window has not four bytes")
    return OperationsWindow(int.from_bytes(value[:2], "big"), int.from_bytes(value[2:], "big"))


def _add_common_extended(negotiations: dict[str, CommonExtendedNegotiation], value: memoryview) -> None:
    sop_class, rest = take_field(value)
    service_class, rest = take_field(rest)
    uids, _ = take_field(rest)
    related: list[str] = []
    while uids:
        uid, uids = take_field(uids)
        related.append(uid_of(uid))
        if len(related) > MAX_RELATED_SOP_CLASSES:
            raise invalid_parameter("a SOP class has too many related general ones")
    negotiations[uid_of(sop_class)] = CommonExtendedNegotiation(uid_of(service_class), tuple(related))


def _user_identity(value: memoryview) -> UserIdentity:
    if len(value) < 2:
        raise invalid_parameter("a user identity is cut short")
    primary, rest = take_field(value[2:])
    secondary, _ = take_field(rest)
    return UserIdentity(value[0], value[1] == 1, bytes(primary), bytes(secondary))


def encode_user_information(user: UserInformation) -> bytes:
    """Encode the sub-items of ours, in the order of their types; what nobody negotiates is left out."""
    parts = [
        encode_item(SubItem.MAXIMUM_LENGTH, user.maximum_length.to_bytes(4, "big")),
        encode_item(SubItem.IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID.encode()),
    ]
    if window := user.operations_window:
        counts = window.invoked.to_bytes(2, "big") + window.performed.to_bytes(2, "big")
        parts.append(encode_item(SubItem.ASYNCHRONOUS_OPERATIONS_WINDOW, counts))
    for uid, roles in user.roles.items():
        value = encode_field(uid.encode("ascii", "replace")) + bytes((roles.scu, roles.scp))
        parts.append(encode_item(SubItem.ROLE_SELECTION, value))
    parts.append(encode_item(SubItem.IMPLEMENTATION_VERSION_NAME, IMPLEMENTATION_VERSION_NAME.encode()))
    for uid, information in user.extended.items():
        value = encode_field(uid.encode("ascii", "replace")) + information
        parts.append(encode_item(SubItem.EXTENDED_NEGOTIATION, value))
    if user.user_identity_response is not None:
        value = encode_field(user.user_identity_response)
        parts.append(encode_item(SubItem.USER_IDENTITY_RESPONSE, value))
    return b"".join(parts)
