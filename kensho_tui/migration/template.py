"""A package that is to be made: what it says, as a YAML file, and which disk images go into it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from kensho_tui.errors import KenshoError
from kensho_tui.machine import (
    Adapter,
    Appliance,
    Attachment,
    Bus,
    Controller,
    Disk,
    DiskId,
    Firmware,
    GuestOs,
    Licence,
    Machine,
    MachineId,
    Memory,
    Network,
    NetworkId,
    Processors,
    Product,
    Property,
    Start,
)
from kensho_tui.migration.units import parse_size
from kensho_tui.ovf import edits
from kensho_tui.ovf.editing import Change
from kensho_tui.ovf.properties import TYPES, problem
from kensho_tui.text import plain

_MAX_BYTES = 4 << 20
_MOST_SAID = 4  # mistakes that are told at once
_MAX_LICENCE = 4 << 20


class TemplateError(KenshoError):
    """A template is not right; the subject says where."""


def _size(value: object) -> object:
    found = parse_size(value) if isinstance(value, str) else value
    if found is None:
        raise ValueError("a size such as 4GiB")
    return found


def _memory(value: int) -> int:
    if value < 1 << 20:
        raise ValueError("a size of 1 MiB or more, with its unit, such as 4GiB")
    return value


def _line(value: str) -> str:
    if value != plain(value):
        raise ValueError("a text without control characters")
    return value


Text = Annotated[str, AfterValidator(_line)]
Size = Annotated[int, BeforeValidator(_size), Field(gt=0, lt=1 << 62)]
MemorySize = Annotated[Size, AfterValidator(_memory)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DiskTemplate(_Model):
    """A disk: an image that goes in, or a blank one of a size."""

    file: Path | None = None
    size: Size | None = None
    name: str = ""


class QuestionTemplate(_Model):
    """A question (property); a password has no default."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]
    type: str = "string"
    label: str = ""
    description: str = ""
    category: str = ""
    default: str | None = None
    configurable: bool = True
    password: bool = False
    qualifiers: str = ""


class ProductTemplate(_Model):
    """What it calls itself."""

    name: str = ""
    vendor: str = ""
    version: str = ""
    full_version: str = ""
    product_url: str = ""
    vendor_url: str = ""


class MachineTemplate(_Model):
    """One machine. Memory in bytes."""

    id: Id
    name: Text = ""
    description: str = ""
    cpus: Annotated[int, Field(ge=1, le=4096)] = 1
    memory: MemorySize = 1 << 30
    firmware: Firmware = Firmware.BIOS
    os: Text = ""
    os_id: Annotated[int, Field(ge=0, le=65535)] | None = None  # CIM_OperatingSystem.OSType
    os_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")] = ""  # VMware's: debian12_64Guest
    hardware: tuple[str, ...] = ()
    disks: tuple[DiskTemplate, ...] = ()
    networks: tuple[str, ...] = ()
    product: ProductTemplate | None = None
    questions: tuple[QuestionTemplate, ...] = ()
    licences: tuple[Path, ...] = ()
    start_order: Annotated[int, Field(ge=0, le=1000)] = 0
    start_delay_s: Annotated[int, Field(ge=0, le=86400)] = 0


class SizeTemplate(_Model):
    """Hardware of one machine in one deployment option."""

    cpus: Annotated[int, Field(ge=1, le=4096)] | None = None
    memory: MemorySize | None = None


class OptionTemplate(_Model):
    """A deployment option; what it does not name is as the machine has it."""

    id: Id
    label: str = ""
    description: str = ""
    default: bool = False
    machines: dict[str, SizeTemplate] = {}


class Template(_Model):
    """The whole. Paths are those of the template's folder; texts by language, original to translation."""

    name: Annotated[Text, Field(min_length=1, max_length=200)]
    description: str = ""
    product: ProductTemplate | None = None
    networks: dict[str, str] = {}  # name: description
    machines: Annotated[tuple[MachineTemplate, ...], Field(min_length=1)]
    questions: tuple[QuestionTemplate, ...] = ()
    licences: tuple[Path, ...] = ()
    options: tuple[OptionTemplate, ...] = ()
    texts: dict[str, dict[str, str]] = {}


