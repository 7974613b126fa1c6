"""What can go wrong with a file on a web server."""

from kensho_tui.certificate import Certificate
from kensho_tui.errors import KenshoError


class WebError(KenshoError):
    """A file on a web server cannot be read."""


class AddressError(WebError):
    """This is no address that files are fetched from."""


class UnreachableError(WebError):
    """The server cannot be reached, went away, or says that it cannot serve now."""

    def __init__(self, what: str, *, subject: str = "", remedy: str = "") -> None:
        super().__init__(
            what,
            subject=subject,
            remedy=remedy or "Check the address and the network, then try again",
            retryable=True,
        )


class AbsentError(WebError):
    """There is no such file."""


class LoginError(WebError):
    """The server wants a user name and a password, or refuses those it was given."""


class DeniedError(WebError):
    """The server gives the file to nobody, or not to this user."""


class ChangedError(WebError):
    """The file is another one than that which was begun to be read."""


class UntrustedError(WebError):
    """The server's certificate is not the one that is trusted.

    Attributes:
        shown: the certificate the server showed; its fingerprint "" where it could not be seen.
        expected: the pin it should have matched; "" where there was none.
    """

    def __init__(
        self, what: str, *, shown: Certificate, expected: str, subject: str, remedy: str
    ) -> None:
        super().__init__(what, subject=subject, remedy=remedy)
        self.shown = shown
        self.expected = expected
