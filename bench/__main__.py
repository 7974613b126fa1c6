"""``./dev bench [NAME]``: run one measurement, or list them."""

import importlib
import sys

MEASUREMENTS = {
    "startup": "CPU seconds of `kensho --help` and of the terminal interface's first paint",
    "fleet": "memory, journal and event lag of 200 jobs at 8 at a time, with five clients watching",
    "terminal": "bytes a second of a busy monitor, and how soon it answers on a slow line",
    "disks": "conversions beside qemu-img: paired runs of whole commands on 4 GiB of ext4",
    "packages": "a large descriptor, its form, a large archive, and verifying beside openssl",
    "resume": "kill -9 in the middle of a disk: bytes sent twice and seconds lost, by target",
}


def main() -> int:
    """Run what was named; the exit code."""
    if len(sys.argv) < 2 or sys.argv[1] not in MEASUREMENTS:
        for name, what in MEASUREMENTS.items():
            print(f"{name:12} {what}")
        return 0 if len(sys.argv) < 2 else 2
    importlib.import_module(f"bench.{sys.argv[1]}").main()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
