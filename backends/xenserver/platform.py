"""The entry point: how one comes from a connection to a session."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from backends.base import ConnectError, UnsupportedError
from backends.xenserver.settings import XenServerSettings
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, SecretSource

if TYPE_CHECKING:
    from backends.xenserver.session import XenSession


class XenServerPlatform:
    """`Platform` of XenServer and XCP-ng."""

    name = "xenserver"
    title = "XenServer / XCP-ng"
    settings: type[BaseModel] = XenServerSettings

    def connect(
        self, connection: Connection, secrets: SecretSource, cancel: Cancel
    ) -> "XenSession":
        """Log in to the pool; a slave sends us on to its master.

        Raises: AuthenticationError, TrustError, ConnectError; RefusedError: the address or a
            setting is wrong; UnsupportedError: the XenAPI library is missing.
        """
        try:
            import XenAPI  # noqa: F401
        except ImportError as error:
            raise UnsupportedError(
                "the XenAPI library is missing",
                subject=connection.name,
                remedy="Install it with 'pip install xenapi'",
            ) from error
        from backends.xenserver.address import Address
        from backends.xenserver.api import Api
        from backends.xenserver.features import features
        from backends.xenserver.session import XenSession
        from backends.xenserver.trust import Trust

        settings = _settings(connection)
        trust = Trust(
            connection.pin,
            settings.member_pins,
            verify_hostname=settings.verify_hostname,
            name=connection.name,
        )
        api = Api(
            Address.parse(connection.address),
            trust,
            settings,
            lambda: (connection.username, secrets.password(connection)),
            cancel,
        )
        try:
            # Before the password is asked for: a stranger is not even told that there is one.
            api.greet()
            api.login()
            return XenSession(api, features(api))
        except BaseException:
            api.close()
            raise


def _settings(connection: Connection) -> XenServerSettings:
    try:
        return XenServerSettings.model_validate(dict(connection.settings))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(each) for each in first["loc"])
        raise ConnectError(
            f"setting '{where}' is not right: {first['msg']}",
            subject=connection.name,
            remedy="Mend the connection's settings",
        ) from error


PLATFORM = XenServerPlatform()
