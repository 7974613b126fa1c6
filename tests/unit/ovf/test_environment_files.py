"""Files that guests are handed beside their environment, from the descriptor to the CD."""

import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kensho_tui.findings import Severity
from kensho_tui.machine import EnvironmentFile
from kensho_tui.ovf import environment_files
from kensho_tui.ovf.environment import environment_iso
from kensho_tui.ovf.package import Package, open_package
from kensho_tui.ovf.promises import Integrity

LONG = "a name that is much longer than eight letters and an ending.conf"
FILES = {
    "conf/host.conf": b"host=1\n",
    "conf/host.config": b"host=2\n",
    f"conf/rev 1/{LONG}": b"long\n",
    "Größe.txt": "ä\n".encode(),
    "a/b/c/d/e/f/g/deep": b"deep\n",
    "empty": b"",
    ".profile": b"dot\n",
}


def package(folder: Path, files: str, content: dict[str, bytes], *, damage: str = "") -> Package:
    """A folder with a descriptor of one machine, the files, and a manifest of them."""
    references = "".join(
        f'<File ovf:id="{name}" ovf:href="{name}" ovf:size="{len(data)}"/>'
        for name, data in content.items()
    )
    text = f"""<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/2"
      xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2">
      <References>{references}</References>
      <VirtualSystem ovf:id="web"><Info>One</Info><Name>web</Name>
      <EnvironmentFilesSection ovf:required="true"><Info>Files</Info>{files}</EnvironmentFilesSection>
      </VirtualSystem></Envelope>""".encode()
    members = {"web.ovf": text, **content}
    lines = [f"SHA256({n})= {hashlib.sha256(d).hexdigest()}\n" for n, d in members.items()]
    for name, data in members.items():
        (folder / name).write_bytes(data + (b"!" if name == damage else b""))
    (folder / "web.mf").write_text("".join(lines))
    return open_package(folder / "web.ovf", integrity="warn" if damage else "require")


def file(id_: str, path: str) -> str:
    return f'<File ovf:fileRef="{id_}" ovf:path="{path}"/>'


def test_the_named_files_are_read_with_the_paths_they_get(tmp_path: Path) -> None:
    made = package(
        tmp_path, file("a.conf", "conf/host.conf") + file("a.conf", "./copy"), {"a.conf": b"host"}
    )
    appliance, findings = made.appliance()
    assert "section-ignored" not in {each.id for each in findings}
    files, data, found = environment_files.read(made, appliance.environment_files, "require")
    assert found == ()
    assert data == {"a.conf": b"host"}
    assert files == (
        EnvironmentFile("web", "conf/host.conf", "a.conf"),
        EnvironmentFile("web", "copy", "a.conf"),
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../../etc/passwd", "none inside the CD"),
        ("/etc/passwd", "none inside the CD"),
        ("", "none inside the CD"),
        ("a//b", "none inside the CD"),
        ("OVF-ENV.xml", "another file is in its place"),
        ("ovf-env.xml/x", "another file is in its place"),
        ("ok", "another file is in its place"),
        ("OK/below", "another file is in its place"),
        ("a\\b", "letters that a CD cannot have"),
        ("c:x", "letters that a CD cannot have"),
        ("a&#10;b", "letters that a CD cannot have"),
        ("x" * 65, "longer than 64 letters"),
        ("/".join("abcdefghi"), "more than 7 folders"),
    ],
)
def test_a_path_that_cannot_be_is_left_out_and_said(tmp_path: Path, path: str, why: str) -> None:
    made = package(tmp_path, file("a", "ok") + file("a", path), {"a": b"x"})
    files, _, found = environment_files.read(made, made.appliance()[0].environment_files, "require")
    assert [each.path for each in files] == ["ok"]
    assert [(each.id, each.severity) for each in found] == [
        ("environment-file-left", Severity.WARNING)
    ]
    assert why in found[0].message


def test_a_file_that_is_not_there_or_too_large_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_files, "MAX_FILE", 1 << 20)
    monkeypatch.setattr(environment_files, "MAX_ALL", (1 << 20) + 10)
    content = {"a": bytes(1 << 20), "b": bytes((1 << 20) + 1), "c": bytes(11), "d": bytes(10)}
    wanted = "".join(file(each, each) for each in "abcde")
    made = package(tmp_path, wanted, content)
    files, _, found = environment_files.read(made, made.appliance()[0].environment_files, "require")
    assert [each.path for each in files] == ["a", "d"]
    assert len(found) == 3
    assert "the references have no file 'e'" in found[2].message


@pytest.mark.parametrize(
    ("integrity", "severity", "left"),
    [("require", Severity.ERROR, 0), ("warn", Severity.WARNING, 0), ("off", None, 1)],
)
def test_a_damaged_file_is_not_handed_over_unless_nobody_asks(
    tmp_path: Path, integrity: Integrity, severity: Severity | None, left: int
) -> None:
    made = package(tmp_path, file("a", "a"), {"a": b"x"}, damage="a")
    files, _, found = environment_files.read(made, made.appliance()[0].environment_files, integrity)
    assert (len(files), next((each.severity for each in found), None)) == (left, severity)


def test_the_same_files_are_the_same_image_at_any_time_and_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = environment_iso(b"<e/>", FILES)
    monkeypatch.setattr("time.time", lambda: 1.0e9)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert environment_iso(b"<e/>", FILES) == first
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.peer
@pytest.mark.parametrize("without", ["joliet", "rockridge"])
def test_another_reader_finds_all_files_by_either_kind_of_names(
    tmp_path: Path, without: str
) -> None:
    tool = shutil.which("bsdtar")
    if tool is None:
        pytest.skip("bsdtar is not here: apt install libarchive-tools")
    path, out = tmp_path / "env.iso", tmp_path / "out"
    path.write_bytes(environment_iso(b"<e/>", FILES))
    out.mkdir()
    command = [tool, "-x", "--options", f"iso9660:!{without}", "-f", os.fspath(path)]
    utf8 = {**os.environ, "LC_ALL": "C.UTF-8"}
    subprocess.run([*command, "-C", os.fspath(out)], check=True, env=utf8)
    found = {
        each.relative_to(out).as_posix(): each.read_bytes()
        for each in out.rglob("*")
        if each.is_file()
    }
    assert found == {"ovf-env.xml": b"<e/>", **FILES}
