"""What can be wrong with a package or its descriptor."""

from kensho_tui.errors import KenshoError


class OvfError(KenshoError):
    """Root of what `kensho_tui.ovf` raises."""


class DescriptorError(OvfError):
    """The descriptor is no OVF descriptor, is hostile, or asks for what is not there."""


class PackageError(OvfError):
    """The package cannot be opened, or a member of it cannot be read."""


class ManifestError(OvfError):
    """The manifest cannot be understood, or a member does not match it."""


class SignatureError(OvfError):
    """A certificate or key cannot be used, or a package cannot be signed."""
