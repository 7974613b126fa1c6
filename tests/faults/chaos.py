"""A TCP proxy on loopback that does to connections what networks do: once, at a place it is told.

TLS passes through untouched, so that the certificate stays that of the server behind it. Places are
counted over all connections since the last `Chaos.arm`: bytes of one direction, or turns, where a
turn is the first piece of a request (``UP``) or of its answer (``DOWN``).
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")

_PIECE = 64 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: closing sends RST
_DEADLINE_S = 30.0


class Way(StrEnum):
    """Direction of bytes."""

    UP = "up"  # from the client to the server
    DOWN = "down"


class Mishap(StrEnum):
    """What happens to the connection that comes to the place."""

    CUT = "cut"  # closed on both sides, in order
    RESET = "reset"  # RST to both sides
    HALF = "half"  # this direction ends with FIN, the other goes on
    TRICKLE = "trickle"  # ``rate`` bytes a second for ``seconds``
    DELAY = "delay"  # nothing of this direction for ``seconds``, then as if nothing had been
    STALL = "stall"  # nothing for ``seconds``, then RST
    DOWN = "down"  # every connection is reset, and none made, for ``seconds``
    HOLD = "hold"  # nothing until `Chaos.release`: for what somebody else does meanwhile


@dataclass(frozen=True)
class Place:
    """Where it happens: at the nth byte, or at the nth turn, of a direction; counted from 0."""

    way: Way
    nth: int
    turns: bool = False


@dataclass(frozen=True)
class Rule:
    """One mishap. ``times``: how often, each time after as many bytes or turns as the first."""

    mishap: Mishap
    place: Place
    seconds: float = 1.0
    rate: int = 64 << 10
    times: int = 1


@dataclass(eq=False)
class _Wire:
    """One connection of a client and the one to the server that was made for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    last: Way | None = None
    slow_until: dict[Way, float] = field(default_factory=dict)
    ended: set[Way] = field(default_factory=set)

    def end(self, *, reset: bool) -> None:
        for writer in (self.client, self.server):
            if reset:
                sock = writer.get_extra_info("socket")
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
            else:
                writer.close()


class Chaos:
    """The proxy in front of one server; a context manager. Thread-safe.

    Attributes:
        port: where it listens on 127.0.0.1.
        reached: set once the place of the rule was come to.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = host, port
        self.port = 0
        self.reached = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos", daemon=True)
        self._server: asyncio.Server
        self._wires: set[_Wire] = set()
        self._rule: Rule | None = None
        self._left = 0
        self._at = 0
        self._bytes = dict.fromkeys(Way, 0)
        self._turns = dict.fromkeys(Way, 0)
        self._released = asyncio.Event()
        self._closed_until = 0.0

    # ---------------------------------------------------------------------------- from any thread
    def __enter__(self) -> "Chaos":
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def arm(self, rule: Rule | None) -> None:
        """Count anew, and have that happen (None: nothing) to what comes to the place."""
        self._do(self._arm(rule))

    def release(self) -> None:
        """Let pass what is held."""
        self._do(self._release())

    @property
    def passed(self) -> dict[str, int]:
        """Bytes and turns of each direction since the last `arm`."""
        return {f"{way} bytes": self._bytes[way] for way in Way} | {
            f"{way} turns": self._turns[way] for way in Way
        }

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(_DEADLINE_S)

    # --------------------------------------------------------------------------------- in the loop
    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        self._released.set()
        for wire in [*self._wires]:
            wire.end(reset=False)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _arm(self, rule: Rule | None) -> None:
        self._released.set()  # whoever is still held by the rule before
        self._released = asyncio.Event()
        self.reached.clear()
        self._rule, self._left = rule, rule.times if rule else 0
        self._at = rule.place.nth if rule else 0
        self._bytes = dict.fromkeys(Way, 0)
        self._turns = dict.fromkeys(Way, 0)
        self._closed_until = 0.0

    async def _release(self) -> None:
        self._released.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._loop.time() < self._closed_until:
                raise ConnectionRefusedError
            up, server = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()  # as near as one comes to a port where nobody listens
            return
        wire = _Wire(writer, server)
        self._wires.add(wire)
        try:
            await asyncio.gather(
                self._pump(wire, Way.UP, reader, server), self._pump(wire, Way.DOWN, up, writer)
            )
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone: so is the other; or the proxy ends
        finally:
            wire.end(reset=False)
            self._wires.discard(wire)

    async def _pump(
        self, wire: _Wire, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_PIECE):
            before, after = self._split(wire, way, data)
            await self._send(wire, way, writer, before)
            if after is not None:
                await self._befall(wire, way, writer)
                await self._send(wire, way, writer, after)
        if way not in wire.ended:
            wire.ended.add(way)
            with suppress(OSError):
                writer.write_eof()

    def _split(self, wire: _Wire, way: Way, data: bytes) -> tuple[bytes, bytes | None]:
        """What passes before the mishap, and what comes after it; None where there is none here."""
        bytes_before, turns_before = self._bytes[way], self._turns[way]
        self._bytes[way] += len(data)
        if wire.last is not way:
            self._turns[way] += 1
        wire.last = way
        rule = self._rule
        if rule is None or not self._left or rule.place.way is not way:
            return data, None
        if rule.place.turns:
            return (b"", data) if turns_before <= self._at < self._turns[way] else (data, None)
        cut = self._at - bytes_before
        return (data[:cut], data[cut:]) if 0 <= cut < len(data) else (data, None)

    async def _send(self, wire: _Wire, way: Way, writer: asyncio.StreamWriter, data: bytes) -> None:
        if way in wire.ended:
            return
        rate = self._rule.rate if self._rule else _PIECE
        while data and self._loop.time() < wire.slow_until.get(way, 0.0):
            piece, data = data[: max(1, rate // 20)], data[max(1, rate // 20) :]
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        if data:
            writer.write(data)
            await writer.drain()

    async def _befall(self, wire: _Wire, way: Way, writer: asyncio.StreamWriter) -> None:
        rule = self._rule
        assert rule is not None
        self._left -= 1
        self._at += max(1, rule.place.nth)
        self.reached.set()
        match rule.mishap:
            case Mishap.CUT | Mishap.RESET:
                wire.end(reset=rule.mishap is Mishap.RESET)
                raise ConnectionResetError
            case Mishap.HALF:
                wire.ended.add(way)
                writer.write_eof()
            case Mishap.TRICKLE:
                wire.slow_until[way] = self._loop.time() + rule.seconds
            case Mishap.DELAY:
                await asyncio.sleep(rule.seconds)
            case Mishap.STALL:
                await asyncio.sleep(rule.seconds)
                wire.end(reset=True)
                raise ConnectionResetError
            case Mishap.DOWN:
                self._closed_until = self._loop.time() + rule.seconds
                for each in [*self._wires]:
                    each.end(reset=True)
                raise ConnectionResetError
            case Mishap.HOLD:
                await self._released.wait()
