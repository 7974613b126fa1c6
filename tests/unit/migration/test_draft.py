"""The draft: choices, what they change, and which answers survive."""

from dataclasses import replace
from pathlib import Path

import pytest

from backends.base import Finding, Kind, Ref, Severity
from kensho_tui.connections import ConnectionBook
from kensho_tui.engine.secrets import Secrets
from kensho_tui.machine import Configuration, Disk, DiskId, Firmware, Property
from kensho_tui.migration.draft import Draft, DraftError, Page
from kensho_tui.migration.plan import Plan, SecretValue
from kensho_tui.migration.sessions import Sessions
from kensho_tui.ovf.errors import PackageError
from tests.unit.migration import samples
from tests.unit.migration.samples import BIG, DB, ETH1, FRONT, GB, GIB, HOST, LICENCE, LOCAL, WEB


def state_of(draft: Draft) -> dict[str, tuple[bool, bool]]:
    return {each.page.value: (each.needed, each.complete) for each in draft.pages()}


def test_an_empty_draft_asks_for_a_source_first() -> None:
    draft = Draft()
    assert draft.page(Page.SOURCE).reason == "open a package or choose machines"
    assert draft.appliance is None
    assert draft.name == ""
    with pytest.raises(DraftError, match="not complete"):
        draft.plan()


def test_pages_that_do_not_apply_say_why() -> None:
    draft = samples.draft(samples.without_questions())
    reasons = {each.page: each.reason for each in draft.pages() if not each.needed}
    assert reasons == {
        Page.LICENCES: "this appliance has no licences",
        Page.CONFIGURATION: "this appliance has one configuration",
        Page.PROPERTIES: "this appliance asks nothing",
    }
    assert draft.blocking() == []


def test_open_licences_and_questions_close_the_way_and_are_named() -> None:
    draft = samples.draft()
    assert state_of(draft)["licences"] == (True, False)
    assert draft.page(Page.PROPERTIES).attention == 2
    assert draft.page(Page.LICENCES).attention == 1
    assert draft.blocking() == [
        "1 licence to read and accept",
        "Host name: an answer is needed",
        "admin: an answer is needed",
    ]
    with pytest.raises(DraftError, match="1 licence to read and accept; Host name"):
        draft.plan()


def test_a_complete_draft_gives_a_plan_that_survives_its_own_json() -> None:
    draft = samples.complete()
    draft.start = True
    plan = draft.plan()
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.metadata.name == "shop"
    assert plan.spec.configuration == "small"
    assert plan.spec.start is True
    assert plan.spec.target.home is not None
    assert plan.spec.target.home.name == "lab"
    assert plan.spec.licences[0].accepted_by == "anna"
    adapter = plan.spec.machines["web01"].adapters["e1"]
    assert adapter is not None
    assert adapter.id == ETH1.id
    assert plan.spec.storage["d3"].id == BIG.id


def test_a_password_is_in_the_secrets_and_nowhere_else() -> None:
    draft = samples.complete()
    canary = "s3cret-canary"
    assert draft.secrets() == {"property:admin": canary}
    plan = draft.plan()
    assert plan.spec.properties["admin"] == SecretValue(secret="property:admin")
    assert canary not in plan.model_dump_json()
    assert canary not in draft.export_answers()
    assert canary not in repr(draft._choices)
    assert canary not in "".join(draft.blocking())


def test_a_password_that_is_not_valid_is_refused_without_being_shown() -> None:
    draft = samples.complete()
    draft.set_property("admin", "abc")
    problem = draft.property_problem("admin")
    assert problem == "must have at least 4 characters"
    assert "abc" not in " ".join(draft.blocking())


def test_an_accepted_licence_can_be_withdrawn() -> None:
    draft = samples.draft()
    draft.accept_licence(LICENCE.digest, "anna")
    assert draft.page(Page.LICENCES).complete
    draft.withdraw_licence(LICENCE.digest)
    assert not draft.page(Page.LICENCES).complete
    with pytest.raises(DraftError, match="no licence of that digest"):
        draft.accept_licence("0" * 64, "anna")


