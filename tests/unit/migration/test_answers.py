"""The answers file: what it takes, and how it says what is wrong and where."""

from pathlib import Path

import pytest

from kensho_tui.migration.answers import AnswersError, found_in_places, parse
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.plan import SecretValue, Spec
from tests.unit.migration import samples
from tests.unit.migration.samples import BIG, DB, ETH1, GIB, HOST, LICENCE, LOCAL, WEB

FULL = f"""\
configuration: small
home: xen1
start: yes
name: Shop
licences:
  - {LICENCE.digest}
networks:
  VM Network: Front
  Back (VLAN 10): Pool-wide eth1
  web01/e1: null
storage:
  default: big-sr
  web01 system: local-sr
machines:
  web01: {{name: shop-web, processors: 2, memory: 2 GiB}}
  db01: {{home: xen1}}
properties:
  hostname: 010
  admin: {{env: SHOP_ADMIN}}
"""


def test_everything_in_a_file_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_ADMIN", "from-the-shell")
    draft = samples.draft()
    assert draft.import_answers(FULL) == ()
    plan = draft.plan()
    spec = plan.spec
    assert spec.name == "Shop"
    assert spec.start is True
    assert spec.target.home is not None
    assert spec.target.home.id == HOST.id
    assert spec.properties["hostname"] == "010"
    assert draft.secrets() == {"property:admin": "from-the-shell"}
    web, db = spec.machines[WEB], spec.machines[DB]
    assert (web.name, web.processors, web.memory) == ("shop-web", 2, 2 * GIB)
    assert web.adapters["e1"] is None
    back = db.adapters["e0"]
    assert back is not None
    assert back.id == ETH1.id
    assert {disk: ref.id for disk, ref in spec.storage.items()} == {
        "d1": LOCAL.id,
        "d2": BIG.id,
        "d3": BIG.id,
    }


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("networks:\n  Frnt: Front\n", "answers:2:3", "Do you mean 'front'"),
        ("networks:\n  front: Frnt\n", "answers:2:10", "Do you mean 'Front'"),
        ("network: {}\n", "answers:1:1", "Do you mean 'networks'"),
        ("machines:\n  web01:\n    cpu: 2\n", "answers:3:5", "Known are: home, include, memory"),
        ("machines:\n  web02: {}\n", "answers:2:3", "Do you mean 'web01'"),
        ("machines:\n  web01: {memory: 4096}\n", "answers:2:19", "a number and a unit"),
        ("machines:\n  web01: {processors: two}\n", "answers:2:23", "no whole number"),
        ("machines:\n  web01: {processors: 0}\n", "answers:2:23", "Allowed are 1 to 1024"),
        ("machines:\n  web01: {home: xen9}\n", "answers:2:17", "Known are: lab, xen1, xen2."),
        ("storage: iso-sr\n", "answers:1:10", "Possible are: local-sr, big-sr"),
        ("storage:\n  d9: big-sr\n", "answers:2:3", "'d9' is no disk"),
        ("properties:\n  hostnam: x\n", "answers:2:3", "Do you mean 'hostname'"),
        ("properties:\n  hostname: {vault: x}\n", "answers:2:13", "{env: NAME}"),
        ("properties:\n  hostname: [a]\n", "answers:2:13", "single value"),
        ("configuration: large\n", "answers:1:16", "Known are: small, medium"),
        ("start: perhaps\n", "answers:1:8", "neither true nor false"),
        ("licences: [abc]\n", "answers:1:12", "no licence of that digest"),
        ("licences: abc\n", "answers:1:1", "list of digests"),
        ("name: ''\nname: b\n", "answers:2:1", "stands twice"),
        ("a: [\n", "answers:2:1", "no YAML"),
        ("- 1\n", "answers:1:1", "mapping of names"),
        ("home: p-9\n", "answers:1:7", "Known are"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, where: str, says: str) -> None:
    with pytest.raises(AnswersError) as caught:
        samples.draft().import_answers(text)
    assert caught.value.subject == where
    assert says in str(caught.value)


