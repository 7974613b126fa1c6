"""``kensho disk``: what a disk image is, another format of it, and whether two show the same bytes."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING

import click

from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate

if TYPE_CHECKING:
    from kensho_tui.cancel import Cancel
    from kensho_tui.disks.files import FileInput
    from kensho_tui.disks.image import Format, Offer
    from kensho_tui.disks.progress import Progress
    from kensho_tui.disks.vmdk_extents import ExtentsInput

_IMAGE = click.Path(exists=False, dir_okay=False, path_type=Path)
_WRITTEN = ["vmdk", "vmdk-sparse", "vhd", "vhd-fixed", "vhdx", "raw", "qcow2"]
# A VMDK whose descriptor names other files is read where somebody says so, and never found by itself.
_EXTENTS = "vmdk-extents"
_FORMATS = click.Choice([*_WRITTEN, _EXTENTS])


@click.group()
def disk() -> None:
    """Inspect, convert and compare disk images.

    Formats are found out by a file's bytes, or said with -f and -O; never by its name. Whoever can
    write into a raw disk can make it look like another format: say -f raw where you know it is.

    A VMDK of several files (flat, or split) is read with -f vmdk-extents, from its descriptor, and only
    files beside that: say it of folders of your own alone.
    """


@contextmanager
def _opened(path: Path, name: str | None) -> "Iterator[tuple[FileInput | ExtentsInput, Format]]":
    """The image's stream, and its format as it was said or by its bytes."""
    from kensho_tui.disks.files import FileInput
    from kensho_tui.disks.image import Format
    from kensho_tui.disks.probe import probe
    from kensho_tui.disks.vmdk_extents import ExtentsInput

    if name == _EXTENTS:
        with _about(path):
            extents = ExtentsInput(path)
        with extents:
            yield extents, Format.RAW
        return
    with FileInput(path) as stream:
        with _about(path):
            found = Format(name) if name else probe(stream)
        yield stream, found


def _offer(format_: "Format") -> "Offer":
    from kensho_tui.disks.image import Access, Offer

    return Offer(format_, Access.SEEK)


def _size(count: int) -> str:
    from humanize import naturalsize

    return f"{naturalsize(count, binary=True, format='%.1f')} ({count:,} bytes)"


@disk.command()
@click.argument("image", type=_IMAGE)
@click.option("-f", "--format", "name", type=_FORMATS, help="Format of the image.")
@json_option
@guarded
def info(image: Path, name: str | None, as_json: bool) -> None:
    """Show format, capacity and how much of a disk image is data.

    Reads metadata only; refuses what 'convert' would refuse.
    """
    from kensho_tui.disks.formats import open_source

    with _opened(image, name) as (stream, found), _about(image):
        source = open_source(stream, _offer(found))
        allocated = source.allocated
        data = None if allocated is None else allocated.total
        emit(
            {
                "path": str(image),
                "format": str(found),
                "capacity": source.capacity,
                "file_bytes": stream.length,
                "allocated": data,
            },
            "\n".join(
                (
                    f"Format      {found}",
                    f"Capacity    {_size(source.capacity)}",
                    f"File        {_size(stream.length)}",
                    f"Allocated   {'unknown' if data is None else _size(data)}",
                )
            ),
            as_json=as_json,
        )


