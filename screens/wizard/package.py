"""Package: what was opened: product, machines, disks, integrity, and what was noticed."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kensho_tui.findings import Severity
from kensho_tui.machine import Appliance
from kensho_tui.migration.draft import Page
from kensho_tui.migration.sessions import Reading
from kensho_tui.migration.units import count, memory, size
from kensho_tui.migration.words import finding_line
from kensho_tui.person import language
from kensho_tui.text import one_line, plain
from kensho_tui.web.address import is_url
from screens.states import FINDING
from screens.widgets.choose import Choice, Choose
from screens.wizard.page import WizardPage

WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
Part = str | tuple[str, str]


class PackagePage(WizardPage):
    """What it is."""

    PAGE = Page.PACKAGE
    HELP_TEXT = """
What the source says of itself, and what was noticed while reading it. Nothing has been moved yet.
An error (✗) closes the way; a warning (!) wants a look.

Where the package has its texts in several languages, l chooses one: for licences, labels and explanations.
e edits the package; what is saved of it is read anew, and what was answered so far is asked again.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "language", "Language", id="package.language"),
        Binding("e", "edit", "Edit", id="package.edit"),
    ]

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(classes="text"):
            yield Static("", markup=False, id="about")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is something to choose only where there are several languages; to edit, where it is a file."""
        if action == "edit":
            return self._file() is not None
        appliance = self.draft.appliance
        return action != "language" or (appliance is not None and len(appliance.languages) > 1)

    def _file(self) -> Path | None:
        """The package, where it is one on this machine."""
        source = self.draft.source
        path = source.package if source is not None else None
        return None if not path or is_url(path) else Path(path)

    def action_edit(self) -> None:
        """Open the editor of the package; what it saves is read anew."""
        path = self._file()
        if path is None:
            return
        from screens.package.editor import PackageEditor

        draft, desk = self.draft, self.wizard.desk
        editor = PackageEditor(desk, path)

        def closed(_: object) -> None:
            if editor.written:
                self.wizard.call(
                    f"Reading {path} …",
                    lambda: draft.load_package(
                        desk.sessions(), str(path), Reading(locale=language())
                    ),
                    self.wizard.changed,
                )

        self.app.push_screen(editor, closed)

    def action_language(self) -> None:
        """Choose the language of the package's texts."""
        appliance = self.draft.appliance
        if appliance is None:
            return
        draft, desk = self.draft, self.wizard.desk

        def picked(language: str | None) -> None:
            if language:
                self.wizard.call(
                    f"Reading the texts in {language} …",
                    lambda: draft.choose_language(desk.sessions(), language),
                    self.wizard.changed,
                )

        choices = [Choice(each, one_line(each)) for each in appliance.languages]
        self.app.push_screen(Choose("Language", choices, appliance.language), picked)

    def refresh_page(self) -> None:
        """Draw what the source says."""
        appliance = self.draft.appliance
        if appliance is None or self.draft.described is None:
            return
        parts = _about(appliance)
        source = self.draft.source
        if source is not None and source.package:
            parts.append(f"\nFile      {one_line(source.package)}")
        elif source is not None:
            parts.append(f"\nFrom      {one_line(source.connection or '')}")
        parts += _machines(appliance)
        findings = sorted(self.draft.described.findings, key=lambda each: WEIGHT[each.severity])
        parts.append(("\n\nWhat was noticed", "bold"))
        for each in findings:
            sign = FINDING[each.severity]
            line = finding_line(each)
            parts += ["\n", (line[:1], f"bold {sign.style}"), line[1:]]
        if not findings:
            parts.append("\nNothing.")
        self.query_one("#about", Static).update(Content.assemble(*parts))


def _about(appliance: Appliance) -> list[Part]:
    parts: list[Part] = [(one_line(appliance.name), "bold")]
    for product in appliance.products[:3]:
        version = product.full_version or product.version
        words = " ".join(each for each in (product.name, version) if each)
        if words or product.vendor:
            parts.append(f"\nProduct   {one_line(words)}")
        if product.vendor:
            parts.append(f"\nVendor    {one_line(product.vendor)}")
    if appliance.description:
        parts.append(f"\n{plain(appliance.description, limit=600).strip()}")
    if len(appliance.languages) > 1:
        others = ", ".join(one_line(x) for x in appliance.languages if x != appliance.language)
        parts.append(f"\nTexts in  {one_line(appliance.language)}  (also {others}: l chooses)")
    total = sum(each.capacity or 0 for each in appliance.disks.values())
    files = sum(each.image_size or 0 for each in appliance.disks.values())
    moving = f", {size(files)} in the package" if files else ""
    parts.append(
        f"\nSize      {count(len(appliance.machines), 'machine')}, "
        f"{count(len(appliance.disks), 'disk')}, {size(total)} when full{moving}"
    )
    return parts


def _machines(appliance: Appliance) -> list[Part]:
    parts: list[Part] = [("\n\nMachines", "bold")]
    for machine in appliance.machines:
        parts.append(("\n" + one_line(machine.name), "bold"))
        system = machine.os.description or machine.os.vendor_id
        facts = [
            f"{machine.processors.count} CPU",
            memory(machine.memory.size),
            machine.firmware.value.upper(),
            one_line(system, limit=40),
        ]
        parts.append("\n  " + "  ".join(each for each in facts if each))
        for number, disk in enumerate(appliance.disks_of(machine)):
            name = one_line(disk.name) or f"disk {number}"
            image = f"  {one_line(disk.image)}" if disk.image else "  blank"
            capacity = size(disk.capacity) if disk.capacity is not None else "size unknown"
            parts.append(f"\n  {name}  {capacity}{image}")
        for number, adapter in enumerate(machine.adapters):
            name = one_line(adapter.name) or f"adapter {number}"
            parts.append(f"\n  {name}  on {one_line(adapter.network or 'no network')}")
    return parts
