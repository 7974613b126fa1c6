"""``kensho import``, ``export`` and ``migrate``: the wizard's decisions from the command line."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from kensho_tui.cli.jobs import quiet_option
from kensho_tui.cli.out import Exit, emit, guarded, json_option, narrate
from kensho_tui.cli.passwords import password_fd_option
from kensho_tui.cli.running import run_options, run_plan
from kensho_tui.cli.writing import writing_of, writing_options
from kensho_tui.errors import KenshoError
from kensho_tui.migration.sessions import Reading
from kensho_tui.paths import named_path
from kensho_tui.person import language
from kensho_tui.text import one_line, plain
from kensho_tui.web.address import is_url, parse

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from kensho_tui.engine.secrets import Secrets
    from kensho_tui.migration.draft import Draft
    from kensho_tui.migration.plan import (
        DiskFormat,
        Integrity,
        OvfVersion,
        PackageProfile,
        Plan,
        RunPlan,
        ShutDown,
    )
    from kensho_tui.migration.sessions import Sessions
    from kensho_tui.migration.split import Part

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Wishes:
    """The options that the three commands share; what a command does not have stays empty."""

    answers: str | None = None
    accept_eula: tuple[str, ...] = ()
    configuration: str | None = None
    network: tuple[str, ...] = ()
    storage: str | None = None
    property_: tuple[str, ...] = ()
    home: str | None = None
    name: str | None = None
    start: bool = False
    eject_after: int | None = None
    mac: str | None = None
    timezone: str | None = None
    password_fd: tuple[str, ...] = ()
    wait: bool = False
    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False
    batch: str = ""
    separately: bool = False
    parts: "tuple[Part, ...]" = ()  # what each job moves, where there is to be one for each machine
    start_at: Any = None
    window: Any = None
    cutover_window: Any = None
    bandwidth: tuple[str, ...] = ()
    priority: int | None = None
    disks_at_once: int | None = None

    def run(self) -> "RunPlan":
        """When, how fast and how urgent."""
        return run_plan(
            start_at=self.start_at,
            window=self.window,
            cutover_window=self.cutover_window,
            bandwidth=self.bandwidth,
            priority=self.priority,
            disks_at_once=self.disks_at_once,
        )


def _complete_connection(
    ctx: click.Context, param: click.Parameter, text: str
) -> "list[CompletionItem]":
    """Names of connections, for the shell."""
    from click.shell_completion import CompletionItem

    from kensho_tui.connections import ConnectionBook

    try:
        return [
            CompletionItem(each.name, help=each.address)
            for each in ConnectionBook()
            if each.name.startswith(text)
        ]
    except KenshoError:
        return []


_target_options: tuple[Option, ...] = (
    click.option(
        "--to",
        required=True,
        metavar="CONNECTION",
        shell_complete=_complete_connection,
        help="Where it goes.",
    ),
    click.option(
        "--answers",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        help="A YAML file with answers; options win over it.",
    ),
    click.option(
        "--accept-eula",
        multiple=True,
        metavar="all|DIGEST",
        help="Accept all licences, or the one of that digest.",
    ),
    click.option("--network", multiple=True, metavar="NAME=TARGET", help="NAME= unplugs."),
    click.option("--storage", metavar="NAME", help="For all disks that nothing else is said of."),
    click.option(
        "--property",
        "property_",
        multiple=True,
        metavar="KEY=VALUE",
        help="An answer; for passwords KEY=env:VARIABLE or KEY=file:PATH.",
    ),
    click.option("--home", metavar="NAME", help="Pool or host."),
    click.option("--start", is_flag=True, help="Start the machines at the end."),
    click.option(
        "--eject-after",
        type=click.IntRange(0, 7 * 24 * 60),
        metavar="MINUTES",
        help="How long started guests have to read a password before its CD is ejected (15).",
    ),
    click.option(
        "--timezone", metavar="ZONE", help="Time zone that guests are told, such as Europe/Berlin."
    ),
)
_job_options: tuple[Option, ...] = (
    password_fd_option,
    click.option("--name", metavar="NAME", help="What the appliance is called there."),
    click.option(
        "--mac",
        type=click.Choice(["keep", "generate"]),
        help="MAC addresses: as they are (usual), or new ones that the target gives.",
    ),
    click.option("--wait", is_flag=True, help="Follow the job to its end."),
    quiet_option,
    click.option(
        "--batch", default="", metavar="NAME", help="Jobs of one name can be seen as one."
    ),
    click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
    json_option,
)
_running_options = (
    click.option("--snapshot", is_flag=True, help="Read running machines from a snapshot."),
    click.option(
        "--shut-down",
        is_flag=True,
        help="Shut running machines down first; they are started again if the move fails.",
    ),
    click.option(
        "--force-off",
        is_flag=True,
        help="With --shut-down: switch off what has not shut down within ten minutes.",
    ),
)
_separately = click.option(
    "--separately",
    is_flag=True,
    help="A job for each machine; those of one appliance of the platform stay together.",
)


def _options(*groups: tuple[Option, ...]) -> Option:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


# ------------------------------------------------------------------------------------- commands
@click.command("import")
@click.argument("package", metavar="PACKAGE")
@click.option("--configuration", metavar="ID", help="Deployment option of the package.")
@click.option(
    "--integrity",
    type=click.Choice(["require", "warn", "off"]),
    default="require",
    show_default=True,
    help="What a file that does not match the manifest is.",
)
@click.option(
    "--signed-by",
    multiple=True,
    metavar="PATH",
    help="Certificate (PEM file or folder) of a signer or authority: the package has to be signed by one.",
)
@click.option(
    "--locale", metavar="LANG", help="Language of texts, such as de-DE; else this terminal's."
)
@click.option(
    "--lenient",
    is_flag=True,
    help="Take a package with sections that its author requires and Kensho does not understand.",
)
@_options(_target_options, run_options, _job_options)
@guarded
def import_(
    package: str,
    to: str,
    integrity: "Integrity",
    signed_by: tuple[str, ...],
    locale: str | None,
    lenient: bool,
    **wishes: Any,  # noqa: ANN401 - click's options
) -> None:
    """Import an OVF package (folder, descriptor or .ova, here or by https://) onto a platform."""
    asked = Wishes(**wishes)
    with _deciding(asked, *dict.fromkeys((*_depot(package), to))) as (draft, sessions, secrets):
        with _as_input(*_of_address(package)):
            signers = tuple(_absolute(each) for each in signed_by)
            reading = Reading(integrity, signers, language() if locale is None else locale, lenient)
            draft.load_package(sessions, _absolute(package), reading)
        draft.load_target(sessions, to)
        _answer(draft, sessions, asked)
        _finish(draft, sessions, secrets, asked)


@click.command()
@click.argument("connection", shell_complete=_complete_connection)
@click.argument("machines", metavar="VM…", nargs=-1, required=True)
@click.option(
    "--output",
    required=True,
    metavar="PATH",
    help="The package to be written; with --separately the folder for the packages.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ova", "ovf"]),
    help="One archive, or a folder; by the path's ending when not told.",
)
@click.option(
    "--disk-format",
    type=click.Choice(["vmdk", "vhd", "vhdx", "qcow2"]),
    help="Of the disks in it: vmdk is compressed, and what most platforms import; vhdx is for Hyper-V,"
    " qcow2 for KVM. Where nothing is said, what those of --profile take, or vmdk.",
)
@click.option(
    "--profile",
    type=click.Choice(["standard", "vmware", "xenserver", "hyperv", "virtualbox"]),
    help="For whom it is written: what these refuse or break on is said otherwise, or left out and told.",
)
@click.option(
    "--ovf-version",
    type=click.Choice(["1.1", "2.0"]),
    default="1.1",
    help="Version of OVF that is written; most products read 1.1 alone.",
)
@writing_options
@_options(_running_options)
@_separately
@_options(run_options, _job_options)
@guarded
def export(
    connection: str,
    machines: tuple[str, ...],
    output: str,
    format_: str | None,
    disk_format: "DiskFormat | None",
    profile: "PackageProfile | None",
    ovf_version: "OvfVersion",
    snapshot: bool,
    shut_down: bool,
    force_off: bool,
    **wishes: Any,  # noqa: ANN401 - click's options
) -> None:
    """Export machines of a platform to an OVF package."""
    from kensho_tui.ovf.output import check_format

    if not wishes["separately"]:
        check_format(Path(output).expanduser(), format_)
    writing = writing_of(
        wishes, disk_format=disk_format or _disks_for(profile), ovf_version=ovf_version
    )
    writing = replace(writing, profile=profile or "")
    asked = Wishes(**wishes)
    archive = format_ == "ova" or (
        format_ is None and (asked.separately or output.lower().endswith(".ova"))
    )
    with _deciding(asked, connection) as (draft, sessions, secrets):
        _load_machines(
            draft,
            sessions,
            connection,
            machines,
            snapshot,
            _consent(shut_down, force_off, snapshot),
        )
        path = _absolute(output)
        if asked.separately:
            asked = _apart(draft, sessions, asked, path, ".ova" if archive else ".ovf")
            path = asked.parts[0].package
        writing = replace(writing, format="ova" if archive else "ovf")
        draft.load_target_package(sessions, path, writing=writing)
        _answer(draft, sessions, asked)
        _finish(draft, sessions, secrets, asked)


