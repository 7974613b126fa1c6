"""An appliance that is being built: its disks are opened here, and here it is committed or undone."""

import threading
from dataclasses import replace

from backends import commit
from backends.base import (
    Access,
    DeployedMachine,
    Environment,
    ExtentMap,
    Finding,
    Format,
    Json,
    Key,
    Kind,
    Leftover,
    NoSpaceError,
    Offer,
    Placement,
    Ref,
    RefusedError,
    Result,
    ResumeError,
    Severity,
    Transport,
    UnsupportedError,
    Writer,
)
from backends.kvm import build, delivery, marks, power, removal
from backends.kvm.link import Link
from backends.kvm.upload import Upload
from kensho_tui.machine import Appliance, DiskId, Machine

_PARALLEL = 4


class KvmDeployment:
    """`Deployment` on a libvirt. Callable from several threads, one thread per disk."""

    def __init__(
        self, link: Link, appliance: Appliance, placement: Placement, key: Key, built: build.Built
    ) -> None:
        """Args: built: what `build.build` found or made."""
        self._link = link
        self._appliance = appliance
        self._key = key
        self._built = built
        self._wanted = build.wanted_disks(appliance, placement)
        self._lock = threading.Lock()
        self._result: Result | None = None

    @property
    def token(self) -> Json:
        """UUIDs and volumes of what was made; `Session.sweep` needs the key alone."""
        return {
            "key": self._key,
            "machines": {ident: found.uuid for ident, found in self._built.machines.items()},
            "disks": {
                ident: f"{mark.pool}/{mark.volume}"
                for ident, mark in sorted(self._built.disks().items())
            },
        }

    @property
    def parallel(self) -> int:
        """How many disks may be written at once."""
        return _PARALLEL

    # -------------------------------------------------------------------------------------- disks
    def offers(self, disk: DiskId) -> tuple[Offer, ...]:
        """The way to write the disk. Raises: RefusedError: it was skipped."""
        if self._mark(disk).volume.endswith(".raw"):
            return (Offer(Format.RAW, Access.EXTENTS),)
        return (Offer(Format.QCOW2, Access.SEEK),)

    def open(
        self,
        disk: DiskId,
        offer: Offer,
        length: int | None = None,
        allocation: ExtentMap | None = None,
        resume: Json | None = None,
    ) -> Writer:
        """Write the disk. An image that an earlier writer began is thrown away first, or gone on with.

        Raises: UnsupportedError: an offer that was not made. ResumeError: see `Deployment.open`.
            NoSpaceError: it does not fit. RefusedError: the deployment is committed.
        """
        self._link.check()
        subject = self._label(disk)
        if self._built.committed:
            raise RefusedError("the machines are in service already", subject=subject)
        if offer not in self.offers(disk):
            raise UnsupportedError(f"no such way to write ({offer.format})", subject=subject)
        end = self._begun(disk, offer, resume) if resume is not None else 0
        mark = self._mark(disk)
        self._expect_room(mark, allocation, end, subject)
        if resume is None:
            if mark.state:
                self._anew(mark)
            self._note(replace(mark, state=marks.WRITING, acknowledged=0))
        return Upload(
            self._link,
            mark.pool,
            mark.volume,
            offer,
            -(-(self._wanted[disk].capacity or 0) // 512) * 512,
            subject=subject,
            written=lambda: self._note(replace(mark, state=marks.WRITTEN, acknowledged=0)),
            segment=self._link.settings.segment_bytes,
            acknowledged=end,
            note=lambda at: self._note(replace(mark, state=marks.WRITING, acknowledged=at)),
        )

    def _mark(self, disk: DiskId) -> marks.DiskMark:
        with self._lock:
            found = self._built.disks().get(disk)
        if found is None:
            raise RefusedError("this disk is not part of the deployment", subject=disk)
        return found

    def _label(self, disk: DiskId) -> str:
        name = self._appliance.disks[disk].name if disk in self._appliance.disks else ""
        return f"{build.owner(self._appliance, disk).name} {name or disk}"

    def _note(self, mark: marks.DiskMark) -> None:
        """Write what is known of a disk into its machine's metadata."""
        owner = build.owner(self._appliance, mark.id)
        with self._lock:
            found = self._built.machines[owner.id]
            if found.mark is None:
                raise RefusedError("the machine has lost its mark", subject=found.name)
            changed = found.mark.with_disk(mark)
            marks.put(self._link, found.uuid, changed, found.name)
            self._built.machines[owner.id] = replace(found, mark=changed)

    def _anew(self, mark: marks.DiskMark) -> None:
        for left in removal.delete(self._link, mark.pool, mark.volume):
            raise RefusedError(left.reason, subject=mark.volume, remedy=left.action)
        disk = self._wanted[mark.id]
        suffix = mark.volume.rpartition(".")[2]
        build.make_volume(self._link, mark.pool, mark.volume, disk, suffix)

    def _begun(self, disk: DiskId, offer: Offer, token: Json) -> int:
        """The end of what has arrived for good. Raises: ResumeError: the token is not of this disk."""
        owner = build.owner(self._appliance, disk)
        with self._lock:
            now = build.reload(self._link, self._built.machines[owner.id])
            self._built.machines[owner.id] = now
        mark = self._mark(disk)
        try:
            pool, volume, end = str(token["pool"]), str(token["volume"]), int(token["end"])
        except (TypeError, KeyError, ValueError):
            raise ResumeError("this is no place to go on from", subject=disk) from None
        if offer.access is not Access.EXTENTS or end <= 0:
            raise ResumeError("a disk that is written this way begins anew", subject=disk)
        if (pool, volume) != (mark.pool, mark.volume):
            raise ResumeError("the disk on the host is another one now", subject=disk)
        if mark.state != marks.WRITING or mark.acknowledged < end:
            raise ResumeError("the host does not say that so much has arrived", subject=disk)
        return end

    def _expect_room(
        self, mark: marks.DiskMark, allocation: ExtentMap | None, have: int, subject: str
    ) -> None:
        """Raise `NoSpaceError` where the data alone is known not to fit."""
        if allocation is None:
            return
        name, free = self._link.call(
            lambda conn: (
                (pool := conn.storagePoolLookupByUUIDString(mark.pool)).name(),
                pool.info()[3],
            ),
            subject,
        )
        needed = allocation.total - have
        if needed > free:
            raise NoSpaceError(
                f"{needed} bytes of data do not fit on '{name}', which has {free} free",
                subject=subject,
                remedy="Choose another storage pool, or make room on this one",
            )

    # -------------------------------------------------------------------------------- environment
    def deliver(self, environment: Environment) -> Transport:
        """Give each machine its OVF environment as a CD (DSP0243 2.1.1 §11.2, transport ``iso``)."""
        from kensho_tui.ovf.environment import environment_iso

        for number, machine in enumerate(self._appliance.machines):
            document = environment.documents.get(machine.id)
            if document is None:
                continue
            iso = environment_iso(document, environment.files.get(machine.id))
            delivery.deliver(self._link, self._key, self._built, machine, number, iso)
        return Transport.ISO if environment.documents else Transport.NONE

    # ------------------------------------------------------------------------------ commit, abort
    def commit(self, start: bool) -> Result:
        """Put the machines into service, then start them in order where asked.

        From the first mark on the deployment stands: an interrupted commit is completed by
        `sweep` or by another commit, never undone.

        Raises: RefusedError: a disk was not written to its end. A machine that does not start is
            a finding of the result, not an error: it stands, and its disks are whole.
        """
        with self._lock:
            if self._result is not None:
                return self._result
        made = marks.find(self._link, self._key)
        if not made.committed:
            self._expect_written(made)
        findings = [
            Finding(
                "name-taken",
                Severity.WARNING,
                f"There is another machine of this name: this one is called '{name}'.",
                wanted,
            )
            for wanted, name in removal.complete(self._link, made)
        ]
        if start:
            findings += power.start_in_order(self._link, self._appliance, made)
        made = marks.find(self._link, self._key)
        with self._lock:
            self._built.committed = True
            self._result = self._outcome(made, findings)
            return self._result

    def _expect_written(self, made: marks.Made) -> None:
        missing = [m.name for m in self._appliance.machines if m.id not in made.machines]
        if missing:
            raise RefusedError("the machine is gone from the host", subject=", ".join(missing))
        states = {ident: mark.state for ident, mark in made.disks().items()}
        commit.expect_written(self._wanted, states, marks.WRITTEN)

    def _outcome(self, made: marks.Made, findings: list[Finding]) -> Result:
        known = made.disks()
        machines = []
        for machine in self._appliance.machines:
            found = made.machines.get(machine.id)
            if found is None:
                continue
            machines.append(
                DeployedMachine(
                    machine.id,
                    Ref(Kind.MACHINE, found.uuid, found.name),
                    found.active,
                    {
                        ident: Ref(Kind.STORAGE, f"{mark.pool}/{mark.volume}", mark.volume)
                        for ident, mark in sorted(known.items())
                        if _holds(machine, ident)
                    },
                )
            )
        return Result(tuple(machines), findings=tuple(findings))

    def abort(self) -> list[Leftover]:
        """Remove all that was made and is not committed; what could not be is told."""
        return removal.sweep(self._link, self._key)


def _holds(machine: Machine, disk: DiskId) -> bool:
    return any(each.disk == disk for each in machine.attachments)
