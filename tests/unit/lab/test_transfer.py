"""Disks in and out: the 200 before the work, the task that tells the truth, and strictness."""

import base64
import http.client
import random
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from kensho_tui.lab.xen import vhd
from tests.unit.lab.wire import MIB, Wire, frames, refused

SIZE = 6 * MIB


def content(size: int = SIZE) -> bytes:
    """A disk with data at its start, across a block's border and in its last sector."""
    source = random.Random(1)
    disk = bytearray(size)
    disk[0:4096] = source.randbytes(4096)
    disk[2 * MIB - 512 : 2 * MIB + 512] = source.randbytes(1024)
    disk[-512:] = source.randbytes(512)
    return bytes(disk)


def image(disk: bytes, size: int | None = None) -> bytearray:
    """The disk as a dynamic VHD."""
    used = [
        n
        for n in range(-(-len(disk) // vhd.BLOCK))
        if disk[n * vhd.BLOCK :][: vhd.BLOCK].strip(b"\0")
    ]

    def read(offset: int, length: int) -> bytes:
        return disk[offset : offset + length].ljust(length, b"\0")

    return bytearray(b"".join(vhd.compose(size or len(disk), used, read)))


FAILED = ["failure", "VDI_IO_ERROR", "Device I/O errors"]


# ------------------------------------------------------------------------------------------ import
def test_a_vhd_is_expanded_and_the_task_succeeds_with_the_disks_reference(wire: Wire) -> None:
    vdi, task = wire.disk(SIZE), wire.task()
    path = wire.path("/import_raw_vdi", vdi=vdi, format="vhd", task_id=task)
    answer = wire.request("PUT", path, bytes(image(content())))
    assert answer.status == 200
    assert answer.headers["task-id"] == task
    assert wire.outcome(task) == ["success"]
    assert wire.call("task.get_result", task) == f"<value>{vdi}</value>"
    assert wire.content(vdi) == content()


def test_a_disk_is_named_by_reference_or_uuid_and_the_slash_after_the_path_is_taken(
    wire: Wire,
) -> None:
    vdi = wire.disk(SIZE)
    path = wire.path("/import_raw_vdi/", vdi=wire.call("VDI.get_uuid", vdi), format="raw")
    assert wire.request("PUT", path, content()).status == 200
    assert wire.content(vdi) == content()


def test_frames_are_written_where_they_say(wire: Wire) -> None:
    vdi = wire.disk(SIZE)
    body = frames((4 * MIB, b"late" * 128), (0, b"earl" * 128))
    assert wire.upload(vdi, body, format="raw", chunked="true")[1] == ["success"]
    disk = wire.content(vdi)
    assert disk[:512] == b"earl" * 128
    assert disk[4 * MIB : 4 * MIB + 512] == b"late" * 128


def test_only_written_blocks_take_space(wire: Wire) -> None:
    vdi = wire.disk(64 * MIB)
    wire.upload(vdi, bytes(image(content())), format="vhd")
    assert wire.call("VDI.get_physical_utilisation", vdi) == str(3 * 2 * MIB)


def test_raw_bytes_of_known_length_make_a_disk_in_a_repository(wire: Wire) -> None:
    task = wire.task()
    sr = wire.one("SR", "shared-nfs")
    path = wire.path("/import_raw_vdi", sr_id=sr, format="raw", task_id=task)
    wire.request("PUT", path, content(3 * MIB))
    assert wire.outcome(task) == ["success"]
    made = wire.one("VDI", "Imported VDI")
    assert wire.call("VDI.get_virtual_size", made) == str(4 * MIB), "rounded up to 2 MiB"
    assert wire.content(made)[: 3 * MIB] == content(3 * MIB)


def spoil(at: int, value: bytes) -> Callable[[bytearray], None]:
    def change(vhd_file: bytearray) -> None:
        end = at + len(value)
        vhd_file[at : end if end else None] = value

    return change


def fixed_footer(vhd_file: bytearray) -> None:
    """Another disk type, with a right checksum."""
    for start in (0, len(vhd_file) - 512):
        footer = vhd_file[start : start + 512]
        footer[60:64] = struct.pack(">I", 2)
        footer[64:68] = struct.pack(">I", vhd.checksum(bytes(footer), 64))
        vhd_file[start : start + 512] = footer


def overlapping(vhd_file: bytearray) -> None:
    """The second block of the table lies where the first one does."""
    vhd_file[1536 + 4 : 1536 + 8] = vhd_file[1536 : 1536 + 4]


def cut_short(vhd_file: bytearray) -> None:
    del vhd_file[-1024:]


def too_long(vhd_file: bytearray) -> None:
    vhd_file += bytes(512)


@pytest.mark.parametrize(
    "change",
    [
        spoil(0, b"X"),  # the footer copy's cookie
        spoil(100, b"\1"),  # its checksum does not match any more
        spoil(512 + 40, b"\xff"),  # the header's checksum
        spoil(-300, b"\1"),  # the footer at the end
        fixed_footer,
        overlapping,
        cut_short,
        too_long,
    ],
)
def test_a_wrong_vhd_gets_its_200_and_a_failed_task(
    wire: Wire, change: Callable[[bytearray], None]
) -> None:
    body = image(content())
    change(body)
    answer, outcome = wire.upload(wire.disk(SIZE), bytes(body), format="vhd")
    assert outcome == FAILED
    assert answer is None or answer.status == 200


@pytest.mark.parametrize("format_", ["vhd", "raw"])
def test_an_image_larger_than_the_disk_fails_late(wire: Wire, format_: str) -> None:
    vdi = wire.disk(4 * MIB)
    body = bytes(image(content())) if format_ == "vhd" else content()
    assert wire.upload(vdi, body, format=format_)[1] == FAILED
    assert wire.content(vdi)[:4096] == content()[:4096], "what came before is written"


@pytest.mark.parametrize(
    ("params", "head", "reason"),
    [
        ("format=qcow3", "Content-Length: 1\r\n", "Unknown format qcow3"),
        ("format=vhd&chunked=1", "Content-Length: 1\r\n", "Cannot handle chunked VHD"),
        ("format=raw", "Transfer-Encoding: chunked\r\n", "Cannot handle encoding: chunked"),
    ],
)
def test_what_the_handler_does_not_know_is_404_and_an_internal_error(
    wire: Wire, params: str, head: str, reason: str
) -> None:
    vdi, task = wire.disk(SIZE), wire.task()
    target = f"/import_raw_vdi?{params}&vdi={vdi}&task_id={task}&session_id={wire.session}"
    answer = wire.raw_request(f"PUT {target} HTTP/1.1\r\nHost: x\r\n{head}\r\n", b"")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert wire.outcome(task) == ["failure", "INTERNAL_ERROR", reason]


def test_the_200_comes_before_the_first_byte_of_the_body(wire: Wire) -> None:
    vdi, task = wire.disk(SIZE), wire.task()
    path = wire.path("/import_raw_vdi", vdi=vdi, task_id=task, format="vhd")
    # The body never comes: the connection's own end is what ends the request.
    answer = wire.raw_request(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert wire.outcome(task) == FAILED


def test_without_a_session_or_a_password_nothing_is_taken(wire: Wire) -> None:
    vdi = wire.disk(SIZE)
    assert wire.request("PUT", f"/import_raw_vdi?vdi={vdi}&format=raw").status == 401
    wrong = {"Authorization": "Basic " + base64.b64encode(b"root:wrong").decode()}
    path = f"/export_raw_vdi?vdi={vdi}&format=raw"
    assert wire.request("GET", path, headers=wrong).status == 401


def test_basic_credentials_or_a_cookie_are_taken_instead_of_the_query(wire: Wire) -> None:
    path = f"/export_raw_vdi?vdi={wire.disk(2 * MIB)}&format=raw"
    credentials = base64.b64encode(f"root:{wire.lab.password}".encode()).decode()
    basic = wire.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
    cookie = wire.request("GET", path, headers={"Cookie": f"session_id={wire.session}"})
    assert basic.body == cookie.body == bytes(2 * MIB)


# ------------------------------------------------------------------------------------------ export
def test_an_export_has_no_length_and_its_vhd_holds_the_disk(wire: Wire, tmp_path: Path) -> None:
    vdi, task = wire.disk(SIZE), wire.task()
    wire.upload(vdi, content(), format="raw")
    path = wire.path("/export_raw_vdi", vdi=vdi, format="vhd", task_id=task)
    answer = wire.request("GET", path)
    assert answer.status == 200
    assert "content-length" not in answer.headers
    assert answer.headers["content-type"] == "application/vhd"
    assert wire.outcome(task) == ["success"]
    again = wire.disk(SIZE)
    assert wire.upload(again, answer.body, format="vhd")[1] == ["success"]
    assert wire.content(again) == content()


def test_an_export_that_breaks_has_an_error_inside_its_body(wire: Wire) -> None:
    vdi, task = wire.disk(SIZE), wire.task()
    wire.lab.control.set(error_in_body=MIB)
    answer = wire.request("GET", wire.path("/export_raw_vdi", vdi=vdi, task_id=task))
    assert answer.status == 200
    assert b"HTTP/1.1 500 Internal Error" in answer.body
    assert wire.outcome(task) == FAILED


def test_the_disk_of_a_running_machine_is_in_use(wire: Wire) -> None:
    vdi = wire.one("VDI", "files01 system")
    task = wire.task()
    wire.request("GET", wire.path("/export_raw_vdi", vdi=vdi, task_id=task))
    assert wire.outcome(task)[:2] == ["failure", "VDI_IN_USE"]
    assert refused(lambda: wire.call("VDI.destroy", vdi)) == ["VDI_IN_USE", vdi, "destroy"]


# ------------------------------------------------------------------------------------------- modes
def test_a_full_repository_fails_in_the_middle(wire: Wire) -> None:
    sr = wire.one("SR", "shared-nfs")
    wire.lab.toolstack.database.set("SR", sr, physical_size=5 * MIB)
    vdi = wire.disk(SIZE, sr="shared-nfs")
    assert wire.upload(vdi, bytes(image(content())), format="vhd")[1] == FAILED
    assert int(wire.call("SR.get_physical_utilisation", sr)) <= 5 * MIB


def test_the_mode_that_fills_storage_says_so_with_the_code_asked_for(wire: Wire) -> None:
    wire.lab.control.set(full_after=MIB, full_code="SR_FULL")
    outcome = wire.upload(wire.disk(SIZE), bytes(image(content())), format="vhd")[1]
    assert outcome[:2] == ["failure", "SR_FULL"]


def test_a_thick_repository_refuses_a_disk_it_has_no_room_for(wire: Wire) -> None:
    wire.disk(40 * MIB, sr="tiny-sr")
    found = refused(lambda: wire.disk(40 * MIB, sr="tiny-sr"))
    assert found[0] == "SR_BACKEND_FAILURE_44"
    assert refused(lambda: wire.disk(MIB, sr="iso-library"))[0] == "SR_OPERATION_NOT_SUPPORTED"
    assert refused(lambda: wire.disk(2**43))[0] == "SR_BACKEND_FAILURE_79"


def test_a_refused_disk_fails_and_the_others_do_not(wire: Wire) -> None:
    wire.lab.control.set(refuse_disk="bad")
    assert wire.upload(wire.disk(SIZE, "bad"), content(), format="raw")[1] == FAILED
    assert wire.upload(wire.disk(SIZE, "good"), content(), format="raw")[1] == ["success"]


def test_a_cut_connection_fails_the_task_and_frees_the_disk(wire: Wire) -> None:
    wire.lab.control.set(cut_after=MIB)
    vdi = wire.disk(SIZE)
    assert wire.upload(vdi, content(), format="raw")[1] == FAILED
    wire.call("VDI.destroy", vdi)


def test_a_disk_stays_in_use_for_a_while_when_asked(wire: Wire) -> None:
    wire.lab.control.set(vdi_in_use_s=3600)
    vdi = wire.disk(SIZE)
    wire.upload(vdi, content(), format="raw")
    assert refused(lambda: wire.call("VDI.destroy", vdi)) == ["VDI_IN_USE", vdi, "destroy"]


def test_a_cancelled_task_ends_its_transfer(wire: Wire) -> None:
    wire.lab.control.set(bytes_per_second=1)
    vdi, task = wire.disk(SIZE), wire.task()
    path = wire.path("/import_raw_vdi", vdi=vdi, format="raw", task_id=task)
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {SIZE}\r\n\r\n"
    # The answer's first line comes before the work, so the transfer is under way when it is read.
    with socket.create_connection(("127.0.0.1", wire.lab.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        wire.call("task.cancel", task)
        assert wire.outcome(task) == ["cancelled", "TASK_CANCELLED", task]


def test_a_redirect_leads_to_the_pools_second_host_which_takes_the_disk(wire: Wire) -> None:
    wire.lab.control.set(redirect=True)
    vdi, task = wire.disk(SIZE), wire.task()
    path = wire.path("/import_raw_vdi", vdi=vdi, format="raw", task_id=task)
    answer = wire.request("PUT", path)
    assert answer.status == 302
    assert answer.headers["location"] == f"{wire.lab.second_url}{path}"
    assert wire.call("task.get_status", task) == "pending"
    second = Wire(wire.lab, wire.session, "127.0.0.2")
    assert second.request("PUT", path, content()).status == 200
    assert wire.outcome(task) == ["success"]


def test_a_server_that_dies_answers_nothing_and_comes_back_with_the_disk(wire: Wire) -> None:
    lab = wire.lab
    vdi = wire.disk(SIZE)
    port, pin = lab.port, lab.pin
    lab.control.set(die_after=MIB)
    with pytest.raises(OSError, match=r".*"):
        wire.request("PUT", wire.path("/import_raw_vdi", vdi=vdi, format="raw"), content())
        wire.request("POST", "/RPC2")
    lab.stop()
    lab.start()
    assert (lab.port, lab.pin) == (port, pin)
    assert refused(lambda: wire.call("pool.get_all")) == ["SESSION_INVALID", wire.session]
    assert wire.login().call("VDI.get_name_label", vdi) == "disk"


def test_https_and_http_are_told_apart_on_one_port(wire: Wire) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", wire.lab.port, context=context)
    connection.request("POST", "/RPC2", b"")
    assert connection.getresponse().status == 500
    connection.close()
    assert wire.post("/RPC2", b"").status == 500


def test_a_read_only_disk_is_not_written(wire: Wire) -> None:
    vdi = wire.one("VDI", "guest-tools.iso")
    outcome = wire.upload(vdi, content(2 * MIB), format="raw")[1]
    assert outcome == ["failure", "VDI_READONLY", vdi]
