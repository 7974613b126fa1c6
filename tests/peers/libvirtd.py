"""A real libvirtd of one's own, in namespaces of its own: it sees no other, and nobody sees it.

All that a privileged libvirtd has one of on a machine (``/run``, ``/etc/libvirt``, ``/var/lib``, the
network, the process table) is a fresh one inside. The folder is all that is shared: its socket, its
log and its pool. Whatever ends whoever started it ends it too, and every guest with it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = (
    "libvirtd",
    "virtlogd",
    "virsh",
    "qemu-system-x86_64",
    "setpriv",
    "unshare",
    "nsenter",
    "ip",
)
HOW = "./dev test installs them where apt-get is and it may"
DEADLINE_S = 60.0
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
_DRIVER = "*/libvirt/connection-driver/libvirt_driver_qemu.so"

# Nothing that is mounted here is seen outside. The user is one that Debian's libvirt asks for before
# it reads its settings; guests run as root, so that the folder may be anywhere.
_INSIDE = """\
set -e
cp /etc/passwd /etc/group "$1/"
grep -q ^libvirt-qemu: "$1/passwd" || echo 'libvirt-qemu:x:64055:64055::/:/bin/false' >> "$1/passwd"
grep -q ^libvirt-qemu: "$1/group" || echo 'libvirt-qemu:x:64055:' >> "$1/group"
grep -q ^kvm: "$1/group" || echo 'kvm:x:64056:' >> "$1/group"
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/group" /etc/group
mkdir -p /etc/libvirt
for each in /etc/libvirt /run /var/lib /var/cache /var/log; do mount -t tmpfs tmpfs $each; done
mkdir -p /run/lock /run/libvirt /var/lib/libvirt/qemu/nvram /var/cache/libvirt /var/log/libvirt
mount --bind "$1/nvram" /var/lib/libvirt/qemu/nvram
cp "$1/qemu.conf" /etc/libvirt/
: > /etc/libvirt/virtlogd.conf
ip link add lan0 type bridge
ip link set lan0 up
virtlogd -d -p /run/virtlogd.pid
# As the first process here it buries all that are orphaned, such as QEMUs that were asked something.
while :; do libvirtd -f "$1/libvirtd.conf" -p /run/libvirtd.pid || true; done
"""
_DAEMON = """\
unix_sock_dir = "{folder}"
unix_sock_group = "root"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:file:{folder}/log"
"""
_QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
security_driver = "none"
namespaces = []
"""
_NETWORK = "<network><name>lan</name><forward mode='bridge'/><bridge name='lan0'/></network>"


def missing() -> str:
    """Why none can be started here, for a skip that says what to do; "" where one can."""
    absent = [each for each in PROGRAMS if shutil.which(each, path=_PATH) is None]
    if not any(Path("/usr").glob(f"lib*/{_DRIVER}")):
        absent.append("libvirt's driver of QEMU")
    if absent:
        return f"missing: {', '.join(absent)}; {HOW}"
    try:
        import libvirt  # noqa: F401
    except ImportError:
        return f"missing: libvirt's Python library; {HOW}"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True
    )
    if done.returncode:
        return f"namespaces cannot be made here ({done.stderr.strip()}); run the tests as root"
    return ""


@dataclass
class Libvirtd:
    """A libvirtd that runs."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def uri(self) -> str:
        """What to connect to."""
        return f"qemu+unix:///system?socket={self.folder}/libvirt-sock"

    def virsh(self, *arguments: str) -> str:
        """What libvirt's own client prints."""
        done = subprocess.run(
            ["virsh", "-q", "-c", self.uri, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def define(self, kind: str, xml: str) -> None:
        """Define a pool, network or domain; ``kind`` is the command, such as ``net-define``."""
        file = self.folder / "define.xml"
        file.write_text(xml)
        self.virsh(kind, str(file))

    def nvram(self) -> set[str]:
        """Files that hold the variables of UEFI."""
        return {path.name for path in (self.folder / "nvram").glob("*")}

    @contextmanager
    def small_pool(self, size: int) -> Iterator[str]:
        """A further pool of so many bytes; its name."""
        (self.folder / "small").mkdir(exist_ok=True)
        inside = ("nsenter", "--mount", "--target", str(self._daemon()))
        where = f"{self.folder}/small"
        subprocess.run(
            [*inside, "mount", "-t", "tmpfs", "-o", f"size={size}", "t", where], check=True
        )
        self.virsh("pool-create-as", "small", "dir", "--target", where)
        try:
            yield "small"
        finally:
            self.virsh("pool-destroy", "small")  # what is mounted goes with the namespace

    @contextmanager
    def still(self) -> Iterator[None]:
        """While inside, the daemon answers nothing; it goes on afterwards where it stopped."""
        daemon = self._daemon()
        os.kill(daemon, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(daemon, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the daemon, as a crash does; another one has taken its place afterwards."""
        before = self._daemon()
        os.kill(before, signal.SIGKILL)
        _await(self.folder, self.process)
        assert self._daemon() != before

    def _daemon(self) -> int:
        """The daemon's id out here."""
        (first,) = _children(self.process.pid)
        for child in _children(first):
            if Path(f"/proc/{child}/comm").read_text().strip() == "libvirtd":
                return child
        raise AssertionError("libvirtd does not run")


def _children(process: int) -> list[int]:
    return [
        int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


@contextmanager
def libvirtd() -> Iterator[Libvirtd]:
    """One that ends with the block, and with this process whatever becomes of it.

    It has a pool ``pool`` (a folder) and a network ``lan`` (a bridge that leads nowhere).
    """
    # A socket's path is short, and nothing of this may lie below what is hidden inside.
    folder = Path(tempfile.mkdtemp(prefix="kensho-lv-", dir="/tmp"))
    try:
        (folder / "libvirtd.conf").write_text(_DAEMON.format(folder=folder))
        (folder / "qemu.conf").write_text(_QEMU)
        (folder / "start").write_text(_INSIDE)
        (folder / "nvram").mkdir()
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid",
                 "--fork", "--kill-child", "--mount-proc", "sh", folder / "start", folder],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                env={"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"},
            )  # fmt: skip
        try:
            _await(folder, process)
            found = Libvirtd(folder, process)
            (folder / "pool").mkdir()
            found.virsh("pool-define-as", "pool", "dir", "--target", f"{folder}/pool")
            found.virsh("pool-start", "pool")
            found.define("net-define", _NETWORK)
            found.virsh("net-start", "lan")
            yield found
        finally:
            process.kill()  # it takes its child, the first process inside, and so all the others
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + DEADLINE_S
    while True:
        with suppress(AssertionError):
            Libvirtd(folder, process).virsh("version")
            return
        said = (folder / "output").read_text()
        with suppress(OSError):
            said += (folder / "log").read_text()
        assert process.poll() is None, said
        assert time.monotonic() < end, said
        time.sleep(0.05)  # between two looks from outside, where no event can reach us
