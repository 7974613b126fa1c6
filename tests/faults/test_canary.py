"""Unique secrets go through imports, exports, failures and crashes, and are then looked for everywhere."""

import base64
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from kensho_tui.app import KenshoApp
from kensho_tui.connections import SecretRef
from kensho_tui.engine.secrets import short_name
from kensho_tui.migration.answering import take
from kensho_tui.migration.answers import parse
from kensho_tui.migration.draft import Page
from screens.monitor import Monitor
from screens.wizard.screen import Wizard
from tests.desk import until
from tests.faults.bench import bench
from tests.faults.canaries import PROC, Evidence, found, watching
from tests.faults.room import Room, room
from tests.faults.test_kills import kill, pid_in
from tests.ui import waiting
from tests.unit.migration.packages import shop

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (PROC / "self" / "environ").exists(), reason="no /proc here"),
]
PLACES = (
    "--accept-eula", "all", "--home", "lab-pool", "--storage", "local-sr",
    "--network", "Front=Pool-wide eth0", "--network", "VLAN 10=Pool-wide eth0",
    "--property", "shop.hostname=shop",
)  # fmt: skip
IMPORT = (*PLACES, "--property", "shop.admin=env:SHOP_ADMIN")


def canary(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(8)}"


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    """Everything is done once; the tests below look at what it left."""
    home = tmp_path_factory.mktemp("canary")
    with room(home) as here:
        canaries = {
            "password": here.lab.password_file.read_text().strip(),
            "property": canary("property"),
            "screen property": canary("screen"),
            "wrong password": canary("wrong"),
            "passphrase": canary("passphrase"),
        }
        found_ = Evidence(here, canaries)
        package = shop(home)
        with watching(found_):
            _by_commands(found_, package)
            _by_passphrase(found_, package)
            _by_screens(found_, package)
        here.desk.run("runner", "status")
        yield found_


def _connections(here: Room) -> None:
    for name, reference in (
        ("by-age", "age:xen"), ("by-env", "env:LAB_PASSWORD"), ("by-fd", "prompt"),
        ("by-hand", "prompt"), ("wrong", "env:WRONG_PASSWORD"),
    ):  # fmt: skip
        here.connect(name, secret=SecretRef.parse(reference))


def _by_commands(seen: Evidence, package: Path) -> None:
    here, canaries = seen.room, seen.canaries
    password, asked = canaries["password"], {"SHOP_ADMIN": canaries["property"]}
    _connections(here)
    key = here.home / "age-key"
    seen.run("secret", "set", "xen", "--key", str(key), input=f"{password}\n")
    seen.run("secret", "list")
    seen.run("connection", "test", "by-age")
    # An import by the age store whose CD is kept, and taken back after the end.
    job = seen.run(
        "import", str(package), "--to", "by-age", *IMPORT, "--start", given=asked
    ).strip()
    until("the question", lambda: here.desk.data("job", "show", job)["questions"])
    seen.run("job", "answer", job, "withdraw", "keep")
    seen.run("job", "watch", job, "--json")
    assert found(b"".join(d.file.read_bytes() for d in here.lab.disks()), canaries) == ["property"]
    seen.run("job", "eject", job, "--json")
    for shown in (("job", "show", job), ("job", "log", job), ("job", "list", "--json")):
        seen.run(*shown)
    for form in ("md", "json", "csv", "html"):
        seen.run("job", "report", job, "--format", form)
    # An export by a variable.
    exported = str(here.home / "exported.ova")
    given = {"LAB_PASSWORD": password}
    seen.run(
        "export", "by-env", "web", "db", "--snapshot", "--output", exported, "--wait", given=given
    )
    # A job that fails, by a descriptor.
    here.lab.control.set(refuse_disk="*")
    seen.run(
        "import", str(package), "--to", "by-fd", *IMPORT, "--wait", "--password-fd", "{FD}",
        code=5, given={**asked, "FD": f"fd:{password}"},
    )  # fmt: skip
    here.lab.control.reset()
    # A wrong password, in a command and in a job's questions.
    wrong = {"WRONG_PASSWORD": canaries["wrong password"]}
    seen.run("connection", "test", "wrong", code=4, given=wrong)
    seen.run("import", str(package), "--to", "wrong", *IMPORT, code=4, given={**asked, **wrong})
    _with_a_crash(seen, package)