def test_choosing_for_one_adapter_leaves_the_others_until_all_like_it_follow() -> None:
    draft = samples.draft()
    draft.choose_network(WEB, "e1", FRONT)
    back = next(row for row in draft.networks() if row.network == "Back (VLAN 10)")
    assert back.mixed
    assert [each.choice.yours for each in back.adapters] == [True, False]
    assert draft.apply_to_all_like(WEB, "e1") == 1
    back = next(row for row in draft.networks() if row.network == "Back (VLAN 10)")
    assert not back.mixed
    assert {each.choice.ref for each in back.adapters} == {FRONT}


def test_an_adapter_can_be_left_unplugged_and_proposed_again() -> None:
    draft = samples.complete()
    draft.choose_network(DB, "e1", None)
    assert draft.plan().spec.machines["db01"].adapters["e1"] is None
    draft.propose_network(DB, "e1")
    assert draft.plan().spec.machines["db01"].adapters["e1"] is not None


def test_a_network_that_the_home_does_not_reach_is_refused_and_says_which_are() -> None:
    view = samples.target()
    other = Ref(Kind.HOST, "h-9", "alone")
    view = replace(view, hosts=(*view.hosts, replace(view.hosts[0], ref=other, pool=None)))
    draft = samples.draft(view=view)
    draft.choose_home(other)
    with pytest.raises(DraftError, match="Possible are: Front, Pool-wide eth0"):
        draft.choose_network(WEB, "e1", ETH1)


def test_a_home_that_does_not_fit_is_refused_with_the_reason() -> None:
    draft = samples.draft()
    with pytest.raises(DraftError, match=r"db01 needs 8 GiB of memory, the host has 6 GiB"):
        draft.choose_home(samples.SMALL_HOST)
    draft.set_memory(DB, 2 * GIB)
    draft.choose_home(samples.SMALL_HOST)
    assert draft.home().ref == samples.SMALL_HOST


def test_a_home_that_stops_fitting_is_dropped_and_said() -> None:
    draft = samples.draft()
    draft.set_memory(DB, 2 * GIB)
    draft.choose_home(samples.SMALL_HOST)
    draft.set_memory(DB, 64 * GIB)
    assert draft.home().ref != samples.SMALL_HOST
    assert draft.dropped == ("home xen2: db01 needs 64 GiB of memory, the host has 6 GiB",)


def test_another_home_keeps_what_it_reaches_and_drops_what_it_does_not() -> None:
    draft = samples.draft()
    draft.choose_network(WEB, "e1", ETH1)
    draft.choose_network(WEB, "e0", FRONT)
    draft.choose_storage("d1", LOCAL)
    draft.set_memory(DB, 2 * GIB)
    draft.choose_home(samples.SMALL_HOST)
    assert draft.dropped == (
        "network Pool-wide eth1 for web01 e1: not reachable there",
        "storage local-sr for d1: not reachable there",
    )
    rows = {(row.machine, row.adapter): row.choice for row in draft.adapters()}
    assert rows[WEB, "e0"].yours
    assert not rows[WEB, "e1"].yours


def test_storage_for_all_disks_is_one_choice_and_a_disk_of_its_own_still_wins() -> None:
    draft = samples.draft()
    draft.choose_storage(None, BIG)
    draft.choose_storage("d1", LOCAL)
    assert [row.choice.ref for row in draft.disks()] == [LOCAL, BIG, BIG]
    draft.choose_storage(None, None)
    assert not any(row.choice.yours for row in draft.disks())


def test_a_storage_that_takes_no_disks_is_refused() -> None:
    draft = samples.draft()
    with pytest.raises(DraftError, match="Possible are: local-sr, big-sr"):
        draft.choose_storage("d1", samples.ISO)


def test_a_storage_that_is_too_small_closes_mapping_with_what_is_missing() -> None:
    draft = samples.complete()
    draft.choose_storage(None, LOCAL)
    page = draft.page(Page.MAPPING)
    assert not page.complete
    assert page.reason == "local-sr is too small: 35 GB are missing"
    assert [row.problem for row in draft.disks()] == ["local-sr is too small"] * 3


