"""The runner as a service of systemd's for one user: ``systemctl --user``.

Such a runner starts with the machine where the user lingers, is started again when it dies, and is in
no session that a logout could end.
"""

import contextlib
import hashlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from kensho_tui.engine.commands import NoAnswerError, first_line
from kensho_tui.engine.places import Places
from kensho_tui.errors import KenshoError
from kensho_tui.paths import named_path

SYSTEMCTL_TIMEOUT_S = 60.0
# The supervisor's exit where another one has the state directory: starting it again helps nobody.
EXIT_HELD = 77

_UNIT = """\
# Written by 'kensho runner install'. Changes belong in a drop-in: systemctl --user edit {name}
[Unit]
Description=Kensho, which moves virtual machines between platforms
StartLimitIntervalSec=10min
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
{environment}\
Restart=on-failure
RestartSec=5
RestartPreventExitStatus={held}
# Workers belong to their jobs and not to this process: they live through its stop and restart, and the
# next one finds them. For the same reason a worker that is killed for memory must not end this unit.
KillMode=process
OOMPolicy=continue
TimeoutStopSec=30
UMask=0077
# No PrivateTmp and no ProtectHome: packages lie where the operator has put them.
# Passwords may come from systemd, where a connection says so; see systemd.exec(5):
# LoadCredential=xen-new:%h/xen-new.password
# LoadCredentialEncrypted=xen-new

[Install]
WantedBy=default.target
"""


class ServiceError(KenshoError):
    """systemd does not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Service:
    """The unit of one state directory. Making one touches nothing on disk."""

    state: Path

    @property
    def name(self) -> str:
        """``kensho-runner.service``; with a suffix for a state directory that is not the usual one."""
        if self.state == platformdirs.user_state_path("kensho"):
            return "kensho-runner.service"
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:8]
        return f"kensho-runner-{digest}.service"

    @property
    def path(self) -> Path:
        """Where the unit stands."""
        return platformdirs.user_config_path("systemd") / "user" / self.name

    def text(self) -> str:
        """The unit. Raises: KenshoError: a path holds what no unit can."""
        arguments = [
            "-P",
            "-m",
            "kensho_tui.engine.supervisor",
            "--state",
            str(self.state),
            "--log",
        ]
        words = [_word(sys.executable), *(_word(each).replace("$", "$$") for each in arguments)]
        environment = ""
        for name in ("KENSHO_CONFIG_DIR", "KENSHO_SPOOL_DIR"):
            if named := os.environ.get(name):
                environment += f"Environment={_word(f'{name}={Path(named).absolute()}')}\n"
        return _UNIT.format(
            name=self.name, command=" ".join(words), environment=environment, held=EXIT_HELD
        )

    def commands(self) -> list[list[str]]:
        """What `install` has systemd do once the unit stands."""
        return [
            ["systemctl", "--user", "daemon-reload"],
            ["systemctl", "--user", "enable", "--now", self.name],
        ]

    def install(self) -> None:
        """Write the unit and have systemd start it, now and with the machine.

        A runner that runs already keeps the state directory: stop it first.

        Raises: ServiceError: systemd does not answer for this user, or the unit does not start; the
            unit is then removed again. KenshoError: a path holds what no unit can.
        """
        text = self.text()
        Places(self.state).make()
        before = self.path.read_text(encoding="utf-8") if self.path.exists() else None
        try:
            self._write(text)
            for command in self.commands():
                _systemctl(command)
        except ServiceError:
            if before is None:
                with contextlib.suppress(ServiceError):
                    _systemctl(["systemctl", "--user", "disable", "--now", self.name])
                self.path.unlink(missing_ok=True)
            raise

    def uninstall(self) -> None:
        """Stop the runner and take the unit away; jobs under way go on.

        Raises: ServiceError: there is no such unit, or systemd does not answer.
        """
        if not self.path.exists():
            raise ServiceError("there is no such unit", subject=str(self.path))
        _systemctl(["systemctl", "--user", "disable", "--now", self.name])
        self.path.unlink(missing_ok=True)
        _systemctl(["systemctl", "--user", "daemon-reload"])

    def start(self) -> bool:
        """Have systemd start the runner; false where it is no service, or does not start as one."""
        if not self.path.exists():
            return False
        try:
            _systemctl(["systemctl", "--user", "start", self.name])
        except ServiceError:
            return False
        return True

    def _write(self, text: str) -> None:
        draft = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise ServiceError(
                f"cannot be written ({error.strerror})", subject=str(self.path)
            ) from error


def _word(text: str) -> str:
    """One word of a unit's line (systemd.syntax(7), systemd.service(5))."""
    plain = named_path(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"'


def _systemctl(command: list[str]) -> None:
    try:
        code, said = first_line(command, "stderr", SYSTEMCTL_TIMEOUT_S)
    except FileNotFoundError as error:
        raise ServiceError(
            "there is no systemd on this machine",
            subject=command[0],
            remedy="None is needed: the runner starts by itself, with the first command",
        ) from error
    except NoAnswerError as error:
        raise ServiceError("systemd does not answer", subject=" ".join(command)) from error
    if code:
        raise ServiceError(
            f"systemd refuses ({said.strip() or f'exit {code}'})",
            subject=" ".join(command),
            remedy="Log in as this user itself (not by su or sudo), and see 'journalctl --user'",
        )


def notify(state: str) -> None:
    """Tell systemd how this process fares (``READY=1``), where it has asked to be told; sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, contextlib.suppress(OSError):
        line.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        line.send(state.encode("ascii"))
