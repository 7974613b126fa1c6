"""A package on a web server, in the wizard."""

from pathlib import Path

from kensho_tui.app import KenshoApp
from kensho_tui.connections import Connection, ConnectionBook
from tests.ui.pages import wizard
from tests.ui.waiting import keys, seen, until, until_seen
from tests.unit.ovf.test_strings import package
from tests.unit.web.conftest import certified, quick
from tests.web import Site, serving

__all__ = ["certified", "quick"]  # fixtures
SIZE = (80, 24)
PASSWORD = "s3cret-canary"


async def test_an_address_is_typed_and_its_server_is_trusted_and_told_who_asks(
    tmp_path: Path, certified: tuple[Path, Path]
) -> None:
    with serving(Site(user=f"anna:{PASSWORD}"), tls=certified[0]) as site:
        path = package(tmp_path)
        site.files |= {f"/d/{each.name}": each for each in path.parent.iterdir() if each.is_file()}
        url = site.at(f"/d/{path.name}")
        ConnectionBook().put(Connection("depot", "package", site.at("/d/"), "anna"))
        app = KenshoApp()
        async with app.run_test(size=SIZE) as pilot:
            await until_seen(pilot, "No jobs yet.")
            await keys(pilot, "n")
            await until_seen(pilot, "OVF package: path or https://")
            await keys(pilot, f"'{url}", "enter")
            await until_seen(pilot, "Trust depot?")
            await keys(pilot, "y")
            await until_seen(pilot, "Password of 'depot'")
            assert PASSWORD not in seen(app)
            await keys(pilot, f"'{PASSWORD}", "enter")
            await until_seen(pilot, "Product   ")
            await until(pilot, lambda: not wizard(app).busy)
            source = wizard(app).draft.source
            assert source is not None
            assert source.package == url
            assert ConnectionBook().get("depot").pin


async def test_a_password_in_an_address_is_refused_on_the_page(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        await until_seen(pilot, "No jobs yet.")
        await keys(pilot, "n")
        await until_seen(pilot, "OVF package: path or https://")
        await keys(pilot, "'https://anna:word@depot.example.org/a.ova", "enter")
        await until_seen(pilot, "everybody reads it")
