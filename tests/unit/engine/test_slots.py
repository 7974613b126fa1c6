"""Caps and shares, and the file that says them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.disks.bounds import Bounds
from kensho_tui.engine.retention import Retention
from kensho_tui.engine.runner_file import SettingsError, read
from kensho_tui.engine.settings import SettingsFile
from kensho_tui.engine.slots import Settings, Slots, shares
from kensho_tui.migration.times import Limits

SR = "storage:xen-new/local-sr"


def test_the_tag_itself_counts_before_a_pattern_and_a_longer_pattern_before_a_shorter() -> None:
    settings = Settings(caps={"target:*": 2, "target:xen-*": 3, "target:xen-new": 5})
    assert settings.cap("target:xen-new") == 5
    assert settings.cap("target:xen-old") == 3
    assert settings.cap("target:kvm") == 2
    assert settings.cap("source:xen-new") is None


def test_a_job_takes_all_its_tags_or_waits_and_says_for_what() -> None:
    slots = Slots(Settings(jobs_at_once=3, caps={SR: 1, "source:*": 2}))
    assert slots.lacking(("source:a", SR)) == ""
    slots.run(("source:a", SR))
    assert (
        slots.lacking(("source:b", SR)) == "waits for a slot of storage xen-new/local-sr (1 of 1)"
    )
    assert slots.lacking(("source:b",)) == ""
    slots.run(("source:a",))
    assert slots.lacking(("source:a",)) == "waits for a slot of source a (2 of 2)"
    slots.run(())
    assert slots.lacking(()) == "waits for a slot (3 of 3 jobs are under way)"


def test_who_waits_for_a_tag_keeps_its_other_places() -> None:
    slots = Slots(Settings(caps={SR: 1, "source:a": 1}))
    slots.run((SR,))
    assert slots.lacking(("source:a", SR))
    slots.wait(("source:a", SR))
    assert slots.lacking(("source:a",)) == "waits for a slot of source a (1 of 1)"


@given(
    st.integers(1, 10**9),
    st.dictionaries(st.text(max_size=3), st.none() | st.integers(1, 10**9), max_size=8),
)
def test_shares_never_exceed_the_whole_nor_a_jobs_own_limit(
    total: int, limits: dict[str, int | None]
) -> None:
    found = shares(total, limits)
    assert found.keys() == limits.keys()
    assert all(each is not None and each >= 1 for each in found.values())
    for job, limit in limits.items():
        share = found[job]
        assert share is not None
        assert limit is None or share <= limit
    # One byte a second is the least that a job is given.
    assert sum(each or 0 for each in found.values()) <= max(total, len(limits))


def test_what_one_job_does_not_take_the_others_get() -> None:
    assert shares(100, {"a": None, "b": 10, "c": None}) == {"a": 45, "b": 10, "c": 45}
    assert shares(None, {"a": 5}) == {"a": None}


def test_a_file_says_caps_and_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "runner.toml"
    path.write_text(
        'jobs_at_once = 8\nbandwidth = "100 MiB"\n[caps]\n"source:vc-old" = 4\n"target:*" = 2\n'
    )
    limits = Limits(100 << 20)
    assert read(path) == Settings(8, limits, {"source:vc-old": 4, "target:*": 2})


def test_a_file_says_what_jobs_accept_of_disks(tmp_path: Path) -> None:
    path = tmp_path / "runner.toml"
    path.write_text('[disks]\nmax_disk = "2 TiB"\n')
    assert read(path).bounds == Bounds(disk=2 << 40)
    path.write_text("[disks]\nmax_ratio = 50\n")
    assert read(path).bounds == Bounds(ratio=50)


WORKDAY = "20 MiB mon-fri 07:00-18:00 Europe/Berlin"


@pytest.mark.parametrize(
    "text",
    [
        f'bandwidth = ["100M", "none sat,sun 00:00-24:00 UTC", "{WORKDAY}"]\n',
        """
        [bandwidth]
        limit = "100 MiB"
        [[bandwidth.times]]
        limit = "none"
        days = ["sat", "sun"]
        from = "00:00"
        to = "24:00"
        [[bandwidth.times]]
        limit = "20 MiB"
        zone = "Europe/Berlin"
        days = ["mon", "tue", "wed", "thu", "fri"]
        from = "07:00"
        to = "18:00"
        """,
    ],
)
def test_the_limit_of_all_jobs_may_change_with_the_hour(tmp_path: Path, text: str) -> None:
    path = tmp_path / "runner.toml"
    path.write_text(text)
    limits = read(path).bandwidth
    assert limits.at(datetime(2026, 6, 1, 4, 59, tzinfo=UTC)) == 100 << 20  # a Monday
    assert limits.at(datetime(2026, 6, 1, 5, tzinfo=UTC)) == 20 << 20
    assert limits.at(datetime(2026, 6, 6, 5, tzinfo=UTC)) is None


def test_a_file_says_which_ended_jobs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    path = tmp_path / "runner.toml"
    path.write_text('[retention]\nolder_than = "12w"\nkeep = 50\nfolder = "~/old jobs"\n')
    stays = Retention(timedelta(weeks=12), 50, Path("/home/anna/old jobs"))
    assert read(path).retention == stays


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("jobs_at_once = 4\njobs_at_onec = 5\n", 2, "no setting 'jobs_at_onec'"),
        ("\n[cpas]\n'a:b' = 1\n", 2, "no setting 'cpas'"),
        ("jobs_at_once = 0\n", 1, "greater than or equal to 1"),
        ('jobs_at_once = "4"\n', 1, "integer"),
        ('bandwidth = "fast"\n', 1, "no limit"),
        ('[caps]\n"source:a" = 1\n"sauce:b" = 1\n', 3, "'sauce:b' is no tag"),
        ('[caps]\n"source:a" = 0\n', 2, "greater than or equal to 1"),
        ("jobs_at_once = 4\n[caps\n", 2, "no TOML"),
        ('\nbandwidth = ["1M", "2M sum 1:00-2:00"]\n', 2, "'sum' is no day of the week"),
        ('[bandwidth]\nlimit = "1M"\ntimse = []\n', 3, "no setting 'timse'"),
        ('[retention]\nfolder = "/srv"\n', 1, "does not say what stays"),
        ('[retention]\nkeep = 5\nfolder = "old"\n', 1, "whole path"),
        ('[retention]\nfolder = "/srv"\nolder_than = "90"\n', 3, "'90' is no age"),
        ("[disks]\nmax_disk = 5\n", 2, "no size; write it with its unit"),
        ('[disks]\nmax_disk = "65 TiB"\n', 2, "less than or equal to"),
        ("[disks]\nmax_ratio = 0\n", 2, "greater than or equal to 1"),
        ("[retention]\nkeep = 5\n", 1, "'folder' is missing"),
        ('[[bandwidth.times]]\nlimit = "1M"\nto = "7:00"\n', 1, "'from' is missing"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = tmp_path / "runner.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=reason) as caught:
        read(path)
    assert caught.value.subject == f"{path}:{line}"


def test_a_change_counts_at_once_and_a_mistake_changes_nothing(tmp_path: Path) -> None:
    path, said = tmp_path / "runner.toml", list[str]()
    settings = SettingsFile(path, said.append)
    assert settings.now() == Settings()
    path.write_text("jobs_at_once = 2\n")
    assert settings.now().jobs_at_once == 2
    path.write_text("jobs_at_once = 22\nwrong = 1\n")
    assert [settings.now().jobs_at_once for _ in range(3)] == [2, 2, 2]
    assert len(said) == 1
    assert "no setting 'wrong'" in said[0]
    path.unlink()
    assert settings.now() == Settings()
    path.write_text("nonsense\n")
    with pytest.raises(SettingsError):
        settings.load()
