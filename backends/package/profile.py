"""What those whom a package is written for would not learn of it, or refuse: said before it is written."""

from backends.base import Format
from backends.package.settings import PackageSettings
from backends.package.writer import URIS
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance
from kensho_tui.ovf.appliance import FILE_DISK
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.profiles import PROFILES, profiled
from kensho_tui.ovf.rules.lint import lint_descriptor
from kensho_tui.ovf.write import FileEntry, build


def written_for(data: bytes, settings: PackageSettings) -> bytes:
    """The descriptor as those want it whom the package is for."""
    return profiled(data, PROFILES[settings.profile], version=settings.ovf_version).data


def told(appliance: Appliance, settings: PackageSettings) -> list[Finding]:
    """What is left out of the package for them, and what they refuse all the same."""
    profile = PROFILES[settings.profile]
    form = URIS[Format(settings.disk_format)]
    files = {
        id_: FileEntry(f"disk{number}", 1, "" if id_.startswith(FILE_DISK) else form)
        for number, (id_, disk) in enumerate(appliance.disks.items())
        if not disk.blank
    }
    try:
        data = build(appliance, files, version=settings.ovf_version)
        made = profiled(data, profile, appliance.name, version=settings.ovf_version)
    except DescriptorError:
        return []  # it is said of the disk whose capacity is not known
    left = lint_descriptor(Envelope.parse(made.data), [profile.target] if profile.target else [])
    refused = [each.finding for each in left if each.finding.severity is Severity.ERROR]
    return [
        Finding(
            each.id, Severity.WARNING, each.message, each.subject or appliance.name, each.remedy
        )
        for each in (*made.lost, *refused)
    ]
