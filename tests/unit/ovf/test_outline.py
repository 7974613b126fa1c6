"""A package as an editor shows it: fields answer to the edits, findings find their node, changes have words."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kensho_tui.errors import KenshoError
from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change, Editing
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import FORMAT_VMDK
from kensho_tui.ovf.outline import Kind, Outline, words
from kensho_tui.ovf.outline.sizes import parsed, shown
from kensho_tui.ovf.rules import inspect
from tests.unit.ovf.corpus import CORPUS, needs_corpus
from tests.unit.ovf.test_edits import GIB, shop


def outline(*changes: Change, configuration: str | None = None) -> Outline:
    """The shop's, after those changes."""
    editing = Editing(shop())
    editing.apply(*changes)
    return Outline(editing.envelope, configuration)


def answer(editing: Editing, node: str, field: str, value: str, option: str | None = None) -> None:
    """Answer a field as the screen does."""
    [found] = [
        each for each in Outline(editing.envelope, option).nodes[node].fields if each.id == field
    ]
    assert found.change is not None
    editing.apply(found.change(value))


def said(*changes: Change) -> list[str]:
    """What is said of the shop after those changes."""
    editing = Editing(shop())
    editing.apply(*changes)
    return words(Envelope.parse(shop()), editing.envelope)


def test_the_shop_as_nodes() -> None:
    found = outline()
    assert [each.label for each in found.root.children] == [
        "web", "db", "Deployment options", "Networks", "Disks", "Files", "Languages",
    ]  # fmt: skip
    web = found.nodes["machine:web"]
    assert [each.label for each in web.children] == [
        "Network adapters", "Disks and drives", "Product: Shop",
    ]  # fmt: skip
    controller = found.nodes["machine:web/device:30"]
    assert [each.id for each in controller.children] == ["machine:web/device:31"]
    category = found.nodes["machine:web/product:1/category:Web"]
    assert [each.label for each in category.children] == ["Port", "org.shop.admin"]
    assert [each.label for each in found.above(category.children[0].id)] == [
        "shop", "web", "Product: Shop", "Web",
    ]  # fmt: skip


def test_a_password_is_neither_shown_nor_answered() -> None:
    data = shop().replace(b"ovf:password='true'", b"ovf:password='true' ovf:value='hunter2'")
    node = Outline(Envelope.parse(data)).nodes["machine:web/product:1/question:admin"]
    default = node.fields[0]
    assert (default.value, "everybody can read" in default.fixed) == ("", True)
    assert "hunter2" not in repr(Outline(Envelope.parse(data)).root)


def test_what_is_answered_is_changed_for_one_option_or_for_all() -> None:
    editing = Editing(shop())
    answer(editing, "machine:web", "cpus", "8", "large")
    answer(editing, "machine:web", "memory", "3 GiB")
    answer(editing, "machine:web/device:40", "network", "back", "small")
    answer(editing, "machine:web/product:1/question:port", "default", "8080")
    found = {o: editing.envelope.appliance(o)[0].machine("web") for o in ("small", "large")}
    assert [each.processors.count for each in found.values()] == [2, 8]
    assert [each.memory.size for each in found.values()] == [3 * GIB, 3 * GIB]
    assert [each.adapters[0].network for each in found.values()] == ["back", "front"]
    fields = {each.id: each for each in Outline(editing.envelope).nodes["machine:web"].fields}
    assert fields["cpus"].text == "2 (large: 8)"
    large = {
        each.id: each for each in Outline(editing.envelope, "large").nodes["machine:web"].fields
    }
    assert large["cpus"].text == "8"


