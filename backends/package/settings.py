"""Settings of a package as a platform."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backends.base import UnsupportedError


class PackageSettings(BaseModel):
    """How a package is read and written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["ova", "ovf"] = Field(
        "ova", description="One archive (.ova), or a folder with descriptor and disks (.ovf)"
    )
    integrity: Literal["require", "warn", "off"] = Field(
        "require",
        description="What a file that does not match the manifest is: an error, a warning",
    )
    signed_by: str = Field(
        "",
        description="Files or folders with certificates, one a line: that the package is not signed by"
        " one of them, or by somebody they answer for, is an error",
    )
    locale: str = Field("", description="Language of texts, such as de-DE; else the package's own")
    disk_format: Literal["vmdk", "vhd", "vhdx", "qcow2"] = Field(
        "vmdk", description="Format of the disks that are written, where the source allows it"
    )
    lenient: bool = Field(
        False,
        description="Take a package with sections that its author requires and Kensho does not understand",
    )
    compression: Literal["none", "gzip"] = Field(
        "none", description="Whether the disks' files are compressed (ovf:compression)"
    )
    chunk_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of a file: one that grows larger is cut (ovf:chunkSize); 0: none is",
    )
    digest: Literal["sha1", "sha256", "sha512"] = Field("sha256", description="Of the manifest")
    strict: bool = Field(
        False,
        description="An archive is ustar and nothing else: what it cannot hold in one file (8 GiB) is cut",
    )
    reproducible: bool = Field(
        False,
        description="The same machines give the same bytes: no marks of the job, of chance or of the time",
    )
    epoch: int = Field(
        0,
        ge=0,
        lt=1 << 33,
        description="Time of the files, in seconds since 1970; with reproducible",
    )
    profile: Literal["", "standard", "vmware", "xenserver", "hyperv", "virtualbox"] = Field(
        "",
        description="Those for whom it is written: what they refuse or break on is said otherwise",
    )
    ovf_version: Literal["1.1", "2.0"] = Field(
        "1.1", description="Version of OVF that is written; most products read 1.1 alone"
    )

    url: str = Field("", description="Address of the package, below that of the connection")
    authorities: str = Field(
        "",
        description="Of a web server: file or folder with certificates (PEM) of those who vouch for it,"
        " instead of the system's",
    )
    proxy: str = Field(
        "",
        description="Of a web server: http://HOST:PORT through which it is reached; else as the"
        " environment says",
    )
    timeout_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Of a web server: seconds to wait for a connection and for each piece of an answer",
    )
    resume_bytes: int = Field(
        48 << 20,
        ge=512,
        description="Bytes of a disk after which they are brought to the storage for good, so that"
        " after a crash the disk goes on from there",
    )

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> "PackageSettings":
        """From the connection's settings. Raises UnsupportedError: what is not allowed."""
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UnsupportedError(
                f"the setting '{where}' is not right: {first['msg']}", subject="package"
            ) from error
