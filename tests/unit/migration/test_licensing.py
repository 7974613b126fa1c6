"""Whether an appliance may be used here, by the site's policy."""

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.base import Capabilities, Kind, Placement, PlatformInfo
from kensho_tui.errors import KenshoError
from kensho_tui.machine import (
    Appliance,
    Licence,
    Machine,
    MachineId,
    Memory,
    Processors,
    Product,
    Property,
)
from kensho_tui.migration import licence_policy, licensing
from kensho_tui.migration.draft import Draft
from kensho_tui.migration.licensing import Deploying, Verdict, judge
from kensho_tui.migration.plan import LicenceAnswer, SecretValue, SourcePlan, Spec, TargetPlan
from kensho_tui.migration.run import run_job
from kensho_tui.migration.target import TargetView, find_machines
from kensho_tui.migration.words import plan_in_words
from tests.unit.migration.conftest import World
from tests.unit.migration.memory import MemoryContext
from tests.unit.migration.packages import shop
from tests.unit.migration.test_run_package import import_plan

TODAY = date(2026, 11, 28)
TEXT = "You may look at it."
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()
UNLISTED, DOUBTED = ("licence-unlisted", "error"), ("licence-unlisted", "warning")
ENDED = ("licence-allowance-ended", "error")
OTHER = f'[[licences]]\ndigest = "{"0" * 64}"\n'
LISTED = f'[[licences]]\ndigest = "{DIGEST}"\n'
KEY = Property("shop.licence_key", configurable=True, label="Licence key")
Write = Callable[..., Path]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the site's policy."""
    folder = tmp_path / "config"
    folder.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(folder))

    def write(text: str, mode: int = 0o644) -> Path:
        path = folder / "licences.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def shop_like(**more: Any) -> Appliance:
    machine = Machine(MachineId("web"), "web", Memory(1 << 30), Processors(2))
    said: dict[str, Any] = {
        "machines": (machine,),
        "licences": (Licence(TEXT),),
        "products": (Product(name="Shop", vendor="Example Ltd"),),
        **more,
    }
    return Appliance("shop", **said)


def of(appliance: Appliance) -> Verdict:
    return judge(appliance, "verify", today=TODAY)


def ids(verdict: Verdict) -> list[tuple[str, str]]:
    return [(each.id, str(each.severity)) for each in verdict.findings]


# ---------------------------------------------------------------------------------------------- the lists
def test_without_a_policy_nothing_is_judged(policy: Write) -> None:
    verdict = of(shop_like())
    assert (verdict.state, verdict.findings, verdict.policy) == ("not judged", (), "")


@pytest.mark.parametrize(
    ("text", "state", "found"),
    [
        ("", "allowed", []),
        (f'[[licences]]\ndigest = "{DIGEST}"', "allowed", []),
        (f'[[licences]]\ndigest = "{DIGEST}"\nuntil = 2026-11-28', "allowed", []),
        (f'[[licences]]\ndigest = "{DIGEST}"\nuntil = 2026-11-27', "denied", [ENDED]),
        (f'[[licences]]\ndigest = "{"0" * 64}"', "denied", [UNLISTED]),
        (f'unlisted = "warn"\n[[licences]]\ndigest = "{"0" * 64}"', "doubtful", [DOUBTED]),
        ('[[vendors]]\nname = "example ltd"', "allowed", []),
        ('[[vendors]]\nname = "Example*"', "allowed", []),
        ('[[vendors]]\nname = "Other"', "denied", [("vendor-unlisted", "error")]),
        ('[[vendors]]\nname = "Ex*"\nuntil = 2020-01-01', "denied", [("vendor-allowance-ended", "error")]),
        (f'{OTHER}[[vendors]]\nname = "Ex*"\nlicences = "any"', "allowed", []),
        (f'[[licences]]\ndigest = "{"0" * 64}"\n[[vendors]]\nname = "Ex*"', "denied", [UNLISTED]),
        (f'{LISTED}until = 2020-01-01\n{LISTED}', "allowed", []),
    ],
)  # fmt: skip
def test_texts_and_vendors_against_the_lists(
    policy: Write, text: str, state: str, found: list[tuple[str, str]]
) -> None:
    policy(text)
    verdict = of(shop_like())
    assert (verdict.state, ids(verdict)) == (state, found)
    assert state != "allowed" or not text or verdict.facts


def test_who_makes_it_has_to_be_said_where_vendors_are_listed(policy: Write) -> None:
    policy('[[vendors]]\nname = "*"\n')
    assert ids(of(replace(shop_like(), products=()))) == [("vendor-unlisted", "error")]
    two = (Product(name="Shop", vendor="Example Ltd"), Product(name="Part", vendor="Unknown"))
    policy('[[vendors]]\nname = "Example Ltd"\n')
    verdict = of(replace(shop_like(), products=two))
    assert [(each.id, each.subject) for each in verdict.findings] == [("vendor-unlisted", "Part")]


