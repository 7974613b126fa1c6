"""The lab's own life: what it keeps, whom it lets in, how it is switched."""

import json
from pathlib import Path

import pytest

from kensho_tui.lab import XenLab
from tests.unit.lab.wire import MIB, Answer, Wire, refused


def control(lab: XenLab, order: object, token: str | None = None) -> Answer:
    headers = {"X-Lab-Token": lab.control.token if token is None else token}
    return Wire(lab).post("/lab/control", json.dumps(order).encode(), headers)


def test_a_lab_started_again_is_the_same_world_at_the_same_place(tmp_path: Path) -> None:
    with XenLab(tmp_path / "lab") as lab:
        wire = Wire(lab).login()
        vdi = wire.disk(2 * MIB, "kept")
        wire.upload(vdi, b"\1" * 512, format="raw")
        before = (lab.url, lab.pin, lab.password, wire.call("VDI.get_record", vdi))
    with XenLab(tmp_path / "lab") as lab:
        wire = Wire(lab).login()
        assert (lab.url, lab.pin, lab.password, wire.call("VDI.get_record", vdi)) == before
        assert wire.content(vdi)[:512] == b"\1" * 512


def test_two_labs_do_not_share_a_state(lab: XenLab) -> None:
    with pytest.raises(OSError, match="a lab runs there already"):
        XenLab(lab.state).start()


def test_password_and_token_are_readable_by_their_owner_alone(lab: XenLab) -> None:
    for name in ("password", "token", "host.pem"):
        assert (lab.state / name).stat().st_mode & 0o777 == 0o600
    assert lab.state.stat().st_mode & 0o777 == 0o700
    assert lab.password not in (lab.state / "address.json").read_text()


def test_a_slave_names_its_master_and_refuses_logins(lab: XenLab) -> None:
    login = ("session.login_with_password", lab.username, lab.password)
    second = Wire(lab, address="127.0.0.2")
    assert refused(lambda: second.xml(*login)) == ["HOST_IS_SLAVE", "127.0.0.1"]
    lab.control.set(slave=True, slave_of="127.0.0.9")
    assert refused(lambda: Wire(lab).xml(*login)) == ["HOST_IS_SLAVE", "127.0.0.9"]


def test_a_session_expires_after_the_calls_it_is_given(wire: Wire) -> None:
    wire.lab.control.set(expire_after=5)
    used = wire.lab.control.calls.count("pool.get_all")
    assert used == 0
    for _ in range(5):
        wire.call("pool.get_all")
    assert refused(lambda: wire.call("pool.get_all")) == ["SESSION_INVALID", wire.session]
    wire.lab.control.reset()
    assert wire.login().call("pool.get_all")


def test_a_new_certificate_has_a_new_pin_and_is_kept(lab: XenLab) -> None:
    before = lab.pin
    after = lab.control.new_certificate()
    assert before != after == lab.pin


def test_the_control_asks_for_its_token_and_for_modes_it_knows(lab: XenLab) -> None:
    assert control(lab, {}, token="wrong").status == 403
    assert control(lab, {"modes": {"nonsense": 1}}).status == 400
    assert control(lab, {"nonsense": 1}).status == 400
    assert json.loads(control(lab, {"modes": {"cut_after": 7}}).body)["modes"]["cut_after"] == 7
    assert lab.control.modes.cut_after == 7
    assert json.loads(control(lab, {"reset": True}).body)["modes"]["cut_after"] is None


def test_the_control_tells_calls_and_disks(wire: Wire) -> None:
    wire.call("pool.get_all")
    answer = json.loads(control(wire.lab, {"calls": True, "clear_calls": True, "disks": True}).body)
    assert answer["calls"][-1] == "pool.get_all"
    assert wire.lab.control.calls == []
    machines = [(d["machine"], d["device"], d["format"]) for d in answer["disks"]]
    assert ("legacy-app", "1", "raw") in machines
    for disk in answer["disks"]:
        assert Path(disk["file"]).stat().st_size == disk["capacity"]


def test_the_control_ends_the_lab_after_its_answer(lab: XenLab) -> None:
    assert control(lab, {"stop": True}).status == 200
    assert lab.stopped.wait(10)
