"""``kensho package check``: every deployment option, and the same findings for other programs."""

import json
from pathlib import Path
from typing import Any

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.ovf.members import whole
from kensho_tui.ovf.package import open_package
from tests.unit.cli.test_package import run
from tests.unit.ovf.test_envelope import envelope, item, system
from tests.unit.ovf.test_package import DISK, good, manifest, ova

OPTIONS = (
    '<DeploymentOptionSection><Info/><Configuration ovf:id="small" ovf:default="true"/>'
    '<Configuration ovf:id="large"/></DeploymentOptionSection>'
)


def sarif(*arguments: object) -> tuple[dict[str, Any], int]:
    """The log, and how the command ended."""
    done = run("check", *arguments, "--sarif")
    return json.loads(done.stdout), done.exit_code


def test_every_deployment_option_is_looked_at(tmp_path: Path) -> None:
    broken = item(17, "8", 'ovf:configuration="large"', HostResource="ovf:/disk/gone")
    path = tmp_path / "a.ovf"
    path.write_text(envelope(content=system(broken), sections=OPTIONS))
    for arguments, exit_code in (([], Exit.FINDINGS), (["--configuration", "large"], Exit.FINDINGS),
                                 (["--configuration", "small"], Exit.OK)):  # fmt: skip
        done = run("check", path, *arguments)
        assert done.exit_code == exit_code
        assert done.stdout.count("no disk 'ovf:/disk/gone'") == (exit_code == Exit.FINDINGS)


def test_sarif_has_what_sarif_demands(tmp_path: Path) -> None:
    members = {**good(size=3), "extra file.txt": b"x"}
    log, exit_code = sarif(ova(tmp_path / "a.ova", members))
    assert exit_code == Exit.OK
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-2.1.0.json")
    (done,) = log["runs"]
    driver = done["tool"]["driver"]
    assert driver["name"] == "Kensho"
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules) > 3
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    for result in done["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uriBaseId"] in done["originalUriBaseIds"]
        assert not place["artifactLocation"]["uri"].startswith("/")
        if "region" in place:
            assert place["region"]["startLine"] >= 1
    by_id = {result["ruleId"]: result for result in done["results"]}
    size = by_id["size-differs"]
    assert size["level"] == "warning"
    assert size["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "a.ovf", "uriBaseId": "PACKAGE"}, "region": {"startLine": 1},
    }  # fmt: skip
    unlisted = by_id["manifest-incomplete"]["locations"][0]["physicalLocation"]
    assert unlisted["artifactLocation"]["uri"] == "extra%20file.txt"
    assert str(tmp_path) not in json.dumps(log)


def test_sarif_tells_of_errors_by_level_and_exit(tmp_path: Path) -> None:
    log, exit_code = sarif(ova(tmp_path / "a.ova", {"a.ovf": good()["a.ovf"]}))
    assert exit_code == Exit.FINDINGS
    levels = {each["ruleId"]: each["level"] for each in log["runs"][0]["results"]}
    assert levels["member-missing"] == "error"


def test_only_one_form_is_written(tmp_path: Path) -> None:
    done = run("check", ova(tmp_path / "a.ova", good(size=len(DISK))), "--json", "--sarif")
    assert done.exit_code == Exit.USAGE


def test_control_characters_from_outside_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a.ovf"
    path.write_text(envelope(references='<File ovf:id="f" ovf:href="a&#x85;[31m.vmdk"/>'))
    done = run("check", path, "--sarif")
    assert done.exit_code == Exit.FINDINGS
    assert json.loads(done.stdout)["version"] == "2.1.0"
    assert not {"\x1b", "\x85"} & set(done.stdout)


# -------------------------------------------------------------------------------------- mending
def signed(path: Path) -> Path:
    """A package with a wrong size, a SHA-1 manifest and a signature (which nobody can verify)."""
    members = good(size=3)
    members["a.mf"] = manifest({n: d for n, d in members.items() if n != "a.mf"}, "sha1")
    return ova(path, {**members, "a.cert": b"SHA1(a.mf)= 00\n"})


