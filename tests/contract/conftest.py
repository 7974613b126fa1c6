"""One bench per back end; every test of this folder runs on each of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from tests.contract.bench import Bench

# Back end: (module, class). The class is given an empty directory and is a context manager.
BENCHES = {
    "xenserver": ("tests.contract.xenserver", "XenBench"),
    "kvm": ("tests.contract.kvm", "KvmBench"),
    "package": ("tests.contract.package", "PackageBench"),
}


def _make(platform: str, state: Path) -> AbstractContextManager[Bench]:
    module, name = BENCHES[platform]
    make: Callable[[Path], AbstractContextManager[Bench]] = getattr(import_module(module), name)
    return make(state)


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """The platform under test."""
    with _make(request.param, tmp_path / "bench") as made:
        yield made


@pytest.fixture(params=sorted(product(BENCHES, BENCHES)), ids="-to-".join)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    """A source and a target, which may be two of the same platform."""
    source, target = request.param
    with (
        _make(source, tmp_path / "source") as one,
        _make(target, tmp_path / "target") as other,
    ):
        one.alias, other.alias = "source", "target"
        yield one, other