@disk.command()
@click.argument("source", type=_IMAGE)
@click.argument("target", type=_IMAGE)
@click.option("-f", "--format", "name", type=_FORMATS, help="Format of SOURCE.")
@click.option(
    "-O", "--output-format", "output", type=click.Choice(_WRITTEN), required=True, help="Of TARGET."
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
@click.option("--threads", type=click.IntRange(1, 64), help="Default: one a processor, up to 6.")
@click.option("--limit", type=click.IntRange(1), metavar="BYTES", help="Bytes a second at most.")
@click.option("--force", is_flag=True, help="Replace TARGET where it exists.")
@json_option
@guarded
def convert(
    source: Path,
    target: Path,
    name: str | None,
    output: str,
    capacity: int | None,
    compression: str | None,
    digests: tuple[str, ...],
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

    with _ended_by_signals() as cancel, _opened(source, name) as (stream, found), _Bar() as bar:
        if target.exists() and target.samefile(source):
            raise FileError("source and target are the same file", subject=str(target))
        tap = DigestTap(stream, digests) if digests else None

        def verify() -> None:
            if tap is not None:
                tap.complete()
            stream.verify()

        done = transfer(
            tap or stream,
            _offer(found),
            targets=ways,
            open_writer=open_target,
            capacity=capacity,
            increment=1 if wanted is Format.RAW else 512,
            threads=threads,
            limit=limit,
            progress=bar.show,
            cancel=cancel,
            verify=verify,
            digests=digests,
            compression=Compression(compression) if compression else None,
            name=target.name,
            subject=str(source),
        )
        read = tap.digests() if tap is not None else {}
    lines = [f"{target}: {wanted}, capacity {_size(done.capacity)}, written {_size(done.written)}"]
    for name_, of in ((str(source), read), (str(target), done.digests)):
        lines += [f"{algorithm}({name_}) = {value}" for algorithm, value in of.items()]
    emit(
        {
            "source": {"path": str(source), "format": str(found), "digests": read},
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


@disk.command()
@click.argument("one", type=_IMAGE)
@click.argument("other", type=_IMAGE)
@click.option("--format-one", type=_FORMATS, help="Format of ONE.")
@click.option("--format-other", type=_FORMATS, help="Format of OTHER.")
@click.option("--capacity", type=click.IntRange(0), help="Compare so many bytes only.")
@json_option
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

    Exit code 9 where they differ. Without --capacity disks of different capacity differ, unless what
    the larger one has more is zeros and no more than 2 MiB, as platforms round up.
    """
    from kensho_tui.disks.compare import first_difference
    from kensho_tui.disks.formats import open_source
    from kensho_tui.disks.image import ROUNDING, Image

    with _opened(one, format_one) as (a, found_a), _opened(other, format_other) as (b, found_b):
        with _about(one):
            image_a = Image(a, _offer(found_a))
            capacity_a = open_source(a, image_a.offer).capacity
        with _about(other):
            image_b = Image(b, _offer(found_b))
            capacity_b = open_source(b, image_b.offer).capacity
        larger = max(capacity_a, capacity_b)
        within = abs(capacity_a - capacity_b) <= ROUNDING
        end = (
            capacity if capacity is not None else larger if within else min(capacity_a, capacity_b)
        )
        found = first_difference(image_a, image_b, capacity=end)
        if found is None and capacity is None and not within:
            found = min(capacity_a, capacity_b)
        emit(
            {
                "equal": found is None,
                "first_difference": found,
                "compared": end,
                "capacities": [capacity_a, capacity_b],
            },
            f"equal, {_size(end)} compared" if found is None else f"different from byte {found} on",
            as_json=as_json,
        )
    if found is not None:
        raise SystemExit(int(Exit.DIFFERENT))


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Say of which file an error speaks, where the error does not know."""
    from kensho_tui.errors import KenshoError

    try:
        yield
    except KenshoError as error:
        error.subject = error.subject or str(path)
        raise


@contextmanager
def _ended_by_signals() -> Iterator["Cancel"]:
    """A flag that SIGINT, SIGTERM and SIGHUP set, so that what is unfinished is removed.

    Raises: KeyboardInterrupt: the flag ended what was done.
    """
    from kensho_tui.cancel import Cancel, CancelledError

    cancel = Cancel()
    came: SimpleQueue[bool] = SimpleQueue()

    def watch() -> None:
        if came.get():
            cancel.cancel()

    def arrived(number: int, frame: FrameType | None) -> None:
        # An exception raised here could come between a file's making and its keeping; and to cancel
        # here could wait for a lock that the interrupted code holds. A SimpleQueue takes no such lock.
        came.put(True)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # Who runs it under nohup ignores SIGHUP and means it.
    wanted = [each for each in numbers if signal.getsignal(each) is not signal.SIG_IGN]
    watcher = threading.Thread(target=watch, name="kensho-signals", daemon=True)
    watcher.start()
    before = {each: signal.signal(each, arrived) for each in wanted}
    try:
        yield cancel
    except CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        came.put(False)
        watcher.join()


class _Bar:
    """Progress on one line of standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = False

    def __enter__(self) -> "_Bar":
        return self

    def show(self, progress: "Progress") -> None:
        """Redraw the line."""
        from humanize import naturaldelta, naturalsize

        if not sys.stderr.isatty():
            return
        share = 100 * progress.position // progress.total if progress.total else 100
        rate = naturalsize(progress.rate, binary=True, format="%.0f")
        left = "" if not progress.eta_s else f"  {naturaldelta(progress.eta_s)} left"
        click.echo(f"\r{share:3d} %  {rate}/s{left}\x1b[K", err=True, nl=False)
        self._shown = True

    def __exit__(self, *_: object) -> None:
        if self._shown:
            narrate("")
