"""An OVF package on disk as a platform: a folder with its descriptor, or an ``.ova``; read and written.

The connection's address is the package's path; one that does not exist yet can be written.
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
        """A session on the path. Nothing is opened before it is asked for.

        Raises: UnsupportedError: a setting is not one of `PackageSettings`.
        """
        from backends.package.session import PackageSession

        return PackageSession(connection.address, PackageSettings.of(connection.settings), cancel)


PLATFORM = PackagePlatform()
