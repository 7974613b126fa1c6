"""The repository keeps what it promises about itself."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.cli.root import COMMANDS

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    """Files under version control, as text; skips outside a checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs a git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def test_no_file_names_a_package_index() -> None:
    # Put together here, so that this file does not name one either.
    hosts = re.compile("|".join(("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(org|com)")))
    found = [p for p in tracked() if p.is_file() and hosts.search(p.read_text(errors="replace"))]
    assert found == []


def test_every_locked_requirement_has_a_hash() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
        assert entries
        assert [e for e in entries if "--hash=sha256:" not in e] == []


def test_the_wheel_holds_three_typed_packages_and_the_command(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry = next(n for n in names if n.endswith("entry_points.txt"))
        points = archive.read(entry).decode()
    assert {f"{p}/py.typed" for p in ("kensho_tui", "screens", "backends")} <= names
    assert "kensho = kensho_tui.cli:main" in points
    assert "screens/home.tcss" in names
    assert not [n for n in names if n.startswith(("tests/", "bench/"))]


def test_every_command_and_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if f"kensho {name}" not in text] == []
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", text, re.MULTILINE))
    assert rows == {str(int(code)): code.name for code in Exit}


def test_the_readmes_pictures_exist() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []


# fish tells the word itself, the others its number.
@pytest.mark.parametrize(("shell", "word"), [("bash", "1"), ("zsh", "1"), ("fish", "im")])
def test_the_shell_completes_the_commands(shell: str, word: str) -> None:
    asked = {"_KENSHO_COMPLETE": f"{shell}_complete", "COMP_WORDS": "kensho im", "COMP_CWORD": word}
    command = [sys.executable, "-c", "import kensho_tui.cli; kensho_tui.cli.main()"]
    done = subprocess.run(
        command, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert "import" in done.stdout
