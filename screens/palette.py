"""The command palette's list of what can be done on the screen one is on."""

from collections.abc import AsyncIterator
from functools import partial

from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Provider


class ScreenCommands(Provider):
    """Every key of the screen, found by its name."""

    def _found(self) -> list[ActiveBinding]:
        return [
            active
            for active in self.screen.active_bindings.values()
            if active.enabled and active.binding.description and active.binding.show
        ]

    async def _run(self, active: ActiveBinding) -> None:
        await self.app.run_action(active.binding.action, default_namespace=active.node)

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """All of them, before anything is typed."""
        for active in self._found():
            yield DiscoveryHit(
                active.binding.description,
                partial(self._run, active),
                help=f"Key: {self.app.get_key_display(active.binding)}",
            )

    async def search(self, query: str) -> AsyncIterator[Hit]:
        """Those that match what was typed."""
        matcher = self.matcher(query)
        for active in self._found():
            score = matcher.match(active.binding.description)
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(active.binding.description),
                    partial(self._run, active),
                    help=f"Key: {self.app.get_key_display(active.binding)}",
                )
