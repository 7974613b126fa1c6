"""What a libvirt can do, found out by asking it: never by comparing version numbers."""

from dataclasses import dataclass
from typing import Any

import libvirt

from backends.base import UnsupportedError
from backends.kvm.link import Link
from backends.kvm.xml import Element, every, parse, said, written

ARCH = "x86_64"
# VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES: all features of a model, not those beyond it alone.
_EXPAND = 1


@dataclass(frozen=True, slots=True)
class Features:
    """Abilities of a host.

    Attributes:
        accelerator: ``kvm`` or ``qemu``, what machines are run by; "" where it runs no x86_64.
        why: why it is not KVM; "" where it is.
        machines: types of machines that there are: ``pc``, ``q35``.
        buses: that disks can hang on.
    """

    version: str = ""
    accelerator: str = ""
    why: str = ""
    machines: frozenset[str] = frozenset()
    buses: frozenset[str] = frozenset()
    uefi: bool = False
    secure_boot: bool = False
    tpm: bool = False
    vnc: bool = False


def features(link: Link) -> Features:
    """Ask, right after connecting. Raises: UnsupportedError: it is no QEMU."""
    kind = link.call(lambda conn: conn.getType(), link.name)
    if kind != "QEMU":
        raise UnsupportedError(
            f"this libvirt drives {kind}, not QEMU",
            subject=link.name,
            remedy="Take a connection such as qemu:///system",
        )
    number = link.call(lambda conn: conn.getVersion(), link.name)
    version = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
    host = parse(link.call(lambda conn: conn.getCapabilities(), link.name, long=True), link.name)
    offered = {each.get("type", "") for each in every(host, f"guest/arch[@name='{ARCH}']/domain")}
    accelerator, why = _accelerator(link, host, offered)
    if not accelerator:
        return Features(version, "", why)
    found = {name: _domain(link, accelerator, name) for name in ("pc", "q35")}
    modern = found["q35"]
    values = _values(modern, "os/enum[@name='firmware']")
    return Features(
        version,
        accelerator,
        why,
        frozenset(name for name, told in found.items() if told is not None),
        frozenset(
            bus
            for told in found.values()
            for bus in _values(told, "devices/disk/enum[@name='bus']")
        ),
        uefi="efi" in values,
        secure_boot="efi" in values and "yes" in _values(modern, "os/loader/enum[@name='secure']"),
        tpm=said(modern, "devices/tpm", "supported") == "yes"
        and "emulator" in _values(modern, "devices/tpm/enum[@name='backendModel']"),
        vnc="vnc" in _values(modern, "devices/graphics/enum[@name='type']"),
    )


def _accelerator(link: Link, host: Element, offered: set[str]) -> tuple[str, str]:
    """What to run machines by, and why it is not KVM.

    That ``/dev/kvm`` is there is not enough, and all that libvirt looks at: where the processor has
    neither VMX nor SVM, as in many a virtual machine, a guest would hang.
    """
    wanted = link.settings.accelerator
    if wanted == "kvm" and "kvm" in offered:
        return "kvm", ""
    if "kvm" not in offered:
        why = "KVM is not there (/dev/kvm is missing, or its modules are)"
    elif not _virtualizes(link, host):
        why = "the host's processor has neither VMX nor SVM"
    elif wanted == "qemu":
        why = "the connection's settings say so"
    else:
        return "kvm", ""
    if "qemu" in offered:
        return "qemu", why
    return "", f"this host runs no machines for {ARCH}"


def _virtualizes(link: Link, host: Element) -> bool:
    cpu = host.find("host/cpu")
    if cpu is None or said(cpu, "arch") != ARCH:
        return False
    text = written(cpu)
    cpu = parse(link.call(lambda conn: _expanded(conn, text), link.name), link.name)
    return not {"vmx", "svm"}.isdisjoint(each.get("name", "") for each in every(cpu, "feature"))


def _expanded(conn: Any, cpu: str) -> str:
    try:
        return str(conn.baselineCPU([cpu], _EXPAND))
    except libvirt.libvirtError:
        return cpu  # a processor it does not know: what it names itself has to do


def _domain(link: Link, accelerator: str, machine: str) -> Element | None:
    def ask(conn: Any) -> str:
        try:
            return str(conn.getDomainCapabilities(None, ARCH, machine, accelerator, 0))
        except libvirt.libvirtError:
            return ""  # it has no such machines

    text = link.call(ask, link.name, long=True)
    return parse(text, link.name) if text else None


def _values(element: Element | None, path: str) -> set[str]:
    return set() if element is None else {v.text or "" for v in every(element, f"{path}/value")}