@pytest.mark.parametrize("option", [None, "large"])
def test_an_answer_that_is_there_already_changes_no_meaning(option: str | None) -> None:
    before = [Envelope.parse(shop()).appliance(each) for each in ("small", "large")]
    tried = 0
    for node in outline(configuration=option).nodes.values():
        for field in node.fields:
            if field.fixed or field.change is None:
                continue
            editing = Editing(shop())
            try:
                editing.apply(field.change(field.value))
            except KenshoError as error:
                # What is not there cannot be said again: a family, a name of the same network.
                assert not field.value or field.id in {"id", "name", "hardware"}, (node.id, error)
                continue
            found = [editing.envelope.appliance(each) for each in ("small", "large")]
            for (old, _), (new, _) in zip(before, found, strict=True):
                assert [each.processors for each in new.machines] == [
                    each.processors for each in old.machines
                ]
                assert [each.adapters for each in new.machines] == [
                    each.adapters for each in old.machines
                ]
                assert [each.attachments for each in new.machines] == [
                    each.attachments for each in old.machines
                ], node.id  # fmt: skip
                assert (new.disks, new.networks) == (old.disks, old.networks)
            tried += 1
    assert tried > 40


def test_everything_that_can_be_put_in_can_be(tmp_path: Path) -> None:
    (tmp_path / "eula.txt").write_text("Be kind.")
    answers = {
        "path": str(tmp_path / "eula.txt"), "name": "new", "key": "k", "id": "new", "language": "de",
        "text": "Port", "translation": "Anschluss", "disk": "d",
    }  # fmt: skip
    done = set()
    for node in outline().nodes.values():
        for action in node.actions:
            if action.id == "disk":
                continue  # wants an image; tried on packages as files
            editing = Editing(shop())
            made = action.make({each.id: answers.get(each.id, each.value) for each in action.asks})
            editing.apply(*made.changes)
            assert words(Envelope.parse(shop()), editing.envelope), action.id
            done.add(action.id)
            assert set(made.files.values()) <= {tmp_path / "eula.txt"}
    assert done >= {
        "adapter", "attach", "drive", "controller", "product", "question", "licence", "licence-typed",
        "setting", "network", "option", "file", "translation", "serial",
    }  # fmt: skip


def test_everything_that_can_be_taken_out_is_said_to_be_gone() -> None:
    removed = 0
    for node in outline().nodes.values():
        if node.remove is None:
            continue
        editing = Editing(shop())
        try:
            editing.apply(node.remove)
        except DescriptorError as error:
            assert error.remedy, node.id
            continue
        assert any(
            "is removed" in each for each in words(Envelope.parse(shop()), editing.envelope)
        ), node.id
        removed += 1
    assert removed > 8


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_random_answers_and_additions_keep_tree_and_model_in_step(data: st.DataObject) -> None:
    editing = Editing(shop())
    states = [editing.data]
    for _ in range(data.draw(st.integers(1, 6))):
        option = data.draw(
            st.sampled_from([None, *(e.id for e in editing.envelope.configurations)])
        )
        found = Outline(editing.envelope, option)
        node = data.draw(st.sampled_from(list(found.nodes.values())))
        value = data.draw(
            st.one_of(
                st.sampled_from(["1", "4", "yes", "no", "back", "4 GiB", ""]), st.text(max_size=5)
            )
        )
        before = editing.envelope
        try:
            what = data.draw(st.sampled_from(["answer", "add", "remove"]))
            if what == "answer" and node.fields:
                field = data.draw(st.sampled_from(node.fields))
                choices = [each for each, _ in field.choices]
                if field.change is not None:
                    editing.apply(
                        field.change(data.draw(st.sampled_from(choices)) if choices else value)
                    )
            elif what == "add" and node.actions:
                action = data.draw(st.sampled_from(node.actions))
                editing.apply(
                    *action.make({each.id: each.value or value for each in action.asks}).changes
                )
            elif what == "remove" and node.remove is not None:
                editing.apply(node.remove)
        except KenshoError as error:
            assert error.what
            assert editing.data == states[-1]
            continue
        if editing.data != states[-1]:
            states.append(editing.data)
            assert words(before, editing.envelope)
        again = Envelope.parse(editing.data)
        for each in (None, *(one.id for one in again.configurations)):
            assert again.appliance(each) == editing.envelope.appliance(each)
            assert Outline(again, each).nodes.keys() == Outline(editing.envelope, each).nodes.keys()
    for expected in reversed(states[:-1]):
        editing.undo()
        assert editing.data == expected
    assert editing.data == shop()


