"""A real move, its worker killed at every step once: it ends as if nothing had been."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kensho_tui.cancel import Cancel
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.events import JobState
from kensho_tui.engine.secrets import Secrets
from kensho_tui.lab.sample import DISKS, make_sample
from kensho_tui.migration.plan import LicenceAnswer, Metadata, Plan, SourcePlan, Spec, TargetPlan
from kensho_tui.migration.sessions import Reading, Sessions

from .bench import bench

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("qemu-img") is None, reason="qemu-img is missing: apt-get install qemu-utils"
    ),
]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample appliance."""
    return make_sample(tmp_path_factory.mktemp("sample") / "shop.ova")


def licences(package: Path, book: Path) -> tuple[LicenceAnswer, ...]:
    """All licences of the package, accepted."""
    sessions = Sessions(ConnectionBook(book), Secrets(), Cancel())
    try:
        described = sessions.package(str(package), **Reading().settings()).describe(())
    finally:
        sessions.close()
    return tuple(
        LicenceAnswer(digest=digest, accepted_by="me", accepted_at="2026-03-01T12:00:00Z")
        for digest in {each.digest for each in described.appliance.licences}
    )


def disks(package: Path, folder: Path) -> list[Path]:
    """The package's disks, unpacked, in the order of their names."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(package) as archive:
        members = [each for each in archive.getmembers() if each.name.endswith(".vmdk")]
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            (folder / member.name).write_bytes(content.read())
    return [folder / each.name for each in members]


# Begun: journaled, no effect yet. Done: the effect is there, and nobody has written it down.
DEATHS = [
    "begun:deploy", "begun:disk:web01-system", "begun:commit",
    "done:capture", "done:deploy", "done:disk:db01-data", "done:commit",
]  # fmt: skip


@pytest.mark.parametrize("death", DEATHS)
def test_a_move_whose_worker_dies_at_a_step_ends_with_the_same_disks(
    tmp_path: Path, sample: Path, death: str
) -> None:
    target, mark = tmp_path / "target" / "moved.ova", tmp_path / "died"
    target.parent.mkdir()
    with bench(tmp_path, "tests.faults.runs:run_dying") as engine:
        plan = Plan(
            metadata=Metadata(name="shop", labels={"die": death, "mark": str(mark)}),
            spec=Spec(
                source=SourcePlan(package=str(sample)),
                target=TargetPlan(package=str(target)),
                licences=licences(sample, tmp_path / "book"),
            ),
        )
        job = engine.client.submit(plan)
        view = engine.wait_end(job)
        assert view.summary.state is JobState.SUCCEEDED, (view.summary.error, engine.log(job))
    assert mark.exists(), "the worker died at that step"
    assert view.summary.attempt == 2
    assert [each.name for each in target.parent.iterdir()] == ["moved.ova"], "nothing half-made"
    before, after = tmp_path / "before", tmp_path / "after"
    pairs = list(zip(disks(sample, before), disks(target, after), strict=True))
    assert len(pairs) == len(DISKS)
    for left, right in pairs:
        compared = subprocess.run(
            ["qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", left, right],
            capture_output=True,
            check=False,
        )
        assert compared.returncode == 0, compared.stdout