def test_a_licence_of_one_machine_is_free_by_the_vendor_of_that_machine_alone(
    policy: Write,
) -> None:
    policy(f'[[licences]]\ndigest = "{"0" * 64}"\n[[vendors]]\nname = "Good"\nlicences = "any"\n'
           '[[vendors]]\nname = "Bad"\n')  # fmt: skip
    products = (Product(name="a", vendor="Good"), Product(owner="db", name="b", vendor="Bad"))
    licences = (Licence("one"), Licence("two", owner="db"))
    verdict = of(replace(shop_like(), products=products, licences=licences))
    assert [(each.id, each.subject) for each in verdict.findings] == [("licence-unlisted", "db")]


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5, unique=True))
def test_what_is_listed_is_never_denied_and_what_is_not_always_is(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("law")
    folder.chmod(0o700)
    path = folder / "licences.toml"
    appliance = replace(shop_like(), licences=tuple(Licence(text) for text in texts))
    digests = [each.digest for each in appliance.licences]
    before = os.environ.get("KENSHO_CONFIG_DIR")
    os.environ["KENSHO_CONFIG_DIR"] = str(folder)
    try:
        for listed in range(len(digests) + 1):
            path.write_text("".join(f'[[licences]]\ndigest = "{d}"\n' for d in digests[:listed])
                            or f'[[licences]]\ndigest = "{"f" * 64}"\n')  # fmt: skip
            assert len(of(appliance).findings) == len(texts) - listed
    finally:
        os.environ.pop("KENSHO_CONFIG_DIR")
        if before is not None:
            os.environ["KENSHO_CONFIG_DIR"] = before


# -------------------------------------------------------------------------------------------- the file
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[", "cannot be read"),
        ("x = 1", "'x': there is no such setting"),
        ('[[licences]]\ndigest = "abc"', "licences.0.digest"),
        ("[[licences]]\nname = 'x'", "licences.0.digest"),
        ('[[keys]]\nmatch = "k"\nformat = "("', "no regular expression"),
        ('[hook]\ncommand = ["licences"]', "whole path"),
        ("[hook]\ncommand = []", "hook.command"),
        ('[hook]\ncommand = ["/x"]\ntimeout_s = 0', "hook.timeout_s"),
        ('unlisted = "maybe"', "unlisted"),
    ],
)
def test_a_policy_that_is_not_right_denies_and_says_where(
    policy: Write, text: str, said: str
) -> None:
    path = policy(text)
    with pytest.raises(licence_policy.PolicyError, match="not right") as caught:
        licence_policy.load()
    assert said in str(caught.value)
    verdict = of(shop_like())
    assert (verdict.state, ids(verdict)) == ("denied", [("licence-policy-wrong", "error")])
    assert verdict.findings[0].subject == str(path)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_policy_that_others_can_write_is_none(policy: Write, mode: int) -> None:
    policy("", mode)
    with pytest.raises(licence_policy.PolicyError, match="others can write"):
        licence_policy.load()


# ---------------------------------------------------------------------------------------------- keys
def deploying(
    *, secret: str = "", package: str = "", keeps: bool = False, **answers: str | SecretValue
) -> Deploying:
    spec = Spec(
        source=SourcePlan(package="shop.ova"),
        target=TargetPlan(connection="new"),
        properties={name.replace("__", "."): value for name, value in answers.items()},
        licences=(LicenceAnswer(digest=DIGEST, accepted_by="anna", accepted_at="2026-11-28"),),
    )
    view = TargetView("new", Capabilities(PlatformInfo("xs", "8"), keeps_uuid=keeps), package)
    return Deploying(spec, view, Placement(), {"key": secret}.__getitem__)


FORM = '[[keys]]\nmatch = ["*licen?e*key*"]\nformat = "[A-Z0-9]{5}(-[A-Z0-9]{5}){2}"\n'


@pytest.mark.parametrize(
    ("value", "found"),
    [("ABCDE-12345-FGHIJ", []), ("ABCDE-12345-FGHIJ ", ["licence-key-malformed"]),
     ("canary", ["licence-key-malformed"]), ("", ["licence-key-missing"])],
)  # fmt: skip
@pytest.mark.parametrize("hidden", [True, False])
def test_a_licence_key_has_to_be_there_and_look_like_one(
    policy: Write, value: str, found: list[str], hidden: bool
) -> None:
    policy(FORM)
    appliance = replace(shop_like(), properties=(KEY,))
    how = (
        deploying(secret=value, shop__licence_key=SecretValue(secret="key"))
        if hidden
        else deploying(shop__licence_key=value)
    )
    verdict = judge(appliance, "plan", how, today=TODAY)
    assert [e.id for e in verdict.findings if e.id != "uuid-changes"] == found
    assert "canary" not in str(verdict)


