"""The disks of a package, looked into for ``kensho package check --digests``: one reading of each."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kensho_tui.cli.images import Bar, ended_by_signals
from kensho_tui.cli.out import narrate
from kensho_tui.disks.image import ROUNDING
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity
from kensho_tui.migration.units import count, sentence
from kensho_tui.text import one_line

if TYPE_CHECKING:
    from backends.package.capture import PackageCapture
    from kensho_tui.cancel import Cancel
    from kensho_tui.machine import Appliance, Disk, DiskId
    from kensho_tui.ovf.package import Package


def look_into(opened: "Package", appliance: "Appliance") -> tuple[dict[str, str], list[Finding]]:
    """What is wrong with the disk images, and of each member that was compared its state.

    Every image is opened as what its descriptor says and its first bytes confirm, all its tables are
    walked and all they name is inflated; what the manifest promises is compared on the same bytes.
    A member without a state was not read to its end.
    """
    from backends.package.capture import PackageCapture

    states: dict[str, str] = {}
    findings: list[Finding] = []
    disks = {**_declared(opened), **appliance.disks}
    images = {each.image: each for each in disks.values() if each.image}
    with ended_by_signals() as cancel:
        whole = replace(appliance, disks=disks)
        capture = PackageCapture(opened, whole, cancel, integrity="require")
        for image, disk in images.items():
            narrate(one_line(f"Looking into {image} …"))
            findings += _disk(capture, opened, disk, states, cancel)
    return states, findings


def _declared(opened: "Package") -> "dict[DiskId, Disk]":
    """Every disk of the descriptor, those of no machine or of another configuration too."""
    from kensho_tui.machine import Disk, DiskId

    files = {each.id: each.href for each in opened.envelope.files}
    return {
        DiskId(each.id): Disk(DiskId(each.id), None, image=files[each.file], format=each.format)
        for each in opened.envelope.disks
        if each.file in files
    }


def _disk(
    capture: "PackageCapture",
    opened: "Package",
    disk: "Disk",
    states: dict[str, str],
    cancel: "Cancel",
) -> Iterator[Finding]:
    from backends.base import BackendError, DamagedError, Format
    from kensho_tui.disks.check import check
    from kensho_tui.disks.image import Access, Image

    name, digested = "", False
    try:
        offer = capture.offers(disk.id)[0]
        # Of a file that is cut into chunks the manifest lists those.
        name = disk.image if opened.reference(disk.image) is None else _member(opened, disk.image)
        reader = capture.open(disk.id, offer)
    except KenshoError as error:
        if not _said(opened, disk.image):
            yield _damaged(disk.image, error)
        return
    try:
        if offer.format is not Format.RAW or offer.access is not Access.FORWARD:
            with Bar() as bar:
                found = check(Image(reader, offer), cancel=cancel, progress=bar.share)
            for problem in found.problems:
                yield _damaged(disk.image, problem)
            yield from _capacity(disk, found.capacity)
            if found.more:
                yield Finding("disk-damaged", Severity.ERROR,
                              f"There {'is' if found.more == 1 else 'are'} "
                              f"{count(found.more, 'more problem')}.", subject=disk.image)  # fmt: skip
        digested = True
        reader.verify()
        if name and opened.digest(name):
            states[name] = "intact"
    except DamagedError as error:
        if digested and name and opened.digest(name):
            states[name] = "damaged"
            yield member_damaged(name, error)
        else:
            yield _damaged(disk.image, error)
    except BackendError as error:
        yield _damaged(disk.image, error)
    finally:
        reader.close()


def _capacity(disk: "Disk", found: int | None) -> Iterator[Finding]:
    """That the image has another capacity than the descriptor says: then it is not taken."""
    if found is None or disk.capacity is None or 0 <= found - disk.capacity <= ROUNDING:
        return
    yield Finding(
        "capacity-differs",
        Severity.ERROR,
        f"The descriptor says a capacity of {disk.capacity} bytes, the image has {found}.",
        subject=disk.image,
        remedy=f"'kensho package edit --set capacity:{disk.id}={found}B' says what it has.",
    )


def _member(opened: "Package", href: str) -> str:
    try:
        return opened.member(href)
    except KenshoError:
        return ""


def _said(opened: "Package", image: str) -> bool:
    """Whether the package's own findings say it already: the file is not there."""
    return any(image in each.subject or image in each.message for each in opened.findings)


def _damaged(image: str, error: KenshoError) -> Finding:
    # Of which table or which place in it, where the format says it.
    known = not error.subject or error.subject.endswith(image)
    where = "" if known else f"{error.subject}: "
    return Finding(
        "disk-damaged",
        Severity.ERROR,
        sentence(f"{where}{error.what}"),
        subject=image,
        remedy=sentence(error.remedy or "Get the package again"),
    )


def member_damaged(name: str, error: KenshoError) -> Finding:
    """A member that is not what the manifest promises."""
    return Finding("member-damaged", Severity.ERROR, f"{error.what}.", subject=name,
                   remedy=sentence(error.remedy), clause="DSP0243 2.1.1 §5.1")  # fmt: skip
