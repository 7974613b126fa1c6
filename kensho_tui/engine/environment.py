"""What the engine's processes are started with: a short list of variables, and the system's clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Condition
from time import monotonic

from kensho_tui.cancel import Cancel

# Named one by one: whatever else the operator's shell holds may be a secret, and the environment
# of a process can be read for as long as it lives. The password stores' agents are addresses only.
_KEEP = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM"}
    | {"PYTHONPATH", "PYTHONUTF8", "PYTHONWARNINGS", "VIRTUAL_ENV", "LD_LIBRARY_PATH"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "KRB5CCNAME", "KRB5_CONFIG"}
    | {"GNUPGHOME", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "PASSWORD_STORE_DIR"}
    | {"KENSHO_STATE_DIR", "KENSHO_CONFIG_DIR", "KENSHO_SPOOL_DIR"}
    | {"CREDENTIALS_DIRECTORY"}  # of a runner that is a service of systemd's
)
# How web servers are reached. Of a proxy with a password in its address the engine is told nothing.
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that the engine's processes may have, and no others."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEEP
        or name.startswith(("LC_", "XDG_"))
        or (name.lower() in _PROXIES and "@" not in value)
    }


class SystemClock:
    """The machine's own time; implements `kensho_tui.migration.context.Clock`."""

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return monotonic()

    def sleep(self, seconds: float, cancel: Cancel) -> None:
        """Wait; ends early with `CancelledError` when cancelled."""
        cancel.wait(seconds)
        cancel.check()

    def wait(self, changed: Condition, seconds: float | None) -> None:
        """Wait for the condition, whose lock is held, at most so long; None: however long it takes."""
        changed.wait(seconds)
