"""SARIF that is written, against the schema of SARIF 2.1.0, by npm's ajv."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from kensho_tui.cli.package import package
from tests.peers.test_lab_clients import node_client
from tests.unit.ovf.corpus import CORPUS, needs_corpus
from tests.unit.ovf.test_package import DISK, good, ova

__all__ = ["node_client"]  # a fixture
pytestmark = pytest.mark.peer


def logs(folder: Path, *packages: Path) -> list[Path]:
    """What ``package check --sarif`` prints of each, with the targets' own rules and without."""
    found = []
    for number, path in enumerate(packages):
        for way, more in enumerate(([], ["--for", "vsphere", "--for", "xenserver"])):
            done = CliRunner().invoke(package, ["check", str(path), "--sarif", *more])
            if done.exit_code not in {0, 8}:
                continue  # no descriptor at all, which is an error in place of a log
            log = folder / f"{number}-{way}.sarif"
            log.write_text(done.stdout)
            found.append(log)
    return found


def wrong(node: Path, *paths: Path) -> list[str]:
    done = subprocess.run(
        ["node", "sarif.mjs", *paths], cwd=node, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_log_is_valid_and_one_that_is_not_is_found_out(node_client: Path, tmp_path: Path) -> None:
    clean = ova(tmp_path / "clean.ova", good(size=len(DISK)))
    odd = ova(tmp_path / "odd [x] ä%20.ova", {**good(size=3), "d.vmdk": DISK + b"!"})
    paths = logs(tmp_path, clean, odd)
    assert len(paths) == 4
    assert json.loads(paths[2].read_text())["runs"][0]["results"]
    assert wrong(node_client, *paths) == []
    log = json.loads(paths[2].read_text())
    log["runs"][0]["results"][0]["level"] = "terrible"
    del log["version"]
    paths[0].write_text(json.dumps(log))
    said = " ".join(wrong(node_client, paths[0]))
    assert "level" in said
    assert "version" in said


@needs_corpus
def test_logs_of_other_projects_descriptors_are_valid(node_client: Path, tmp_path: Path) -> None:
    descriptors = sorted(CORPUS.rglob("*.ovf"))[::8]
    paths = logs(tmp_path, *descriptors)
    assert len(paths) > 40
    assert wrong(node_client, *paths) == []
