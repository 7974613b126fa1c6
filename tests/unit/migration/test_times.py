"""Windows of time: over midnight, over the clock's change, and as people write them."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.migration.plan import BandwidthPlan, RunPlan, WindowPlan
from kensho_tui.migration.times import (
    TimeError,
    Window,
    local_zone,
    minutes_east,
    parse_moment,
    parse_window,
    window_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Australia/Lord_Howe",
)

clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
windows = st.builds(
    Window,
    st.sampled_from(ZONES),
    st.frozensets(st.integers(0, 6), min_size=1),
    clocks,
    clocks,
)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@given(windows, moments)
def test_a_window_opens_at_the_first_moment_at_which_it_is_open(
    window: Window, now: datetime
) -> None:
    opens = window.opens(now)
    assert opens >= now
    assert window.is_open(opens)
    assert window.is_open(now) == (opens == now)
    if opens > now:
        for part in range(50):
            assert not window.is_open(now + (opens - now) * part / 50)


@given(windows, moments)
def test_it_is_open_when_the_clock_on_the_wall_says_so(window: Window, now: datetime) -> None:
    local = now.astimezone(ZoneInfo(window.zone))
    day, clock = local.weekday(), local.time()
    if window.start < window.end:
        says = day in window.days and window.start <= clock < window.end
    else:
        late = day in window.days and clock >= window.start
        early = (day - 1) % 7 in window.days and clock < window.end
        says = late or early
    # Within a day of a change of the clock, hours that come twice or never are told below.
    near = {(now + timedelta(hours=h)).astimezone(local.tzinfo).utcoffset() for h in (-24, 0, 24)}
    if len(near) == 1:
        assert window.is_open(now) == says


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    window = parse_window("fri 22:00-04:00 Europe/Berlin")
    assert not window.is_open(berlin("2026-06-05T21:59"))  # a Friday
    assert window.is_open(berlin("2026-06-05T22:00"))
    assert window.is_open(berlin("2026-06-06T03:59"))
    assert not window.is_open(berlin("2026-06-06T04:00"))
    assert not window.is_open(berlin("2026-06-06T23:00"))
    assert window.opens(berlin("2026-06-06T04:00")) == berlin("2026-06-12T22:00")


def test_the_hour_that_a_day_skips_and_the_one_it_has_twice() -> None:
    # The clock goes from 2:00 to 3:00 on 2026-03-29, and from 3:00 to 2:00 on 2026-10-25.
    night = parse_window("daily 02:30-05:00 Europe/Berlin")
    assert night.opens(berlin("2026-03-29T01:00")) == berlin("2026-03-29T03:30")
    skipped = parse_window("sun 02:00-03:00 Europe/Berlin")
    assert skipped.opens(berlin("2026-03-28T12:00")) == berlin("2026-04-05T02:00"), "not that night"
    twice = parse_window("daily 22:00-02:30 Europe/Berlin")
    open_for = sum(
        twice.is_open(berlin("2026-10-24T20:00").astimezone(UTC) + timedelta(minutes=minute))
        for minute in range(12 * 60)
    )
    assert open_for == 5 * 60 + 30, "the night of four and a half hours has one more"


def test_a_window_that_ends_when_it_begins_lasts_a_day() -> None:
    window = parse_window("sat 00:00-24:00 UTC")
    assert not window.is_open(datetime(2026, 6, 5, 23, 59, tzinfo=UTC))
    assert window.is_open(datetime(2026, 6, 6, tzinfo=UTC))
    assert window.is_open(datetime(2026, 6, 6, 23, 59, tzinfo=UTC))
    assert not window.is_open(datetime(2026, 6, 7, tzinfo=UTC))


@given(windows)
def test_a_window_is_read_as_it_is_written(window: Window) -> None:
    assert parse_window(str(window)) == window
    plan = WindowPlan.of(window)
    assert plan.window() == window
    run = RunPlan(window=plan)
    assert RunPlan.model_validate(run.model_dump(mode="json")) == run
    assert RunPlan.model_validate_json(run.model_dump_json()) == run
    assert window_of(run.model_dump(mode="json")["window"]) == window


def test_what_is_left_out_is_every_day_and_this_machines_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert local_zone() == "America/New_York"
    assert str(parse_window("22:00-04:00")) == "daily 22:00-04:00 America/New_York"
    assert str(parse_window("sat-mon,wed 7:00-8:30 UTC")) == "mon,wed,sat,sun 07:00-08:30 UTC"
    monkeypatch.setenv("TZ", ":no/where")
    assert ZoneInfo(local_zone()).key


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no window"),
        ("mon", "no window"),
        ("22:00", "no window"),
        ("moonday 22:00-23:00", "no day"),
        ("mon 22:00-25:00", "no time of day"),
        ("mon 24:30-23:00", "no time of day"),
        ("22:00-23:00 Mars/Base", "no time zone"),
        ("22:00-23:00 ../../etc/passwd", "no time zone"),
        ("mon 22:00-23:00 UTC now", "no window"),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(TimeError, match=reason) as caught:
        parse_window(text)
    assert caught.value.remedy


def test_moments_with_a_zone_become_utc() -> None:
    at = datetime(2026, 12, 1, 21, tzinfo=UTC)
    for text in ("2026-12-01T21:00Z", "2026-12-01 22:00 Europe/Berlin", "2026-12-01T22:00+01:00"):
        assert parse_moment(text) == at
        assert RunPlan.model_validate({"not_before": text}).not_before == at
    assert parse_moment("2026-12-01 22:00", "Europe/Berlin") == at
    for text, reason in (
        ("2026-12-01 22:00", "no time zone"),
        ("soon", "no moment"),
        ("2026-12-01T21:00Z Europe/Berlin", "two time zones"),
    ):
        with pytest.raises(TimeError, match=reason):
            parse_moment(text)
    with pytest.raises(ValueError, match="no time zone"):
        RunPlan.model_validate({"not_before": "2026-12-01 22:00"})


def hours(start: str, end: str) -> dict[str, str]:
    return {"zone": "Europe/Berlin", "from": start, "to": end}


def test_the_limit_follows_the_hour() -> None:
    plan = BandwidthPlan.model_validate(
        {
            "limit": "100 MiB",
            "times": [
                {"limit": "20 MiB", "days": ["mon", "tue"], **hours("07:00", "18:00")},
                {"limit": None, **hours("22:00", "05:00")},
            ],
        }
    )
    assert plan.limits().at(berlin("2026-06-01T06:59")) == 100 << 20  # a Monday
    assert plan.limits().at(berlin("2026-06-01T07:00")) == 20 << 20
    assert plan.limits().at(berlin("2026-06-03T07:00")) == 100 << 20
    assert plan.limits().at(berlin("2026-06-03T23:00")) is None
    assert BandwidthPlan.model_validate(plan.model_dump(mode="json")) == plan
    for wrong in ("fast", 0, -5, "12"):
        with pytest.raises(ValueError, match=r"limit|greater"):
            BandwidthPlan.model_validate({"limit": wrong})


@pytest.mark.parametrize(
    ("zone", "month", "minutes"),
    [
        ("Europe/Berlin", 1, 60),
        ("Europe/Berlin", 7, 120),
        ("America/St_Johns", 1, -210),
        ("UTC", 7, 0),
    ],
)
def test_a_zones_distance_from_utc_is_that_of_the_season(
    zone: str, month: int, minutes: int
) -> None:
    assert minutes_east(zone, datetime(2026, month, 15, tzinfo=UTC)) == minutes