# --------------------------------------------------------------------------------------------- words
def test_changes_have_words() -> None:
    assert said(edits.set_processors("web", 8), edits.set_name("db", "store")) == [
        "web: Processors 2 → 8.",
        "db: Name db → store.",
    ]
    assert said(edits.set_processors("web", 8, "large")) == ["web: Processors in 'large' 2 → 8."]
    assert (
        said(edits.rename_network("back", "storage"))[-1] == "Network 'back': Name back → storage."
    )
    assert said(edits.remove_device("web", "40")) == [
        "web: network adapter 'Network adapter' is removed (front)."
    ]
    told = said(edits.add_disk("db", "db.vmdk", 7, 5 * GIB, FORMAT_VMDK))
    assert "Disk 'disk1' is added (5 GiB)." in told
    assert "File 'db.vmdk' is added (7 B)." in told
    assert any("Hard disk (db.vmdk)" in each for each in told)
    assert said() == []


def test_a_machine_that_goes_is_one_sentence_with_its_disk_and_file() -> None:
    told = said(edits.remove_machine("web"))
    assert [each for each in told if "web" in each] == ["Machine 'web' is removed (2 CPU, 2 GiB)."]
    assert {"Disk 'd' is removed (1 GiB).", "File 'd.vmdk' is removed (10 B)."} <= set(told)


# --------------------------------------------------------------------------------------------- others
def test_a_finding_is_at_the_node_that_its_line_is_in() -> None:
    data = shop().replace(b"><", b">\n<")
    found = Outline(Envelope.parse(data))
    text = data.decode().splitlines()
    line = next(i for i, each in enumerate(text, 1) if "key='port'" in each)
    finding = Finding("x", Severity.INFO, "X.", line=line)
    assert found.at(finding).id == "machine:web/product:1/question:port"
    line = next(i for i, each in enumerate(text, 1) if "InstanceID>31<" in each)
    assert found.at(Finding("x", Severity.INFO, "X.", line=line)).id == "machine:web/device:31"
    assert found.at(Finding("x", Severity.INFO, "X.", subject="d.vmdk")).id == "file:d.vmdk"
    assert found.at(Finding("x", Severity.INFO, "X.")) is found.root


@pytest.mark.parametrize(
    ("text", "size"), [("4 GiB", 4 << 30), ("512M", 512 << 20), ("7", 7), ("1 tib", 1 << 40)]
)
def test_sizes_are_read_as_they_are_shown(text: str, size: int) -> None:
    assert parsed(text) == size
    assert parsed(shown(size)) == size


@pytest.mark.parametrize("text", ["", "lots", "-1", "1.5 GiB", "4 GB x"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(DescriptorError, match="is no size"):
        parsed(text)


@needs_corpus
def test_every_descriptor_that_is_read_has_an_outline_and_every_finding_a_node() -> None:
    done = 0
    for path in sorted(CORPUS.rglob("*.ovf"))[::4]:
        try:
            envelope = Envelope.parse(path.read_bytes(), path.name)
            envelope.appliance()
        except KenshoError:
            continue
        found = Outline(envelope)
        for noted in inspect(envelope)[:20]:
            assert found.at(noted.finding).id in found.nodes
        assert all(re.fullmatch(r"[^\n]*", each.noun) for each in found.nodes.values())
        assert all(
            field.value in dict(field.choices)
            for each in found.nodes.values()
            for field in each.fields
            if field.kind is Kind.CHOICE
            and not field.fixed
            and field.id not in {"controller", "default"}
        ), path
        assert words(envelope, envelope) == []
        done += 1
    assert done > 100
