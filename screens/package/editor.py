"""The editor of one package: the tree at the left, the form at the right, what is wrong with it at the foot."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import events, getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Footer

from kensho_tui.cancel import CancelledError
from kensho_tui.errors import KenshoError
from kensho_tui.findings import Severity
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.outline import Made, Node, Outline
from kensho_tui.ovf.unsaved import Unsaved
from kensho_tui.ovf.workbench import Noticed
from kensho_tui.text import one_line
from screens.base import sentence
from screens.desk import Desk
from screens.package.asking import ask_addition, ask_option, ask_value
from screens.package.branches import Branches, Entered
from screens.package.form import Fields, Form
from screens.package.keeping import Keeping
from screens.package.listed import Listed, summary
from screens.package.threads import (
    ChangedOutside,
    Looked,
    Opened,
    PackageThreads,
    Progressed,
    Saved,
    Unkept,
)
from screens.states import BAD, DONE, LOOK, RUNNING, Sign
from screens.widgets.quiet import Quiet
from screens.widgets.reason import ReasonLine
from screens.widgets.rows import Rows
from screens.widgets.title import TitleLine

_LOOK_EVERY_S = 5.0
_OF_A_PACKAGE = frozenset({
    "add", "remove", "undo", "redo", "option", "findings", "save", "save_as",
})  # fmt: skip


class PackageEditor(PackageThreads):
    """One package. Nothing is written before it is saved."""

    CSS_PATH = "editor.tcss"
    AUTO_FOCUS = "Branches"
    HELP_TITLE = "Editing a package"
    HELP_TEXT = """
At the left what is in the package, at the right what the thing under the cursor says of itself. ⏎ goes to the
right and changes what is there; ← goes back. What is grey cannot be changed here; the line below says why.

a adds something to what the cursor is on: a device to a machine, a network to the networks. x takes it out.
Every step can be undone (u) and made again (^y).

Where the package has deployment options, o chooses the one whose hardware and defaults you edit. The others
keep what they have.

f lists what is wrong with the package as it is now, by the standard and by what each target makes of it.