@pytest.mark.parametrize("elsewhere", [True, False])
def test_fix_writes_a_new_package_and_says_what_it_changed(tmp_path: Path, elsewhere: bool) -> None:
    old = signed(tmp_path / "a.ova")
    before = old.read_bytes()
    target = tmp_path / "new.ova"
    done = run("check", old, "--fix", *(["--output", target] if elsewhere else []))
    assert f"mended   ovf:size of 'd.vmdk' is {len(DISK)}." in done.stdout
    assert "size-differs" not in done.stdout
    assert "The signature is taken off" in done.stderr
    made = open_package(target if elsewhere else old)
    assert made.envelope.files[0].size == len(DISK)
    assert made.papers.certificate_name == ""
    assert made.manifest is not None
    assert {each.algorithm for each in made.manifest.digests.values()} == {"sha1"}
    for name in made.manifest.digests:
        made.verify(name)
    assert whole(made.places["d.vmdk"], 1 << 20, "") == DISK
    assert (old.read_bytes() == before) == elsewhere
    again = run("check", made.path, "--fix", "--json")
    assert json.loads(again.stdout)["fixed"] == []
    assert "Nothing" in again.stderr


def test_fix_mends_a_folder_too_and_leaves_its_disks_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.ovf"
    path.write_bytes(good(size=3)["a.ovf"])
    (tmp_path / "d.vmdk").write_bytes(DISK)
    seen = (tmp_path / "d.vmdk").stat()
    done = run("check", path, "--fix", "--json")
    fixed = [each["id"] for each in json.loads(done.stdout)["fixed"]]
    assert fixed == ["size-differs", "element-name-missing"]
    assert (tmp_path / "a.mf").exists()
    assert (tmp_path / "d.vmdk").stat().st_mtime_ns == seen.st_mtime_ns
    assert open_package(path).findings == ()


def test_fix_gives_no_new_digest_to_what_is_damaged(tmp_path: Path) -> None:
    path = ova(tmp_path / "a.ova", {**good(size=3), "d.vmdk": DISK[:-1] + b"!"})
    before = path.read_bytes()
    done = run("check", path, "--fix")
    assert done.exit_code == Exit.INPUT
    assert "d.vmdk" in done.stderr
    assert path.read_bytes() == before


def test_output_is_for_fix_alone(tmp_path: Path) -> None:
    done = run("check", ova(tmp_path / "a.ova", good()), "--output", tmp_path / "b.ova")
    assert done.exit_code == Exit.USAGE


def test_for_says_what_a_target_refuses_and_fix_writes_what_it_takes(tmp_path: Path) -> None:
    text = envelope(content=system(family="virtualbox-2.2"))
    path = tmp_path / "a.ovf"
    path.write_text(text)
    assert run("check", path).exit_code == Exit.OK
    refused = run("check", path, "--for", "vsphere", "--for", "kvm", "--json")
    assert refused.exit_code == Exit.FINDINGS
    ids = [each["id"] for each in json.loads(refused.stdout)["findings"]]
    assert "vsphere-family" in ids
    assert not [each for each in ids if each.startswith("xenserver-")]
    assert run("check", path, "--for", "vsphere", "--fix").exit_code == Exit.OK
    expected = text.replace("virtualbox-2.2", "vmx-13")
    assert open_package(path).envelope.appliance()[0].machines[0].hardware == ("vmx-13",)
    assert path.read_text().count("vmx-13") == expected.count("vmx-13") == 1
    log = json.loads(run("check", path, "--for", "hyperv", "--sarif").stdout)
    rules = {each["id"]: each["help"]["text"] for each in log["runs"][0]["tool"]["driver"]["rules"]}
    assert "kensho disk convert" in rules["hyperv-package"]
