"""``./dev fuzz READER``: files that an evolving mutation makes, until one is not answered properly.

A reader of disks answers with a disk or with an `ImageError`, a reader of packages with what it read or a
`KenshoError`. Anything else (another exception, more than ten
seconds, more memory than 256 MiB over what the interpreter has) ends the run, and the image is kept.
"""

import argparse
import gc
import sys
import tempfile
from itertools import count
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kensho_tui.disks", "kensho_tui.ovf"]):
    from kensho_tui.disks.formats import open_source
    from kensho_tui.disks.image import Access, Format, ImageError, Offer
    from kensho_tui.disks.probe import probe
    from tests.fuzz.papers import Part, parts

from tests.fuzz.repair import repair
from tests.fuzz.seeds import seeds, shape
from tests.unit.disks.streams import Memory

READERS = {
    f"{format_}{suffix}": Offer(format_, access)
    for format_ in Format
    for suffix, access in (("", Access.SEEK), ("-forward", Access.FORWARD))
    if access is Access.SEEK or format_ in (Format.VMDK_STREAM, Format.VHD, Format.VHDX)
}
_MEMORY_MIB = 256
_MOST_PIECES = 4096
_LARGE = 1 << 20


def look(image: bytes, offer: Offer) -> None:
    """All a transfer does with a source, with nobody to write to."""
    try:
        probe(Memory(image))
        source = open_source(Memory(image), offer)
        _ = source.allocated
        for number, piece in enumerate(source.pieces()):
            for offset, part in piece.load():
                if not 0 <= offset <= offset + len(part) <= source.capacity:
                    raise AssertionError(f"data outside the disk: {offset}, {len(part)}")
            piece.release()
            if number == _MOST_PIECES:
                break
    except ImageError:
        pass


def _disk(offer: Offer) -> Part:
    packing = shape(offer.format)
    runs = count()

    def one(data: bytes) -> None:
        image = packing.unpack(data)
        if data[-1:] > b"\x40":  # else what the sums guard against is tried
            repair(offer.format, image)
        look(bytes(image), offer)
        if len(image) > _LARGE and not next(runs) % 8:
            gc.collect()  # a refusal and its traceback hold each other, and the image with them

    return Part(one, seeds(offer.format))


def main() -> None:
    """Fuzz what is named, for a time."""
    papers = parts()
    parser = argparse.ArgumentParser(prog="./dev fuzz")
    parser.add_argument("reader", choices=sorted([*READERS, *papers]))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, help="where files are kept from run to run")
    parser.add_argument("--image", type=Path, help="only look at this file")
    wanted = parser.parse_args()
    part = papers.get(wanted.reader) or _disk(READERS[wanted.reader])
    if wanted.image:
        part.look(wanted.image.read_bytes())
        return
    corpus = wanted.corpus or Path(tempfile.mkdtemp(prefix="kensho-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in part.seeds.items():
        (corpus / name).write_bytes(data)
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={wanted.seconds}",
            f"-rss_limit_mb={memory + _MEMORY_MIB}",
            "-timeout=10",
            f"-max_len={max(map(len, part.seeds.values())) + 65536}",
            f"-artifact_prefix={corpus.parent / wanted.reader}-",
            "-print_final_stats=1",
            str(corpus),
        ],
        part.look,
    )
    atheris.Fuzz()


main()