def _by_passphrase(seen: Evidence, package: Path) -> None:
    """The store opens by a passphrase: asked for at a terminal, and by a job that has to log in again."""
    passphrase, wrong = seen.canaries["passphrase"], seen.canaries["wrong password"]
    seen.run("secret", "remove", "xen")
    (seen.room.home / "config" / "secrets" / "store.toml").unlink()
    password = seen.canaries["password"]
    seen.at_terminal(
        "secret", "set", "xen", "--passphrase",
        answers=[
            ("Secret 'xen': ", password), ("Repeat for confirmation: ", password),
            ("Passphrase of the store: ", passphrase), ("Repeat for confirmation: ", passphrase),
        ],
    )  # fmt: skip
    job = seen.at_terminal(
        "import", str(package), "--to", "by-age", *IMPORT,
        answers=[("Passphrase of the store of secrets: ", passphrase)],
        given={"SHOP_ADMIN": seen.canaries["property"]},
    ).strip()  # fmt: skip
    # Nothing was started that could have read its CD, which is left over.
    seen.run("job", "watch", job)
    seen.run("job", "eject", job, code=10)
    for given in (wrong, passphrase):
        (question,) = json.loads(seen.run("job", "show", job, "--json"))["questions"]
        assert question["secret"] == "passphrase:the store of secrets"
        seen.run("job", "answer", job, question["id"], input=f"{given}\n")
        seen.run("job", "watch", job, code=10 if given is wrong else 0)


def _with_a_crash(seen: Evidence, package: Path) -> None:
    """Runner and worker die in the middle; the job asks for what they took with them."""
    here, canaries = seen.room, seen.canaries
    here.lab.control.clear_calls()
    here.lab.control.set(bytes_per_second=1 << 20)
    job = seen.run(
        "import", str(package), "--to", "by-env", *IMPORT,
        given={"LAB_PASSWORD": canaries["password"], "SHOP_ADMIN": canaries["property"]},
    ).strip()  # fmt: skip
    here.moving()
    kill(pid_in(here.home / "state" / "runner.lock"))
    kill(pid_in(here.home / "state" / "jobs" / f"{job}.lock"))
    here.lab.control.reset()
    answers = {
        "connection:by-env": [canaries["wrong password"], canaries["password"]],
        "property:shop.admin": [canaries["property"]],
    }

    def ended() -> bool:
        view = json.loads(seen.run("job", "show", job, "--json"))
        for question in view["questions"]:
            given = answers[short_name(question["secret"])].pop(0)
            seen.run("job", "answer", job, question["id"], input=f"{given}\n")
        return view["summary"]["state"] in {"succeeded", "failed", "needs_attention"}

    until("the end", ended)
    # What a job was given is forgotten at its end.
    seen.run("job", "eject", job, given={"LAB_PASSWORD": canaries["password"]})
    assert not any(answers.values()), "it asked for less than it lost"


def _by_screens(seen: Evidence, package: Path) -> None:
    import asyncio

    before = dict(os.environ)
    os.environ.update(
        KENSHO_STATE_DIR=str(seen.room.home / "state"),
        KENSHO_CONFIG_DIR=str(seen.room.home / "config"),
    )
    try:
        job = asyncio.run(_at_the_screens(seen, package))
    finally:
        os.environ.clear()
        os.environ.update(before)
    _answered_by_hand(seen, job)


def _answered_by_hand(seen: Evidence, job: str) -> None:
    """Its CD is taken away; a wrong password is asked for again."""
    given = {"FD": f"fd:{seen.canaries['wrong password']}"}
    seen.run("job", "eject", job, "--password-fd", "{FD}", code=10, given=given)
    (question,) = json.loads(seen.run("job", "show", job, "--json"))["questions"]
    assert "the last one was refused" in question["text"]
    seen.run("job", "answer", job, question["id"], input=f"{seen.canaries['password']}\n")
    seen.run("job", "watch", job)


