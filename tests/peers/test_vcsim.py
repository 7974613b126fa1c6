"""VMDKs and packages of ours, imported by govmomi into its simulator of a vCenter.

The simulator's import reads a descriptor as vSphere does and takes what is uploaded unread; what a VMDK
must be is checked by govmomi's importer, and what arrived by qemu-img.
"""

import hashlib
import http.client
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from pyVim.connect import SmartConnect
from pyVmomi import vim

from backends.base import Consistency, Placement
from kensho_tui.cli.package import package as package_command
from kensho_tui.disks.image import Access, Format, Offer
from kensho_tui.ovf.package import open_package
from tests.contract.bench import CAPACITY, DISKS, pattern
from tests.contract.package import connect, fill, shop
from tests.peers.test_disks_qemu import RAW, SPARSE, VMDK_FORWARD, convert, disk, qemu

LIBRARY = Path("/usr/share/gocode")
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("go") is None or not (LIBRARY / "src/github.com/vmware/govmomi").is_dir(),
        reason="Go or govmomi is missing: apt-get install golang-go golang-github-vmware-govmomi-dev",
    ),
    pytest.mark.skipif(
        shutil.which("qemu-img") is None, reason="qemu-img is missing: apt-get install qemu-utils"
    ),
    pytest.mark.timeout(600),
]

MIB = 1 << 20


