"""What guests are told at their first start, and why in the way they are told it."""

from collections.abc import Mapping
from datetime import datetime

from backends.base import Capabilities, Environment, PlatformInfo, Transport
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, MachineId
from kensho_tui.migration.plan import Spec
from kensho_tui.migration.times import minutes_east
from kensho_tui.migration.units import count
from kensho_tui.text import one_line

_CLAUSE = "DSP0243 2.1.1 §11"
_WAYS = {
    Transport.ISO: "on a CD (ovf-env.xml, transport iso)",
    Transport.GUEST_INFO: "as a variable of the hypervisor (transport com.vmware.guestInfo)",
}


def made(
    appliance: Appliance,
    spec: Spec,
    values: Mapping[str, str],
    platform: PlatformInfo,
    now: datetime,
) -> Environment:
    """The environment of every machine.

    Args:
        appliance: with the plan's choices applied.
        values: of the properties, by address.
        now: the time zone's distance from UTC changes with the season.
    """
    from kensho_tui.ovf import environment
    from kensho_tui.ovf.environment_files import beside

    zone = minutes_east(spec.timezone, now) if spec.timezone else None
    documents = {
        MachineId(each.id): environment.document(
            appliance, each.id, values, platform=platform, locale=spec.locale, timezone=zone
        )
        for each in appliance.machines
    }
    files = {MachineId(each.id): beside(appliance, each.id) for each in appliance.machines}
    return Environment(documents, environment.sensitive(appliance), files)


def way(appliance: Appliance, can: Capabilities) -> Finding:
    """How the answers reach the guests on that target, and why so; or that they do not."""
    if not can.environment:
        return Finding(
            "environment-undelivered",
            Severity.WARNING,
            "The target cannot hand its guests an OVF environment: the answers do not reach them.",
            remedy="Set them inside the guests.",
        )
    how = _WAYS[can.transport]
    if number := len(appliance.environment_files):
        beside = (
            "beside them" if can.transport is Transport.ISO else "left out, which only a CD has"
        )
        how += f", with {count(number, 'file')} of the package {beside}"
    asked = [one_line(each, limit=60) for each in appliance.transports]
    if asked and can.transport not in appliance.transports:
        return Finding(
            "environment-transport",
            Severity.WARNING,
            f"The guests get their settings {how}, the target's only way; the appliance asks for"
            f" {', '.join(asked)}.",
            remedy="See whether the guests took them, or set them inside.",
            clause=_CLAUSE,
        )
    why = (
        "as the appliance asks"
        if asked
        else "the standard's own way, because the appliance names none"
    )
    return Finding(
        "environment-transport",
        Severity.INFO,
        f"The guests get their settings {how}, {why}.",
        clause=_CLAUSE,
    )
