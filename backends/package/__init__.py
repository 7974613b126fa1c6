"""An OVF package as a platform: a folder with its descriptor, or an ``.ova``; read and written.

The connection's address is the package's path; one that does not exist yet can be written. It may be on a web
server (``https://``), and is only read there: the connection then says how that server is trusted and who asks.
"""

from backends.base import Session
from backends.package.settings import PackageSettings
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, SecretSource


class PackagePlatform:
    """The entry point ``package``."""

    name = "package"
    title = "OVF package"
    settings = PackageSettings

    def connect(self, connection: Connection, secrets: SecretSource, cancel: Cancel) -> Session:
        """A session on the path or address. No package is opened before it is asked for.

        Raises: UnsupportedError: a setting is not one of `PackageSettings`. Of a web server:
            RefusedError: this is no address; ConnectError, TrustError, AuthenticationError.
        """
        from backends.package.session import PackageSession
        from kensho_tui.web.address import is_url

        settings = PackageSettings.of(connection.settings)
        address = settings.url or connection.address
        if not is_url(address):
            return PackageSession(address, settings, cancel)
        from backends.package.errors import speaking
        from kensho_tui.ovf.remote import Remote
        from kensho_tui.web.known import access_of

        access = access_of(connection, lambda: secrets.password(connection))
        with speaking(cancel):
            remote = Remote.at(address, access)
            remote.greet(cancel)
        return PackageSession(remote.url, settings, cancel, remote)


PLATFORM = PackagePlatform()
