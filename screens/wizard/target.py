"""Target: the platform, and the pool or host there; or a package on disk."""

from pathlib import Path
from typing import ClassVar, Literal

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from backends.base import Kind
from kensho_tui.connections import Connection
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Page
from kensho_tui.migration.target import HomeRow
from kensho_tui.migration.units import memory
from kensho_tui.text import one_line
from screens.states import BAD, DONE
from screens.widgets.ask import Ask
from screens.widgets.file_picker import absolute
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.wizard.page import WizardPage

TARGETS = (Column("", 1), Column("", 18, middle=True), Column("", 0))
HOMES = (Column("", 1), Column("", 24, middle=True), Column("", 0))
PACKAGE = "package:"


class TargetPage(WizardPage):
    """Where the appliance goes."""

    PAGE = Page.TARGET
    HELP_TEXT = """
The platform the machines go to: enter takes the one under the cursor. Then, below, the pool or host
on it; one that does not fit says why. A pool lets the platform choose the host. The last row writes
an OVF package instead.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "again", "Read again", id="target.again"),
    ]

    targets = getters.query_one("#targets", Rows)
    homes = getters.query_one("#homes", Rows)

    def compose(self) -> ComposeResult:
        """Platforms, then pools and hosts."""
        yield Static("Platform", classes="section")
        yield Rows(TARGETS, id="targets")
        yield Static("Pool or host", classes="section", id="homes-title")
        yield Rows(HOMES, id="homes")
        yield Static("", markup=False, classes="about", id="why")

    def refresh_page(self) -> None:
        """Draw the platforms, and what the chosen one has."""
        try:
            known = [each for each in self.wizard.desk.book() if each.platform != "package"]
        except KenshoError as error:
            self.wizard.refuse(error)
            known = []
        self._draw(known)

    def _draw(self, known: list[Connection]) -> None:
        place = self.draft.target_view
        rows = []
        for each in known:
            here = place is not None and place.connection == each.name
            where = f"{each.platform}  {each.address}"
            rows.append(
                Row(
                    each.name,
                    (Cell(DONE.glyph if here else "", DONE.style), each.name, _dim(where)),
                )
            )
        written = place.package if place is not None else ""
        mark = Cell(DONE.glyph if written else "", DONE.style)
        text = written or "an .ova file or a folder, to be written on this machine"
        rows.append(Row(PACKAGE, (mark, "OVF package", _dim(text))))
        fresh = not self.targets.rows
        self.targets.show(rows)
        if fresh and place is not None:
            self.targets.go_to(place.connection or PACKAGE)
        self._draw_homes()

    def _draw_homes(self) -> None:
        homes = self.draft.homes()
        self.query_one("#homes-title").display = bool(homes)
        self.homes.display = bool(homes)
        chosen = self.draft.home()
        rows = []
        for each in homes:
            here = each.ref == chosen.ref
            sign = DONE if here else BAD if each.reason else None
            glyph = Cell(sign.glyph, sign.style) if sign else ""
            indent = "  " if each.pool is not None else ""
            name = f"{indent}{each.ref.name or each.ref.id}"
            rows.append(Row(_key(each), (glyph, name, _about(each, chosen.why if here else ""))))
        fresh = not self.homes.rows
        self.homes.show(rows)
        for each in homes:
            if fresh and each.ref == chosen.ref:
                self.homes.go_to(_key(each))
        self._explain()

    @on(Rows.OptionHighlighted)
    def _explain(self) -> None:
        rows = {_key(each): each for each in self.draft.homes()}
        row = rows.get(self.homes.current or "") if self.homes.display else None
        text = ""
        if row is not None:
            reason = f"does not fit: {row.reason}" if row.reason else _about(row, "").text
            version = f", version {row.version}" if row.version else ""
            text = one_line(f"{row.ref.name or row.ref.id}: {reason}{version}.")
        self.query_one("#why", Static).update(Content(text))

    def hint(self) -> str:
        """What is chosen."""
        place, home = self.draft.target_view, self.draft.home()
        if place is None or home.ref is None:
            return ""
        return f"{home.ref.name} on {place.connection} ({home.why}). Next: Mapping (^n)."

    @on(Rows.OptionSelected, "#targets")
    def _target_chosen(self) -> None:
        name = self.targets.current
        place = self.draft.target_view
        if name == PACKAGE:
            self._ask_path()
        elif name is not None and place is not None and place.connection == name:
            if self.homes.display:
                self.homes.focus()
        elif name is not None:
            self.load(name)

    def load(self, name: str) -> None:
        """Read what the platform has."""
        draft, sessions = self.draft, self.wizard.desk.sessions
        self.wizard.call(
            f"Reading what {name} has …",
            lambda: draft.load_target(sessions(), name),
            self._loaded,
            connection=name,
        )

    def action_again(self) -> None:
        """Read the platform again."""
        place = self.draft.target_view
        if place is not None and place.connection:
            self.load(place.connection)

    def _loaded(self) -> None:
        self.wizard.changed()
        if self.draft.homes() and not self.draft.home().decided:
            self.call_after_refresh(self.homes.focus)

    def _ask_path(self) -> None:
        start = str(Path.cwd() / f"{self.draft.name or 'appliance'}.ova")

        def given(path: str | None) -> None:
            if path:
                path = str(absolute(path))
                format: Literal["ova", "ovf"] = "ova" if path.lower().endswith(".ova") else "ovf"
                draft, sessions = self.draft, self.wizard.desk.sessions
                self.wizard.call(
                    f"Looking at {path} …",
                    lambda: draft.load_target_package(sessions(), path, format),
                    self._loaded,
                )

        text = "Where to write it: a path ending in .ova, or a folder for the files of an OVF."
        self.app.push_screen(Ask("OVF package", text, value=start), given)

    @on(Rows.OptionSelected, "#homes")
    def _home_chosen(self) -> None:
        rows = {_key(each): each.ref for each in self.draft.homes()}
        ref = rows.get(self.homes.current or "")
        if ref is not None:
            self.attempt(lambda: self.draft.choose_home(ref))


def _key(home: HomeRow) -> str:
    return f"{home.ref.kind}:{home.ref.id}"


def _about(home: HomeRow, why: str) -> Cell:
    if home.reason:
        return Cell(home.reason, BAD.style)
    kind = "pool" if home.ref.kind is Kind.POOL else "host"
    free = f", {memory(home.memory_free)} of memory free" if home.memory_free else ""
    return _dim(f"{kind}{free}{f' ({why})' if why else ''}")


def _dim(text: str) -> Cell:
    return Cell(text, "$foreground-muted")
