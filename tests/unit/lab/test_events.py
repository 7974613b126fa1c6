"""What changed, by token: news at once, none until there are some, gone ones without a record."""

import threading
from typing import Any

import pytest

from tests.unit.lab.wire import MIB, Wire, refused


def since(wire: Wire, token: str, *classes: str, wait: float = 5.0) -> dict[str, Any]:
    answer: dict[str, Any] = wire.call("event.from", list(classes), token, wait)
    return answer


def test_without_a_token_everything_is_new(wire: Wire) -> None:
    answer = since(wire, "", "pool", "sr")
    assert {e["operation"] for e in answer["events"]} == {"add"}
    assert {e["class"] for e in answer["events"]} == {"pool", "sr"}
    names = {e["snapshot"]["name_label"] for e in answer["events"]}
    assert {"lab-pool", "local-sr"} <= names
    assert answer["valid_ref_counts"]["sr"] == 4


def test_a_change_is_told_once_with_the_record_as_it_is(wire: Wire) -> None:
    vm = wire.one("VM", "legacy-app")
    token = since(wire, "", "vm")["token"]
    wire.call("VM.set_name_label", vm, "one")
    wire.call("VM.set_name_label", vm, "two")
    answer = since(wire, token, "vm")
    (event,) = answer["events"]
    assert (event["operation"], event["ref"]) == ("mod", vm)
    assert event["snapshot"]["name_label"] == "two"
    assert since(wire, answer["token"], "vm", wait=0.0)["events"] == []


def test_what_is_gone_has_no_record_and_what_came_and_went_is_not_told(wire: Wire) -> None:
    kept = wire.disk(2 * MIB)
    token = since(wire, "", "vdi")["token"]
    wire.call("VDI.destroy", kept)
    wire.call("VDI.destroy", wire.disk(2 * MIB))
    (event,) = since(wire, token, "vdi")["events"]
    assert (event["operation"], event["ref"]) == ("del", kept)
    assert "snapshot" not in event


def test_a_drive_changes_its_machine_and_its_disk(wire: Wire) -> None:
    vm = wire.one("VM", "legacy-app")
    vdi = wire.disk(2 * MIB)
    token = since(wire, "", "vm", "vdi")["token"]
    record = {
        "VM": vm, "VDI": vdi, "userdevice": "autodetect", "bootable": False, "mode": "RW",
        "type": "Disk", "empty": False, "other_config": {}, "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }  # fmt: skip
    wire.call("VBD.create", record)
    assert {e["ref"] for e in since(wire, token, "vm", "vdi")["events"]} == {vm, vdi}


def test_a_long_poll_ends_as_soon_as_there_is_news(wire: Wire) -> None:
    vm = wire.one("VM", "legacy-app")
    token = since(wire, "", "vm")["token"]
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(since(wire, token, "vm", wait=60.0)))
    thread.start()
    other = Wire(wire.lab).login()
    other.call("VM.set_name_label", vm, "news")
    thread.join()
    assert [e["snapshot"]["name_label"] for e in answers[0]["events"]] == ["news"]


def test_a_long_poll_ends_when_its_session_does(wire: Wire) -> None:
    token = since(wire, "", "vm")["token"]
    found: list[list[str]] = []

    def poll() -> None:
        found.append(refused(lambda: since(wire, token, "vm", wait=60.0)))

    thread = threading.Thread(target=poll)
    thread.start()
    wire.lab.control.expire_sessions()
    thread.join()
    assert found == [["SESSION_INVALID", wire.session]]


def test_one_object_can_be_listened_to(wire: Wire) -> None:
    vm, other = wire.one("VM", "legacy-app"), wire.one("VM", "files01")
    token = since(wire, "", f"vm/{vm}")["token"]
    wire.call("VM.set_name_label", other, "not told")
    wire.call("VM.set_name_label", vm, "told")
    assert [e["ref"] for e in since(wire, token, f"vm/{vm}")["events"]] == [vm]


def test_inject_gives_a_token_from_before_the_event(wire: Wire) -> None:
    pool = wire.one("VM", "legacy-app")
    token = wire.call("event.inject", "VM", pool)
    assert [e["ref"] for e in since(wire, token, "*")["events"]] == [pool]
    assert refused(lambda: wire.call("event.inject", "VM", "x")) == ["HANDLE_INVALID", "VM", "x"]


@pytest.mark.parametrize("token", ["x", "1", "1,", "-1,0"])
def test_a_token_that_is_none_is_refused(wire: Wire, token: str) -> None:
    assert refused(lambda: since(wire, token, "*")) == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]
