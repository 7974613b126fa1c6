"""Passwords in a desktop's keyring: only of services that are known to keep them from others."""

from typing import Any

from kensho_tui.engine.sources import SecretError

# By name, and not by what a back end says of itself: whatever is installed beside us may say anything.
ALLOWED = {
    "keyring.backends.SecretService.Keyring": "Secret Service",
    "keyring.backends.libsecret.Keyring": "Secret Service (libsecret)",
    "keyring.backends.kwallet.DBusKeyring": "KWallet",
    "keyring.backends.kwallet.DBusKeyringKWallet4": "KWallet 4",
    "keyring.backends.macOS.Keyring": "macOS Keychain",
    "keyring.backends.Windows.WinVaultKeyring": "Windows Credential Locker",
}
_WHY_NOT = {
    "keyrings.alt.file.PlaintextKeyring": "it keeps passwords in a plain file",
    "keyrings.alt.file.EncryptedKeyring": "its encryption is weak and its file is not looked after",
    "keyring.backends.null.Keyring": "it forgets everything",
    "keyring.backends.fail.Keyring": "no keyring service runs here",
}
_INSTEAD = "Use age:NAME ('kensho secret set NAME'), or a file of mode 0600"


def password(service: str, user: str, subject: str) -> str:
    """The password of that entry, from the first keyring here that is on the list.

    Raises: SecretError: the library is missing, no keyring here is on the list (each is named, with
        the reason), it is locked, or it has no such entry.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise SecretError(
            "the library for keyrings is not installed",
            subject=subject,
            remedy="Install it with 'pip install kensho-tui[keyring]', or use age:NAME",
        ) from error
    offered = _flat(keyring.get_keyring())
    usable = [each for each in offered if name_of(each) in ALLOWED]
    if not usable:
        raise SecretError(
            f"no keyring here can be trusted with a password: {_refusals(offered)}",
            subject=subject,
            remedy=_INSTEAD,
        )
    title = ALLOWED[name_of(usable[0])]
    try:
        value = usable[0].get_password(service, user)
    except KeyringError as error:
        raise SecretError(
            f"{title} does not open ({type(error).__name__})", subject=subject, remedy="Unlock it"
        ) from error
    if not value:
        raise SecretError(
            f"{title} has no entry for '{user}' of '{service}'",
            subject=subject,
            remedy=f"Add it with: keyring set {service} {user}",
        )
    return str(value)


def name_of(backend: object) -> str:
    """Full name of a back end's class."""
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _flat(backend: Any) -> list[Any]:  # noqa: ANN401 - the library declares no such type
    """The back end, or those that it asks one after the other."""
    if name_of(backend) == "keyring.backends.chainer.ChainerBackend":
        return list(backend.backends)
    return [backend]


def _refusals(backends: list[Any]) -> str:
    if not backends:
        return "there is none"
    return "; ".join(
        f"{name_of(each)} is refused, {_WHY_NOT.get(name_of(each), 'it is not on the list')}"
        for each in backends
    )
