"""The floors of the house, shown on the running interpreter and not only in the import graph."""

import json
import subprocess
import sys

import pytest

BELOW_SCREENS = (
    "kensho_tui.machine",
    "kensho_tui.connections",
    "kensho_tui.disks",
    "kensho_tui.ovf",
    "backends.base",
    "backends.registry",
    "kensho_tui.migration",
    "kensho_tui.migration.plan",
    "kensho_tui.engine",
    "kensho_tui.engine.events",
    "kensho_tui.engine.client",
)
SDKS = {"XenAPI", "pyVim", "pyVmomi", "libvirt", "pypsrp", "smbprotocol"}


def modules_after(statement: str) -> set[str]:
    """Top-level names in ``sys.modules`` of a fresh interpreter after the statement."""
    code = f"{statement}\nimport sys, json\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", BELOW_SCREENS)
def test_a_floor_below_the_screens_imports_without_textual(module: str) -> None:
    assert not {"textual", "rich"} & modules_after(f"import {module}")


@pytest.mark.parametrize("name", ["package", "xenserver", "kvm"])
def test_importing_a_back_end_loads_no_vendor_sdk(name: str) -> None:
    loaded = modules_after(f"from backends.registry import platform\nplatform({name!r})")
    assert "backends" in loaded
    assert not SDKS & loaded


def test_the_top_package_imports_nothing() -> None:
    bare = modules_after("pass")
    assert modules_after("import kensho_tui") - bare <= {"kensho_tui"}
