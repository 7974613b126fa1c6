"""Secrets on disk, encrypted with age: one file for each, opened by one key or one passphrase.

``secrets/`` beside the connection book holds ``NAME.age`` (binary age files, which the ``age`` command
opens too) and ``store.toml``, which says what opens them. The key is an age identity (X25519) or an
SSH private key without a passphrase of its own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from kensho_tui.connections import NAME
from kensho_tui.engine.sources import SecretError, private_bytes
from kensho_tui.paths import config_dir, private_dir, write_private

# The name under which its passphrase is asked for.
PASSPHRASE = "passphrase:the store of secrets"  # noqa: S105
_LONGEST = 64 << 10  # bytes of a secret
Passphrase = Callable[[], str]


class WrongPassphraseError(SecretError):
    """The passphrase does not open the store."""


class AgeStore:
    """The store of this operator."""

    def __init__(self, folder: Path | None = None) -> None:
        """Args: folder: where it is; None for the operator's own in `kensho_tui.paths.config_dir`."""
        self._beside_the_book = folder is None
        self.folder = folder or config_dir() / "secrets"

    @property
    def key(self) -> Path | None:
        """The file of the key that opens it; None: a passphrase does, or it is not set up yet.

        Raises: SecretError: its settings cannot be read.
        """
        key = self._settings().get("key")
        return Path(str(key)) if key else None

    @property
    def asks(self) -> bool:
        """Whether a passphrase opens it, so that a person is needed."""
        return bool(self._settings().get("passphrase"))

    def names(self) -> list[str]:
        """Names of the secrets in it."""
        return sorted(path.stem for path in self.folder.glob("*.age"))

    # ------------------------------------------------------------------------------- setting up
    def open_with(self, key: Path | None) -> bool:
        """Settle what opens the store from now on: a key file, or a passphrase (None).

        A key file that is not there yet is made, as a new age identity; whether it was.

        Raises: SecretError: something else opens it already, or the file is no key.
        """
        settings = self._settings()
        key = key.expanduser().absolute() if key else None
        if settings:
            if key != self.key:
                raise SecretError(
                    "something else opens the store already: "
                    + (str(self.key) if self.key else "a passphrase"),
                    subject=str(self.folder),
                    remedy="Remove its secrets and store.toml first, then set them anew",
                )
            return False
        made = key is not None and not key.exists()
        if key is not None:
            if made:
                _new_identity(key)
            _recipient(key)
        document = tomlkit.document()
        document.update({"key": str(key)} if key else {"passphrase": True})
        self._write("store.toml", tomlkit.dumps(document).encode())
        return made

    def _settings(self) -> dict[str, Any]:
        path = self.folder / "store.toml"
        try:
            return dict(tomlkit.parse(path.read_text(encoding="utf-8")).unwrap())
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, TOMLKitError) as error:
            raise SecretError(
                f"the store of secrets cannot be read ({error})", subject=str(path)
            ) from error

    # ------------------------------------------------------------------------------------ secrets
    def put(self, name: str, value: str, passphrase: Passphrase | None = None) -> None:
        """Keep the secret, in place of one of that name.

        Args: passphrase: gives it, where one opens the store.

        Raises: SecretError: the name or the value will not do, or nothing opens the store yet.
        """
        import pyrage

        path = self._path(name)
        if not value or len(value.encode()) > _LONGEST:
            raise SecretError(f"a secret is 1 to {_LONGEST} bytes", subject=name)
        if self.key is not None:
            data = pyrage.encrypt(value.encode(), [_recipient(self.key)])
        elif self.asks:
            phrase = _asked(passphrase, self.folder)
            # One passphrase for all of them: what is there already has to open by it.
            for other in self.names()[:1]:
                self._decrypt(self._path(other).read_bytes(), phrase, other)
            data = pyrage.passphrase.encrypt(value.encode(), phrase)
        else:
            raise SecretError(
                "nothing opens the store yet",
                subject=str(self.folder),
                remedy="Give --key FILE (an age identity or SSH private key; a new one is made where"
                " there is none) or --passphrase",
            )
        self._write(path.name, data)

    def get(self, name: str, passphrase: Passphrase | None = None) -> str:
        """The secret. Raises: SecretError: there is none, or it does not open."""
        path = self._path(name)
        if not path.exists():
            known = ", ".join(self.names())
            raise SecretError(
                "there is no such secret in the store",
                subject=name,
                remedy=f"Add it with 'kensho secret set {name}'"
                + (f"; there are: {known}" if known else ""),
            )
        anew = f"Set it anew with 'kensho secret set {name}'"
        data = private_bytes(path, name, absent=anew, exposed="look who could")
        phrase = _asked(passphrase, self.folder) if self.key is None else ""
        return self._decrypt(data, phrase, name)

    def _decrypt(self, data: bytes, phrase: str, name: str) -> str:
        import pyrage

        try:
            if self.key is not None:
                return bytes(pyrage.decrypt(data, [_identity(self.key)])).decode()
            return bytes(pyrage.passphrase.decrypt(data, phrase)).decode()
        except pyrage.DecryptError as error:
            if self.key is None:
                raise WrongPassphraseError(
                    "this passphrase does not open the store", subject=name
                ) from error
            raise SecretError(
                f"{self.key} does not open it", subject=name, remedy="Set the secret anew"
            ) from error

    def remove(self, name: str) -> None:
        """Forget the secret. Raises: SecretError: there is none."""
        try:
            self._path(name).unlink()
        except FileNotFoundError as error:
            raise SecretError("there is no such secret in the store", subject=name) from error

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise SecretError(
                "a secret's name is letters, digits, '.', '_' or '-', at most 63", subject=name
            )
        return self.folder / f"{name}.age"

    def _write(self, name: str, data: bytes) -> None:
        try:
            if self._beside_the_book:
                private_dir(self.folder.parent, "KENSHO_CONFIG_DIR")
            private_dir(self.folder)
            write_private(self.folder / name, data)
        except OSError as error:
            raise SecretError(
                f"the store of secrets cannot be written ({error.strerror or error})",
                subject=str(self.folder),
            ) from error