def test_an_empty_file_answers_nothing() -> None:
    draft = samples.draft()
    before = draft.export_answers()
    assert draft.import_answers("") == ()
    assert draft.import_answers("# nothing\n") == ()
    assert draft.export_answers() == before


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("of-the-file\nsecond line\n")
    draft = samples.draft()
    draft.import_answers(f"properties:\n  admin: {{file: {path}}}\n")
    assert draft.secrets() == {"property:admin": "of-the-file"}


def test_a_password_is_not_read_from_a_file_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of-the-file\n")
    path.chmod(0o644)
    draft = samples.draft()
    with pytest.raises(AnswersError, match="can be read by others") as caught:
        draft.import_answers(f"properties:\n  admin: {{file: {path}}}\n")
    assert caught.value.remedy.startswith(f"Run 'chmod 600 {path}'")
    plan = {"spec": {"properties": {"admin": {"secret": "property:admin", "file": str(path)}}}}
    assert found_in_places(plan) == {}
    path.chmod(0o600)
    assert found_in_places(plan) == {"property:admin": "of-the-file"}
    path.chmod(0o644)
    draft.import_answers(f"properties:\n  hostname: {{file: {path}}}\n")
    assert draft.property_value("hostname") == "of-the-file", "that one is no password"


def test_a_secret_that_is_not_there_is_said_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="NOT_SET_ANYWHERE is not set") as caught:
        samples.draft().import_answers("properties:\n  admin: {env: NOT_SET_ANYWHERE}\n")
    assert caught.value.subject == "answers:2:10"
    gone = tmp_path / "gone"
    with pytest.raises(AnswersError, match="No such file"):
        samples.draft().import_answers(f"properties:\n  admin: {{file: {gone}}}\n")


def test_answers_that_need_a_target_wait_for_one() -> None:
    draft = Draft()
    loaded = samples.LoadedDraft()
    loaded.source_is(samples.appliance())
    assert loaded.import_answers("home: xen1\nproperties: {hostname: a}\n") == (
        "networks, storage and home are taken once there is a target",
    )
    assert loaded.property_value("hostname") == "a"
    with pytest.raises(AnswersError):
        draft.import_answers("properties: {hostname: a}\n")


def test_another_configuration_is_noted_where_it_cannot_be_resolved() -> None:
    notes = samples.draft().import_answers("configuration: medium\n")
    assert notes == ("configuration 'medium' is not chosen: small is",)


def test_what_was_exported_can_be_imported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = samples.complete()
    first.choose_network(WEB, "e1", None)
    first.choose_storage("d1", BIG)
    first.rename(DB, 'db: "two" # x')
    first.set_memory(DB, 3 * GIB)
    text = first.export_answers()
    monkeypatch.setenv("ADMIN", "s3cret-canary")
    second = samples.draft()
    second.accept_licence(LICENCE.digest, "anna")
    assert second.import_answers(text) == ()
    old, new = first.plan().spec, second.plan().spec
    assert new.machines == old.machines
    assert new.storage == old.storage
    # Exported without its value, the password has a place from then on.
    place = SecretValue(secret="property:admin", env="ADMIN")
    assert new.properties == {**old.properties, "admin": place}
    assert "env: ADMIN" in second.export_answers()


def test_an_alias_bomb_is_no_more_than_its_text() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    with pytest.raises(AnswersError, match="is no key"):
        parse("\n".join(lines))


def test_a_password_that_stands_in_the_file_is_taken_and_noted() -> None:
    draft = samples.draft()
    (note,) = draft.import_answers("properties: {admin: plain-canary}\n")
    assert "plain-canary" not in note
    assert draft.secrets() == {"property:admin": "plain-canary"}


def test_the_guests_time_zone_goes_the_whole_way_and_has_to_be_one() -> None:
    draft = samples.draft()
    draft.import_answers("timezone: Europe/Berlin\n")
    assert (draft.spec().timezone, "timezone: Europe/Berlin" in draft.export_answers()) == (
        "Europe/Berlin",
        True,
    )
    with pytest.raises(AnswersError, match="no time zone 'Europe/Bonn'") as raised:
        draft.import_answers("start: true\ntimezone: Europe/Bonn\n")
    assert raised.value.subject == "answers:2:11"
    assert draft.timezone == "Europe/Berlin"
    with pytest.raises(ValueError, match="no time zone"):
        Spec.model_validate({**draft.spec().model_dump(), "timezone": "Europe/Bonn"})
