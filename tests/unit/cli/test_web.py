"""Packages by their address, from the command line."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.cli.out import Exit
from kensho_tui.connections import ConnectionBook
from kensho_tui.lab import XenLab
from tests.unit.cli.conftest import Kensho
from tests.unit.migration.packages import shop
from tests.unit.ovf.certificates import publisher
from tests.unit.ovf.test_package import good, ova
from tests.unit.web.conftest import certified, quick
from tests.web import Site, serving

__all__ = ["certified", "quick"]  # fixtures
PASSWORD = "s3cret-canary"


@pytest.fixture
def site(tmp_path: Path, certified: tuple[Path, Path]) -> Iterator[Site]:
    """With a password, and a certificate that the system does not know."""
    with serving(Site(user=f"anna:{PASSWORD}"), tls=certified[0]) as made:
        made.files["/d/a.ova"] = ova(tmp_path / "a.ova", good()).read_bytes()
        yield made


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("DEPOT", PASSWORD)


def pin_of(kensho: Kensho, site: Site) -> str:
    """As the refusal tells it, which is the way to it where nobody can be asked."""
    told = kensho("connection", "add", "depot", "--platform", "package", "--address", site.at("/d/"),
                  "--username", "anna", "--secret", "env:DEPOT", "--json")  # fmt: skip
    assert told.exit_code == Exit.PLATFORM
    return str(json.loads(told.stdout)["error"]["certificate"]["pin"])


def add(kensho: Kensho, site: Site) -> None:
    done = kensho("connection", "add", "depot", "--platform", "package", "--address", site.at("/d/"),
                  "--username", "anna", "--secret", "env:DEPOT", "--pin", pin_of(kensho, site))  # fmt: skip
    assert done.exit_code == Exit.OK, done.output


def test_a_server_is_made_known_once_and_then_its_packages_are_shown_checked_and_verified(
    kensho: Kensho, site: Site
) -> None:
    url = site.at("/d/a.ova")
    refused = kensho("package", "show", url)
    assert refused.exit_code == Exit.PLATFORM
    assert "not trusted" in refused.stderr
    assert "kensho connection add NAME --platform package" in refused.stderr
    add(kensho, site)
    assert ConnectionBook().get("depot").pin
    assert kensho("connection", "test", "depot").exit_code == Exit.OK
    shown = kensho("package", "show", url)
    assert shown.exit_code == Exit.OK, shown.output
    assert "disk     " in shown.stdout
    assert json.loads(kensho("package", "show", url, "--json").stdout)["package"] == url
    verified = kensho("package", "verify", url)
    assert "intact: 2 files read" in verified.stdout
    checked = kensho("package", "check", url, "--digests")
    assert "intact   a.ovf" in checked.stdout, checked.output
    for each in (shown, verified, checked):
        assert PASSWORD not in each.output


def test_what_is_wrong_is_said_by_its_exit_code(kensho: Kensho, site: Site) -> None:
    add(kensho, site)
    gone = kensho("package", "show", site.at("/d/b.ova"))
    assert (gone.exit_code, "no such file" in gone.stderr) == (Exit.INPUT, True)
    told = kensho(
        "package", "show", site.at("/d/a.ova").replace("https://", "https://anna:canary@")
    )
    assert (told.exit_code, "canary" in told.output) == (Exit.INPUT, False)
    assert "stands in the address" in told.stderr
    fixed = kensho("package", "strip", site.at("/d/a.ova"))
    assert "is not signed" in fixed.stderr
    down = kensho("package", "show", "http://127.0.0.1:9/a.ova")
    assert down.exit_code == Exit.PLATFORM


def test_a_package_there_is_signed_to_a_new_one_here(
    kensho: Kensho, site: Site, tmp_path: Path
) -> None:
    add(kensho, site)
    key, certificate = publisher().save(tmp_path, "publisher")
    options = ("--key", key, "--certificate", certificate)
    refused = kensho("package", "sign", site.at("/d/a.ova"), *options)
    assert "on a web server, where nothing is written" in refused.stderr
    out = tmp_path / "signed.ova"
    done = kensho("package", "sign", site.at("/d/a.ova"), *options, "--output", out)
    assert done.exit_code == Exit.OK, done.output
    assert "signature  right" in kensho("package", "verify", out).stdout


def test_a_job_imports_it_with_the_password_that_the_command_was_given(
    kensho: Kensho, lab: XenLab, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files["/d/shop.ova"] = shop(tmp_path)
    monkeypatch.setenv("SHOP_ADMIN", "s3cret-admin")
    add(kensho, site)
    done = kensho(
        "import", site.at("/d/shop.ova"), "--to", "lab-xen", "--accept-eula", "all",
        "--property", "shop.hostname=shop.example.org", "--property", "shop.admin=env:SHOP_ADMIN",
        "--wait", "--json",
    )  # fmt: skip
    assert done.exit_code == Exit.OK, done.output
    assert PASSWORD not in done.output
    state = tmp_path / "state"
    held = [each for each in state.rglob("*") if each.is_file()]
    assert held
    assert not [each for each in held if PASSWORD.encode() in each.read_bytes()]


@pytest.mark.parametrize("command", ["verify", "manifest", "show", "check"])
def test_what_is_unpacked_first_is_said_and_bounded(
    kensho: Kensho, tmp_path: Path, command: str
) -> None:
    members = good() | {"big": bytes(100 << 20)}
    path = tmp_path / "a.ova.gz"
    path.write_bytes(gzip.compress(ova(tmp_path / "a.ova", members).read_bytes(), 1))
    more = ("--output", tmp_path / "new.ova") if command == "manifest" else ()
    said = kensho("package", command, path, *more)
    assert said.exit_code in {Exit.OK, Exit.FINDINGS}, said.output
    assert "Unpacking a.ova.gz to a temporary file" in said.stderr
    refused = kensho("package", command, path, *more, "--max-ratio", "2")
    assert refused.exit_code == Exit.INPUT
    assert "accept more (--max-ratio)" in refused.stderr


def test_editing_and_signing_say_and_bound_it_too(kensho: Kensho, tmp_path: Path) -> None:
    path = tmp_path / "a.ova.gz"
    members = good() | {"big": bytes(100 << 20)}
    path.write_bytes(gzip.compress(ova(tmp_path / "a.ova", members).read_bytes(), 1))
    key, certificate = publisher().save(tmp_path, "publisher")
    out = tmp_path / "new.ova"
    for command in (
        ("edit", path, "--set", "product=Shop", "--output", out),
        (
            "sign",
            path,
            "--key",
            key,
            "--certificate",
            certificate,
            "--new-manifest",
            "--output",
            out,
        ),
    ):
        refused = kensho("package", *command, "--max-ratio", "2")
        assert (refused.exit_code, "--max-ratio" in refused.stderr) == (Exit.INPUT, True)
        done = kensho("package", *command)
        assert done.exit_code == Exit.OK, done.output
        assert "Unpacking a.ova.gz" in done.stderr
        out.unlink()
