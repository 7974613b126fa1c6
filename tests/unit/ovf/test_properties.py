"""What properties accept, and in which words they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.machine import Appliance, Disk, DiskId, Property
from kensho_tui.ovf.properties import (
    base_type,
    choices,
    needed,
    normal,
    problem,
    rule,
    with_answers,
    words,
)


def asked(
    type_: str = "string", qualifiers: str = "", vendor: str = "", default: str | None = None
) -> Property:
    """A property of that type."""
    return Property("k", type=type_, qualifiers=qualifiers, vendor_type=vendor, default=default)


@pytest.mark.parametrize(
    ("type_", "low", "high"),
    [("uint8", 0, 255), ("sint8", -128, 127), ("uint16", 0, 65535), ("sint16", -32768, 32767),
     ("uint32", 0, 4294967295), ("sint32", -2147483648, 2147483647),
     ("uint64", 0, 18446744073709551615), ("sint64", -9223372036854775808, 9223372036854775807)],
)  # fmt: skip
def test_integers_have_the_range_of_their_type(type_: str, low: int, high: int) -> None:
    question = asked(type_)
    reason = f"must be a whole number from {low} to {high}"
    assert problem(question, str(low)) is None
    assert problem(question, str(high)) is None
    assert problem(question, str(high + 1)) == reason
    assert problem(question, str(low - 1)) == reason
    for wrong in ("", "x", "1.5", "0x10", "1_000", "١"):
        assert problem(question, wrong) == reason


@pytest.mark.parametrize(
    ("question", "good", "wrong", "reason"),
    [
        (asked("boolean"), ["true", "False", " TRUE "], ["maybe", ""], "must be true or false"),
        (asked("real64"), ["1", "-1.5", ".5", "1e3"], ["one", "", "nan", "inf", "1e999"],
         "must be a number"),
        (asked(qualifiers="MinLen(1)"), ["x"], [""], "must not be empty"),
        (asked(qualifiers="MinLen(8)"), ["12345678"], ["1234567", ""],
         "must have at least 8 characters"),
        (asked(qualifiers="MaxLen(3)"), ["", "abc"], ["abcd"], "must have at most 3 characters"),
        (asked(qualifiers="MinLen(2),MaxLen(4)"), ["ab", "abcd"], ["a", "abcde"],
         "must have 2 to 4 characters"),
        (asked(qualifiers="MinLen(2) MaxLen(2)"), ["ab"], ["a"], "must have 2 characters"),
        (asked(qualifiers='ValueMap{"a", "b,c"}'), ["a", "b,c"], ["b", "A", ""],
         "must be one of: a, b,c"),
        (asked("sint32", "ValueMap{1, 2, 3, 5}"), ["1", " 5"], ["4", "x"],
         "must be one of: 1, 2, 3, 5"),
        (asked("uint16", "MinValue(1024) MaxValue(5000)"), ["1024", "5000"], ["80", "5001"],
         "must be a whole number from 1024 to 5000"),
        (asked(vendor="ip"), ["192.0.2.1", "2001:db8::1", ""], ["300.1.1.1", "host"],
         "must be an IP address, such as 192.0.2.10 or 2001:db8::10"),
        (asked(vendor="ip:VM Network"), ["192.0.2.1"], ["x"],
         "must be an IP address, such as 192.0.2.10 or 2001:db8::10"),
        (asked(vendor="string(1..8)"), ["a", "12345678"], ["123456789"],
         "must have 1 to 8 characters"),
        (asked(vendor="password(8..)"), ["12345678"], ["short"], "must have at least 8 characters"),
        (asked(vendor='string["dhcp","static"]'), ["dhcp"], ["other"],
         "must be one of: dhcp, static"),
        (asked(vendor="string[dhcp,static]"), ["static"], ["other"], "must be one of: dhcp, static"),
        (asked("sint32", vendor="int(1..9)"), ["1", "9"], ["0", "10"],
         "must be a whole number from 1 to 9"),
        (asked("real64", vendor="real(0.5..1.5)"), ["0.5", "1"], ["2"],
         "must be a number from 0.5 to 1.5"),
        (asked("uint32", "Ip"), ["192.0.2.1"], ["1"],
         "must be an IP address, such as 192.0.2.10 or 2001:db8::10"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_allowed(
    question: Property, good: list[str], wrong: list[str], reason: str
) -> None:
    for value in good:
        assert problem(question, value) is None, value
    for value in wrong:
        assert problem(question, value) == reason, value


def test_what_the_author_left_empty_may_stay_empty() -> None:
    assert problem(asked("uint16", default=""), "") is None
    assert problem(asked(qualifiers='ValueMap{"a"}', default=""), "") is None
    assert problem(asked("uint16", default="5"), "") is not None
    assert problem(asked(qualifiers="MinLen(1)", default=""), "") == "must not be empty"


def test_a_reason_never_repeats_the_value() -> None:
    assert "s3cret" not in (problem(asked(qualifiers="MinLen(20)"), "s3cret") or "s3cret")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("String", ("string", "", False)),
        ("Boolean", ("boolean", "", False)),
        ("", ("string", "", False)),
        ("int", ("sint32", "int", False)),
        ("int(1..9)", ("sint32", "int(1..9)", False)),
        ("ip:Net", ("string", "ip:Net", False)),
        ("string[dhcp,static]", ("string", "string[dhcp,static]", False)),
        ("password(8..)", ("string", "password(8..)", True)),
        ("uint8", ("uint8", "", False)),
        ("frob", ("string", "frob", False)),
    ],
)
def test_vendor_types_are_refinements_of_a_cim_type(
    written: str, expected: tuple[str, str, bool]
) -> None:
    assert base_type(written) == expected


def test_choices_and_normal_forms() -> None:
    assert choices(asked(qualifiers='ValueMap{"a","b"}')) == ("a", "b")
    assert choices(asked("boolean")) == ("true", "false")
    assert choices(asked()) == ()
    assert normal(asked("boolean"), " True") == "true"
    assert normal(asked("boolean"), "1") == "true"
    assert normal(asked("sint32"), "  42  ") == "42"
    assert normal(asked(), "  as it is  ") == "  as it is  "


def test_unknown_qualifiers_are_kept_apart() -> None:
    found = rule(asked(qualifiers="MinLen(2),Frob(x) MaxLen(none) Gateway()"))
    assert found.min_length == 2
    assert found.unknown == ("Frob(x)", "MaxLen(none)", "Gateway()")


@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=10))
def test_no_qualifiers_bring_it_down(qualifiers: str, vendor: str, value: str) -> None:
    for type_ in ("string", "uint8", "real32", "boolean"):
        reason = problem(asked(type_, qualifiers, vendor), value)
        assert reason is None or reason.startswith("must ")


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.sampled_from([",", " ", " , ", "  "]),
    st.text("ab", max_size=60),
)
def test_lengths_bound_texts_however_they_are_separated(
    low: int, extra: int, between: str, value: str
) -> None:
    question = asked(qualifiers=f"MinLen({low}){between}MaxLen({low + extra})")
    assert (problem(question, value) is None) == (low <= len(value) <= low + extra)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='"\\'), max_size=8)))
def test_quoted_words_come_back(values: list[str]) -> None:
    assert words(",".join(f'"{value}"' for value in values)) == tuple(values)


def test_a_capacity_follows_the_answer() -> None:
    disk = Disk(
        DiskId("d"), 5 << 30, capacity_property="vm/size", extras={"ovf:capacityUnit": str(1 << 30)}
    )
    appliance = Appliance("a", (), {disk.id: disk}, properties=(Property("size", "vm", "uint16"),))
    assert with_answers(appliance, {"vm/size": " 7 "}).disks[disk.id].capacity == 7 << 30
    assert with_answers(appliance, {"vm/size": "lots"}).disks[disk.id].capacity == 5 << 30
    assert with_answers(appliance, {}).disks[disk.id].capacity == 5 << 30


@pytest.mark.parametrize(
    ("property_", "wanted"),
    [
        (Property("seed", configurable=True), False),
        (Property("seed", configurable=True, qualifiers="MinLen(1)"), True),
        (Property("seed", configurable=True, default="x"), False),
        (Property("seed"), False),
        (Property("secret", configurable=True, password=True), True),
        (Property("address", configurable=True, vendor_type="ip"), False),
        (Property("port", configurable=True, type="uint16"), True),
        (Property("dhcp", configurable=True, type="boolean"), True),
        (Property("mode", configurable=True, qualifiers='ValueMap{"a","b"}'), True),
    ],
)
def test_only_what_cannot_stay_empty_must_be_answered(property_: Property, wanted: bool) -> None:
    assert needed(property_) is wanted
