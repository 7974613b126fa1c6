"""A connection to a libvirt, as the contract sees it."""

import threading
from collections.abc import Sequence

from backends.base import (
    Capabilities,
    Consistency,
    Cursor,
    Described,
    Finding,
    InventoryPage,
    Key,
    Kind,
    Leftover,
    NotFoundError,
    Placement,
    PlatformInfo,
    Power,
    Ref,
)
from backends.kvm import check, delivery, describe, marks, power, removal
from backends.kvm.build import build
from backends.kvm.capture import KvmCapture, capture
from backends.kvm.deployment import KvmDeployment
from backends.kvm.features import Features
from backends.kvm.inventory import Listing
from backends.kvm.link import Link
from kensho_tui.machine import Appliance, Firmware


class KvmSession:
    """`Session` on a libvirt with QEMU."""

    def __init__(self, link: Link, features: Features) -> None:
        """Args: link: opened; features: what was found out about the host."""
        self._link = link
        self._features = features
        self._building = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """What this host can do."""
        return Capabilities(
            PlatformInfo("KVM", self._features.version, "QEMU"),
            imports=bool(self._features.accelerator),
            powers=True,
            environment=True,
            firmware=frozenset(Firmware if self._features.uefi else {Firmware.BIOS}),
        )

    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        """What is there; libvirt gives all of a kind at once, so there is one page."""
        if after is not None:
            return InventoryPage(())
        return InventoryPage(Listing(self._link, self._features).items(kinds))

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        """The machines in full.

        Raises: NotFoundError: one is gone, or a configuration is named: there are none here.
        """
        _expect_none(configuration)
        return describe.read(self._link, refs).described

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        """Bring the machine to OFF or ON. Raises: RefusedError: it does not come."""
        return power.bring(self._link, ref, to, timeout_s, force=force)

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> KvmCapture:
        """The machines while they are off. Raises: RefusedError: one runs."""
        _expect_none(configuration)
        return capture(self._link, refs, how, key)

    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        """What this host would say to the deployment; changes nothing."""
        return check.check(self._link, self._features, appliance, placement)

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> KvmDeployment:
        """Build the machines, under names of their own and without their disks' bytes."""
        with self._building:
            built = build(self._link, self._features, appliance, placement, key)
        return KvmDeployment(self._link, appliance, placement, key, built)

    def stands(self, key: Key) -> bool:
        """Whether what the key deployed is in service."""
        return marks.find(self._link, key).committed

    def sweep(self, key: Key) -> list[Leftover]:
        """Remove all that carries the key and is not committed."""
        return removal.sweep(self._link, key)

    def withdraw(self, key: Key) -> list[Leftover]:
        """Take out and delete the CDs with OVF environments; a drive may stay until its machine restarts."""
        return delivery.withdraw(self._link, key)

    def close(self) -> None:
        """Let go; calls under way end with an error."""
        self._link.close()


def _expect_none(configuration: str | None) -> None:
    if configuration is not None:
        raise NotFoundError("machines of a host have no deployment options")
