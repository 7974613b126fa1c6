"""Source: a package by its path, or machines of a platform."""

from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from kensho_tui.connections import Connection
from kensho_tui.errors import KenshoError
from kensho_tui.migration.draft import Page
from kensho_tui.migration.sessions import Reading
from kensho_tui.migration.units import count
from kensho_tui.ovf import spool
from kensho_tui.person import language
from kensho_tui.text import one_line
from kensho_tui.web.address import is_url, shown
from screens.widgets.file_picker import FilePicker, absolute
from screens.widgets.rows import Cell, Column, Row, Rows
from screens.wizard.machines import MachinePicker, Picked
from screens.wizard.page import WizardPage


class SourcePage(WizardPage):
    """Where the appliance comes from."""

    PAGE = Page.SOURCE
    HELP_TEXT = """
Where the appliance comes from. Type the path of an OVF package (.ova, .ovf, or its folder), or its
address (https://…), and press enter; or look for it with ^o. What is packed (.zip, .ova.gz, .ova.xz) is
unpacked to a temporary file. Or take machines of a platform: choose it below and press enter.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "browse", "Find file", key_display="^o", id="source.browse"),
    ]

    path = getters.query_one("#path", Input)
    platforms = getters.query_one("#connections", Rows)

    def compose(self) -> ComposeResult:
        """Path, then platforms."""
        yield Static("OVF package: path or https:// of the .ova or .ovf, then ⏎", classes="section")
        source = self.draft.source
        field = Input(
            source.package or "" if source else "",
            placeholder="/srv/appliances/shop.ova",
            compact=True,
            id="path",
        )
        field.cursor_blink = False
        yield field
        yield Static("Or machines of a platform", classes="section")
        yield Rows((Column("", 18, middle=True), Column("", 14), Column("", 0)), id="connections")
        yield Static("", markup=False, classes="about", id="found")

    def refresh_page(self) -> None:
        """Draw the connections and what is open."""
        try:
            known = [each for each in self.wizard.desk.book() if each.platform != "package"]
        except KenshoError as error:
            self.wizard.refuse(error)
            known = []
        self._draw(known)

    def _draw(self, known: list[Connection]) -> None:
        rows = [
            Row(each.name, (each.name, each.platform, Cell(each.address, "$foreground-muted")))
            for each in known
        ]
        if not rows:
            rows = [Row("none", ("No platform is known yet: c on the home screen",), heading=True)]
        self.platforms.show(rows)
        self.query_one("#found", Static).update(self._found())

    def _found(self) -> str:
        source, appliance = self.draft.source, self.draft.appliance
        if source is None or appliance is None:
            return "Nothing is open yet."
        where = source.package or source.connection or ""
        machines = count(len(appliance.machines), "machine")
        disks = count(len(appliance.disks), "disk")
        return one_line(f"Open: {appliance.name} from {where}: {machines}, {disks}.")

    @on(Input.Submitted, "#path")
    def _submitted(self, event: Input.Submitted) -> None:
        path = event.value.strip()
        source = self.draft.source
        if not path:
            self.wizard.say("Type the path of a package, or find it with ^o.")
        elif source is not None and source.package == path:
            self.call_later(self.wizard.action_next)
        else:
            self.open_package(path)

    def open_package(self, path: str) -> None:
        """Read the package's descriptor, then show what it is."""
        # The job runs in another process, with another current directory.
        path = path if is_url(path) else str(absolute(path))
        self.path.value = path
        self.path.cursor_position = len(path)
        draft, sessions = self.draft, self.wizard.desk.sessions

        def load() -> None:
            # A package may have been replaced under the same name since it was last read.
            draft.load_package(sessions(), path, Reading(locale=language()))

        text = f"Reading {shown(path) if is_url(path) else path} …"
        if path.lower().endswith((".gz", ".xz", ".zip")):
            text = f"Reading {path}: what is packed goes to a temporary file in {spool.folder()} …"
        self.wizard.call(text, load, self._opened, connection=self._depot(path))

    def _depot(self, path: str) -> str:
        """The connection that says how the package's web server is spoken to; "" where none does."""
        if not is_url(path):
            return ""
        from kensho_tui.web.known import covering

        try:
            found = covering(self.wizard.desk.book(), path)
        except KenshoError as error:
            self.wizard.refuse(error)
            found = None
        return found.name if found else ""

    def _opened(self) -> None:
        self.wizard.changed()
        self.call_later(self.wizard.action_next)

    def action_browse(self) -> None:
        """Find a package with the file picker."""

        def picked(path: str | None) -> None:
            if path:
                self.open_package(path)

        self.app.push_screen(FilePicker(self.path.value), picked)

    @on(Rows.OptionSelected, "#connections")
    def _platform_chosen(self) -> None:
        name = self.platforms.current
        if name is None:
            return

        def picked(found: Picked | None) -> None:
            if found is None:
                return
            draft, sessions = self.draft, self.wizard.desk.sessions
            self.wizard.call(
                f"Reading {count(len(found.machines), 'machine')} of {name} …",
                lambda: draft.load_machines(
                    sessions(), name, found.machines, found.consistency, found.shut_down
                ),
                self._opened,
                connection=name,
            )

        self.app.push_screen(MachinePicker(self.wizard.desk, name), picked)