def _disks_for(profile: "PackageProfile | None") -> "DiskFormat":
    """The format of disks that those take best; vmdk is what most do."""
    from kensho_tui.migration.plan import DiskFormat
    from kensho_tui.ovf.profiles import PROFILES

    best = PROFILES[profile].disks[0] if profile else "vmdk"
    return next((each for each in get_args(DiskFormat) if each == best), "vmdk")


@click.command()
@click.argument("connection", shell_complete=_complete_connection)
@click.argument("machines", metavar="VM…", nargs=-1, required=True)
@_options(_running_options)
@_separately
@_options(_target_options, run_options, _job_options)
@guarded
def migrate(
    connection: str,
    machines: tuple[str, ...],
    to: str,
    snapshot: bool,
    shut_down: bool,
    force_off: bool,
    **wishes: Any,  # noqa: ANN401 - click's options
) -> None:
    """Move machines from one platform to another; the source keeps its machines."""
    asked = Wishes(**wishes)
    with _deciding(asked, *dict.fromkeys((connection, to))) as (draft, sessions, secrets):
        _load_machines(
            draft,
            sessions,
            connection,
            machines,
            snapshot,
            _consent(shut_down, force_off, snapshot),
        )
        if asked.separately:
            asked = _apart(draft, sessions, asked)
        draft.load_target(sessions, to)
        _answer(draft, sessions, asked)
        _finish(draft, sessions, secrets, asked)


