"""A login to a XenServer pool, as the contract sees it."""

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
from backends.xenserver import check, describe, marks, power, removal, withdrawal
from backends.xenserver.api import Api
from backends.xenserver.build import Builder
from backends.xenserver.capture import XenCapture, capture
from backends.xenserver.deployment import VHD_LIMIT, XenDeployment
from backends.xenserver.features import Features
from backends.xenserver.inventory import Listing
from kensho_tui.machine import Appliance, Firmware

_INCREMENT = 2 << 20  # VHD repositories hold whole blocks of 2 MiB
_DRIVES = 255


class XenSession:
    """`Session` on a XenServer or XCP-ng pool."""

    def __init__(self, api: Api, features: Features) -> None:
        """Args: api: logged in; features: what was found out at login."""
        self._api = api
        self._features = features
        self._building = threading.Lock()

    @property
    def capabilities(self) -> Capabilities:
        """What this pool can do."""
        return Capabilities(
            PlatformInfo("XenServer", self._features.version, self._features.vendor),
            captures_running=True,
            powers=True,
            environment=True,
            firmware=frozenset(Firmware if self._features.uefi else {Firmware.BIOS}),
            max_disk=VHD_LIMIT,
            disk_increment=_INCREMENT,
            max_attachments=_DRIVES,
        )

    def inventory(self, kinds: frozenset[Kind], after: Cursor | None = None) -> InventoryPage:
        """What is there; XenAPI gives a class at once, so there is one page."""
        return InventoryPage(Listing(self._api).items(kinds) if after is None else ())

    def describe(self, refs: Sequence[Ref], *, configuration: str | None = None) -> Described:
        """The machines, or the machines of one appliance, in full.

        Raises: NotFoundError: one is gone, or a configuration is named: there are none here.
        """
        if configuration is not None:
            raise NotFoundError("machines of a server have no deployment options")
        sources, group = describe.sources(self._api, refs)
        return describe.described(describe.read(self._api, sources), group)

    def power(self, ref: Ref, to: Power, timeout_s: float, *, force: bool = False) -> Power:
        """Bring the machine to OFF or ON. Raises: RefusedError: it does not come."""
        return power.bring(self._api, ref, to, timeout_s, force=force)

    def capture(
        self, refs: Sequence[Ref], how: Consistency, key: Key, *, configuration: str | None = None
    ) -> XenCapture:
        """ONE moment of the machines. Raises: RefusedError: one runs and ``how`` is OFF."""
        if configuration is not None:
            raise NotFoundError("machines of a server have no deployment options")
        return capture(self._api, refs, how, key)

    def check(self, appliance: Appliance, placement: Placement) -> list[Finding]:
        """What this pool would say to the deployment; changes nothing."""
        return check.check(Listing(self._api), self._features, appliance, placement)

    def deploy(self, appliance: Appliance, placement: Placement, key: Key) -> XenDeployment:
        """Build the machines, hidden and without their disks' bytes."""
        with self._building:
            built = Builder(self._api, appliance, placement, key).build()
        return XenDeployment(self._api, appliance, placement, key, built)

    def stands(self, key: Key) -> bool:
        """Whether what the key deployed is in service."""
        return marks.find(self._api, key).committed

    def sweep(self, key: Key) -> list[Leftover]:
        """Remove all that carries the key and is not committed."""
        return removal.sweep(self._api, key)

    def withdraw(self, key: Key) -> list[Leftover]:
        """Eject and destroy the CDs with OVF environments; an emptied drive may stay in a machine that runs."""
        return withdrawal.withdraw(self._api, key)

    def close(self) -> None:
        """Log out; calls under way end with an error."""
        self._api.close()