async def _at_the_screens(seen: Evidence, package: Path) -> str:
    app = KenshoApp(package=package)
    async with app.run_test(size=(120, 40)) as pilot:

        def picture(name: str) -> None:
            seen.screens[name] = app.export_screenshot().encode()

        async def see(text: str) -> None:
            await waiting.until_seen(pilot, text, 60)
            picture(text)

        async def press(*pressed: str) -> None:
            await waiting.keys(pilot, *pressed)
            picture(f"after {len(seen.screens)} pictures")

        await see("Next: Licences")
        wizard = app.screen
        assert isinstance(wizard, Wizard)
        draft, secret = wizard.draft, seen.canaries["screen property"]
        await press("ctrl+n", "a", "ctrl+n")
        await waiting.until(pilot, lambda: wizard.here is Page.CONFIGURATION and not wizard.busy)
        await press("ctrl+n")
        await see("by-hand")
        while getattr(wizard.focused, "current", None) != "by-hand":
            await press("down")
        await press("enter")
        await see("Password of 'by-hand'")
        await press(f"'{seen.canaries['wrong password']}", "enter")
        await see("again")
        await press(f"'{seen.canaries['password']}", "enter")
        await waiting.until(pilot, lambda: draft.target_view is not None, 60)
        # Of no matter here, and many keys.
        take(
            draft,
            parse("networks: {Front: null, VLAN 10: null}\nstorage: local-sr\nhome: lab-pool"),
        )
        await press("ctrl+n")
        await waiting.until(pilot, lambda: wizard.here is Page.MAPPING)
        await press("ctrl+n")
        await see("Admin password")
        await press("'shop", "tab", f"'{secret}", "tab", f"'{secret}", "enter")
        await waiting.until(pilot, lambda: secret in draft.secrets().values())
        picture("answered")
        await press("ctrl+n")
        await waiting.until(pilot, lambda: wizard.here is Page.REVIEW and not wizard.busy)
        await see("s starts the job")
        await press("s")
        await waiting.until(pilot, lambda: isinstance(app.screen, Monitor))
        monitor = app.screen
        assert isinstance(monitor, Monitor)
        await waiting.until(
            pilot, lambda: monitor.view is not None and monitor.view.summary.state.ended, 120
        )
        await see("kensho job eject")
        assert monitor.view is not None
        assert monitor.view.summary.state == "succeeded", monitor.view
        seen.screens["view"] = repr(monitor.view).encode()
        return monitor.view.summary.id


# ------------------------------------------------------------------------------ where they are not
@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_the_net_catches_a_canary_however_it_is_wrapped(before: str) -> None:
    secret = canary("x")
    text = f"{before}{secret} and more"
    for data in (text.encode(), text.encode("utf-16-le"), base64.b64encode(text.encode())):
        assert found(b"..." + data, {"it": secret}) == ["it"]
    assert found(text[:-12].encode(), {"it": secret}) == []


def test_nothing_that_a_command_says_holds_one(evidence: Evidence) -> None:
    assert len(evidence.said) > 15
    assert evidence.holders(evidence.said) == {}


def test_no_process_has_one_among_its_arguments(evidence: Evidence) -> None:
    assert any("kensho_tui.engine.worker" in name for name in evidence.arguments)
    assert any(b"--password-fd" in each for each in evidence.arguments.values())
    assert evidence.holders(evidence.arguments) == {}


def test_no_process_that_was_started_has_one_in_its_environment(evidence: Evidence) -> None:
    assert any("engine.worker" in name for name in evidence.environments)
    assert any("engine.supervisor" in name for name in evidence.environments)
    assert evidence.holders(evidence.environments) == {}


def test_no_client_that_watches_is_sent_one(evidence: Evidence) -> None:
    heard = b"".join(evidence.carried.values())
    assert b'"step_done"' in heard
    assert b'"question"' in heard
    assert evidence.holders(evidence.carried) == {}


def test_no_picture_of_the_screens_shows_one(evidence: Evidence) -> None:
    assert len(evidence.screens) > 8
    assert evidence.holders(evidence.screens) == {}


def test_no_file_holds_one_but_its_own(evidence: Evidence) -> None:
    home = evidence.room.home
    files = evidence.files(home, but=[evidence.room.lab.password_file, *_disks(evidence.room)])
    for part in ("journal.db", "journal.db-wal", "runner.log", "xen.age", "exported.ova"):
        assert any(name.endswith(part) for name in files), part
    assert evidence.holders(files) == {}


def test_all_that_is_kept_is_its_owners_alone(evidence: Evidence) -> None:
    for root in (evidence.room.home / "state", evidence.room.home / "config"):
        for path in (root, *root.rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_the_cds_that_held_one_are_gone(evidence: Evidence) -> None:
    until(
        "the last of them",
        lambda: not evidence.holders(evidence.files(_disk_folder(evidence.room))),
    )


def test_a_defect_that_has_one_in_its_message_leaves_it_in_no_log(tmp_path: Path) -> None:
    secret = canary("defect")
    with bench(tmp_path) as engine:
        job = engine.submit(["spill", "property:x"], secrets={"property:x": secret})
        view = engine.wait_end(job)
        assert "defect" in (view.summary.error or {})["what"]
        assert "ZeroDivisionError" in engine.log(job)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(path.name == "journal.db" for path in files)
        assert [path for path in files if found(path.read_bytes(), {"it": secret})] == []


def _disk_folder(here: Room) -> Path:
    return here.lab.state / "disks"


def _disks(here: Room) -> list[Path]:
    return [*_disk_folder(here).iterdir()]