@dataclass(frozen=True)
class VCenter:
    """One that runs: its address, what was uploaded to it, and the program it is."""

    url: str
    uploads: Path
    program: Path

    def take(self, image: Path) -> "subprocess.CompletedProcess[str]":
        """Have govmomi import the VMDK."""
        return subprocess.run(
            [self.program, "import", self.url, image], capture_output=True, text=True, timeout=120
        )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    (folder / "src").mkdir()
    (folder / "src" / "vcsim").symlink_to(Path(__file__).parent / "vcsim")
    found = {
        "GOPATH": f"{folder}:{LIBRARY}",
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    built = subprocess.run(
        ["go", "build", "-o", folder / "program", "vcsim"],
        env={**os.environ, **found}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder / "program"


@pytest.fixture
def vcenter(program: Path, tmp_path: Path) -> Iterator[VCenter]:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    with subprocess.Popen(
        [program, "serve", uploads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            yield VCenter(server.stdout.readline().strip(), uploads, program)
        finally:
            server.stdin.close()  # which ends it


@pytest.mark.parametrize("size", [65536, 3 * MIB + 512, 128 * MIB, 8 << 30])
def test_a_stream_optimized_vmdk_of_ours_is_imported(
    vcenter: VCenter, tmp_path: Path, size: int
) -> None:
    raw, ours = disk(tmp_path / "a.raw", size), tmp_path / "ours.vmdk"
    convert(raw, RAW, ours, VMDK_FORWARD)
    done = vcenter.take(ours)
    assert done.returncode == 0, done.stderr
    (arrived,) = vcenter.uploads.iterdir()
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vmdk", raw, arrived)


def test_what_is_not_stream_optimized_is_refused_by_it(vcenter: VCenter, tmp_path: Path) -> None:
    """Or else the test above would say nothing."""
    raw, sparse = disk(tmp_path / "a.raw", 3 * MIB), tmp_path / "sparse.vmdk"
    convert(raw, RAW, sparse, SPARSE)
    done = vcenter.take(sparse)
    assert done.returncode != 0
    assert "must be streamOptimized" in done.stderr
    assert list(vcenter.uploads.iterdir()) == []


def one_machine(path: Path, model: str = "vmxnet3", family: str = "vmx-13") -> Path:
    """A package with one machine: the simulator takes no blank disks, and no adapters without model."""
    whole = shop()
    machine = whole.machines[1]
    machine = replace(
        machine,
        attachments=machine.attachments[:1],
        adapters=tuple(replace(each, model=model) for each in machine.adapters),
        hardware=(family,),
    )
    kept = {each.id: each for each in whole.disks_of(machine)}
    appliance = replace(whole, machines=(machine,), disks=kept, name="db01", collection=False)
    session = connect(path)
    deployment = session.deploy(appliance, Placement(), "kensho:one:deploy")
    fill(deployment, DISKS[1])
    location = deployment.commit(start=False).location
    session.close()
    return Path(location)


def of_type(content: Any, kind: Any) -> list[Any]:
    return list(content.viewManager.CreateContainerView(content.rootFolder, [kind], True).view)


@pytest.mark.parametrize("profile", ["", "vmware"])
def test_a_package_of_ours_is_imported_with_its_descriptor(
    vcenter: VCenter, tmp_path: Path, profile: str
) -> None:
    path = one_machine(tmp_path / "db01.ova")
    if profile:
        # One that was made for another product, and becomes one for this.
        (tmp_path / "other").mkdir()
        made = one_machine(tmp_path / "other" / "db01.ova", "virtio", "virtualbox-2.2")
        path = tmp_path / "made" / "db01.ova"
        path.parent.mkdir()
        done = CliRunner().invoke(
            package_command, ["convert", str(made), "--profile", profile, "--output", str(path)]
        )
        assert done.exit_code == 0, done.output
    package = open_package(path)
    at = urlsplit(vcenter.url)
    connect_to: Any = SmartConnect
    instance = connect_to(
        host=at.hostname, port=at.port, user=at.username, pwd=at.password,
        disableSslCertValidation=True,
    )  # fmt: skip
    try:
        content = instance.content
        pool = of_type(content, vim.ClusterComputeResource)[0].resourcePool
        store, centre = of_type(content, vim.Datastore)[0], of_type(content, vim.Datacenter)[0]
        params: Any = vim.OvfManager.CreateImportSpecParams
        wanted = params(locale="", deploymentOption="", entityName="ours", diskProvisioning="thin")
        spec = content.ovfManager.CreateImportSpec(package.descriptor.decode(), pool, store, wanted)
        assert not spec.error, spec.error
        (item,) = spec.fileItem
        name = item.path
        assert (name, item.size) == ("db01-disk1.vmdk", package.places[name].size)
        devices = [each.device for each in spec.importSpec.configSpec.deviceChange]
        disks = [each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)]
        assert [each.capacityInKB * 1024 for each in disks] == [CAPACITY]
        assert any(isinstance(each, vim.vm.device.VirtualLsiLogicController) for each in devices)
        lease = pool.ImportVApp(spec.importSpec, centre.vmFolder)
        (target,) = [each for each in lease.info.deviceUrl if each.importKey == item.deviceId]
        upload(target.url.replace("*", f"127.0.0.1:{at.port}"), package, name)
        machine = lease.info.entity
        lease.HttpNfcLeaseProgress(100)
        lease.HttpNfcLeaseComplete()
        assert machine.name == "ours"
        assert machine.config.hardware.memoryMB == 512
    finally:
        instance.content.sessionManager.Logout()
        instance._stub.DropConnections()
    (arrived,) = vcenter.uploads.iterdir()
    assert hashlib.sha256(arrived.read_bytes()).digest() == package.digest(name).value  # type: ignore[union-attr]
    raw = tmp_path / "expected.raw"
    raw.write_bytes(pattern(DISKS[1]))
    assert "identical" in qemu("compare", "-f", "raw", "-F", "vmdk", raw, arrived)


def upload(url: str, package: Any, name: str) -> None:
    """Send the member as it lies there, as vSphere takes disks."""
    capture = connect(package.path).capture([], Consistency.OFF, "kensho:seen:capture")
    reader = capture.open(DISKS[1], Offer(Format.VMDK_STREAM, Access.FORWARD))
    data = bytearray(package.places[name].size)
    view = memoryview(data)
    while len(view) and (count := reader.readinto(view)):
        view = view[count:]
    reader.close()
    at = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        at.hostname or "", at.port, context=context, timeout=60
    )
    kind = {"Content-Type": "application/x-vnd.vmware-streamVmdk"}
    connection.request("POST", at.path, bytes(data), kind)
    assert connection.getresponse().status == 200
    connection.close()
