"""The plan: everything that was decided about one move, and nothing that is secret.

The same model is the YAML file (``apiVersion: kensho/v1``), the journal's record and the wizard's
result. Unknown keys are errors. Passwords stand in it as ``{secret: NAME}`` only.
"""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from backends.base import Kind, Ref
from kensho_tui.errors import KenshoError
from kensho_tui.migration.retry import Policy
from kensho_tui.migration.times import DAYS, Limits, Window, parse_moment, window_of, zone_of
from kensho_tui.migration.units import parse_rate

Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Integrity: TypeAlias = Literal["require", "warn", "off"]
# Of the adapters' addresses: as the source has them, or new ones that the target gives.
Mac: TypeAlias = Literal["keep", "generate"]
EJECT_AFTER = 15  # minutes
LONGEST_EJECT_AFTER = 7 * 24 * 60
PackageFormat: TypeAlias = Literal["ova", "ovf"]
DiskFormat: TypeAlias = Literal["vmdk", "vhd", "vhdx", "qcow2"]
PackageProfile: TypeAlias = Literal["", "standard", "vmware", "xenserver", "hyperv", "virtualbox"]
OvfVersion: TypeAlias = Literal["1.1", "2.0"]
Digest: TypeAlias = Literal["sha1", "sha256", "sha512"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RefModel(_Model):
    """A reference to something on a platform, with its name for people."""

    kind: Kind
    id: str
    name: str = ""

    @classmethod
    def of(cls, ref: Ref) -> "RefModel":
        """From the contract's reference."""
        return cls(kind=ref.kind, id=ref.id, name=ref.name)

    def ref(self) -> Ref:
        """As the contract's reference."""
        return Ref(self.kind, self.id, self.name)


class SecretValue(_Model):
    """A value that is not in the plan: the name under which the engine is handed it.

    ``env`` or ``file``: where the operator said that it stands, a variable or the first line of a
    file by its whole path; "" where it was entered.
    """

    secret: str
    env: str = ""
    file: str = ""


class ShutDown(_Model):
    """Consent to shut machines of the source down: by the guest, within ``timeout_s`` seconds.

    ``force``: one that does not follow is switched off.
    """

    timeout_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    force: bool = False


class SourcePlan(_Model):
    """Where the appliance comes from: a package by path or address, or machines of a connection.

    ``shut_down``: machines that run are shut down before they are read.
    """

    package: str | None = None
    connection: str | None = None
    machines: tuple[RefModel, ...] = ()
    identity: str = ""
    consistency: Literal["off", "snapshot"] = "off"
    shut_down: ShutDown | None = None


class TargetPlan(_Model):
    """Where it goes: a connection (and a pool or host there), or a package to be written.

    How a package's files are made: ``compression`` of each (``ovf:compression``); cut into files of
    ``chunk_bytes`` (0: not); ``digest`` of the manifest; ``strict``: an archive in plain ustar;
    ``reproducible``: the same bytes for the same machines, with the time ``epoch`` (seconds since 1970).
    """

    connection: str | None = None
    home: RefModel | None = None
    package: str | None = None
    format: PackageFormat = "ova"
    disk_format: DiskFormat = "vmdk"
    ovf_version: OvfVersion = "1.1"
    compression: Literal["none", "gzip"] = "none"
    chunk_bytes: Annotated[int, Field(ge=0)] = 0
    digest: Digest = "sha256"
    strict: bool = False
    reproducible: bool = False
    epoch: Annotated[int, Field(ge=0, lt=1 << 33)] = 0
    profile: PackageProfile = ""  # those for whom it is written; "" for nobody in particular


class LicenceAnswer(_Model):
    """A licence that was accepted: by the digest of its text, by whom, when (ISO 8601, UTC)."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    accepted_by: str
    accepted_at: str


class MachinePlan(_Model):
    """What is chosen for one machine. None keeps what the source says.

    ``adapters`` maps adapter ids to networks; None leaves the adapter unplugged.
    """

    include: bool = True
    name: str | None = None
    processors: Annotated[int, Field(ge=1, le=1024)] | None = None
    memory: Annotated[int, Field(ge=4 << 20)] | None = None  # bytes
    home: RefModel | None = None
    adapters: dict[str, RefModel | None] = {}


def _rate(value: object) -> object:
    try:
        return parse_rate(value) if isinstance(value, str) else value
    except KenshoError as error:
        raise ValueError(str(error)) from error


def _moment(value: object) -> object:
    return parse_moment(value) if isinstance(value, str) else value


def _zone(value: object) -> object:
    return zone_of(value) if isinstance(value, str) and value else value


# Bytes a second; a file may say ``20 MiB``. None: no limit.
Rate: TypeAlias = Annotated[Annotated[int, Field(gt=0)] | None, BeforeValidator(_rate)]
# A file may say ``2026-12-01 22:00 Europe/Berlin``.
Moment: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_moment)]
# Such as Europe/Berlin; "" for none.
Zone: TypeAlias = Annotated[str, BeforeValidator(_zone)]


class WindowPlan(_Model):
    """A time of day on some days: ``{zone, days, from, to}``, see `kensho_tui.migration.times`."""

    zone: str = "UTC"
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    start: str = Field(alias="from")
    end: str = Field(alias="to")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.window()
        return self

    @model_serializer(mode="wrap")
    def _by_alias(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Named as in the file whoever asks for it: "from" is no name that Python takes.
        data: dict[str, Any] = write(self)
        return {{"start": "from", "end": "to"}.get(key, key): data[key] for key in data}

    @classmethod
    def of(cls, window: Window, **more: object) -> Self:
        """From a window."""
        days = [DAYS[each] for each in sorted(window.days)]
        clocks = {"from": f"{window.start:%H:%M}", "to": f"{window.end:%H:%M}"}
        return cls.model_validate({"zone": window.zone, "days": days, **clocks, **more})

    def window(self) -> Window:
        """As what can be asked whether it is open."""
        days = list(self.days)
        return window_of({"zone": self.zone, "days": days, "from": self.start, "to": self.end})


class TimedLimit(WindowPlan):
    """A limit of bytes a second while a window is open; None: none then."""

    limit: Rate


class BandwidthPlan(_Model):
    """How fast all disks together may move: the first of ``times`` that is open says it, else ``limit``."""

    limit: Rate = None
    times: tuple[TimedLimit, ...] = ()

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """From limits."""
        times = tuple(TimedLimit.of(window, limit=limit) for window, limit in limits.times)
        return cls(limit=limits.always, times=times)

    def limits(self) -> Limits:
        """As what can be asked how fast it may be."""
        return Limits(self.limit, tuple((each.window(), each.limit) for each in self.times))


_USUAL = Policy()


class RetryPlan(_Model):
    """How often and how long what may pass is tried again, see `kensho_tui.migration.retry`.

    Attributes:
        connect, transfer: attempts in a row at most, the first one included.
        busy_s: seconds that a disk or machine is waited for that somebody else uses.
        longest_pause_s: what pauses grow to.
    """

    connect: Annotated[int, Field(ge=1, le=1000)] = _USUAL.connect
    transfer: Annotated[int, Field(ge=1, le=1000)] = _USUAL.transfer
    busy_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = _USUAL.busy_s
    longest_pause_s: Annotated[float, Field(ge=1, le=3600)] = _USUAL.longest_pause_s

    def policy(self) -> Policy:
        """As what the attempts go by."""
        return Policy(
            connect=self.connect,
            transfer=self.transfer,
            busy_s=self.busy_s,
            longest_pause_s=self.longest_pause_s,
        )


class RunPlan(_Model):
    """How the job is run. Among jobs that wait, those of the highest priority begin first.

    Attributes:
        disks_at_once: at most; a target that takes fewer has its way.
        not_before: the job does not begin earlier.
        window: the job works only while it is open, and is paused in between.
        cutover: the last step, which puts the machines into service, begins only while it is open.
    """

    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    disks_at_once: Annotated[int, Field(ge=1, le=32)] = 2
    bandwidth: BandwidthPlan = BandwidthPlan()
    not_before: Moment | None = None
    window: WindowPlan | None = None
    cutover: WindowPlan | None = None
    retry: RetryPlan = RetryPlan()


class Metadata(_Model):
    """What the move is called. ``batch``: plans that were submitted together share it.

    ``retry_of``: the job whose plan this is once more.
    """

    name: str
    batch: str = ""
    retry_of: str = ""
    labels: dict[str, str] = {}


class Spec(_Model):
    """All choices. Machines, disks and properties are keyed by their ids in the appliance."""

    source: SourcePlan
    target: TargetPlan
    configuration: str | None = None
    licences: tuple[LicenceAnswer, ...] = ()
    name: str | None = None  # of the appliance on the target
    machines: dict[str, MachinePlan] = {}
    storage: dict[str, RefModel] = {}
    properties: dict[str, str | SecretValue] = {}
    integrity: Integrity = "require"
    # Files with certificates of those by whom the package has to be signed, by their whole paths.
    signed_by: tuple[str, ...] = ()
    mac: Mac = "keep"
    lenient: bool = False  # what the package requires and nobody understands is a warning
    locale: str = ""  # language of the package's texts, and what guests are told; "" its own
    timezone: Zone = ""  # what guests are told, as minutes from UTC; "" for nothing
    accepted: tuple[str, ...] = ()  # ids of warnings that were accepted
    start: bool = False
    run: RunPlan = RunPlan()
    # Minutes that started guests have to read settings with a password among them before the CD that
    # holds them is ejected, unless somebody answers; 0: at once.
    eject_after: Annotated[int, Field(ge=0, le=LONGEST_EJECT_AFTER)] = EJECT_AFTER


class Plan(_Model):
    """One move of one appliance."""

    apiVersion: Literal["kensho/v1"] = "kensho/v1"
    kind: Literal["MigrationPlan"] = "MigrationPlan"
    metadata: Metadata
    spec: Spec