def test_leaving_a_machine_behind_leaves_its_disks_and_networks_behind() -> None:
    draft = samples.complete()
    draft.include(DB, False)
    assert [row.disk for row in draft.disks()] == ["d1"]
    assert [row.network for row in draft.networks()] == ["front", "Back (VLAN 10)"]
    plan = draft.plan()
    assert plan.spec.machines["db01"].include is False
    assert set(plan.spec.storage) == {"d1"}
    draft.include(WEB, False)
    assert draft.page(Page.PACKAGE).reason == "no machine is chosen"


def test_names_processors_and_memory_are_checked_where_they_are_given() -> None:
    draft = samples.draft()
    draft.rename(WEB, "  shop-web ")
    draft.set_processors(WEB, 6)
    draft.set_memory(WEB, GIB)
    appliance = draft.appliance
    assert appliance is not None
    web = appliance.machine(WEB)
    assert (web.name, web.processors.count, web.processors.cores_per_socket) == ("shop-web", 6, 2)
    assert web.memory.size == GIB
    for wrong in ("", "  ", "two\nlines", "x" * 256, "ansi\x1b[31m"):
        with pytest.raises(DraftError, match="1 to 255 visible"):
            draft.rename(WEB, wrong)
    with pytest.raises(DraftError, match="Allowed are 1 to 1024"):
        draft.set_processors(WEB, 0)
    with pytest.raises(DraftError, match="Allowed are 4 MiB and more"):
        draft.set_memory(WEB, 1)
    with pytest.raises(DraftError, match="Machines here: web01, db01"):
        draft.rename("web", "x")


def test_a_processor_count_that_does_not_fill_its_sockets_gets_one_core_each() -> None:
    draft = samples.draft()
    draft.set_processors(WEB, 3)
    appliance = draft.appliance
    assert appliance is not None
    assert appliance.machine(WEB).processors.cores_per_socket == 1


def test_an_answer_that_is_not_valid_is_kept_and_said() -> None:
    draft = samples.complete()
    draft.set_property("port", "80000")
    assert draft.property_value("port") == "80000"
    assert "65535" in (draft.property_problem("port") or "")
    assert draft.property_problem("port", "443") is None
    draft.set_property("port", None)
    assert draft.property_value("port") == "80"
    assert not draft.property_answered("port")


def test_what_the_appliance_keeps_to_itself_is_hidden_until_it_is_answered() -> None:
    draft = samples.draft()
    assert "build" not in [each.key for each in draft.properties()]
    assert "build" in [each.key for each in draft.properties(hidden=True)]
    draft.set_property("build", "43")
    assert "build" in [each.key for each in draft.properties()]
    assert draft.spec().properties["build"] == "43"
    draft.set_property("build", None)
    assert "build" not in [each.key for each in draft.properties()]
    with pytest.raises(DraftError, match="does not ask that"):
        draft.set_property("colour", "red")


def test_a_capacity_that_is_bound_to_a_property_follows_the_answer() -> None:
    base = samples.appliance()
    sized = Property("size", type="uint32", default="40", configurable=True)
    data = Disk(
        DiskId("d3"), 40 * GIB, capacity_property="size", extras={"ovf:capacityUnit": str(GIB)}
    )
    source = replace(
        base, disks={**base.disks, data.id: data}, properties=(*base.properties, sized)
    )
    draft = samples.draft(source)
    draft.set_property("size", "100")
    assert next(row for row in draft.disks() if row.disk == "d3").capacity == 100 * GIB


def test_another_configuration_keeps_what_is_still_asked() -> None:
    draft = samples.complete()
    draft.rename(WEB, "shop-web")
    draft.set_property("port", "443")
    base = samples.appliance()
    medium = replace(
        base,
        configuration="medium",
        machines=base.machines[:1],
        disks={DiskId("d1"): base.disks[DiskId("d1")]},
        properties=tuple(each for each in base.properties if each.key != "port"),
    )
    draft.choose_storage("d3", BIG)
    draft.source_is(medium)
    assert draft.appliance is not None
    assert draft.appliance.machine(WEB).name == "shop-web"
    assert draft.accepted(LICENCE.digest)
    assert "the answer to port: it is not asked here" in draft.dropped
    assert "the storage of a disk that is gone (d3)" in draft.dropped


