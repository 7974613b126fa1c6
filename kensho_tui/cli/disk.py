"""``kensho disk``: what a disk image is, whether it holds together, another format of it, and whether two
show the same bytes.
"""

from contextlib import suppress
from pathlib import Path

import click

from kensho_tui.cli.images import (
    FORMATS,
    IMAGE,
    WRITTEN,
    Bar,
    Opened,
    Rate,
    about,
    bounds_options,
    ended_by_signals,
    opened_image,
    parents_option,
    size,
)
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.text import one_line


@click.group()
def disk() -> None:
    """Inspect, check, convert and compare disk images.

    Formats are found out by a file's bytes, or said with -f and -O; never by its name. Whoever can
    write into a raw disk can make it look like another format: say -f raw where you know it is.

    A VMDK of several files (flat, or split) is read with -f vmdk-extents, from its descriptor, and only
    files beside that: say it of folders of your own alone.
    """


@disk.command()
@click.argument("image", type=IMAGE)
@click.option("-f", "--format", "name", type=FORMATS, help="Format of the image.")
@parents_option
@json_option
@bounds_options
@guarded
def info(image: Path, name: str | None, parents: tuple[Path, ...], as_json: bool) -> None:
    """Show format, capacity and how much of a disk image is data.

    Reads metadata only; refuses what 'convert' would refuse.
    """
    from kensho_tui.disks.formats import open_image

    with opened_image(image, name, parents) as opened, about(image):
        source = open_image(opened.image)
        allocated = source.allocated
        data = None if allocated is None else allocated.total
        sector = getattr(source, "sector", 512)
        emit(
            {
                "path": str(image),
                "format": str(opened.format),
                "recognized": not opened.guessed,
                "capacity": source.capacity,
                "file_bytes": opened.stream.length,
                "allocated": data,
                "sector": sector,
            },
            "\n".join(
                (
                    f"Format      {opened.words}",
                    f"Capacity    {size(source.capacity)}",
                    f"File        {size(opened.stream.length)}",
                    f"Allocated   {'unknown' if data is None else size(data)}",
                    *([f"Sectors     {sector} bytes"] if sector != 512 else []),
                )
            ),
            as_json=as_json,
        )