# ------------------------------------------------------------------------------------- deciding
@contextmanager
def _deciding(asked: Wishes, *places: str) -> "Iterator[tuple[Draft, Sessions, Secrets]]":
    from kensho_tui.cli.passwords import secrets_for
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.migration.draft import Draft
    from kensho_tui.migration.sessions import Sessions

    secrets = secrets_for(asked.password_fd, places)
    with Sessions(ConnectionBook(), secrets) as sessions:
        yield Draft(), sessions, secrets


@contextmanager
def _as_input(*kinds: type[KenshoError]) -> "Iterator[None]":
    """What is wrong with the operator's own file or name is no platform's failure: `Exit.INPUT`.

    ``kinds``: of errors that are meant; none: all that a back end raises.
    """
    from backends.base import BackendError

    try:
        yield
    except BackendError as error:
        if kinds and not isinstance(error, kinds):
            raise
        raise KenshoError(error.what, subject=error.subject, remedy=error.remedy) from error


def _of_address(package: str) -> tuple[type[KenshoError], ...]:
    """Errors that are the package's own and not those of a web server that it lies on."""
    from backends.base import BackendError, DamagedError, NotFoundError, RefusedError

    return (DamagedError, NotFoundError, RefusedError) if is_url(package) else (BackendError,)


def _depot(package: str) -> list[str]:
    """The connection that says how the package's web server is spoken to, where there is one."""
    if not is_url(package):
        return []
    from kensho_tui.connections import ConnectionBook
    from kensho_tui.web.known import covering

    found = covering(ConnectionBook(), package)
    return [] if found is None else [found.name]


def _absolute(path: str) -> str:
    """The path as the job sees it, which runs elsewhere; what is no path stays as it is.

    Raises: KenshoError: see `named_path` and `kensho_tui.web.address.parse`.
    """
    if is_url(path):
        return parse(path)
    path = named_path(path)
    return path if "://" in path else str(Path(path).expanduser().absolute())


