"""The address of a connection as a libvirt URI."""

from urllib.parse import quote, urlsplit

from backends.base import RefusedError


def uri(address: str, username: str = "") -> str:
    """A URI as it is, a host by SSH, the path of a socket, or nothing: this host.

    SSH is told never to ask anything: there is nobody at its terminal.

    Raises: RefusedError: it has a password in it, or is none.
    """
    address = address.strip()
    if not address or address == "localhost":
        return "qemu:///system"
    if address.startswith("/"):
        return f"qemu+unix:///system?socket={quote(address)}"
    if "://" not in address:
        address = f"qemu+ssh://{quote(username) + '@' if username else ''}{address}/system"
    try:
        parts = urlsplit(address)
        hidden = parts.password is not None
    except ValueError as error:
        raise RefusedError(
            "this is no address of a libvirt",
            subject=address,
            remedy="Write a host, or a URI such as qemu+ssh://host/system",
        ) from error
    if hidden:
        raise RefusedError(
            "a password has no place in an address",
            subject=parts.hostname or "",
            remedy="Leave it out, and name its place with --secret",
        )
    if parts.scheme.endswith("+ssh") and "no_tty" not in parts.query:
        address += ("&" if parts.query else "?") + "no_tty=1"
    return address
