"""Packages on a web server as the source of a job, against the stand-in of XenServer."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.base import AuthenticationError, NotFoundError, RefusedError, TrustError
from kensho_tui.connections import Connection, ConnectionBook
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import Plan
from kensho_tui.migration.run import run_job
from kensho_tui.ovf.package import open_package
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import KilledError, MemoryContext
from tests.unit.migration.packages import MIB, shop
from tests.unit.migration.test_resume import arrived, careful, die_at, twice, whole
from tests.unit.migration.test_run_package import import_plan
from tests.unit.web.conftest import certified, quick
from tests.web import Site, serving

__all__ = ["arrived", "careful", "certified", "quick"]  # fixtures


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as made:
        yield made


def shop_at(site: Site, folder: Path) -> str:
    """The address of the shop."""
    site.files["/d/shop.ova"] = shop(folder)
    return site.at("/d/shop.ova")


def size_of(site: Site) -> int:
    file = site.files["/d/shop.ova"]
    assert isinstance(file, Path)
    return file.stat().st_size


def test_a_package_on_a_web_server_becomes_machines_and_is_fetched_once(
    world: World, site: Site, tmp_path: Path
) -> None:
    plan, secrets = import_plan(world, shop_at(site, tmp_path))
    assert plan.spec.source.package == site.at("/d/shop.ova")
    described = site.sent
    assert described < MIB
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    whole(world, tmp_path)
    assert site.sent - described < size_of(site) * 2 + MIB
    assert "shop.ova" in context.notes() + str(context.journal)


def test_a_descriptor_with_its_disks_beside_it(world: World, site: Site, tmp_path: Path) -> None:
    package = open_package(shop(tmp_path))
    for name, place in package.places.items():
        buffer = bytearray(place.size)
        with place.open(name) as stream:
            stream.pread(0, buffer)
        site.files[f"/d/{name}"] = bytes(buffer)
    plan, secrets = import_plan(world, site.at(f"/d/{package.descriptor_name}"))
    outcome = run_job(MemoryContext(secrets), plan)
    assert outcome.state == "succeeded", outcome.error
    whole(world, tmp_path)


def test_a_server_without_ranges_serves_too(world: World, site: Site, tmp_path: Path) -> None:
    url = shop_at(site, tmp_path)
    site.ranges = False
    plan, secrets = import_plan(world, url)
    outcome = run_job(MemoryContext(secrets), plan)
    assert outcome.state == "succeeded", outcome.error
    whole(world, tmp_path)


def test_connections_that_break_again_and_again_cost_nothing_but_time(
    world: World, site: Site, tmp_path: Path
) -> None:
    plan, secrets = import_plan(world, shop_at(site, tmp_path))
    site.cut["/d/shop.ova"] = [70_000, 0, 33_000, 9000] * 6
    context = MemoryContext(secrets)
    outcome = run_job(context, plan)
    assert outcome.state == "succeeded", outcome.error
    whole(world, tmp_path)
    assert "starts again" not in context.notes()


def test_a_disk_goes_on_in_its_middle_after_a_crash(
    careful: World, site: Site, tmp_path: Path, arrived: list[tuple[str, int, int]]
) -> None:
    plan, secrets = import_plan(careful, shop_at(site, tmp_path))
    first = MemoryContext(secrets)
    first.on = die_at("resume", 3, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    second = MemoryContext(secrets, first.journal)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "goes on at 8 MiB of 12 MiB" in second.notes()
    whole(careful, tmp_path)
    assert twice(arrived) <= 2 * 65536


def crashed(world: World, site: Site, folder: Path) -> tuple[MemoryContext, Plan]:
    plan, secrets = import_plan(world, shop_at(site, folder))
    first = MemoryContext(secrets)
    first.on = die_at("resume", 3, "d1")
    with pytest.raises(KilledError):
        run_job(first, plan)
    return MemoryContext(secrets, first.journal), plan


def test_a_package_that_was_changed_in_between_is_an_error_and_never_a_mixture(
    careful: World, site: Site, tmp_path: Path
) -> None:
    before = careful.state(careful.new)
    second, plan = crashed(careful, site, tmp_path)
    path = site.files["/d/shop.ova"]
    assert isinstance(path, Path)
    copy = path.with_suffix(".new")
    shutil.copy(path, copy)
    copy.replace(path)  # the same bytes by another tag: who is to know?
    outcome = run_job(second, plan)
    assert outcome.state == "failed"
    assert "changed while it was being moved" in str(outcome.error)
    assert careful.state(careful.new) == before


def test_a_server_that_gives_no_mark_lets_no_disk_go_on(
    careful: World, site: Site, tmp_path: Path
) -> None:
    site.tags = site.times = False
    second, plan = crashed(careful, site, tmp_path)
    outcome = run_job(second, plan)
    assert outcome.state == "succeeded", outcome.error
    assert "starts again from its beginning: the source is not what it was" in second.notes()
    whole(careful, tmp_path)


def test_a_package_that_is_changed_while_it_is_read_is_given_up(
    careful: World, site: Site, tmp_path: Path
) -> None:
    before = careful.state(careful.new)
    plan, secrets = import_plan(careful, shop_at(site, tmp_path))
    path = site.files["/d/shop.ova"]
    assert isinstance(path, Path)

    def change(kind: str, step: str) -> None:
        if kind == "resume" and step.endswith("d1"):
            copy = path.with_suffix(".new")
            shutil.copy(path, copy)
            copy.replace(path)

    context = MemoryContext(secrets)
    context.on = change
    outcome = run_job(context, plan)
    assert outcome.state == "failed"
    assert "changed" in str(outcome.error)
    assert careful.state(careful.new) == before


def depot(world: World, site: Site, ca: Path, *, pin: str = "") -> None:
    settings = {"authorities": str(ca), "timeout_s": "20"}
    world.secrets["connection:depot"] = "s3cret-canary"
    ConnectionBook().put(
        Connection("depot", "package", site.at("/d/"), "anna", pin=pin, settings=settings)
    )


def test_a_connection_says_how_the_server_is_trusted_and_who_asks(
    world: World, tmp_path: Path, certified: tuple[Path, Path]
) -> None:
    both, ca = certified
    with serving(Site(user="anna:s3cret-canary"), tls=both) as site:
        url = shop_at(site, tmp_path)
        with world.sessions() as sessions:
            with pytest.raises(TrustError, match="not trusted") as caught:
                Draft().load_package(sessions, url)
            assert len(caught.value.presented) == 64
            assert caught.value.not_after
        depot(world, site, ca)
        with world.sessions() as sessions:
            sessions.secrets.known["connection:depot"] = "wrong"  # type: ignore[attr-defined]
            with pytest.raises(AuthenticationError, match="refuses user 'anna'"):
                Draft().load_package(sessions, url)
        with world.sessions() as sessions:
            # A person is asked again, as at every platform.
            sessions.secrets.known["connection:depot"] = "wrong"  # type: ignore[attr-defined]
            sessions.secrets.more.append("s3cret-canary")  # type: ignore[attr-defined]
            Draft().load_package(sessions, url)
        plan, secrets = import_plan(world, url)
        assert "s3cret-canary" not in plan.model_dump_json()
        context = MemoryContext(secrets)
        outcome = run_job(context, plan)
        assert outcome.state == "succeeded", outcome.error
        assert "s3cret-canary" not in "".join(context.journal)
        whole(world, tmp_path)
        depot(world, site, ca, pin="0" * 64)
        with world.sessions() as sessions, pytest.raises(TrustError) as caught:
            Draft().load_package(sessions, url)
        assert caught.value.expected == "0" * 64


def test_what_is_wrong_with_an_address_is_said_before_anything_is_asked(
    world: World, site: Site
) -> None:
    with world.sessions() as sessions:
        with pytest.raises(KenshoError, match="user name or a password stands"):
            Draft().load_package(sessions, site.at("/a.ova").replace("http://", "http://a:b@"))
        with pytest.raises(NotFoundError, match="no such file"):
            Draft().load_package(sessions, site.at("/a.ova"))
        with pytest.raises((RefusedError, KenshoError), match="no address"):
            Draft().load_package(sessions, "https://")
    assert len(site.asked) == 2


def test_nothing_is_written_to_a_web_server(world: World, site: Site, tmp_path: Path) -> None:
    draft = Draft()
    with world.sessions() as sessions:
        draft.load_package(sessions, shop_at(site, tmp_path))
        draft.load_target_package(sessions, site.at("/new.ova"))
        found = {each.id for each in draft.check(sessions)}
    assert found & {"package-read-only", "target-takes-nothing"}
