"""Who uses the device that calls: the one place where logins check what it says of that (PS3.7 D.3.3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from pacs.dimse.endings import IDENTITY_REFUSED, AssociationRejected
from pacs.dimse.user_information import UserIdentity


class IdentityKind(IntEnum):
    """Types of a user identity (PS3.7 Table D.3-14)."""

    NAME = 1
    NAME_AND_PASSCODE = 2
    KERBEROS_TICKET = 3
    SAML_ASSERTION = 4
    JSON_WEB_TOKEN = 5


class Logins(Protocol):
    """Who knows the users. What it is asked is a secret, and neither kept nor logged."""

    def find_by_passcode(self, user_name: str, passcode: bytes) -> str | None:
        """Return the user of this name, if this is the passcode; else None."""

    def find_by_token(self, token: bytes) -> str | None:
        """Return the user for whom a JSON web token was made out, if it counts; else None."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What became of an identity: the user, None for nobody in particular, and what is answered."""

    user_name: str | None = None
    response: bytes | None = None  # None: nothing is answered


ANONYMOUS = Identified()


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """Decides what an identity is worth.

    Parameters
    ----------
    logins
        Who knows the users; None: nobody does, and everybody who may call is let in without a response, as
        the Standard has it for an acceptor that does not support identities.
    required
        Let nobody in of whom `logins` does not say who it is.
    """

    logins: Logins | None = None
    required: bool = False

    def identify(self, identity: UserIdentity | None) -> Identified:
        """Find the user.

        A wrong passcode or token is refused, required or not. A name alone proves nothing; it, and kinds
        that are not checked here, are as if nothing had been said.

        Raises
        ------
        AssociationRejected
            The user is not let in.

        References
        ----------
        PS3.7 D.3.3.7.1, D.3.3.7.2
        """
        if identity is not None and self.logins is not None:
            match identity.kind:
                case IdentityKind.NAME_AND_PASSCODE:
                    name = identity.primary_field.decode("utf-8", "replace")
                    return _answer(identity, self.logins.find_by_passcode(name, identity.secondary_field))
                case IdentityKind.JSON_WEB_TOKEN:
                    return _answer(identity, self.logins.find_by_token(identity.primary_field))
        if self.required:
            raise AssociationRejected(IDENTITY_REFUSED)
        return ANONYMOUS


def _answer(identity: UserIdentity, user_name: str | None) -> Identified:
    """Answer, where that is wanted, a passcode with nothing and a token with itself (PS3.7 Table D.3-15)."""
    if user_name is None:
        raise AssociationRejected(IDENTITY_REFUSED)
    if not identity.positive_response_requested:
        return Identified(user_name)
    is_token = identity.kind == IdentityKind.JSON_WEB_TOKEN
    return Identified(user_name, identity.primary_field if is_token else b"")
