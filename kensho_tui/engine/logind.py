"""What happens to the runner when its user logs out, as far as systemd's login manager decides it.

Every reader takes the root directory, so that a machine can be laid out for a test.
"""

import re
from pathlib import Path

_CONFIGURATION = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd")
_ASSIGNMENT = re.compile(r"\s*(#?)\s*(Kill\w+)\s*=(.*)")
_TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})
# A session of a terminal or of SSH; what is in a user's service is not of it.
_SESSION = re.compile(r"/session-[^/]+\.scope(/|$)")
_USER_SERVICE = re.compile(r"/user@\d+\.service/")


def ends_at_logout(pid: int, user: str, root: Path = Path("/")) -> str:
    """Why that process will end when the user logs out, and what to do; empty where it will not."""
    if not (root / "run/systemd/system").is_dir():
        return ""  # this machine is not run by systemd
    try:
        place = (root / f"proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    if _USER_SERVICE.search(place):
        if lingers(user, root):
            return ""
        return (
            "the runner is a service of this user, and those end with the last logout: "
            "run 'loginctl enable-linger'"
        )
    if _SESSION.search(place) and kills_user_processes(user, root):
        return (
            "this machine ends everything of a user at logout (KillUserProcesses), the runner too: "
            "run 'kensho runner install'"
        )
    return ""


def lingers(user: str, root: Path = Path("/")) -> bool:
    """Whether the user's services go on without a session."""
    return (root / "var/lib/systemd/linger" / user).exists()


def kills_user_processes(user: str, root: Path = Path("/")) -> bool:
    """Whether the processes of the user's session are ended at logout (logind.conf(5))."""
    # The commented line of the file that is shipped says what the program was built with.
    kill, exclude, only = _default(root), ["root"], list[str]()
    for file in _files(root):
        for commented, name, value in _assignments(file):
            if commented:
                continue
            if name == "KillUserProcesses":
                kill = value.lower() in _TRUE if value else kill
            elif name == "KillExcludeUsers":
                exclude = [*exclude, *value.split()] if value else []
            elif name == "KillOnlyUsers":
                only = [*only, *value.split()] if value else []
    if user in exclude:
        return False
    return user in only if only else kill


def _default(root: Path) -> bool:
    for place in reversed(_CONFIGURATION):
        for commented, name, value in _assignments(root / place / "logind.conf"):
            if commented and name == "KillUserProcesses":
                return value.lower() in _TRUE
    return True


def _files(root: Path) -> list[Path]:
    """The files that are read, in their order: the main one, then drop-ins by name."""
    mains = [root / place / "logind.conf" for place in _CONFIGURATION]
    main = next((each for each in mains if each.is_file()), None)
    drop_ins: dict[str, Path] = {}
    for place in reversed(_CONFIGURATION):  # a later place hides a file of the same name
        for file in (root / place / "logind.conf.d").glob("*.conf"):
            drop_ins[file.name] = file
    return [*([main] if main else []), *(drop_ins[name] for name in sorted(drop_ins))]


def _assignments(file: Path) -> list[tuple[str, str, str]]:
    """``#`` or nothing, name and value of what the file says under ``[Login]``."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found, section = [], ""
    for line in lines:
        if line.strip().startswith("["):
            section = line.strip()
        elif section == "[Login]" and (each := _ASSIGNMENT.fullmatch(line)):
            found.append((each[1], each[2], each[3].strip()))
    return found
