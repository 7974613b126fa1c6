"""The page of questions when there are many of them, hidden ones, and answers as a file."""

from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from kensho_tui.app import KenshoApp
from kensho_tui.migration.draft import Page
from screens.wizard.properties import AT_ONCE, PropertiesPage, parts
from screens.wizard.property_field import PropertyField
from screens.wizard.screen import Wizard
from tests.ui.pages import wizard
from tests.ui.platforms import appliance
from tests.ui.waiting import keys, seen, until, until_seen

SIZE = (80, 24)
ENVELOPE = "http://schemas.dmtf.org/ovf/envelope/1"
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"


def package(folder: Path, number: int) -> Path:
    """An appliance with so many questions, ten to a heading, and one that it keeps to itself."""
    lines = []
    for i in range(number):
        if i % 10 == 0:
            lines.append(f"<Category>Part {i // 10 + 1}</Category>")
        lines.append(
            f'<Property ovf:key="setting{i}" ovf:type="uint16" ovf:userConfigurable="true"'
            f' ovf:value="{i}"><Label>Setting {i}</Label></Property>'
        )
    lines.append('<Property ovf:key="secret.knob" ovf:type="uint8" ovf:value="7"/>')
    path = folder / "many.ovf"
    path.write_text(
        f'<Envelope xmlns="{ENVELOPE}" xmlns:ovf="{ENVELOPE}" xmlns:rasd="{RASD}"><References/>'
        f'<VirtualSystem ovf:id="vm"><Info>A machine</Info><ProductSection><Info>Settings</Info>'
        f"{''.join(lines)}</ProductSection><VirtualHardwareSection><Info>Hardware</Info><Item>"
        "<rasd:ElementName>CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>"
        "<rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity>"
        "</Item></VirtualHardwareSection></VirtualSystem></Envelope>"
    )
    return path


async def questions(pilot: Pilot[int], path: Path) -> tuple[Wizard, PropertiesPage]:
    """The wizard on its page of questions."""
    await until_seen(pilot, "No jobs yet.")
    await keys(pilot, "n", f"'{path}", "enter")
    await until_seen(pilot, "Machines")
    assert isinstance(pilot.app, KenshoApp)
    here = wizard(pilot.app)
    await until(pilot, lambda: not here.busy)
    await here.go(Page.PROPERTIES)
    await pilot.pause()
    page = here.page
    assert isinstance(page, PropertiesPage)
    return here, page


def asked(page: PropertiesPage) -> list[str]:
    return [each.asked.key for each in page.query(PropertyField)]


def focused(page: PropertiesPage) -> str:
    return next(each.asked.key for each in page.query(PropertyField) if each.has_focus_within)


async def test_many_questions_are_shown_in_parts_and_tab_goes_through_all(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        _, page = await questions(pilot, package(tmp_path, 95))
        await until_seen(pilot, "Questions 1–20 of 95")
        assert asked(page) == [f"setting{i}" for i in range(20)]
        await keys(pilot, *["tab"] * 20)
        await until_seen(pilot, "Questions 21–40 of 95")
        await until(pilot, lambda: focused(page) == "setting20")
        await keys(pilot, "shift+tab")
        await until_seen(pilot, "Questions 1–20 of 95")
        await until(pilot, lambda: focused(page) == "setting19")


async def test_an_answer_typed_in_one_part_holds_in_the_next(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        here, page = await questions(pilot, package(tmp_path, 95))
        await until(pilot, lambda: focused(page) == "setting0")
        await keys(pilot, "5")
        for _ in range(14):
            await keys(pilot, "pagedown")
        await until_seen(pilot, "Questions 81–95 of 95")
        address = next(a.address for a in here.draft.properties() if a.key == "setting0")
        assert here.draft.property_value(address) == "05"


async def test_what_is_wrong_is_gone_to_in_whatever_part_it_is(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        here, page = await questions(pilot, package(tmp_path, 95))
        address = next(a.address for a in here.draft.properties() if a.key == "setting90")
        here.draft.set_property(address, "no number")
        page.go_to_problem()
        await until_seen(pilot, "Questions 81–95 of 95")
        await until(pilot, lambda: focused(page) == "setting90")
        await until_seen(pilot, "must be a whole number from 0")


async def test_a_question_is_found_by_a_word(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        _, page = await questions(pilot, package(tmp_path, 95))
        await keys(pilot, "f2")
        await until_seen(pilot, "95 questions, 0 open")
        await keys(pilot, "'setting 77", "enter")
        await until_seen(pilot, "Questions 61–80 of 95")
        await until(pilot, lambda: focused(page) == "setting77")


async def test_hidden_ones_are_shown_on_request_and_told_of_when_answered(tmp_path: Path) -> None:
    app = KenshoApp()
    async with app.run_test(size=SIZE) as pilot:
        here, page = await questions(pilot, package(tmp_path, 3))
        assert "secret.knob" not in asked(page)
        await keys(pilot, "f3")
        await until(pilot, lambda: "secret.knob" in asked(page))
        field = next(each for each in page.query(PropertyField) if each.asked.key == "secret.knob")
        field.focus_editor()
        field.query_one(Input).value = "9"
        await keys(pilot, "enter")
        await until_seen(pilot, "kept to itself by")
        await keys(pilot, "f3")
        await until(pilot, lambda: "with hidden ones" not in seen(app))
        await until(pilot, lambda: "secret.knob" in asked(page))  # answered: stays in sight
        assert here.draft.property_value(field.asked.address) == "9"


async def test_answers_go_to_a_file_that_is_never_written_over_and_come_back(
    tmp_path: Path,
) -> None:
    app = KenshoApp()
    file = tmp_path / "mine.yaml"
    async with app.run_test(size=SIZE) as pilot:
        here, page = await questions(pilot, package(tmp_path, 5))
        address = page.query(PropertyField).last().asked.address
        here.draft.set_property(address, "42")
        here.changed()
        for _ in range(2):
            await keys(pilot, "f7")
            await until_seen(pilot, "Save the answers")
            app.screen.query_one(Input).value = str(file)
            await keys(pilot, "enter")
            await until(pilot, file.exists)
        await until_seen(pilot, "Choose another name")
        assert "42" in file.read_text()
        here.draft.set_property(address, None)
        here.changed()
        file.write_text(file.read_text().replace("42", "43"))
        await keys(pilot, "f8")
        await until_seen(pilot, "Take answers from a file")
        app.screen.query_one(Input).value = str(file)
        await keys(pilot, "enter")
        await until(pilot, lambda: here.draft.property_value(address) == "43")
        await until_seen(pilot, "43")


def test_parts_are_cut_where_a_heading_begins() -> None:
    one = appliance().properties[0]
    many = [replace(one, key=f"k{i}", category=f"c{i // 13}") for i in range(100)]
    found = parts(many)
    assert [each for part in found for each in part] == many
    assert all(len(part) <= AT_ONCE for part in found)
    assert [part[0].key for part in found] == [f"k{i}" for i in range(0, 79, 13)]
    assert parts([]) == []
