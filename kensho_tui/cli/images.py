"""What the commands about disk images share: opening them, showing how far one is, being interrupted."""

import functools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from kensho_tui.cli.out import narrate

if TYPE_CHECKING:
    from kensho_tui.cancel import Cancel
    from kensho_tui.disks.files import FileInput
    from kensho_tui.disks.image import Format, Image, Offer
    from kensho_tui.disks.progress import Progress
    from kensho_tui.disks.vmdk_extents import ExtentsInput

P = ParamSpec("P")
T = TypeVar("T")


class _ImagePath(click.Path):
    """A path of a disk image. ``-`` is refused: it means a pipe elsewhere."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as the base class has it
        if value == "-":
            self.fail(
                "disk images are neither read from pipes nor written to them;"
                " a file of that name is './-'",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


IMAGE = _ImagePath(exists=False, dir_okay=False, path_type=Path)
WRITTEN = ["vmdk", "vmdk-sparse", "vhd", "vhd-fixed", "vhdx", "vhdx-fixed", "raw", "qcow2"]
# A VMDK whose descriptor names other files is read where somebody says so, and never found by itself.
EXTENTS = "vmdk-extents"
FORMATS = click.Choice([*WRITTEN, EXTENTS])
_REDRAWN_S = 0.5


parents_option = click.option(
    "--parent",
    "parents",
    multiple=True,
    type=IMAGE,
    help="Of a differencing VHD or VHDX, or a QCOW2 with a backing file: its parent; more than once:"
    " the parent's parent next.",
)


class Size(click.ParamType[int]):
    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        from kensho_tui.disks.image import MAX_CAPACITY
        from kensho_tui.migration.units import parse_size

        found = parse_size(str(value))
        if not found:
            self.fail(f"{value} is no size; write it with its unit, such as '16 TiB'", param, ctx)
        if found > MAX_CAPACITY:
            self.fail(f"{value} is too much: no disk of more than 64 TiB is read", param, ctx)
        return found


class Rate(click.ParamType[int]):
    """Bytes a second, with a unit as ``--bandwidth`` takes it, or a bare number of bytes."""

    name = "rate"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        from kensho_tui.migration.units import parse_size

        text = str(value).strip()
        found = int(text) if text.isdecimal() else parse_size(text.removesuffix("/s"))
        if not found:
            self.fail(f"{value} is no limit; write it such as 50M or '1.5 GiB'", param, ctx)
        return found


def bounds_options(command: Callable[P, T]) -> Callable[P, T]:
    """What the command accepts of a stranger's disk: ``--max-disk`` and ``--max-ratio``."""

    @click.option(
        "--max-disk", type=Size(), metavar="SIZE", help="Largest disk to accept; usually 64 TiB."
    )
    @click.option(
        "--max-ratio",
        type=click.IntRange(1),
        metavar="N",
        help="Bytes that one byte may inflate to, on the whole; usually 1100.",
    )
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        from kensho_tui.disks.bounds import Bounds, within

        said = {"disk": kwargs.pop("max_disk"), "ratio": kwargs.pop("max_ratio")}
        wanted = {name: value for name, value in said.items() if isinstance(value, int)}
        with within(Bounds(**wanted)):
            return command(*args, **kwargs)

    return run


@dataclass(frozen=True)
class Opened:
    """An image that is open, with its parents."""

    path: Path
    stream: "FileInput | ExtentsInput"
    format: "Format"
    image: "Image"
    parents: "tuple[FileInput, ...]"
    guessed: bool  # nothing said that it is raw: no header was found

    @property
    def words(self) -> str:
        """The format, and where nothing told it."""
        return f"{self.format}{' (no image header found, taken as raw)' if self.guessed else ''}"

    def capacity(self) -> int:
        """Guest-visible bytes. Raises: ImageError."""
        from kensho_tui.disks.formats import open_source

        return open_source(self.stream, self.image.offer, parents=self.image.parents).capacity

    def verify(self) -> None:
        """Raise `FileError` if one of the files was written to since it was opened."""
        for stream in (self.stream, *self.parents):
            stream.verify()


@contextmanager
def opened_image(path: Path, name: str | None, parents: Sequence[Path] = ()) -> Iterator[Opened]:
    """The image, its format as it was said or by its bytes; parents by their bytes."""
    from kensho_tui.disks.files import FileInput
    from kensho_tui.disks.image import Format, Image
    from kensho_tui.disks.probe import probe

    with ExitStack() as opened:
        chain: list[FileInput] = []
        below: list[Image] = []
        for each in parents:
            with about(each):
                chain.append(opened.enter_context(FileInput(each)))
                below.append(Image(chain[-1], offer(probe(chain[-1]))))
        stream: FileInput | ExtentsInput
        with about(path):
            if name == EXTENTS:
                stream = opened.enter_context(_extents(path))
                found = Format.RAW
            else:
                stream = opened.enter_context(FileInput(path))
                found = Format(name) if name else probe(stream)
        guessed = name is None and found is Format.RAW
        yield Opened(path, stream, found, Image(stream, offer(found), below), tuple(chain), guessed)


def _extents(path: Path) -> "ExtentsInput":
    from kensho_tui.disks.vmdk_extents import ExtentsInput

    return ExtentsInput(path)


def offer(format_: "Format") -> "Offer":
    from kensho_tui.disks.image import Access, Offer

    return Offer(format_, Access.SEEK)


def size(count: int) -> str:
    from humanize import naturalsize

    return f"{naturalsize(count, binary=True, format='%.1f')} ({count:,} bytes)"


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Say of which file an error speaks, where the error does not know."""
    from kensho_tui.errors import KenshoError

    try:
        yield
    except KenshoError as error:
        error.subject = error.subject or str(path)
        raise


@contextmanager
def ended_by_signals() -> Iterator["Cancel"]:
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


class Bar:
    """Progress on one line of standard error, where that is a terminal."""

    def __init__(self) -> None:
        self._shown = False
        self._told = 0.0

    def __enter__(self) -> "Bar":
        return self

    def share(self, done: int, total: int) -> None:
        """Redraw the line with nothing but a share."""
        if sys.stderr.isatty() and time.monotonic() - self._told > _REDRAWN_S:
            self._told = time.monotonic()
            click.echo(f"\r{100 * done // total if total else 100:3d} %\x1b[K", err=True, nl=False)
            self._shown = True

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