@disk.command()
@click.argument("source", type=IMAGE)
@click.argument("target", type=IMAGE)
@click.option("-f", "--format", "name", type=FORMATS, help="Format of SOURCE.")
@click.option(
    "-O", "--output-format", "output", type=click.Choice(WRITTEN), required=True, help="Of TARGET."
)
@click.option(
    "--capacity", type=click.IntRange(0), help="Declared bytes; another size is an error."
)
@click.option(
    "--compression",
    type=click.Choice(["fast", "small"]),
    help="Of vmdk, whose grains pass as they are without it where they are compressed alike;"
    " and of qcow2, which is not compressed without it.",
)
@click.option(
    "--digest",
    "digests",
    multiple=True,
    type=click.Choice(["sha1", "sha256", "sha512"]),
    help="Also tell this digest of SOURCE and TARGET, computed on the way. More than once: each.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Inflate grains that pass as they are too, to find damage in them; takes longer.",
)
@parents_option
@click.option("--threads", type=click.IntRange(1, 64), help="Default: one a processor, up to 6.")
@click.option("--limit", type=Rate(), metavar="SIZE", help="Bytes a second at most, such as 50M.")
@click.option("--force", is_flag=True, help="Replace TARGET where it exists.")
@json_option
@bounds_options
@guarded
def convert(
    source: Path,
    target: Path,
    name: str | None,
    output: str,
    capacity: int | None,
    compression: str | None,
    digests: tuple[str, ...],
    verify: bool,
    parents: tuple[Path, ...],
    threads: int | None,
    limit: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write the disk in SOURCE to TARGET in another format.

    TARGET gets its name when it is complete; until then, and only then, there is TARGET.partial.
    """
    from kensho_tui.disks.codec import Compression
    from kensho_tui.disks.copy import transfer
    from kensho_tui.disks.digest import DigestTap
    from kensho_tui.disks.files import FileError, FileOutput
    from kensho_tui.disks.formats import file_ways
    from kensho_tui.disks.image import Access, ExtentMap, Format, Offer

    wanted = Format(output)
    ways = file_ways(wanted, compressed=compression is not None)
    if digests:  # of what is written in order only
        ways = [way for way in ways if way.access is not Access.SEEK]

    def open_target(offer: Offer, length: int | None, allocation: ExtentMap | None) -> FileOutput:
        sparse = length if offer.access is Access.EXTENTS else None
        return FileOutput(target, size=sparse, overwrite=force)

    with ended_by_signals() as cancel, opened_image(source, name, parents) as opened, Bar() as bar:
        if target.exists() and any(target.samefile(each) for each in (source, *parents)):
            raise FileError("source and target are the same file", subject=str(target))
        if opened.format in (Format.VHDX, Format.VHDX_FIXED):
            _say_of_sectors(opened)
        tap = DigestTap(opened.stream, digests) if digests else None

        def compare() -> None:
            if tap is not None:
                tap.complete()
            opened.verify()

        done = transfer(
            tap or opened.stream,
            opened.image.offer,
            targets=ways,
            open_writer=open_target,
            capacity=capacity,
            increment=1 if wanted is Format.RAW else 512,
            threads=threads,
            limit=limit,
            progress=bar.show,
            cancel=cancel,
            verify=compare,
            digests=digests,
            inspect=verify,
            compression=Compression(compression) if compression else None,
            parents=opened.image.parents,
            name=target.name,
            subject=str(source),
        )
        read = tap.digests() if tap is not None else {}
    lines = [
        f"{one_line(str(target))}: {wanted}, capacity {size(done.capacity)}, written {size(done.written)}"
    ]
    for name_, of in ((str(source), read), (str(target), done.digests)):
        lines += [f"{algorithm}({one_line(name_)}) = {value}" for algorithm, value in of.items()]
    emit(
        {
            "source": {"path": str(source), "format": str(opened.format), "digests": read},
            "target": {
                "path": str(target),
                "format": str(wanted),
                "digests": dict(done.digests),
            },
            "capacity": done.capacity,
            "read": done.read,
            "written": done.written,
            "empty": done.empty,
        },
        "\n".join(lines),
        as_json=as_json,
    )


def _say_of_sectors(opened: Opened) -> None:
    from kensho_tui.disks.image import ImageError
    from kensho_tui.disks.vhdx import sector_size

    with suppress(ImageError):  # said when it is read
        if (sector := sector_size(opened.stream)) != 512:
            narrate(
                f"{one_line(str(opened.path))} has sectors of {sector} bytes, what is written has"
                " 512: a guest does not find partitions there, which are counted in sectors."
            )


@disk.command()
@click.argument("one", type=IMAGE)
@click.argument("other", type=IMAGE)
@click.option("--format-one", type=FORMATS, help="Format of ONE.")
@click.option("--format-other", type=FORMATS, help="Format of OTHER.")
@click.option("--capacity", type=click.IntRange(0), help="Compare so many bytes only.")
@json_option
@bounds_options
@guarded
def compare(
    one: Path,
    other: Path,
    format_one: str | None,
    format_other: str | None,
    capacity: int | None,
    as_json: bool,
) -> None:
    """Compare what a guest would see of two disk images of any formats.

    Exit code 9 where they differ. Disks of different capacity differ, unless what the larger one has
    more is zeros and no more than 2 MiB, as platforms round up: that is said. With --capacity, what lies
    behind so many bytes is not looked at.
    """
    from kensho_tui.disks.compare import capacity_of, first_difference
    from kensho_tui.disks.image import ROUNDING

    with opened_image(one, format_one) as a, opened_image(other, format_other) as b:
        with about(one):
            capacity_a = capacity_of(a.image)
        with about(other):
            capacity_b = capacity_of(b.image)
        larger = max(capacity_a, capacity_b)
        within = abs(capacity_a - capacity_b) <= ROUNDING
        smaller = min(capacity_a, capacity_b)
        end = larger if capacity is None else min(capacity, larger)
        short = end > smaller and not within  # one of them ends before what is to be compared
        end = smaller if short else end
        found = first_difference(a.image, b.image, capacity=end)
        if found is None and short:
            found = smaller
        emit(
            {
                "equal": found is None,
                "first_difference": found,
                "compared": end,
                "same_capacity": capacity_a == capacity_b,
                "capacities": [capacity_a, capacity_b],
            },
            _compared(found, end, capacity_a, capacity_b),
            as_json=as_json,
        )
    if found is not None:
        raise SystemExit(int(Exit.DIFFERENT))


def _compared(found: int | None, end: int, one: int, other: int) -> str:
    lines = [f"equal, {size(end)} compared" if found is None else f"different from byte {found} on"]
    if one != other:
        lines.append(f"The capacities differ: {size(one)} and {size(other)}.")
        if found is None and end > min(one, other):
            lines.append(
                "What the larger one has more is zeros, and no more than platforms round up (2 MiB)."
            )
    if found is None and end < max(one, other):
        lines.append("What lies behind that was not compared.")
    return "\n".join(lines)


@disk.command()
@click.argument("image", type=IMAGE)
@click.option("-f", "--format", "name", type=FORMATS, help="Format of the image.")
@parents_option
@click.option("--tables", is_flag=True, help="Walk the tables only, and leave the data unread.")
@json_option
@bounds_options
@guarded
def check(
    image: Path, name: str | None, parents: tuple[Path, ...], tables: bool, as_json: bool
) -> None:
    """Look whether a disk image holds together: its tables, and all data they name.

    Exit code 8 where something is wrong; it says what, and where. Of a QCOW2 the reference counts are
    compared too; what is counted and named by nothing is lost room, and no damage.
    """
    from kensho_tui.disks.check import check as walk

    with ended_by_signals() as cancel, opened_image(image, name, parents) as opened, Bar() as bar:
        found = walk(opened.image, tables_only=tables, cancel=cancel, progress=bar.share)
        opened.verify()
    lines = [
        f"{one_line(str(image))}: {opened.words}, {'damaged' if found.problems else 'no problem found'}"
    ]
    if found.capacity is not None:
        lines.append(f"Capacity    {size(found.capacity)}")
    lines += [
        f"{word:11} {size(count)}"
        for word, count in (
            ("Allocated", found.allocated),
            ("Data", found.data),
            ("Lost", found.leaked or None),
        )
        if count is not None
    ]
    lines += [f"Problem     {one_line(str(problem))}" for problem in found.problems]
    if found.more:
        lines.append(f"            and {found.more} more")
    emit(
        {
            "path": str(image),
            "format": str(opened.format),
            "recognized": not opened.guessed,
            "capacity": found.capacity,
            "allocated": found.allocated,
            "data": found.data,
            "lost": found.leaked,
            "problems": [
                {"what": problem.what, "remedy": problem.remedy} for problem in found.problems
            ],
            "more": found.more,
        },
        "\n".join(lines),
        as_json=as_json,
    )
    if found.problems:
        raise SystemExit(int(Exit.FINDINGS))
