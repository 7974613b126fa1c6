"""Disks over HTTP: ``PUT /import_raw_vdi`` and ``GET /export_raw_vdi``.

Follows ``ocaml/xapi/import_raw_vdi.ml``, ``export_raw_vdi.ml``, ``importexport.ml`` and
``vhd_tool_wrapper.ml``:

* the 200 goes out before the first byte is looked at; whether it worked is in the task alone;
* an unknown format is 404 and ``INTERNAL_ERROR``, so is any Transfer-Encoding, so is a VHD with
  XAPI's own ``chunked`` framing (u64 offset, u32 length, little endian, data; the end is 0 and 0);
* whatever goes wrong while bytes flow ends the task with ``VDI_IO_ERROR`` and the connection
  without another word; the reason is in the host's log;
* without ``vdi``, raw bytes of a known length make a disk "Imported VDI" in ``sr_id``/``sr_uuid``;
* an export has no Content-Length and ends with the connection.
"""

import logging
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from kensho_tui.lab.xen import vhd
from kensho_tui.lab.xen.calls import Context
from kensho_tui.lab.xen.diskfile import OpenDisk, allocated_blocks
from kensho_tui.lab.xen.fault import Fault, io_error
from kensho_tui.lab.xen.schema import NULL, Wire
from kensho_tui.lab.xen.storage import create as create_vdi
from kensho_tui.lab.xen.toolstack import Toolstack

LOG = logging.getLogger("kensho.lab")

_FRAME = struct.Struct("<QI")
_PIECE = 256 * 1024
TYPES = {"raw": "application/octet-stream", "vhd": "application/vhd"}


class Channel(Protocol):
    """The connection a transfer runs over."""

    def read(self, size: int) -> bytes:
        """Up to so many bytes of the body; empty at its end."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def status(self, code: int, headers: dict[str, str]) -> None:
        """Send a status line and headers; the connection closes after the body."""
        ...

    def cut(self) -> None:
        """Drop the connection, from any thread."""
        ...


class Refused(Exception):
    """The transfer does not begin. ``code`` is the HTTP status."""

    def __init__(self, code: int, fault: Fault) -> None:
        super().__init__(code)
        self.code = code
        self.fault = fault


class Cut(Exception):
    """A mode ends the connection (or the server)."""


@dataclass(frozen=True)
class Request:
    """A request line and what matters of its headers; parameters from query and cookie."""

    method: str
    path: str
    query: str
    params: dict[str, str]
    length: int | None
    encoding: str

    @classmethod
    def parse(cls, method: str, target: str, headers: dict[str, str]) -> "Request":
        """From the request line's target and the headers (names in lower case)."""
        url = urlsplit(target)
        cookie = {k: m.value for k, m in SimpleCookie(headers.get("cookie", "")).items()}
        params = cookie | dict(parse_qsl(url.query, keep_blank_values=True))
        length = headers.get("content-length", "")
        return cls(
            method,
            # xen-api's client writes a slash after the name, which hosts take.
            url.path.rstrip("/"),
            url.query,
            params,
            int(length) if length.isdigit() else None,
            headers.get("transfer-encoding", ""),
        )


