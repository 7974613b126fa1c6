"""The call table over both wires: what is answered, and how what is wrong is refused."""

import json
import xmlrpc.client

import pytest

from kensho_tui.lab import XenLab
from kensho_tui.lab.xen.schema import TABLES
from tests.unit.lab.wire import Wire, machine, refused


def test_a_wrong_password_is_refused_with_the_name_and_a_reason(lab: XenLab) -> None:
    found = refused(lambda: Wire(lab).xml("session.login_with_password", "root", "wrong"))
    assert found == ["SESSION_AUTHENTICATION_FAILED", "root", "Authentication failure"]


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("VM.sing", [], ["MESSAGE_METHOD_UNKNOWN", "VM.sing"]),
        ("VM.get_record", ["OpaqueRef:none"], ["HANDLE_INVALID", "VM", "OpaqueRef:none"]),
        ("SR.get_by_uuid", ["none"], ["UUID_INVALID", "SR", "none"]),
        ("VM.start", ["x"], ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "1"]),
        ("VM.start", ["x", "no", False], ["FIELD_TYPE_ERROR", "VM.start/1"]),
    ],
)
def test_a_wrong_call_is_refused_alike_on_both_wires(
    wire: Wire, method: str, params: list[object], expected: list[str]
) -> None:
    assert refused(lambda: wire.xml(method, wire.session, *params)) == expected
    assert refused(lambda: wire.json(method, wire.session, *params)) == expected


def test_methods_are_listed_without_a_session_and_each_is_answered(lab: XenLab) -> None:
    methods = Wire(lab).json("system.listMethods")
    assert {"VM.create", "VM.get_all_records", "event.from", "VDI.set_name_label"} <= {*methods}
    assert "session.get_all_records" not in methods


def test_a_session_that_logged_out_is_invalid(wire: Wire) -> None:
    wire.call("session.logout")
    assert refused(lambda: wire.call("pool.get_all")) == ["SESSION_INVALID", wire.session]


def test_integers_travel_as_strings_in_xml_and_as_numbers_in_json(wire: Wire) -> None:
    sr = wire.one("SR", "tiny-sr")
    assert wire.xml("SR.get_physical_size", wire.session, sr) == str(64 * 1024**2)
    assert wire.json("SR.get_physical_size", wire.session, sr) == 64 * 1024**2
    assert wire.xml("SR.get_record", wire.session, sr)["physical_size"] == str(64 * 1024**2)


def test_an_xml_integer_is_refused_because_the_wire_writes_digits_in_a_string(wire: Wire) -> None:
    vm = wire.one("VM", "legacy-app")
    found = refused(lambda: wire.call("VM.set_order", vm, 3))
    assert found == ["FIELD_TYPE_ERROR", "VM.set_order/1"]
    wire.call("VM.set_order", vm, "3")
    wire.json("VM.set_start_delay", wire.session, vm, 7)
    assert wire.call("VM.get_order", vm) == "3"
    assert wire.call("VM.get_start_delay", vm) == "7"


def test_dates_are_dates_in_xml_and_text_in_json(wire: Wire) -> None:
    task = wire.task()
    assert isinstance(wire.xml("task.get_created", wire.session, task), xmlrpc.client.DateTime)
    assert isinstance(wire.json("task.get_created", wire.session, task), str)


def test_json_rpc_1_is_answered_in_its_own_form(wire: Wire) -> None:
    question = {"method": "VM.get_record", "params": [wire.session, "x"], "id": "a"}
    answer = json.loads(wire.post("/jsonrpc", json.dumps(question).encode()).body)
    assert answer == {"result": None, "error": ["HANDLE_INVALID", "VM", "x"], "id": "a"}


@pytest.mark.parametrize("body", [b"", b"<methodCall>", b"<a/>"])
def test_a_body_that_is_no_call_is_a_server_error(wire: Wire, body: bytes) -> None:
    assert wire.post("/RPC2", body).status == 500
    assert wire.post("/jsonrpc", body).status == 500


# ------------------------------------------------------------------------------------ constructors
REQUIRED = {
    cls: [field.name for field in TABLES[cls] if field.required] for cls in ("VM", "VDI", "VIF")
}


def test_the_required_fields_are_those_of_the_published_data_model() -> None:
    assert REQUIRED["VDI"] == [
        "SR", "virtual_size", "type", "sharable", "read_only", "other_config",
    ]  # fmt: skip
    assert REQUIRED["VIF"] == [
        "device", "network", "VM", "MAC", "MTU", "other_config", "qos_algorithm_type",
        "qos_algorithm_params",
    ]  # fmt: skip
    assert len(REQUIRED["VM"]) == 25


@pytest.mark.parametrize("missing", REQUIRED["VM"])
def test_a_machine_without_a_required_field_is_refused_by_its_name(
    wire: Wire, missing: str
) -> None:
    template = wire.call("VM.get_record", wire.one("VM", "Other install media"))
    record = machine(template, name_label="new")
    del record[missing]
    found = refused(lambda: wire.call("VM.create", record))
    assert found == ["INTERNAL_ERROR", f'Server_helpers.Dispatcher_FieldNotFound("{missing}")']


def test_a_machine_is_made_from_a_whole_record_with_the_servers_own_fields_its_own(
    wire: Wire,
) -> None:
    template = wire.call("VM.get_record", wire.one("VM", "Other install media"))
    record = machine(template, name_label="new", order="4", blocked_operations={"start": "no"})
    made = wire.call("VM.get_record", wire.call("VM.create", record))
    assert made["uuid"] != template["uuid"]
    assert made["order"] == "4"
    assert not made["is_default_template"]
    assert made["blocked_operations"] == {}, "the original drops them at creation"
    assert made["other_config"]["mac_seed"] == template["other_config"]["mac_seed"]


def test_an_unknown_enumeration_value_is_refused(wire: Wire) -> None:
    template = wire.call("VM.get_record", wire.one("VM", "Other install media"))
    record = machine(template, actions_after_crash="explode")
    assert refused(lambda: wire.call("VM.create", record))[0] == "INTERNAL_ERROR"


def test_a_map_refuses_a_second_value_for_a_key(wire: Wire) -> None:
    vm = wire.one("VM", "legacy-app")
    wire.call("VM.add_to_other_config", vm, "kensho", "1")
    assert refused(lambda: wire.call("VM.add_to_other_config", vm, "kensho", "2"))[0] == (
        "MAP_DUPLICATE_KEY"
    )
    wire.call("VM.remove_from_other_config", vm, "kensho")
    wire.call("VM.remove_from_other_config", vm, "kensho")
    assert "kensho" not in wire.call("VM.get_other_config", vm)


def test_an_asynchronous_call_gives_a_task_that_ends_with_the_value_or_the_error(
    wire: Wire,
) -> None:
    record = {
        "name_label": "a", "SR": wire.one("SR", "local-sr"), "virtual_size": "4194304",
        "type": "user", "sharable": False, "read_only": False, "other_config": {},
    }  # fmt: skip
    task = wire.call("Async.VDI.create", record)
    assert wire.outcome(task) == ["success"]
    assert wire.call("task.get_result", task) == f"<value>{wire.one('VDI', 'a')}</value>"
    failing = wire.call("Async.VM.start", wire.one("VM", "files01"), False, False)
    assert wire.outcome(failing)[:2] == ["failure", "VM_BAD_POWER_STATE"]
