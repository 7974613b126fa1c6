"""Options of the transfer commands as answers, and what is still missing as options to give."""

import shlex
from collections.abc import Collection, Iterator, Sequence

import click

from kensho_tui.errors import KenshoError
from kensho_tui.migration.answers import Answer, Answers, AnswersError, parse
from kensho_tui.migration.draft import Draft, Page
from kensho_tui.migration.pages import problems
from kensho_tui.ovf.properties import choices
from kensho_tui.text import one_line


def read_answers(path: str) -> Answers:
    """The answers in the file; ``-`` is standard input.

    Raises: AnswersError: it is no such file. KenshoError: it is no text.
    """
    with click.open_file(path, encoding="utf-8") as file:
        try:
            return parse(file.read(), path)
        except UnicodeDecodeError as error:
            raise KenshoError("this is no UTF-8 text", subject=path) from error


def from_options(
    *,
    configuration: str | None = None,
    home: str | None = None,
    name: str | None = None,
    networks: Sequence[str] = (),
    storage: str | None = None,
    properties: Sequence[str] = (),
    passwords: Collection[str] = (),
) -> Answers:
    """The options as an answers file would say them; errors name the option instead of the line.

    Args:
        networks: ``NAME=TARGET`` each; ``NAME=`` unplugs.
        properties: ``KEY=VALUE`` each.
        passwords: addresses of password properties: their values must not stand on a command line,
            which others can read, so they are ``env:VARIABLE`` or ``file:PATH``.

    Raises: AnswersError: an option is not of that form.
    """
    return Answers(
        configuration=_plain(configuration, "--configuration"),
        home=_plain(home, "--home"),
        name=_plain(name, "--name"),
        networks={
            key.value or "": (key, Answer(value.value or None, value.where))
            for key, value in _pairs(networks, "--network", "NAME=TARGET")
        },
        storage={}
        if storage is None
        else {"default": (Answer("default", "--storage"), Answer(storage, "--storage"))},
        properties={
            key.value or "": (key, _secret(value) if key.value in passwords else value)
            for key, value in _pairs(properties, "--property", "KEY=VALUE")
        },
    )


def _plain(value: str | None, option: str) -> Answer | None:
    return None if value is None else Answer(value, option)


def _pairs(values: Sequence[str], option: str, form: str) -> Iterator[tuple[Answer, Answer]]:
    for each in values:
        name, sign, value = each.partition("=")
        where = f"{option} {one_line(name, limit=60)}"
        if not sign or not name:
            raise AnswersError("this is no answer", subject=where, remedy=f"Write {option} {form}")
        yield Answer(name, where), Answer(value, where)


def _secret(value: Answer) -> Answer:
    kind, _, place = (value.value or "").partition(":")
    if kind == "env" and place:
        return Answer(None, value.where, env=place)
    if kind == "file" and place:
        return Answer(None, value.where, file=place)
    raise AnswersError(
        "a password must not stand on the command line, which others can read",
        subject=value.where,
        remedy="Write KEY=env:VARIABLE or KEY=file:PATH, or use --answers",
    )


def missing(draft: Draft) -> list[str]:
    """What the plan still lacks, each with the option that gives it and what is allowed there."""
    lines = list(_licences(draft))
    if not draft.home().decided:
        fit = [row.ref.name for row in draft.homes() if not row.reason]
        unfit = [f"{row.ref.name} ({row.reason})" for row in draft.homes() if row.reason]
        lines.append(
            "a pool or host: give --home NAME; "
            + "; ".join([*_there(fit), *([f"not possible: {', '.join(unfit)}"] if unfit else [])])
        )
    lines += _networks(draft)
    seen = draft.target_view
    free = [item.ref.name for item in seen.storages_for(draft.home().ref)] if seen else []
    if any(not row.choice.decided for row in draft.disks()):
        lines.append("a storage for the disks: give --storage NAME; " + "; ".join(_there(free)))
    small = {use.ref.name for use in draft.storage_use() if not use.fits}
    others = [name for name in free if name not in small]
    lines += [
        f"{one_line(problem)}; give --storage NAME, or disks one by one in --answers; "
        + "; ".join(_there(others))
        for problem in problems(draft, Page.MAPPING)
        if "is too small" in problem
    ]
    lines += _properties(draft)
    return lines


def _there(names: Sequence[str]) -> list[str]:
    return [f"there are: {one_line(', '.join(names))}" if names else "there is none"]


def _licences(draft: Draft) -> Iterator[str]:
    if not draft.page(Page.LICENCES).needed:
        return
    for number, licence in enumerate(draft.licences(), 1):
        if not draft.accepted(licence.digest):
            yield (
                f"licence {number} is not accepted: read it, then give "
                f"--accept-eula {licence.digest}, or --accept-eula all"
            )


def _networks(draft: Draft) -> Iterator[str]:
    seen = draft.target_view
    names = [item.ref.name for item in seen.networks_for(draft.home().ref)] if seen else []
    for row in draft.networks():
        if any(not each.choice.decided for each in row.adapters):
            option = shlex.quote(f"{one_line(str(row.network))}=TARGET")
            yield (
                f'a network for "{one_line(str(row.network))}": give --network {option}; '
                + "; ".join(_there(names))
            )


def _properties(draft: Draft) -> Iterator[str]:
    if not draft.page(Page.PROPERTIES).needed:
        return
    for each in draft.properties():
        reason = draft.property_problem(each.address)
        if not reason:
            continue
        value = "env:VARIABLE" if each.password else "VALUE"
        allowed = choices(each)
        said = f", one of: {', '.join(allowed)}" if allowed else ""
        label = f"{each.label}: " if each.label else ""
        yield one_line(
            f"{label}{reason}: give --property {shlex.quote(f'{each.address}={value}')} "
            f"({each.vendor_type or each.type}{said})"
        )
