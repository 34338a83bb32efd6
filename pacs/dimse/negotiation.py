"""Our answer to what a requestor proposes besides presentation contexts (PS3.7 D.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pacs.dimse.user_information import OperationsWindow, Roles, UserInformation

ONE_AT_A_TIME = OperationsWindow(invoked=1, performed=1)


def answer_user_information(
    proposed: UserInformation,
    accepted: Mapping[str, Roles],
    inform: Callable[[str, bytes], bytes | None],
    maximum_length: int,
    identity_response: bytes | None = None,
) -> UserInformation:
    """Answer the User Information of an A-ASSOCIATE-RQ.

    Operations are performed one at a time; a proposed window is answered by that.

    Parameters
    ----------
    accepted
        The abstract syntaxes of the accepted presentation contexts, with what the requestor may be in them.
    inform
        Our service class application information for a SOP class and the requestor's; None for no answer.
    maximum_length
        Longest P-DATA-TF that we take in.
    identity_response
        What is answered to the user identity (`pacs.dimse.user_identity`); None: nothing.

    References
    ----------
    PS3.7 D.3.3.3 (window), D.3.3.4 (roles), D.3.3.5 (extended), D.3.3.7 (identity)
    """
    extended = {
        uid: answer
        for uid, information in proposed.extended.items()
        if uid in accepted and (answer := inform(uid, information)) is not None
    }
    return UserInformation(
        maximum_length=maximum_length,
        operations_window=None if proposed.operations_window is None else ONE_AT_A_TIME,
        roles={
            uid: accepted[uid]
            for uid, roles in proposed.roles.items()
            if uid in accepted and (roles.scu or roles.scp)
        },
        extended=extended,
        user_identity_response=identity_response,
    )