class Body:
    """The body of an import, with the modes applied as bytes arrive."""

    def __init__(self, transfer: "Transfer", wire: Channel, length: int | None) -> None:
        self._transfer = transfer
        self._wire = wire
        self._left = length
        self.taken = 0

    def some(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end."""
        if self._left is not None:
            size = min(size, self._left)
        data = self._wire.read(size) if size else b""
        if self._left is not None:
            if size and not data:
                raise vhd.VhdError("the connection ended before the body")
            self._left -= len(data)
        self.taken += len(data)
        self._transfer.passed(self.taken, len(data))
        return data

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: VhdError: the body ends before."""
        pieces = []
        while size:
            piece = self.some(min(size, _PIECE))
            if not piece:
                raise vhd.VhdError("the image ends before it should")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def at_end(self) -> bool:
        """Whether every byte announced was taken."""
        return self._left in {0, None}


class Transfer:
    """One import or export. Runs in the connection's thread."""

    def __init__(
        self,
        stack: Toolstack,
        request: Request,
        wire: Channel,
        session: str,
        die: Callable[[], None],
    ) -> None:
        """Args: die: what the mode ``die_after`` calls."""
        self._stack = stack
        self._request = request
        self._wire = wire
        self._session = session
        self._die = die
        self._shown = 0.0
        self._sent = 0
        # What progress is measured against; an export finds it out later.
        self._whole = request.length or 0
        given = request.params.get("task_id", "")
        known = stack.database.exists("task", given)
        label = "Importing raw VDI" if request.method == "PUT" else "Exporting raw VDI"
        self.task = given if known else stack.tasks.create(label, host=stack.master)
        self._cancelled = threading.Event()

    def redirect(self, address: str) -> None:
        """Send the client to another host, query and all."""
        url = f"{address}{self._request.path}?{self._request.query}"
        self._wire.status(302, {"Location": url})

    def run(self) -> None:
        """Do it. Whatever happens is in the task; nothing is raised but `Cut`."""
        self._stack.tasks.stoppable(self.task, self._stop)
        try:
            if self._request.method == "PUT":
                vdi = self._import()
                self._stack.tasks.complete(self.task, f"<value>{vdi}</value>")
            else:
                self._export()
                self._stack.tasks.complete(self.task)
        except Refused as refused:
            self._stack.tasks.fail(self.task, refused.fault)
            self._wire.status(refused.code, {})
        except Fault as fault:
            self._stack.tasks.fail(self.task, fault)
        except (vhd.VhdError, OSError, ValueError) as error:
            # The client learns no more than this; the reason is for whoever reads the host's log.
            LOG.warning("%s %s: %s", self._request.method, self._request.path, error)
            self._stack.tasks.fail(self.task, self._why(error))
        finally:
            self._stack.tasks.stoppable(self.task, None)

    def _why(self, error: Exception) -> Fault:
        full = isinstance(error, OSError) and error.errno == 28
        if full and self._stack.modes.full_code != "VDI_IO_ERROR":
            return Fault(self._stack.modes.full_code, "0", "0")
        return io_error()

    def _stop(self) -> None:
        self._cancelled.set()
        self._wire.cut()

    def passed(self, total: int, now: int) -> None:
        """Apply the modes after ``now`` more bytes of ``total`` passed; show progress."""
        modes = self._stack.modes
        if modes.die_after is not None and total > modes.die_after:
            self._die()
            raise Cut
        if modes.cut_after is not None and total > modes.cut_after:
            self._wire.cut()
            raise OSError("the connection is cut")
        if self._cancelled.is_set() or self._stack.stopping.is_set():
            raise Fault("TASK_CANCELLED", self.task)
        if modes.bytes_per_second:
            self._stack.stopping.wait(now / modes.bytes_per_second)
        if self._whole and time.monotonic() - self._shown > 0.2:
            self._shown = time.monotonic()
            self._stack.tasks.progress(self.task, total / self._whole)

    # ------------------------------------------------------------------------------------ import
    def _format(self) -> str:
        name = self._request.params.get("format", "raw").lower()
        if name not in TYPES:
            raise Refused(404, Fault("INTERNAL_ERROR", f"Unknown format {name}"))
        return name

    def _import(self) -> str:
        request = self._request
        kind = self._format()
        chunked = "chunked" in request.params
        if chunked and kind != "raw":
            raise Refused(404, Fault("INTERNAL_ERROR", "Cannot handle chunked VHD"))
        if request.encoding:
            reason = f"Cannot handle encoding: {request.encoding}"
            raise Refused(404, Fault("INTERNAL_ERROR", reason))
        vdi = self._target(kind)
        self._wire.status(200, {"task-id": self.task, "Content-Type": TYPES["raw"]})
        record = self._stack.database.record("VDI", vdi)
        wanted = self._stack.modes.refuse_disk
        if wanted and wanted in {"*", vdi, record["uuid"], record["name_label"]}:
            raise io_error()
        if record["read_only"]:
            raise Fault("VDI_READONLY", vdi)
        self._stack.usage.claim(vdi, "attach")
        try:
            path = self._stack.disks.path(record["uuid"])
            disk = OpenDisk(path, record["virtual_size"], lambda size: self._take(vdi, size))
            try:
                self._fill(disk, kind, chunked=chunked)
            finally:
                disk.close()
        finally:
            self._stack.usage.release(vdi, self._stack.modes.vdi_in_use_s)
        return vdi

    def _target(self, kind: str) -> str:
        params, database = self._request.params, self._stack.database
        try:
            if "vdi" in params:
                return database.reference("VDI", params["vdi"])
            if "sr_id" in params or "sr_uuid" in params:
                sr = database.reference("SR", params.get("sr_id") or params["sr_uuid"])
                return self._new_disk(sr, kind)
        except Fault as fault:
            raise Refused(400, fault) from None
        raise Refused(400, Fault("VDI_MISSING"))

    def _new_disk(self, sr: str, kind: str) -> str:
        if kind == "vhd":
            reason = "Importing a VHD directly into an SR not yet supported"
            raise Fault("INTERNAL_ERROR", reason)
        if self._request.length is None:
            raise Fault("INTERNAL_ERROR", "Not enough info supplied to import")
        values = {
            "name_label": "Imported VDI",
            "SR": sr,
            "virtual_size": self._request.length,
            "type": "user",
            "sharable": False,
            "read_only": False,
            "other_config": {},
        }
        with self._stack.database.lock:
            return create_vdi(Context(self._stack, self._session, Wire.XML), values)

    def _take(self, vdi: str, size: int) -> None:
        limit = self._stack.modes.full_after
        if limit is not None and self._body.taken > limit:
            raise OSError(28, "No space left on device")
        self._stack.usage.take(vdi, size)

    def _fill(self, disk: OpenDisk, kind: str, *, chunked: bool) -> None:
        self._body = body = Body(self, self._wire, self._request.length)
        if kind == "vhd":
            vhd.expand(body, disk.pwrite)
            if not body.at_end():
                raise vhd.VhdError("bytes follow the end of the image")
        elif chunked:
            while True:
                offset, length = _FRAME.unpack(body.read(_FRAME.size))
                if not offset and not length:
                    break
                disk.pwrite(offset, body.read(length))
        else:
            at = 0
            while piece := body.some(_PIECE):
                disk.pwrite(at, piece)
                at += len(piece)

    # ------------------------------------------------------------------------------------ export
    def _export(self) -> None:
        kind = self._format()
        try:
            vdi = self._stack.database.reference("VDI", self._request.params.get("vdi", NULL))
        except Fault as fault:
            raise Refused(400, fault) from None
        record = self._stack.database.record("VDI", vdi)
        headers = {
            "task-id": self.task,
            "Content-Type": TYPES[kind],
            "Content-Disposition": f'attachment; filename="{record["uuid"]}.{kind}"',
        }
        self._wire.status(200, headers)
        if "base" in self._request.params:
            raise Fault("INTERNAL_ERROR", "Cannot compute differences on non-VHD images")
        self._stack.usage.claim(vdi, "export")
        try:
            with self._stack.disks.path(record["uuid"]).open("rb") as file:
                handle, size = file.fileno(), int(record["virtual_size"])
                self._whole = size
                if kind == "raw":
                    pieces = (os.pread(handle, _PIECE, at) for at in range(0, size, _PIECE))
                    for piece in pieces:
                        self._send(piece)
                else:
                    blocks = sorted(allocated_blocks(handle))
                    self._whole = len(blocks) * vhd.BLOCK
                    for piece in vhd.compose(
                        size, blocks, lambda at, n: os.pread(handle, n, at).ljust(n, b"\0")
                    ):
                        self._send(piece)
        finally:
            self._stack.usage.release(vdi, self._stack.modes.vdi_in_use_s)

    def _send(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._wire.write(piece)
            self._sent += len(piece)
            limit = self._stack.modes.error_in_body
            if limit is not None and self._sent > limit:
                # What a host does that fails after its 200: a second answer inside the body.
                self._wire.write(b"HTTP/1.1 500 Internal Error\r\nconnection:close\r\n\r\n")
                raise io_error()
            self.passed(self._sent, len(piece))
