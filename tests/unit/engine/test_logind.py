"""Whether a logout ends the runner, read from machines laid out in a directory."""

from pathlib import Path

import pytest

from kensho_tui.engine.logind import ends_at_logout, kills_user_processes, lingers

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"
SERVICE = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/kensho-runner.service\n"
SYSTEM = "0::/system.slice/cron.service\n"


def machine(root: Path, files: dict[str, str]) -> Path:
    """A root directory with these files."""
    (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def login(*lines: str) -> str:
    """A file's ``[Login]`` section."""
    return "\n".join(["[Other]", "KillUserProcesses=maybe", "[Login]", *lines]) + "\n"


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({}, True),  # as systemd itself is built
        ({"etc/systemd/logind.conf": login("#KillUserProcesses=no")}, False),  # Debian
        ({"usr/lib/systemd/logind.conf": login("#KillUserProcesses=no")}, False),  # Fedora
        ({"etc/systemd/logind.conf": login("KillUserProcesses=yes")}, True),
        ({"etc/systemd/logind.conf": login(" KillUserProcesses = off ")}, False),
        (
            {
                "etc/systemd/logind.conf": login("KillUserProcesses=no"),
                "usr/lib/systemd/logind.conf.d/10-site.conf": login("KillUserProcesses=yes"),
            },
            True,
        ),
        (
            {
                "usr/lib/systemd/logind.conf.d/10-site.conf": login("KillUserProcesses=yes"),
                "etc/systemd/logind.conf.d/10-site.conf": login("KillUserProcesses=no"),
            },
            False,
        ),
        (
            {
                "etc/systemd/logind.conf.d/10-a.conf": login("KillUserProcesses=no"),
                "usr/lib/systemd/logind.conf.d/20-b.conf": login("KillUserProcesses=yes"),
            },
            True,
        ),
        ({"etc/systemd/logind.conf": login("KillExcludeUsers=root anna")}, False),
        ({"etc/systemd/logind.conf": login("KillOnlyUsers=bert")}, False),
        (
            {"etc/systemd/logind.conf": login("KillUserProcesses=no", "KillOnlyUsers=bert anna")},
            True,
        ),
        (
            {
                "etc/systemd/logind.conf": login("KillExcludeUsers=anna"),
                "etc/systemd/logind.conf.d/a.conf": login("KillExcludeUsers="),
            },
            True,
        ),
        ({"etc/systemd/logind.conf": "[Login\n\x00=\n"}, True),
    ],
)
def test_who_is_ended_at_logout(tmp_path: Path, files: dict[str, str], kills: bool) -> None:
    assert kills_user_processes("anna", machine(tmp_path, files)) is kills


def test_root_is_spared_unless_the_list_is_emptied(tmp_path: Path) -> None:
    root = machine(tmp_path, {"etc/systemd/logind.conf": login("KillUserProcesses=yes")})
    assert not kills_user_processes("root", root)
    (root / "etc/systemd/logind.conf").write_text(
        login("KillUserProcesses=yes", "KillExcludeUsers=")
    )
    assert kills_user_processes("root", root)


@pytest.mark.parametrize(
    ("cgroup", "kills", "linger", "says"),
    [
        (SESSION, "yes", False, "kensho runner install"),
        (SESSION, "yes", True, "kensho runner install"),  # a session is ended all the same
        (SESSION, "no", False, ""),
        (SERVICE, "no", False, "loginctl enable-linger"),
        (SERVICE, "yes", True, ""),
        (SYSTEM, "yes", False, ""),
    ],
)
def test_what_ends_is_told_with_what_to_do(
    tmp_path: Path, cgroup: str, kills: str, linger: bool, says: str
) -> None:
    configuration = login(f"KillUserProcesses={kills}")
    root = machine(tmp_path, {"etc/systemd/logind.conf": configuration, "proc/7/cgroup": cgroup})
    if linger:
        machine(root, {"var/lib/systemd/linger/anna": ""})
    assert lingers("anna", root) is linger
    said = ends_at_logout(7, "anna", root)
    assert says in said
    assert bool(said) is bool(says)


def test_without_systemd_and_without_the_process_nothing_is_said(tmp_path: Path) -> None:
    root = machine(tmp_path, {})
    assert ends_at_logout(7, "anna", root) == ""
    machine(root, {"proc/7/cgroup": SESSION})
    assert ends_at_logout(7, "anna", root)
    (root / "run/systemd/system").rmdir()
    assert ends_at_logout(7, "anna", root) == ""