def test_another_package_keeps_nothing_of_the_old_one_but_where_it_goes() -> None:
    draft = samples.complete()
    draft.choose_home(HOST)
    draft.source_is(samples.appliance(), path="/other.ova")
    assert not draft.accepted(LICENCE.digest)
    assert draft.secrets() == {}
    assert draft.home().ref == HOST


def test_the_latest_choice_can_be_taken_back() -> None:
    draft = samples.draft()
    assert not draft.undo()
    draft.choose_network(WEB, "e0", ETH1)
    draft.rename(WEB, "one")
    assert draft.undo()
    assert draft.appliance is not None
    assert draft.appliance.machine(WEB).name == "web01"
    assert draft.undo()
    assert not draft.adapters()[0].choice.yours
    assert not draft.undo()


def test_a_change_makes_earlier_findings_out_of_date() -> None:
    draft = samples.complete()
    draft.findings = (Finding("disk-too-big", Severity.ERROR, "too big", "db01"),)
    assert draft.page(Page.REVIEW).reason == "db01: too big"
    with pytest.raises(DraftError, match="db01: too big"):
        draft.plan()
    draft.rename(DB, "db02")
    assert draft.page(Page.REVIEW).complete


def test_a_source_with_an_error_in_it_closes_its_page() -> None:
    draft = samples.draft()
    assert draft.described is not None
    draft.described = replace(
        draft.described,
        findings=(Finding("manifest-mismatch", Severity.ERROR, "is not what it says", "d1.vmdk"),),
    )
    assert draft.page(Page.PACKAGE).reason == "d1.vmdk: is not what it says"


def test_a_pool_none_of_whose_hosts_fits_says_why() -> None:
    view = samples.target()
    draft = samples.draft(view=replace(view, hosts=view.hosts[1:]))
    assert not draft.home().decided
    assert "db01 needs 8 GiB" in draft.page(Page.TARGET).reason


def test_several_pools_must_be_chosen_from() -> None:
    view = samples.target()
    second = replace(view.pools[0], ref=Ref(Kind.POOL, "p-2", "second"))
    draft = samples.draft(view=replace(view, pools=(*view.pools, second)))
    assert draft.page(Page.TARGET).reason == "choose a pool or host (there are several)"
    draft.choose_home(second.ref)
    assert draft.page(Page.TARGET).complete


def test_writing_a_package_asks_for_no_mapping_and_no_answers() -> None:
    view = replace(
        samples.target(),
        connection="",
        package="/out/shop.ova",
        pools=(),
        hosts=(),
        storages=(),
        networks=(),
        capabilities=replace(samples.target().capabilities, firmware=frozenset(Firmware)),
    )
    draft = samples.draft(view=view)
    assert draft.page(Page.LICENCES).needed is False
    assert draft.page(Page.PROPERTIES).needed is False
    plan = draft.plan()
    assert plan.spec.target.package == "/out/shop.ova"
    assert plan.spec.target.home is None
    assert plan.spec.storage == {}
    assert all(not each.adapters for each in plan.spec.machines.values())


def test_the_configuration_page_is_needed_where_there_is_a_choice() -> None:
    base = samples.appliance()
    assert samples.draft(base).page(Page.CONFIGURATION).needed
    one = replace(base, configurations=(Configuration("small"),))
    assert not samples.draft(one).page(Page.CONFIGURATION).needed


def test_the_size_of_the_data_is_in_the_row_that_says_what_is_left() -> None:
    use = {each.ref: each for each in samples.draft().storage_use()}
    assert use[LOCAL].free == 55 * GB
    assert use[LOCAL].disks == ("d1", "d2")
    assert use[LOCAL].after == 55 * GB - use[LOCAL].need
    assert use[LOCAL].need >= 50 * GB


def test_a_package_is_not_written_under_a_name_of_something_else(tmp_path: Path) -> None:
    with (
        Sessions(ConnectionBook(tmp_path / "book.toml"), Secrets()) as sessions,
        pytest.raises(PackageError, match="zip"),
    ):
        samples.draft().load_target_package(sessions, str(tmp_path / "shop.zip"))