def test_a_question_is_known_as_one_for_a_key_by_its_key_address_or_label(policy: Write) -> None:
    policy('[[keys]]\nmatch = ["db/serial", "*product key*", "x.activation"]\n')
    asked = [Property("serial", owner="db"), Property("q", label="Your PRODUCT KEY, please"),
             Property("x.activation"), Property("serial"), Property("other")]  # fmt: skip
    properties = tuple(replace(each, configurable=True) for each in asked)
    verdict = judge(replace(shop_like(), properties=properties), "plan", deploying(), today=TODAY)
    missing = [each.subject for each in verdict.findings if each.id == "licence-key-missing"]
    assert missing == ["db/serial", "Your PRODUCT KEY, please", "x.activation"]
    looked = of(replace(shop_like(), properties=properties))
    assert (looked.state, len(looked.facts)) == ("allowed", 3)


def test_a_package_that_is_only_written_needs_no_key(policy: Write) -> None:
    policy(FORM)
    appliance = replace(shop_like(), properties=(KEY,))
    assert judge(appliance, "plan", deploying(package="/x.ova"), today=TODAY).findings == ()


# ---------------------------------------------------------------------------------------------- identity
@pytest.mark.parametrize(
    ("weight", "severity"), [("error", "error"), ("warn", "warning"), ("", "info")]
)
def test_a_machine_that_gets_another_uuid_is_told_of(
    policy: Write, weight: str, severity: str
) -> None:
    if weight:
        policy(f'uuid = "{weight}"\n')
    machine = replace(shop_like().machines[0], uuid="4c4c4544-0031-3410-8032-b4c04f4d3432")
    appliance = shop_like(machines=(machine,))
    verdict = judge(appliance, "plan", deploying(), today=TODAY)
    assert ids(verdict) == [("uuid-changes", severity)]
    assert "4c4c4544" in verdict.findings[0].message
    assert judge(appliance, "plan", deploying(keeps=True), today=TODAY).findings == ()


# ---------------------------------------------------------------------------------------------- the program
@pytest.fixture
def program(tmp_path: Path, policy: Write) -> Callable[..., Path]:
    """A program in Python that the policy names; what it is told goes to ``told.json``."""

    def make(body: str, more: str = "", policy_text: str = "") -> Path:
        path = tmp_path / "licences"
        path.write_text(
            f"#!{sys.executable}\nimport json, os, sys, time\ntext = sys.stdin.read()\n"
            f"open({str(tmp_path / 'told.json')!r}, 'w').write(text)\ntold = json.loads(text)\n{body}\n"
        )
        path.chmod(0o755)
        policy(
            f"{policy_text}\n[hook]\ncommand = [{json.dumps(str(path))}, 'an argument; $HOME']\n{more}\n"
        )
        return path

    return make


