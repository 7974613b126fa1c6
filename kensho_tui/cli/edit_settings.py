"""What ``kensho package edit --set`` and ``--unset`` understand: one word a line, with the edit it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from kensho_tui.errors import KenshoError
from kensho_tui.migration.units import parse_size
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change


@dataclass(frozen=True, slots=True)
class On:
    """What a setting is for: a machine (None: the only one), a product, a deployment option (None: all)."""

    machine: str | None = None
    configuration: str | None = None
    product: str = ""


# From what it is for, what is named behind the colon, and the value, to the edit.
Make = Callable[[On, str, str], Change]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of ``--set``. ``names``: what stands behind its colon, "" where nothing does."""

    make: Make
    names: str = ""
    options: bool = False  # whether a deployment option may have its own


def _whole(word: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 6):
        raise click.UsageError(f"{word} is a whole number from 0 to 99999, not '{value}'")
    return int(value)


def _size(word: str, value: str) -> int:
    found = parse_size(value)
    if found is None:
        raise click.UsageError(f"{word} is a size such as 4GiB, not '{value}'")
    return found


def _flag(word: str, value: str) -> bool:
    if value.lower() not in {"yes", "no", "true", "false"}:
        raise click.UsageError(f"{word} is yes or no, not '{value}'")
    return value.lower() in {"yes", "true"}


def text_of(path: str) -> str:
    """The text of a file in UTF-8. Raises: KenshoError: it is none."""
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise KenshoError("this is no text in UTF-8", subject=path) from error
    except OSError as error:
        raise KenshoError(f"the file cannot be read: {error.strerror}", subject=path) from error


def _place(on: On, device: str, value: str) -> Change:
    controller, _, unit = value.rpartition(":")
    if not controller:
        controller, unit = value, ""
    return edits.set_place(
        on.machine, device, controller, _whole("place", unit) if unit else None, on.configuration
    )


def _translated(on: On, what: str, value: str) -> Change:
    language, colon, text = what.partition(":")
    if not colon:
        raise click.UsageError("text is text:LANGUAGE:TEXT=TRANSLATION")
    return edits.add_texts(language, {text: value})


def _product(word: str) -> Word:
    return Word(lambda on, _, value: edits.set_product(on.machine, word, value, on.product))


def _system(word: str) -> Word:
    return Word(lambda on, _, value: edits.set_system(on.machine, word, value))


def _start(word: str, part: str) -> Word:
    return Word(lambda on, _, value: edits.set_start(on.machine, part, value))


def _part(part: str) -> Word:
    return Word(lambda on, key, value: edits.set_property_part(on.machine, key, part, value), "KEY")


