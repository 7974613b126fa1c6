"""The plan: everything that was decided about one move, and nothing that is secret.

The same model is the YAML file (``apiVersion: kensho/v1``), the journal's record and the wizard's
result. Unknown keys are errors. Passwords stand in it as ``{secret: NAME}`` only.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from backends.base import Kind, Ref

Integrity: TypeAlias = Literal["require", "warn", "off"]
PackageFormat: TypeAlias = Literal["ova", "ovf"]


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
    """A value that is not in the plan: the name under which the engine is handed it."""

    secret: str


class SourcePlan(_Model):
    """Where the appliance comes from: a package by path, or machines of a connection."""

    package: str | None = None
    connection: str | None = None
    machines: tuple[RefModel, ...] = ()
    identity: str = ""
    consistency: Literal["off", "snapshot"] = "off"


class TargetPlan(_Model):
    """Where it goes: a connection (and a pool or host there), or a package to be written."""

    connection: str | None = None
    home: RefModel | None = None
    package: str | None = None
    format: PackageFormat = "ova"


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


class RunPlan(_Model):
    """How the job is run. Among jobs that wait, those of the highest priority begin first."""

    priority: Annotated[int, Field(ge=-100, le=100)] = 0


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
    accepted: tuple[str, ...] = ()  # ids of warnings that were accepted
    start: bool = False
    run: RunPlan = RunPlan()


class Plan(_Model):
    """One move of one appliance."""

    apiVersion: Literal["kensho/v1"] = "kensho/v1"
    kind: Literal["MigrationPlan"] = "MigrationPlan"
    metadata: Metadata
    spec: Spec