def test_the_program_is_told_what_it_has_to_know_and_no_secret(
    program: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary")
    program(
        "assert sys.argv[1] == 'an argument; $HOME'\n"
        "env = [k for k in os.environ if k not in ('PATH', 'LANG', 'LC_ALL', 'LC_CTYPE')]\n"
        "assert not env and os.getcwd() == '/' and os.getpgid(0) == os.getpid()\n"
        "print(json.dumps({'allow': True, 'text': '12 of 20 seats\\n\\x1b[31mred'}))"
    )
    appliance = replace(shop_like(), properties=(KEY,))
    how = deploying(secret="canary", shop__licence_key=SecretValue(secret="key"))
    verdict = judge(appliance, "plan", how, today=TODAY)
    assert verdict.state == "allowed"
    (asked,) = [each for each in verdict.findings if each.id == "licence-asked"]
    assert str(asked.severity) == "info"
    assert "allows it: 12 of 20 seats" in asked.message
    assert "\x1b" not in asked.message
    told = json.loads((tmp_path / "told.json").read_text())
    assert "canary" not in str(told)
    assert (told["version"], told["moment"], told["appliance"]) == (
        "kensho-licences/1",
        "plan",
        appliance.name,
    )
    assert told["licences"] == [
        {"digest": DIGEST, "owner": "", "accepted_by": "anna", "accepted_at": "2026-11-28"}
    ]
    assert told["products"][0]["vendor"] == "Example Ltd"
    assert [each["processors"] for each in told["machines"]] == [
        m.processors.count for m in appliance.machines
    ]
    assert told["target"]["connection"] == "new"
    of(appliance)
    told = json.loads((tmp_path / "told.json").read_text())
    assert (told["moment"], told["target"]) == ("verify", None)


def test_a_denial_closes_the_way(program: Callable[..., Path]) -> None:
    program("print(json.dumps({'allow': False, 'text': 'no seats left'}))")
    verdict = of(shop_like())
    assert (verdict.state, ids(verdict)) == ("denied", [("licence-denied", "error")])
    assert "no seats left" in verdict.findings[0].message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('no database')", "exit code 1: no database"),
        ("pass", "no JSON"),
        ("print('[]')", "answer is not"),
        ("print(json.dumps({'allow': 'yes'}))", "answer is not"),
        ("print(json.dumps({'allow': 1}))", "answer is not"),
        ("print('{\"allow\": true, \"text\": \"' + 'x' * 70000 + '\"}')", "more than 64 KiB"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)  # fmt: skip
def test_a_program_that_gives_no_answer_allows_nothing(
    program: Callable[..., Path], body: str, said: str
) -> None:
    program(body)
    verdict = of(shop_like())
    assert (verdict.state, ids(verdict)) == ("denied", [("licence-program-failed", "error")])
    assert said in verdict.findings[0].message
    program(body, 'on_failure = "warn"')
    assert of(shop_like()).state == "doubtful"


def test_a_program_that_hangs_is_ended_with_all_that_it_started(
    program: Callable[..., Path], tmp_path: Path
) -> None:
    held = tmp_path / "held"
    body = f"""
import fcntl
lock = open({str(held)!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
os.fork()
time.sleep(600)"""
    program(body, "timeout_s = 1")
    verdict = of(shop_like())
    assert "no answer within 1 s" in verdict.findings[0].message
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # free once the last of them has gone


def test_a_program_that_is_not_there_is_said(policy: Write) -> None:
    policy('[hook]\ncommand = ["/nowhere/licences"]\n')
    assert "cannot be run (No such file" in of(shop_like()).findings[0].message


# ---------------------------------------------------------------------------------- drafts, plans and jobs
def test_a_draft_is_held_up_by_what_the_policy_denies_and_says_whom_it_asked(
    world: World, tmp_path: Path, program: Callable[..., Path]
) -> None:
    package = shop(tmp_path)
    listed = f'[[licences]]\ndigest = "{DIGEST}"\n'
    program("print(json.dumps({'allow': True, 'text': '3 of 20 seats'}))", policy_text=listed)
    plan, secrets = import_plan(world, package)
    with world.sessions() as sessions:
        draft = Draft()
        draft.load_package(sessions, str(package))
        draft.load_target(sessions, "new")
        draft.check(sessions)
        assert any("allows it: 3 of 20 seats" in line for line in plan_in_words(draft).findings)
        program("print(json.dumps({'allow': False, 'text': 'none left'}))", policy_text=listed)
        draft.check(sessions)
        assert any("denies it: none left" in each for each in draft.blocking())
    # And so is a job that was planned before.
    outcome = run_job(MemoryContext(secrets), plan)
    assert outcome.state == "failed"
    assert "denies it: none left" in str(outcome.error)
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["moment"] == "job"
    assert {each["processors"] for each in told["target"]["hosts"]} != set()


def test_a_job_journals_who_accepted_which_text(
    world: World, tmp_path: Path, policy: Write
) -> None:
    policy(f'[[licences]]\ndigest = "{DIGEST}"\n')
    plan, secrets = import_plan(world, shop(tmp_path))
    context = MemoryContext(secrets)
    assert run_job(context, plan).state == "succeeded"
    (checked,) = [each for each in context.events("done") if each["step"] == "check"]
    (accepted,) = checked["result"]["licences"]
    assert (accepted["digest"], accepted["accepted_by"]) == (DIGEST, "anna")
    assert accepted["accepted_at"].startswith("20")
    # Without it, the job refuses, whoever made the plan.
    spec = plan.spec.model_copy(update={"licences": ()})
    outcome = run_job(MemoryContext(secrets), plan.model_copy(update={"spec": spec}))
    assert "licence 1 is not accepted" in str(outcome.error).lower()


def test_a_migration_says_that_the_uuid_changes(world: World) -> None:
    with world.sessions() as sessions:
        draft = Draft()
        refs = find_machines(sessions.get("old"), frozenset({Kind.MACHINE}), ["legacy-app"], "old")
        draft.load_machines(sessions, "old", refs)
        draft.load_target(sessions, "new")
        found = {each.id: str(each.severity) for each in draft.check(sessions)}
    assert found["uuid-changes"] == "info"


def test_a_policy_that_breaks_stops_a_plan_and_not_the_program(
    world: World, tmp_path: Path, policy: Write
) -> None:
    policy("nonsense = 1")
    with world.sessions() as sessions:
        draft = Draft()
        draft.load_package(sessions, str(shop(tmp_path)))
        draft.load_target(sessions, "new")
        draft.check(sessions)
        assert any("policy of licences is not right" in each for each in draft.blocking())
        with pytest.raises(KenshoError):
            draft.plan()


def test_questions_are_json() -> None:
    json.dumps(licensing.question(shop_like(), "plan", deploying()))
