"""A client of the lab as plain as can be, sharing no code with the product or with the lab."""

import http.client
import json
import socket
import struct
import xmlrpc.client
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from kensho_tui.lab import XenLab

MIB = 1024**2


class FailureError(Exception):
    """What the host answers to a call it refuses."""

    def __init__(self, description: list[str]) -> None:
        super().__init__(*description)
        self.description = description


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """One session, over plain HTTP; a connection a request."""

    lab: XenLab
    session: str = ""
    address: str = field(default="127.0.0.1")

    def login(self) -> "Wire":
        self.session = self.xml(
            "session.login_with_password", self.lab.username, self.lab.password, "2.21", "test"
        )
        return self

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        return self.request("POST", path, body, headers or {"Content-Type": "text/xml"})

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.address, self.lab.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            names = {k.lower(): v for k, v in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def xml(self, method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, method).encode()
        ((answer,), _) = xmlrpc.client.loads(self.post("/RPC2", body).body)
        assert isinstance(answer, dict)
        if answer["Status"] != "Success":
            raise FailureError(answer["ErrorDescription"])
        return answer["Value"]

    def json(self, method: str, *params: Any) -> Any:
        question = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        answer = json.loads(self.post("/jsonrpc", json.dumps(question).encode()).body)
        if "error" in answer:
            raise FailureError([answer["error"]["message"], *answer["error"]["data"]])
        return answer["result"]

    def call(self, method: str, *params: Any) -> Any:
        """By XML-RPC, with the session."""
        return self.xml(method, self.session, *params)

    def one(self, cls: str, label: str) -> str:
        (ref,) = self.call(f"{cls}.get_by_name_label", label)
        return str(ref)

    def disk(self, size: int, name: str = "disk", sr: str = "local-sr") -> str:
        record = {
            "name_label": name,
            "SR": self.one("SR", sr),
            "virtual_size": str(size),
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
        }
        return str(self.call("VDI.create", record))

    def task(self) -> str:
        return str(self.call("task.create", "test", ""))

    def path(self, name: str, **params: str) -> str:
        return f"{name}?{urlencode({'session_id': self.session, **params})}"

    def upload(self, vdi: str, body: bytes, **params: str) -> tuple[Answer | None, list[str]]:
        """Send a disk: the HTTP answer (None: cut) and the task's status and error."""
        task = self.task()
        path = self.path("/import_raw_vdi", vdi=vdi, task_id=task, **params)
        try:
            answer: Answer | None = self.request("PUT", path, body)
        except (OSError, http.client.HTTPException):
            answer = None
        return answer, self.outcome(task)

    def outcome(self, task: str) -> list[str]:
        """How a task ended; waits for its end by events."""
        token = ""
        while True:
            record = self.call("task.get_record", task)
            if record["status"] not in {"pending", "cancelling"}:
                return [record["status"], *record["error_info"]]
            token = self.call("event.from", [f"task/{task}"], token, 5.0)["token"]

    def content(self, vdi: str) -> bytes:
        uuid = self.call("VDI.get_uuid", vdi)
        return self.lab.toolstack.disks.path(uuid).read_bytes()

    def raw_request(self, head: str, body: bytes) -> bytes:
        """Send bytes as they are and read until the end."""
        with socket.create_connection((self.address, self.lab.port), timeout=30) as connection:
            connection.sendall(head.encode() + body)
            pieces = []
            try:
                while piece := connection.recv(65536):
                    pieces.append(piece)
            except ConnectionResetError:
                pieces.append(b"")
            return b"".join(pieces)


def refused(call: Callable[[], object]) -> list[str]:
    """The description of the failure a call ends with."""
    try:
        call()
    except FailureError as failure:
        return failure.description
    raise AssertionError("nothing was refused")


def frames(*pieces: tuple[int, bytes]) -> bytes:
    """XAPI's own framing, with its end."""
    body = b"".join(struct.pack("<QI", offset, len(data)) + data for offset, data in pieces)
    return body + struct.pack("<QI", 0, 0)


def machine(template: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A whole VM record from a template's."""
    return {**template, "is_a_template": False, **changes}
