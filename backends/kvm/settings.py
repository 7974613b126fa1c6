"""What can be set about a connection to libvirt beyond its address."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backends.base import RefusedError


class KvmSettings(BaseModel):
    """Settings of one connection, as they stand under ``settings`` in the connection book."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disk_format: Literal["qcow2", "raw"] = Field(
        "qcow2", title="Format of new disks", description="qcow2 (with snapshots), or raw (sparse)"
    )
    disk_bus: Literal["auto", "virtio", "scsi", "sata", "ide"] = Field(
        "auto",
        title="Controller of disks",
        description="auto keeps a controller that the guest knows, where QEMU has it, else takes SATA;"
        " virtio and scsi (virtio-scsi) are faster, and the guest needs their driver to start",
    )
    nic_model: Literal["auto", "virtio", "e1000", "e1000e", "vmxnet3", "rtl8139"] = Field(
        "auto",
        title="Model of network adapters",
        description="auto keeps a model that the guest knows, where QEMU has it, else takes e1000",
    )
    accelerator: Literal["auto", "kvm", "qemu"] = Field(
        "auto",
        title="What runs machines",
        description="auto takes KVM where the host's processor can, else QEMU's slow emulation",
    )
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(
        30.0,
        title="Seconds to wait for an answer",
        description="For connecting and for short calls; long ones get ten minutes at least.",
    )
    segment_bytes: Annotated[int, Field(ge=512)] = Field(
        64 << 20,
        title="Bytes of a segment",
        description="A raw disk is sent in segments of at least so many bytes; an interrupted one goes"
        " on with the segment that was under way.",
    )

    @classmethod
    def of(cls, name: str, settings: Mapping[str, str]) -> "KvmSettings":
        """From the connection's settings. Raises RefusedError: what is not allowed."""
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RefusedError(
                f"setting '{where}' is not right: {first['msg']}",
                subject=name,
                remedy="Mend the connection's settings",
            ) from error

    @property
    def long_s(self) -> float:
        """Seconds that a call which works on storage or starts a machine may take."""
        return max(600.0, self.timeout_s)
