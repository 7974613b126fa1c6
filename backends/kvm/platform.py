"""The entry point: how one comes from a connection to a session."""

from typing import TYPE_CHECKING

from pydantic import BaseModel

from backends.base import UnsupportedError
from backends.kvm.address import uri
from backends.kvm.settings import KvmSettings
from kensho_tui.cancel import Cancel
from kensho_tui.connections import Connection, SecretSource

if TYPE_CHECKING:
    from backends.kvm.session import KvmSession

# Debian's own python has it as python3-libvirt; others build it against libvirt's headers.
_GET = (
    "Install it with 'pip install kensho-tui[kvm]', which needs libvirt's headers, pkg-config and a C"
    " compiler (Debian: libvirt-dev, pkg-config, gcc)"
)


class KvmPlatform:
    """`Platform` of libvirt with QEMU and KVM."""

    name = "kvm"
    title = "KVM / libvirt"
    settings: type[BaseModel] = KvmSettings

    def connect(
        self, connection: Connection, secrets: SecretSource, cancel: Cancel
    ) -> "KvmSession":
        """Open the connection.

        Raises: AuthenticationError, ConnectError; RefusedError: the address or a setting is wrong;
            UnsupportedError: libvirt's library is missing, or it is no QEMU.
        """
        try:
            import libvirt  # noqa: F401
        except ImportError as error:
            raise UnsupportedError(
                "libvirt's Python library is missing", subject=connection.name, remedy=_GET
            ) from error
        from backends.kvm.features import features
        from backends.kvm.link import Link
        from backends.kvm.session import KvmSession

        settings = KvmSettings.of(connection.name, connection.settings)
        address = uri(connection.address, connection.username)
        link = Link(address, settings, connection, secrets, cancel)
        try:
            return KvmSession(link, features(link))
        except BaseException:
            link.close()
            raise


PLATFORM = KvmPlatform()
