"""One bench per back end; every test of this folder runs on each of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import pytest

from tests.contract.bench import Bench

# Back end: (module, class). The class is given an empty directory and is a context manager.
BENCHES = {
    "xenserver": ("tests.contract.xenserver", "XenBench"),
    "package": ("tests.contract.package", "PackageBench"),
}


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The platform under test."""
    module, name = BENCHES[request.param]
    make: Callable[[Path], AbstractContextManager[Bench]] = getattr(import_module(module), name)
    with make(tmp_path / "bench") as made:
        yield made
