"""What can be set about a connection to XenServer beyond address, user and pin."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kensho_tui.connections import ConnectionBookError, normal_pin


class XenServerSettings(BaseModel):
    """Settings of one connection, as they stand under ``settings`` in the connection book."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verify_hostname: bool = Field(
        default=True,
        title="Check the host name",
        description="Without a pin: the certificate must be for the name that is connected to.",
    )
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(
        default=30.0,
        title="Seconds to wait for an answer",
        description="For connecting and for short calls; long operations get ten minutes at least.",
    )
    segment_bytes: Annotated[int, Field(ge=512)] = Field(
        default=64 << 20,
        title="Bytes of a segment",
        description="A large disk is sent in segments of at least so many bytes; an interrupted one"
        " goes on with the segment that was under way.",
    )
    segment_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10.0,
        title="Seconds of a segment",
        description="How long a segment takes at least: the server needs a moment between two.",
    )
    pins: str = Field(
        default="",
        title="Pins of further pool members",
        description="SHA-256 fingerprints, separated by commas, of hosts that disks are sent to.",
    )

    @field_validator("pins")
    @classmethod
    def _pins(cls, value: str) -> str:
        try:
            return ",".join(normal_pin(each) for each in value.split(",") if each.strip())
        except ConnectionBookError as error:
            raise ValueError(error.what) from error

    @property
    def member_pins(self) -> frozenset[str]:
        """The further pins, each 64 lower-case hex digits."""
        return frozenset(each for each in self.pins.split(",") if each)

    @property
    def long_s(self) -> float:
        """Seconds that a call which works on storage or starts a machine may take."""
        return max(600.0, self.timeout_s)