s shows what changed, in words and as XML, and saves; w saves as another package. Before that, every file is
compared with the manifest that is there; the new package takes the old one's place when it is whole. A
signature is lost by it, and is made again with 'kensho package sign'.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "Add", id="package.add"),
        Binding("x,delete", "remove", "Remove", id="package.remove"),
        Binding("u,ctrl+z", "undo", "Undo", id="package.undo"),
        Binding("ctrl+y,ctrl+r", "redo", "Redo", id="package.redo"),
        Binding("o", "option", "Option", id="package.option"),
        Binding("f", "findings", "Findings", id="package.findings"),
        Binding("s", "save", "Save", id="package.save"),
        Binding("w", "save_as", "Save as", show=False, id="package.save-as"),
        Binding("escape", "close", "Close", id="package.close"),
        Binding("q", "leave_program", "Leave", show=False, id="package.leave"),
    ]

    branches = getters.query_one(Branches)
    form = getters.query_one(Form)
    reason = getters.query_one(ReasonLine)
    title_line = getters.query_one(TitleLine)

    def __init__(self, desk: Desk, path: Path) -> None:
        super().__init__(desk, path)
        self.outline: Outline | None = None
        self.found: Noticed | None = None
        self.keeping = Keeping(self)
        self.written = False  # whether something was saved

    def compose(self) -> ComposeResult:
        """Tree and form, reason, what was noticed, keys."""
        yield TitleLine(f"Package ▸ {self.path.name}")
        with Horizontal(id="work"):
            yield Branches(id="tree")
            yield Form(id="form")
        yield ReasonLine()
        yield Quiet("", id="noticed")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Open the package."""
        self.open_anew()
        self.set_interval(_LOOK_EVERY_S, self._watch)

    def on_unmount(self) -> None:
        """A closed terminal ends what is being written."""
        self.keeping.end()

    def unsaved(self) -> str:
        """What is lost where one leaves now; "" for nothing."""
        if self.bench is None or not self.bench.changed:
            return ""
        return f"The changes of {one_line(self.path.name)} are not saved."

    # -------------------------------------------------------------------------------------- opening
    def open_anew(self) -> None:
        """Open what is there now; changes are dropped."""
        self.found = None
        self.reason.say(f"Opening {self.path} …", RUNNING)
        self.open_package()

    @on(Opened)
    def _opened(self, message: Opened) -> None:
        if message.bench is None:
            if message.error is not None:
                self.say_error(message.error)
            return
        self.bench = message.bench
        self.keeping.outside = ""
        self.say(
            "⏎ changes what the cursor is on, a adds to it. Nothing is written before you save."
        )
        # What is kept stays until it is decided what becomes of it.
        self.keeps = message.kept is None
        self.redraw()
        if message.kept is not None:
            self.keeping.ask_take_up(message.kept)

    def take_up(self, found: Unsaved) -> None:
        """Go on with what was not saved."""
        self.keeps = True
        if self.bench is not None:
            try:
                said = self.bench.take_up(found)
            except KenshoError as error:
                self.refuse(sentence(error))
                return
            self._told(said, "Taken up: ")

    def forget(self) -> None:
        """Drop what was kept."""
        self.keeps = True
        if self.bench is not None:
            self.keep(self.bench.to_keep(), self.version)

    def leave_kept(self) -> None:
        """Leave what was kept for another time; what is done now is not kept beside it."""
        self.keeps = False
        self.say(
            "Left for later. What you change now is lost if this terminal is, until it is saved.",
            LOOK,
        )

    @on(Unkept)
    def _unkept(self, message: Unkept) -> None:
        self.keeps = False
        self.say(f"{sentence(message.error)} A lost terminal would lose your changes.", LOOK)

    # -------------------------------------------------------------------------------------- drawing
    def redraw(self) -> None:
        """Draw all anew after a step, and look at what is wrong now."""
        bench = self.bench
        if bench is None:
            return
        self.version += 1
        self.outline = bench.outline()
        self._draw_tree()
        self._draw_form()
        self._draw_title()
        self._draw_noticed(fresh=False)
        self.look(bench.snapshot(), bench.sizes(), self.version)
        if self.keeps:
            self.keep(bench.to_keep(), self.version)

    def _draw_tree(self) -> None:
        if self.outline is None:
            return
        marks: dict[str, Severity] = {}
        for each in self.found.findings if self.found else ():
            node = self.outline.at(each)
            for one in (node, *self.outline.above(node.id)):
                marks.setdefault(one.id, each.severity)  # the worst come first
        self.branches.show_outline(self.outline, marks)

    @property
    def node(self) -> Node | None:
        """The node under the cursor."""
        here = self.branches.current
        return self.outline.nodes.get(here) if self.outline is not None and here else None

    def _draw_form(self) -> None:
        node = self.node
        if node is not None and self.bench is not None:
            self.form.show_node(node, self.bench.configuration or "")
        self.refresh_bindings()

    def _draw_title(self) -> None:
        bench = self.bench
        if bench is None:
            return
        right = []
        if bench.envelope.configurations:
            right.append(f"option: {one_line(bench.configuration or 'all')}")
        if self.keeping.outside:
            right.append("! changed by others")
        right.append("● not saved" if bench.changed else "✓ as saved")
        self.title_line.left = f"Package ▸ {self.path.name}"
        self.title_line.right = "   ".join(right)

    def _draw_noticed(self, *, fresh: bool) -> None:
        self.query_one("#noticed", Quiet).update(summary(self.found, fresh=fresh))

    def say(self, text: str, sign: Sign | None = None) -> None:
        """Say what was done, or what can be."""
        self.reason.say(text, sign)

    def refuse(self, why: str) -> None:
        """Say why something is not done."""
        self.app.bell()
        self.say(why, BAD)

    @on(Rows.OptionHighlighted, "#tree")
    def _moved(self) -> None:
        self._draw_form()

    @on(Entered)
    def _entered(self) -> None:
        node = self.node
        if node is not None and node.fields:
            self.add_class("-form")
            self.call_after_refresh(self.form.fields.focus)
        else:
            self.branches.action_flip()

    def action_to_tree(self) -> None:
        """Go back to the tree."""
        self.remove_class("-form")
        self.call_after_refresh(self.branches.focus)

    @on(events.DescendantFocus)
    def _focus_moved(self, event: events.DescendantFocus) -> None:
        self.set_class(isinstance(event.widget, Fields), "-form")
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what does something now is shown."""
        bench = self.bench
        if bench is None or not self.query(Branches):
            return action not in _OF_A_PACKAGE
        node = self.node
        match action:
            case "undo":
                return bench.editing.can_undo
            case "redo":
                return bench.editing.can_redo
            case "option":
                return bool(bench.envelope.configurations)
            case "remove":
                return node is not None and node.remove is not None
            case "add":
                return node is not None and self._holder(node) is not None
            case "save":
                return bench.changed or bool(self.keeping.outside)
        return True

    # -------------------------------------------------------------------------------------- changing
    def attempt(self, change: Change) -> str:
        """Make the change as one step; why it is refused, "" where it is made."""
        if self.bench is None:
            return "The package is not open."
        try:
            said = self.bench.do(change)
        except KenshoError as error:
            return sentence(error)
        self._told(said)
        return ""

    def _told(self, said: list[str], before: str = "", after: str = "") -> None:
        """Say what a step changed, and draw it."""
        if not said:
            self.say("That is how it is already.")
        else:
            more = f" And {len(said) - 1} more." if len(said) > 1 else ""
            self.say(f"{before}{said[0]}{more}{after}", DONE)
        self.redraw()

    @on(Rows.OptionSelected, "#fields")
    def _change(self) -> None:
        field, node = self.form.current, self.node
        if field is None or node is None or self.bench is None:
            return
        if field.fixed or field.change is None:
            self.refuse(f"{field.label} cannot be changed here: {field.fixed}.")
            return
        option = self.bench.configuration
        ask_value(self.app, node, field, option, self.attempt, self.refuse)

    def _holder(self, node: Node) -> Node | None:
        """What something can be added to: the node, or the nearest above it."""
        if self.outline is None:
            return None
        found = [each for each in (*self.outline.above(node.id), node) if each.actions]
        return found[-1] if found else None

    def action_add(self) -> None:
        """Add something to what the cursor is on."""
        node = self.node
        holder = self._holder(node) if node else None
        if holder is not None:
            ask_addition(self.app, holder, self._put_in)

    def _put_in(self, made: Made) -> str:
        bench = self.bench
        if bench is None or self.outline is None:
            return "The package is not open."
        before = set(self.outline.nodes)
        try:
            said = bench.put_in(made)
        except KenshoError as error:
            return sentence(error)
        self._told(said)
        for id_, each in self.outline.nodes.items():
            if id_ not in before and each.noun != "category":
                self.branches.reveal(id_)
                break
        return ""

    def action_remove(self) -> None:
        """Take out what the cursor is on. It can be undone, so it is not asked."""
        node, bench = self.node, self.bench
        if node is None or self.outline is None or bench is None:
            return
        if node.remove is None:
            self.refuse(
                f"{one_line(node.label)} stays: {node.stays or 'it is no thing of its own'}."
            )
            return
        above = self.outline.above(node.id)
        siblings = [each.id for each in above[-1].children] if above else []
        try:
            said = bench.do(node.remove)
        except KenshoError as error:
            self.refuse(sentence(error))
            return
        self._told(said, after=" u undoes it.")
        here, at = self.outline.nodes, siblings.index(node.id) if node.id in siblings else 0
        rest = [each for each in siblings if each in here]
        rest = (
            [rest[min(at, len(rest) - 1)]] if rest else [e.id for e in above[-1:] if e.id in here]
        )
        for each in rest:
            self.branches.reveal(each)
        self.action_to_tree()

    def action_undo(self) -> None:
        """Take the last step back."""
        if self.bench is not None and self.bench.editing.can_undo:
            self._told(self.bench.undo(), "Undone: ")

    def action_redo(self) -> None:
        """Make the step again."""
        if self.bench is not None and self.bench.editing.can_redo:
            self._told(self.bench.redo(), "Made again: ")

    def action_option(self) -> None:
        """Choose the deployment option whose hardware and defaults are edited."""
        if self.bench is not None:
            ask_option(self.app, self.bench, self._take_option)

    def _take_option(self, option: str) -> None:
        if self.bench is None:
            return
        self.bench.configuration = option or None
        self.redraw()
        which = f"the option '{one_line(option)}' alone" if option else "all deployment options"
        self.say(f"Hardware and defaults are edited for {which}.")

    # ------------------------------------------------------------------------------- what is noticed
    @on(Looked)
    def _looked(self, message: Looked) -> None:
        if message.version == self.version:
            self.found = message.found
            self._draw_noticed(fresh=True)
            self._draw_tree()

    def action_findings(self) -> None:
        """List what is wrong."""
        if self.found is None or self.outline is None:
            self.say("It is still being looked at.")
            return

        def picked(node: str | None) -> None:
            if node is not None:
                self.branches.reveal(node)
                self._draw_form()
                self.action_to_tree()

        self.app.push_screen(Listed(self.found, self.outline), picked)

    # ----------------------------------------------------------------------------- changed by others
    def _watch(self) -> None:
        if self.bench is not None and self.keeping.window is None and not self.keeping.outside:
            self.watch_outside(self.bench)

    @on(ChangedOutside)
    def _changed_outside(self, message: ChangedOutside) -> None:
        if self.keeping.window is None and not self.keeping.outside:
            self.outside_changed(message.why)
            self.app.bell()

    def outside_changed(self, why: str) -> None:
        """Somebody else changed the package: say so, and what can be done."""
        self.keeping.outside = why
        self._draw_title()
        self.refresh_bindings()
        self.say(f"{self.path.name}: {why}. s says what can be done.", LOOK)

    # ---------------------------------------------------------------------------------------- saving
    def action_save(self) -> None:
        """Show what changed, and save it."""
        self.keeping.ask()

    def action_save_as(self) -> None:
        """Save it as another package."""
        self.keeping.ask_target()

    def defect(self, error: BaseException) -> None:
        """Whatever ended otherwise than it should: its window goes."""
        self.keeping.ended()
        super().defect(error)

    @on(Progressed)
    def _progressed(self, message: Progressed) -> None:
        if self.keeping.window is not None:
            self.keeping.window.show(message.done, message.total)

    @on(Saved)
    def _saved(self, message: Saved) -> None:
        leaving, bench = self.keeping.ended(), self.bench
        if bench is None:
            return
        if message.path is None:
            if isinstance(message.error, CancelledError):
                self.say(
                    "You ended it: the package is as it was, your changes are still here.", LOOK
                )
            elif message.error is not None:
                self.say_error(message.error)
            return
        signed = bench.signed
        self.forget_kept()
        try:
            bench.saved(message.path, message.wanted)
        except KenshoError as error:
            self.say_error(error)
            return
        self.path = message.path
        self.written = True
        self.keeping.outside = ""
        self.redraw()
        again = f" Sign it again: kensho package sign {one_line(self.path.name)}" if signed else ""
        self.say(f"Saved as {self.path.name}, with a new manifest.{again}", DONE)
        if leaving is not None:
            leaving()

    # --------------------------------------------------------------------------------------- leaving
    def action_close(self) -> None:
        """Close the editor; asks where something is not saved."""
        self.leave(lambda: None)

    def action_leave_program(self) -> None:
        """Leave the program; asks where something is not saved."""
        self.app.call_later(self.app.run_action, "leave")

    def leave(self, then: Callable[[], object]) -> None:
        """Close, once what is not saved is saved or dropped, and do that then."""
        if self.keeping.window is not None:
            self.app.bell()
            return

        def go() -> None:
            self.forget_kept()
            self.dismiss(None)
            self.app.call_later(then)

        if self.unsaved():
            self.keeping.ask(go)
        else:
            go()
