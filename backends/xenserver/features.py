"""What a pool can do, found out by asking: never by comparing version numbers."""

from dataclasses import dataclass

from backends.xenserver.api import Api, Record


@dataclass(frozen=True, slots=True)
class Features:
    """Abilities and name of a pool."""

    version: str = ""
    vendor: str = ""
    uefi: bool = False
    tpm: bool = False


def features(api: Api) -> Features:
    """Ask the pool, right after login."""
    hosts = list(api.records("host").values())
    software: Record = {}
    for host in hosts:
        found = host.get("software_version")
        software = found if isinstance(found, dict) else software
    return Features(
        version=str(software.get("product_version", "")),
        vendor=str(software.get("product_brand", "")),
        uefi=_uefi(api, hosts),
        tpm="VTPM.get_is_unique" in api.methods,
    )


def _uefi(api: Api, hosts: list[Record]) -> bool:
    """Whether machines can start by UEFI: hosts keep its certificates, or a template says so."""
    if any("uefi_certificates" in host for host in hosts):
        return True
    mark = 'supports-uefi" value="yes"'
    return any(
        each.get("is_a_template") and mark in str(each.get("recommendations", ""))
        for each in api.records("VM").values()
    )
