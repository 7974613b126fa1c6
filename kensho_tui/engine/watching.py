"""One client's watch: events of the journal in their order, and of the samples the latest."""

import asyncio
from collections.abc import Mapping

from kensho_tui.engine import wire
from kensho_tui.engine.journal import Journal
from kensho_tui.migration.context import Sample

# Events read and written at a time, so that a long replay does not hold up others.
_BATCH = 200


class Watcher:
    """Sends what a client has not seen yet, as fast as that client takes it."""

    def __init__(self, journal: Journal, job: str | None, after: Mapping[str, int]) -> None:
        self._journal = journal
        self._job = job
        self._seen = dict(after)
        self._samples: dict[tuple[str, str], Sample] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """The journal may have grown."""
        self._woken.set()

    def sample(self, job: str, sample: Sample) -> None:
        """Send it, unless a later one of the same step comes before this client takes it."""
        if self._job in {None, job}:
            self._samples[job, sample.step] = sample
            self._woken.set()

    async def send(self, writer: asyncio.StreamWriter) -> None:
        """Send for ever. Raises ConnectionError when the client has gone."""
        while True:
            self._woken.clear()
            for job, last in self._journal.heads().items():
                if self._job in {None, job}:
                    await self._send_events(writer, job, last)
            samples, self._samples = self._samples, {}
            for (job, _), sample in samples.items():
                writer.write(wire.line({"job": job, "sample": wire.sample_to(sample)}))
            await writer.drain()
            await self._woken.wait()

    async def _send_events(self, writer: asyncio.StreamWriter, job: str, last: int) -> None:
        while self._seen.get(job, 0) < last:
            events = self._journal.events(job, self._seen.get(job, 0), _BATCH)
            if not events:
                return
            for event in events:
                writer.write(wire.line({"event": wire.event_to(event)}))
            self._seen[job] = events[-1].n
            await writer.drain()