def _asked(passphrase: Passphrase | None, folder: Path) -> str:
    if passphrase is None:
        raise SecretError(
            "a passphrase opens the store of secrets, and nobody can be asked for it",
            subject=str(folder),
            remedy="Use a store that a key file opens, or another place for the password",
        )
    return passphrase()


def _new_identity(path: Path) -> None:
    from pyrage import x25519

    identity = x25519.Identity.generate()
    text = f"# public key: {identity.to_public()}\n{identity}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text.encode())
    except OSError as error:
        raise SecretError(f"no key can be made ({error.strerror})", subject=str(path)) from error


def _identity(path: Path) -> Any:  # noqa: ANN401 - of one of two types of the library's
    """The key in the file, an age identity or an SSH private key."""
    import pyrage
    from pyrage import ssh, x25519

    data = private_bytes(
        path,
        "the key of the store of secrets",
        absent="It is the age identity or SSH private key that opens the store: copy it there, mode"
        " 0600, from where it was made or is backed up. Where it is lost, make another one with"
        f" 'age-keygen -o {path}' and set every secret anew",
        exposed="think about a new key and new passwords",
    )
    try:
        for line in data.decode("utf-8", errors="replace").splitlines():
            if line.startswith("AGE-SECRET-KEY-"):
                return x25519.Identity.from_str(line.strip())
        return ssh.Identity.from_buffer(data)
    except pyrage.IdentityError as error:
        raise SecretError(
            "this is no age identity, and no SSH private key that opens without a passphrase",
            subject=str(path),
            remedy="Make one with 'age-keygen', or name a file that is not there yet",
        ) from error


def _recipient(path: Path) -> Any:  # noqa: ANN401 - of one of two types of the library's
    """Whom secrets are encrypted to: the public half of the key."""
    import pyrage
    from pyrage import ssh, x25519

    identity = _identity(path)
    if isinstance(identity, x25519.Identity):
        return identity.to_public()
    public = path.with_name(path.name + ".pub")
    try:
        return ssh.Recipient.from_str(public.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError, pyrage.RecipientError) as error:
        raise SecretError(
            "the public half of this SSH key cannot be read",
            subject=str(public),
            remedy=f"Make it with: ssh-keygen -y -f {path} > {public}",
        ) from error