def _consent(shut_down: bool, force: bool, snapshot: bool) -> "ShutDown | None":
    """What the operator allows. Raises UsageError: options that do not go together."""
    from kensho_tui.migration.plan import ShutDown

    if shut_down and snapshot:
        raise click.UsageError("give --snapshot or --shut-down: one of them is enough")
    if force and not shut_down:
        raise click.UsageError("--force-off says how --shut-down ends; give both")
    return ShutDown(force=force) if shut_down else None


def _load_machines(
    draft: "Draft",
    sessions: "Sessions",
    connection: str,
    names: Sequence[str],
    snapshot: bool,
    shut_down: "ShutDown | None",
) -> None:
    from backends.base import Consistency, Kind, NameTakenError, NotFoundError
    from kensho_tui.migration.target import find_machines

    kinds = frozenset({Kind.MACHINE, Kind.TEMPLATE, Kind.APPLIANCE})
    session = sessions.get(connection)
    with _as_input(NotFoundError, NameTakenError):
        refs = find_machines(session, kinds, names, connection)
    how = Consistency.SNAPSHOT if snapshot else Consistency.OFF
    draft.load_machines(sessions, connection, refs, how, shut_down)


def _apart(
    draft: "Draft", sessions: "Sessions", asked: Wishes, folder: str = "", ending: str = ""
) -> Wishes:
    """The wishes with what each job is to move. Raises KenshoError: --name names one appliance."""
    from kensho_tui.migration.separately import parts

    if asked.name is not None:
        raise KenshoError(
            "one name cannot be that of several appliances",
            subject=asked.name,
            remedy="Leave --name out; --batch names the jobs together",
        )
    return replace(asked, parts=parts(draft, sessions, folder, ending))


def _answer(draft: "Draft", sessions: "Sessions", asked: Wishes) -> None:
    """Give the draft what the answers file and the options say."""
    from kensho_tui.cli.wishes import from_options, read_answers
    from kensho_tui.migration.answering import take
    from kensho_tui.migration.answers import Answers

    draft.run = asked.run()
    given = from_options(
        configuration=asked.configuration,
        home=asked.home,
        name=asked.name,
        networks=asked.network,
        storage=asked.storage,
        properties=asked.property_,
        passwords={each.address for each in draft.properties(hidden=True) if each.password},
    )
    answers = Answers() if asked.answers is None else read_answers(asked.answers)
    # The option's configuration decides which questions the file's answers are answers to.
    if given.configuration is not None:
        take(draft, Answers(configuration=given.configuration), sessions)
        answers = replace(answers, configuration=None)
    for each in (answers, replace(given, configuration=None)):
        for note in take(draft, each, sessions):
            narrate(f"Note: {note}.")
    if asked.start:
        draft.start = True
    if asked.mac is not None:
        draft.mac = asked.mac
    if asked.timezone is not None:
        draft.timezone = asked.timezone
    if asked.eject_after is not None:
        draft.eject_after = asked.eject_after
    _accept(draft, asked.accept_eula)


def _accept(draft: "Draft", wanted: tuple[str, ...]) -> None:
    from kensho_tui.person import person

    for licence in draft.licences():
        if "all" in wanted or licence.digest in {each.lower() for each in wanted}:
            draft.accept_licence(licence.digest, person())
    known = {each.digest for each in draft.licences()}
    for digest in wanted:
        if digest != "all" and digest.lower() not in known:
            raise KenshoError(
                "there is no licence of that digest here",
                subject=digest,
                remedy=f"Licences here: {', '.join(sorted(known)) or 'none'}",
            )


