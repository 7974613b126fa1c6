"""An appliance that is being built: its disks are opened here, and here it is committed or undone."""

import threading

from backends import commit
from backends.base import (
    Access,
    BackendError,
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
    Power,
    Ref,
    RefusedError,
    Result,
    ResumeError,
    Transport,
    UnsupportedError,
    Writer,
)
from backends.xenserver import build, marks, power, records, removal
from backends.xenserver.api import Api, Record
from backends.xenserver.lookup import number, reference, space_free, spoken, zeroed
from backends.xenserver.upload import Segments, Upload, formats
from kensho_tui.machine import Appliance, DiskId, Machine

VHD_LIMIT = 2040 << 30  # bytes; the largest VHD that xapi reads or writes
_PARALLEL = 4  # transfers at once; a host's dom0 gains nothing from more
_NEARLY_FULL = 64 << 20  # an I/O error with less than this free means the storage is full
_CD_POSITIONS = (3, 2, 1)  # where a CD drive is emulated, so that any guest sees it


class XenDeployment:
    """`Deployment` on a XenServer. Callable from several threads, one thread per disk."""

    def __init__(
        self, api: Api, appliance: Appliance, placement: Placement, key: Key, built: build.Built
    ) -> None:
        """Args: built: what `build.Builder` found or made."""
        self._api = api
        self._appliance = appliance
        self._placement = placement
        self._key = key
        self._built = built
        self._wanted = build.wanted_disks(appliance, placement)
        self._storage: dict[DiskId, tuple[str, Record]] = {}
        self._lock = threading.Lock()
        self._result: Result | None = None

    @property
    def token(self) -> Json:
        """UUIDs of what was made; `Session.sweep` needs the key alone."""
        return {
            "key": self._key,
            "machines": {ident: found.uuid for ident, found in self._built.vms.items()},
            "disks": {ident: found.uuid for ident, found in self._built.vdis.items()},
            "appliance": self._built.group.uuid if self._built.group else None,
        }

    @property
    def parallel(self) -> int:
        """How many disks may be written at once."""
        return _PARALLEL

    # -------------------------------------------------------------------------------------- disks
    def offers(self, disk: DiskId) -> tuple[Offer, ...]:
        """Ways to write the disk, best first. Raises: RefusedError: it was skipped."""
        record = self._sr(disk)[1]
        capacity = number(self._vdi(disk).record.get("virtual_size"))
        return formats(
            zeroed=zeroed(record),
            capacity=capacity,
            vhd_limit=VHD_LIMIT,
            segment=self._api.settings.segment_bytes,
        )

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
            NoSpaceError: it does not fit. RefusedError: the deployment is committed, or the length
            is missing.
        """
        if self._built.committed:
            raise RefusedError("the machines are in service already", subject=disk)
        if offer not in self.offers(disk):
            raise UnsupportedError(f"no such way to write ({offer.format})", subject=disk)
        if resume is None:
            vdi, acknowledged = self._fresh(disk), 0
        else:
            vdi, acknowledged = self._begun(disk, offer, resume)
        capacity = number(vdi.record.get("virtual_size"))
        subject = self._label(disk)
        if offer.access is Access.FORWARD and length is None:
            raise RefusedError("the length of the image must be known beforehand", subject=subject)
        if offer.format is Format.RAW and length is not None and length > capacity:
            raise NoSpaceError(
                f"{length} bytes do not fit on a disk of {capacity}", subject=subject
            )
        self._expect_room(disk, vdi, allocation, subject)
        if resume is None:
            marks.put(self._api, "VDI", vdi.ref, marks.STATE, marks.WRITING)
        return Upload(
            self._api,
            vdi.ref,
            offer,
            length if offer.access is Access.FORWARD else None,
            capacity,
            label=marks.task_label(self._key),
            subject=subject,
            written=lambda: self._written(vdi.ref),
            explain_io=lambda: self._explain_io(disk, subject),
            segments=Segments(
                self._api.settings.segment_bytes,
                self._api.settings.segment_s,
                vdi.uuid,
                acknowledged,
                lambda end: marks.put(self._api, "VDI", vdi.ref, marks.ACKNOWLEDGED, str(end)),
            ),
        )

    def _written(self, vdi: str) -> None:
        marks.put(self._api, "VDI", vdi, marks.STATE, marks.WRITTEN)
        marks.drop(self._api, "VDI", vdi, marks.ACKNOWLEDGED)

    def _vdi(self, disk: DiskId) -> marks.Object:
        with self._lock:
            found = self._built.vdis.get(disk)
        if found is None:
            raise RefusedError("this disk is not part of the deployment", subject=disk)
        return found

    def _label(self, disk: DiskId) -> str:
        """The disk as an operator looks for it: whose it is, its name, and on which storage."""
        name = spoken(self._appliance, disk, self._vdi(disk).name)
        storage = str(self._sr(disk)[1].get("name_label", ""))
        return f"{name} on {storage}" if storage else name

    def _sr(self, disk: DiskId) -> tuple[str, Record]:
        ref = str(self._vdi(disk).record["SR"])
        if disk not in self._storage:
            self._storage[disk] = (ref, self._api.record("SR", ref))
        return self._storage[disk]

    def _fresh(self, disk: DiskId) -> marks.Object:
        """The disk as it was made: where something was written to it, a new one in its place."""
        vdi = self._vdi(disk)
        now = marks.Object(vdi.ref, self._api.record("VDI", vdi.ref, vdi.name))
        if marks.STATE not in now.marks:
            return now
        drives = removal.detach(self._api, vdi.ref)
        removal.patiently(
            self._api, lambda: self._api.long("VDI.destroy", vdi.ref, subject=vdi.name)
        )
        source = self._wanted[disk]
        record = build.disk_record(self._appliance, source, self._sr(disk)[0], self._key)
        ref = str(self._api.long("VDI.create", record, subject=vdi.name))
        for drive in drives:
            self._api.long(
                "VBD.create",
                records.vbd_record(
                    str(drive["VM"]),
                    ref,
                    number(drive["userdevice"]),
                    cd=False,
                    bootable=bool(drive.get("bootable")),
                ),
                subject=vdi.name,
            )
        found = marks.Object(ref, self._api.record("VDI", ref, vdi.name))
        with self._lock:
            self._built.vdis[disk] = found
        return found

    def _begun(self, disk: DiskId, offer: Offer, token: Json) -> tuple[marks.Object, int]:
        """The disk that the token speaks of, and the end of what has arrived there for good.

        Raises: ResumeError: it is not the one, or does not say that as much has arrived.
        """
        vdi = self._vdi(disk)
        now = marks.Object(vdi.ref, self._api.record("VDI", vdi.ref, vdi.name))
        try:
            uuid, end = str(token["vdi"]), int(token["end"])
        except (TypeError, KeyError, ValueError):
            raise ResumeError("this is no place to go on from", subject=disk) from None
        if offer.access is not Access.EXTENTS or end <= 0:
            raise ResumeError("a disk that is written this way begins anew", subject=disk)
        if uuid != now.uuid:
            raise ResumeError("the disk on the server is another one now", subject=disk)
        if now.marks.get(marks.STATE) != marks.WRITING:
            raise ResumeError("the disk on the server is not the half-written one", subject=disk)
        if number(now.marks.get(marks.ACKNOWLEDGED)) < end:
            raise ResumeError("the disk on the server does not say what has arrived", subject=disk)
        return now, end

    def _expect_room(
        self, disk: DiskId, vdi: marks.Object, allocation: ExtentMap | None, subject: str
    ) -> None:
        """Raise `NoSpaceError` where the data alone is known not to fit."""
        if allocation is None:
            return
        record = self._api.record("SR", self._sr(disk)[0])
        # A disk on thick storage has its room already, counted as used.
        held = number(vdi.record.get("physical_utilisation"))
        if allocation.total > space_free(record) + held:
            raise NoSpaceError(
                f"{allocation.total} bytes of data do not fit on '{record.get('name_label', '')}',"
                f" which has {space_free(record)} free",
                subject=subject,
                remedy="Choose another storage, or make room on this one",
            )

    def _explain_io(self, disk: DiskId, subject: str) -> None:
        record = self._api.record("SR", self._sr(disk)[0])
        if space_free(record) < _NEARLY_FULL:
            raise NoSpaceError(
                f"the storage '{record.get('name_label', '')}' is full",
                subject=subject,
                remedy="Choose another storage, or make room on this one",
            )

    # -------------------------------------------------------------------------------- environment
    def deliver(self, environment: Environment) -> Transport:
        """Give each machine its OVF environment as a CD (DSP0243 2.1.1 §11, transport ``iso``).

        The CD is a small disk beside the machine's first one; `XenSession.describe` leaves it out.
        """
        from kensho_tui.ovf.environment import environment_iso

        for machine, document in environment.documents.items():
            iso = environment_iso(document, environment.files.get(machine))
            self._deliver(self._appliance.machine(machine), iso)
        return Transport.ISO if environment.documents else Transport.NONE

    def _deliver(self, machine: Machine, iso: bytes) -> None:
        vm = self._built.vms[machine.id]
        earlier = marks.find(self._api, self._key).environments.get(machine.id)
        if earlier is not None:
            removal.detach(self._api, earlier.ref)
            removal.patiently(self._api, lambda: self._api.long("VDI.destroy", earlier.ref))
        own = [ident for ident in self._wanted if self._holds(machine, ident)]
        place = next(iter(own), next(iter(self._wanted), None))
        if place is None:
            raise RefusedError(
                "there is no storage for the CD with the OVF environment",
                subject=machine.name,
                remedy="Give the machine a disk",
            )
        name = f"{machine.name} OVF environment"
        position, empty = self._cd_position(vm.ref, name)
        again = earlier is not None and marks.BORROWED in earlier.marks
        labels = records.environment_marks(
            self._key, machine.id, borrowed=again or empty is not None
        )
        record = records.vdi_record(name, self._sr(place)[0], len(iso), labels)
        vdi = str(self._api.long("VDI.create", record, subject=name))
        if empty is not None:
            self._api.long("VBD.destroy", empty, subject=name)
        drive = records.vbd_record(vm.ref, vdi, position, cd=True, bootable=True)
        self._api.long("VBD.create", drive, subject=name)
        raw = next(each for each in self.offers(place) if _raw_forward(each))
        capacity = number(self._api.record("VDI", vdi, name).get("virtual_size"))
        writer = Upload(
            self._api,
            vdi,
            raw,
            len(iso),
            capacity,
            label=marks.task_label(self._key),
            subject=name,
            written=lambda: None,
            explain_io=lambda: self._explain_io(place, name),
        )
        try:
            writer.write(iso)
            writer.finish()
        finally:
            writer.close()

    def _holds(self, machine: Machine, disk: DiskId) -> bool:
        return any(each.disk == disk for each in machine.attachments)

    def _cd_position(self, vm: str, name: str) -> tuple[int, str | None]:
        """Where the CD goes, and the empty drive that it takes the place of, if there is one."""
        present = build.drives_present(self._api, self._api.record("VM", vm, name))
        for position, (ref, drive) in sorted(present.items()):
            if drive.get("type") == "CD" and drive.get("empty"):
                return position, ref
        free = next((n for n in (*_CD_POSITIONS, *range(255)) if n not in present), None)
        if free is None:
            raise RefusedError(
                "there is no free position for the CD with the OVF environment",
                subject=name,
                remedy="Take a drive away",
            )
        return free, None

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
        made = marks.find(self._api, self._key)
        if not made.committed:
            self._expect_written(made)
        # One machine's mark decides; only then do the others follow.
        removal.complete(self._api, made)
        for kind, found in made.doubles:
            if marks.COMMITTED not in found.marks:
                removal.remove(self._api, kind, found)
        findings = self._start(made) if start else []
        with self._lock:
            self._built.committed = True
            self._result = self._outcome(made, findings)
            return self._result

    def _expect_written(self, made: marks.Made) -> None:
        missing = [m.name for m in self._appliance.machines if m.id not in made.machines]
        if missing:
            raise RefusedError("the machine is gone from the server", subject=", ".join(missing))
        states = {ident: found.marks.get(marks.STATE) for ident, found in made.disks.items()}
        commit.expect_written(self._wanted, states, marks.WRITTEN)

    def _start(self, made: marks.Made) -> list[Finding]:
        machines = list(self._appliance.machines)
        starting = [machine for machine in machines if machine.start.start]
        everyone = len(starting) == len(machines)
        try:
            if made.appliance is not None and everyone:
                # The server waits the delays out before it answers.
                patience = sum(machine.start.start_delay_s for machine in machines)
                self._api.call(
                    "VM_appliance.start",
                    made.appliance.ref,
                    False,
                    answer_s=self._api.settings.long_s + patience,
                )
                return []
        except BackendError:
            pass  # some may run: the others are tried one by one below, and say why they do not
        return commit.start_in_order(
            starting,
            lambda each: power.start(self._api, made.machines[each.id].ref, each.name),
            self._api.wait,
        )

    def _outcome(self, made: marks.Made, findings: list[Finding]) -> Result:
        machines = []
        for machine in self._appliance.machines:
            found = made.machines.get(machine.id)
            if found is None:
                continue
            machines.append(
                DeployedMachine(
                    machine.id,
                    reference(Kind.MACHINE, found.record),
                    power.state(self._api, found.ref) is Power.ON,
                    {
                        ident: Ref(Kind.STORAGE, disk.uuid, disk.name)
                        for ident, disk in made.disks.items()
                        if self._holds(machine, ident)
                    },
                )
            )
        group = reference(Kind.APPLIANCE, made.appliance.record) if made.appliance else None
        return Result(tuple(machines), group, findings=tuple(findings))

    def abort(self) -> list[Leftover]:
        """Remove all that was made and is not committed; what could not be is told."""
        return removal.sweep(self._api, self._key)


def _raw_forward(offer: Offer) -> bool:
    return offer.format is Format.RAW and offer.access is Access.FORWARD