WORDS: dict[str, Word] = {
    # The machine.
    "name": Word(lambda on, _, value: edits.set_name(on.machine, value)),
    "annotation": Word(lambda on, _, value: edits.set_annotation(on.machine, value)),
    "cpus": Word(
        lambda on, _, v: edits.set_processors(on.machine, _whole("cpus", v), on.configuration),
        options=True,
    ),
    "cores": Word(
        lambda on, _, v: edits.set_cores(on.machine, _whole("cores", v), on.configuration),
        options=True,
    ),
    "memory": Word(
        lambda on, _, v: edits.set_memory(on.machine, _size("memory", v), on.configuration),
        options=True,
    ),
    "adapters": Word(
        lambda on, _, v: edits.set_adapter_count(
            on.machine, _whole("adapters", v), None, on.configuration
        ),
        options=True,
    ),
    "hardware": Word(lambda on, _, value: edits.set_families(on.machine, value)),
    "transport": Word(lambda on, _, value: edits.set_transport(on.machine, value)),
    "firmware": Word(lambda on, _, value: edits.set_firmware(on.machine, value)),
    "secure-boot": Word(
        lambda on, _, value: edits.set_secure_boot(on.machine, _flag("secure-boot", value))
    ),
    "boot-order": Word(
        lambda on, _, v: edits.set_boot_order(on.machine, v.replace(",", " ").split())
    ),
    **{each: _system(each) for each in ("os", "os-id", "os-version", "os-type")},
    "start-order": _start("start-order", "order"),
    "start-delay": _start("start-delay", "start-delay"),
    "stop-delay": _start("stop-delay", "stop-delay"),
    "start": _start("start", "start"),
    "wait-for-guest": _start("wait-for-guest", "wait-for-guest"),
    # Its devices.
    "network": Word(
        lambda on, d, v: edits.set_adapter_network(on.machine, d, v, on.configuration),
        "DEVICE",
        True,
    ),
    "mac": Word(
        lambda on, d, v: edits.set_adapter_mac(on.machine, d, v, on.configuration), "DEVICE", True
    ),
    "type": Word(
        lambda on, d, v: edits.set_device_type(on.machine, d, v, on.configuration), "DEVICE", True
    ),
    "device-name": Word(
        lambda on, d, v: edits.set_device_name(on.machine, d, v, on.configuration), "DEVICE", True
    ),
    "address": Word(
        lambda on, d, v: edits.set_device_address(on.machine, d, v, on.configuration),
        "DEVICE",
        True,
    ),
    "connected": Word(
        lambda on, d, v: edits.set_connected(on.machine, d, v, on.configuration), "DEVICE", True
    ),
    "place": Word(_place, "DEVICE", True),
    "medium": Word(
        lambda on, d, v: edits.set_medium(on.machine, d, v, on.configuration), "DEVICE", True
    ),
    # What vendors say of it.
    "config": Word(lambda on, key, v: edits.set_setting(on.machine, "Config", key, v), "KEY"),
    "extra": Word(lambda on, key, v: edits.set_setting(on.machine, "ExtraConfig", key, v), "KEY"),
    # Products and questions.
    **{
        each: _product(each)
        for each in (
            "product", "vendor", "version", "full-version", "product-url", "vendor-url", "app-url",
            "class", "instance",
        )
    },
    "property": Word(
        lambda on, key, v: edits.set_property(on.machine, key, v, on.configuration), "KEY", True
    ),
    **{f"property-{part}": _part(part) for part in (
        "key", "type", "label", "description", "qualifiers", "configurable", "password", "category",
    )},
    "licence": Word(
        lambda on, number, v: edits.set_licence(on.machine, _whole("licence", number), text_of(v)),
        "NUMBER",
    ),
    # The package.
    "title": Word(lambda on, _, value: edits.set_title(value)),
    "capacity": Word(lambda on, disk, v: edits.set_capacity(disk, _size("capacity", v)), "DISK"),
    "network-description": Word(
        lambda on, name, v: edits.set_network_description(name, v), "NETWORK"
    ),
    "option-id": Word(lambda on, id_, v: edits.rename_configuration(id_, v), "OPTION"),
    "option-label": Word(lambda on, id_, v: edits.set_configuration(id_, "label", v), "OPTION"),
    "option-description": Word(
        lambda on, id_, v: edits.set_configuration(id_, "description", v), "OPTION"
    ),
    "default-option": Word(lambda on, _, value: edits.set_default_configuration(value)),
    "text": Word(_translated, "LANGUAGE:TEXT"),
    "message": Word(
        lambda on, what, v: edits.set_message(*what.partition(":")[::2], v), "LANGUAGE:MSGID"
    ),
}  # fmt: skip


def listed() -> str:
    """All words, for the help: ``cpus, memory, …, property:KEY``."""
    return ", ".join(f"{word}:{each.names}" if each.names else word for word, each in WORDS.items())


def setting(text: str, on: On) -> Change:
    """The edit that ``KEY=VALUE`` is. Raises: click.UsageError: it is none."""
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set takes KEY=VALUE, not '{text}'")
    name, _, what = key.strip().partition(":")
    word = WORDS.get(name)
    if word is None or bool(word.names) is not bool(what):
        raise click.UsageError(
            f"--set does not understand '{text}'; see 'kensho package edit --help'"
        )
    if on.configuration is not None and not word.options:
        raise click.UsageError(f"'{name}' is the same in all deployment options")
    return word.make(on, what, value)


def unset(text: str, on: On) -> Change:
    """The edit that takes away what ``KEY`` names. Raises: click.UsageError: it is none."""
    name, _, what = text.strip().partition(":")
    match name:
        case "property" if what:
            return edits.clear_property(on.machine, what, on.configuration)
        case "config" if what:
            return edits.remove_setting(on.machine, "Config", what)
        case "extra" if what:
            return edits.remove_setting(on.machine, "ExtraConfig", what)
    raise click.UsageError(
        f"--unset takes property:KEY, config:KEY or extra:KEY, not '{text}'; what else there is, is removed by"
        " a command of its own"
    )