def _finish(draft: "Draft", sessions: "Sessions", secrets: "Secrets", asked: Wishes) -> None:
    """Check, and then say what is missing, say what would be done, or start the job."""
    from kensho_tui.cli.wishes import missing
    from kensho_tui.findings import Severity
    from kensho_tui.migration.preflight import DECISIONS
    from kensho_tui.migration.words import finding_line, headline, plan_in_words

    lacking = missing(draft)
    findings = draft.check(sessions)
    words = plan_in_words(draft)
    if draft.appliance and (where := _folder(asked)):
        words = replace(words, headline=headline(draft.appliance, draft.spec(), where))
    errors = [each for each in findings if each.severity is Severity.ERROR]
    plans = [] if lacking or errors else _plans(draft, asked)
    if len(plans) > 1:
        from kensho_tui.migration.separately import refusals

        errors = refusals(plans, asked.parts, sessions)
    if lacking:
        # Said with the option that gives it; a finding of the same needs no second line.
        errors = [each for each in errors if each.id not in DECISIONS]
    if lacking or errors or asked.dry_run:
        _licence_texts(draft)
        for line in lacking:
            narrate(f"Missing: {line}")
        dumped = [each.model_dump(mode="json") for each in plans]
        plan = dumped[0] if len(plans) == 1 and not errors else None
        data: dict[str, object] = {
            "plan": plan,
            "missing": lacking,
            "findings": findings,
            "words": words,
        }
        if asked.separately:
            data["plans"] = [] if errors else dumped
        text = words.text() if asked.dry_run else "\n".join(finding_line(e) for e in errors)
        if len(plans) > 1 and asked.dry_run:
            jobs = (f"  {one_line(each.metadata.name)}" for each in plans)
            text += "\n" + "\n".join([f"{len(plans)} jobs, each for itself:", *jobs])
        emit(data, text, as_json=asked.as_json)
        if lacking or errors:
            if any(each.id == "machine-running" for each in errors):
                narrate("Give --snapshot to read running machines from a snapshot, or --shut-down.")
            narrate("Nothing was started.")
            raise SystemExit(int(Exit.FINDINGS))
        return
    for each in findings:
        narrate(finding_line(each))
    _submit(draft, plans, secrets, asked)


def _plans(draft: "Draft", asked: Wishes) -> "list[Plan]":
    """What is submitted: one plan, or one for each part."""
    from kensho_tui.engine.batches import batch_name
    from kensho_tui.migration.separately import plans

    if asked.separately:
        return plans(draft, asked.parts, asked.batch or batch_name(draft.name))
    plan = draft.plan()
    metadata = plan.metadata.model_copy(update={"batch": asked.batch})
    return [plan.model_copy(update={"metadata": metadata})]


def _licence_texts(draft: "Draft") -> None:
    """What has to be read before it is accepted."""
    from kensho_tui.migration.draft import Page

    if not draft.page(Page.LICENCES).needed:
        return
    for number, licence in enumerate(draft.licences(), 1):
        if not draft.accepted(licence.digest):
            whose = f" of {one_line(licence.owner)}" if licence.owner else ""
            narrate(f"── Licence {number}{whose}, digest {licence.digest}")
            narrate(plain(licence.text).rstrip())
            narrate("──")


def _folder(asked: Wishes) -> str:
    """Where the packages of several jobs go, in words; "" where they are no packages."""
    from kensho_tui.migration.units import count

    packages = [each.package for each in asked.parts if each.package]
    return f"{count(len(packages), 'package')} in {Path(packages[0]).parent}" if packages else ""


def _submit(draft: "Draft", plans: "list[Plan]", secrets: "Secrets", asked: Wishes) -> None:
    from kensho_tui.cli.many import follow_jobs
    from kensho_tui.cli.runner import warn
    from kensho_tui.engine.client import Client
    from kensho_tui.migration.words import headline
    from kensho_tui.person import person

    appliance = draft.appliance
    jobs: list[str] = []
    with Client.open() as client:
        try:
            for plan in plans:
                known = {**secrets.known(), **draft.secrets()}
                jobs.append(client.submit(plan, known, by=person()))
        except KenshoError:
            if jobs:
                narrate(f"{len(jobs)} of {len(plans)} jobs were started: {', '.join(jobs)}")
            raise
        narrate(headline(appliance, plans[0].spec, _folder(asked)) if appliance else "")
        warn(client.status())
        if asked.wait:
            code = follow_jobs(client, jobs, as_json=asked.as_json, quiet=asked.quiet)
            raise SystemExit(int(code))
    if not asked.separately:
        emit({"job": jobs[0]}, jobs[0], as_json=asked.as_json)
        narrate(f"The job runs on by itself. Follow it with: kensho job watch {jobs[0]}")
        return
    batch = plans[0].metadata.batch
    emit({"batch": batch, "jobs": jobs}, "\n".join(jobs), as_json=asked.as_json)
    more = f"kensho job watch --batch {shlex.quote(one_line(batch))}"
    narrate(f"The jobs run on by themselves. Follow them with: {more}")
