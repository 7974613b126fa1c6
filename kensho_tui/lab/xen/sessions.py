"""Sessions: who is logged in, and the ways a login or a session is refused.

Follows ``ocaml/xapi/xapi_session.ml``: a slave refuses every login and names its master; a wrong
password is ``SESSION_AUTHENTICATION_FAILED`` with the user name and a reason.
"""

import hmac

from kensho_tui.lab.xen.calls import Context, call
from kensho_tui.lab.xen.database import now
from kensho_tui.lab.xen.fault import Fault
from kensho_tui.lab.xen.schema import NULL


@call(
    "session.login_with_password",
    "string",
    "string",
    "string",
    "string",
    optional=2,
    result="ref session",
    session=False,
)
def login(ctx: Context, user: str, password: str, version: str = "", originator: str = "") -> str:
    """A new session."""
    return open_session(ctx, user, password, originator)


def open_session(ctx: Context, user: str, password: str, originator: str = "") -> str:
    """Check the password; the new session's reference.

    Raises: Fault: ``SESSION_AUTHENTICATION_FAILED``.
    """
    stack = ctx.toolstack
    right = hmac.compare_digest(password.encode(), stack.password.encode())
    if user != stack.username or not right:
        raise Fault("SESSION_AUTHENTICATION_FAILED", user, "Authentication failure")
    return ctx.database.create(
        "session",
        {
            "this_host": stack.master,
            "last_active": now(),
            "pool": False,
            "is_local_superuser": True,
            "validation_time": now(),
            "auth_user_name": user,
            "originator": originator,
        },
    )


@call("session.logout")
def logout(ctx: Context) -> None:
    """The session ends."""
    ctx.toolstack.end_session(ctx.session)


@call("session.get_all_subject_identifiers", result="set string")
def subjects(ctx: Context) -> list[str]:
    """Nobody but the local superuser logs in here."""
    return []


@call("session.get_this_user", "ref session", result="ref user")
def this_user(ctx: Context, session: str) -> str:
    """The local superuser has no user object."""
    ctx.database.row("session", session)
    return NULL