def load(path: Path) -> Template:
    """The template in a YAML file. Raises: TemplateError: no YAML, or not right; it says where."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise TemplateError(f"cannot read: {error.strerror}", subject=str(path)) from error
    if len(data) > _MAX_BYTES:
        raise TemplateError(
            f"the template is larger than {_MAX_BYTES >> 20} MiB", subject=str(path)
        )
    try:
        found: Any = YAML(typ="safe", pure=True).load(data)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise TemplateError(f"this is no YAML: {error.problem}", subject=place) from error
    except (YAMLError, UnicodeError, ValueError) as error:
        raise TemplateError("this is no YAML", subject=str(path)) from error
    try:
        return Template.model_validate(found)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        said = [_wrong(each["type"], each["loc"], each["msg"]) for each in wrong[:_MOST_SAID]]
        more = f"; and {len(wrong) - _MOST_SAID} more" if len(wrong) > _MOST_SAID else ""
        raise TemplateError(
            "; ".join(said) + more, subject=str(path), remedy="docs/packages.md shows a template"
        ) from error


def _wrong(kind: str, place: tuple[int | str, ...], said: str) -> str:
    """One thing that is wrong, as a clause: where, and what is wanted."""
    where = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    wants = {
        "string_type": "is to be a text: write it in quotes",
        "missing": "is missing",
        "extra_forbidden": "is no word of a template",
        "model_type": "is to be lines of the form 'word: value'",
        "dict_type": "is to be lines of the form 'word: value'",
        "tuple_type": "is to be a list",
    }
    if kind in wants:
        return f"'{where[1:] or 'the file'}' {wants[kind]}"
    return f"'{where[1:] or 'the file'}' is not right: {said.removeprefix('Value error, ')}"


def appliance_of(template: Template, folder: Path) -> tuple[Appliance, dict[DiskId, Path]]:
    """The appliance, and the image of each disk that is not blank.

    Args: folder: the template's, from which its paths count.

    Raises: TemplateError: it contradicts itself, or a file is not there.
    """
    disks: dict[DiskId, Disk] = {}
    images: dict[DiskId, Path] = {}
    ids = [each.id for each in template.machines]
    if len(set(ids)) != len(ids):
        raise TemplateError("two machines have the same id", subject=template.name)
    machines = tuple(_machine(each, template, folder, disks, images) for each in template.machines)
    owners: list[tuple[str, ProductTemplate | None, tuple[QuestionTemplate, ...], tuple[Path, ...]]]
    owners = [("", template.product, template.questions, template.licences)]
    owners += [(each.id, each.product, each.questions, each.licences) for each in template.machines]
    appliance = Appliance(
        name=template.name,
        machines=machines,
        disks=disks,
        networks=tuple(Network(NetworkId(k), v) for k, v in template.networks.items()),
        description=template.description,
        collection=len(machines) > 1,
        products=tuple(Product(o, **p.model_dump()) for o, p, _, _ in owners if p is not None),
        properties=tuple(
            _question(each, owner, product) for owner, product, qs, _ in owners for each in qs
        ),
        licences=tuple(
            Licence(_text(folder / path), owner) for owner, _, _, paths in owners for path in paths
        ),
    )
    return appliance, images


def _machine(
    machine: MachineTemplate,
    template: Template,
    folder: Path,
    disks: dict[DiskId, Disk],
    images: dict[DiskId, Path],
) -> Machine:
    unknown = [each for each in machine.networks if each not in template.networks]
    if unknown:
        raise TemplateError(
            f"the network '{unknown[0]}' is not among the networks",
            subject=machine.id,
            remedy=f"There are: {', '.join(template.networks)}"
            if template.networks
            else "Name it there",
        )
    attachments = []
    for number, disk in enumerate(machine.disks):
        id_ = DiskId(f"{machine.id}-{disk.name or f'disk{number + 1}'}")
        if (disk.file is None) == (disk.size is None):
            raise TemplateError("a disk has a file, or a size where it is blank", subject=id_)
        if id_ in disks:
            raise TemplateError("two disks have the same name", subject=id_)
        image = f"{id_}.image" if disk.file is not None else ""
        disks[id_] = Disk(id_, disk.size, name=disk.name or id_, image=image)
        if disk.file is not None:
            images[id_] = folder / disk.file
        unit = number if number < 7 else number + 1  # the seventh place is the controller's own
        attachments.append(
            Attachment(f"{2000 + number}", disk=id_, controller="1000", unit=unit,
                       boot_index=0 if number == 0 else None)
        )  # fmt: skip
    return Machine(
        id=MachineId(machine.id),
        name=machine.name or machine.id,
        memory=Memory(machine.memory),
        processors=Processors(machine.cpus),
        description=machine.description,
        firmware=machine.firmware,
        controllers=(Controller("1000", Bus.SCSI, model="lsilogic"),) if attachments else (),
        attachments=tuple(attachments),
        adapters=tuple(
            Adapter(f"{4000 + i}", NetworkId(each)) for i, each in enumerate(machine.networks)
        ),
        os=GuestOs(machine.os, cim_id=machine.os_id, vendor_id=machine.os_type),
        start=Start(machine.start_order, machine.start_delay_s),
        hardware=machine.hardware,
    )


def _question(question: QuestionTemplate, owner: str, product: ProductTemplate | None) -> Property:
    made = Property(
        key=question.key,
        owner=owner,
        type=question.type,
        qualifiers=question.qualifiers,
        default=question.default,
        configurable=question.configurable,
        password=question.password,
        label=question.label,
        description=question.description,
        category=question.category,
        product=product.name if product else "",
    )
    if question.type not in TYPES:
        raise TemplateError(f"'{question.type}' is no type of a question", subject=made.address,
                            remedy=f"Known are: {', '.join(TYPES)}")  # fmt: skip
    if question.password and question.default is not None:
        raise TemplateError(
            "a password has no default: everybody can read a package", subject=made.address
        )
    if question.default is not None and (why := problem(made, question.default)):
        raise TemplateError(f"the default {why}", subject=made.address)
    return made


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_LICENCE + 1)
        if len(data) > _MAX_LICENCE:
            raise TemplateError("the licence is too long", subject=str(path))
        return data.decode("utf-8-sig")
    except OSError as error:
        raise TemplateError(f"cannot read: {error.strerror}", subject=str(path)) from error
    except UnicodeDecodeError as error:
        raise TemplateError("the licence is no text in UTF-8", subject=str(path)) from error


def beyond(template: Template) -> list[Change]:
    """What the descriptor says that an appliance, which is resolved, does not: options and languages.

    Raises: TemplateError: an option names a machine that is not there.
    """
    changes: list[Change] = []
    known = {each.id for each in template.machines}
    for option in template.options:
        changes.append(
            edits.add_configuration(option.id, option.label, option.description, option.default)
        )
        for machine, hardware in option.machines.items():
            if machine not in known:
                raise TemplateError(f"there is no machine '{machine}'", subject=option.id)
            if hardware.cpus is not None:
                changes.append(edits.set_processors(machine, hardware.cpus, option.id))
            if hardware.memory is not None:
                changes.append(edits.set_memory(machine, hardware.memory, option.id))
    changes += [edits.add_texts(language, texts) for language, texts in template.texts.items()]
    return changes
