"""Whether an appliance may be used here: a verdict of its own, beside that it is intact and whose it is.

By the site's policy (`kensho_tui.migration.licence_policy`); where there is none, nothing is judged but what
becomes of the machines' identities, which activations hang on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from backends.base import Placement, Ref
from kensho_tui.findings import Finding, Severity
from kensho_tui.machine import Appliance, Licence, Machine, Property
from kensho_tui.migration import licence_policy, properties
from kensho_tui.migration.licence_hook import Answer, HookError, ask
from kensho_tui.migration.licence_policy import Allowance, KeyRule, Policy, VendorAllowance
from kensho_tui.migration.plan import Spec
from kensho_tui.migration.target import TargetView
from kensho_tui.migration.units import sentence

State = Literal["not judged", "allowed", "doubtful", "denied"]
# When the question is put: of a package alone, when a plan is made, and when its job begins.
Moment = Literal["verify", "plan", "job"]
_WEIGHTS = {"error": Severity.ERROR, "warn": Severity.WARNING, "info": Severity.INFO}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of an appliance.

    Attributes:
        policy: the file; "" where there is none.
        findings: errors close the way.
        facts: what is accepted and why, a clause each.
        asked: what the site's program answered; None where there is none, or it gave no answer.
    """

    policy: str = ""
    findings: tuple[Finding, ...] = ()
    facts: tuple[str, ...] = ()
    asked: Answer | None = None

    @property
    def state(self) -> State:
        """In one word."""
        if not self.policy:
            return "not judged"
        weights = {each.severity for each in self.findings}
        if Severity.ERROR in weights:
            return "denied"
        return "doubtful" if Severity.WARNING in weights else "allowed"

    def data(self) -> dict[str, Any]:
        """For JSON and the journal."""
        return {
            "policy": self.policy or None,
            "verdict": self.state,
            "facts": list(self.facts),
            "asked": None
            if self.asked is None
            else {"allow": self.asked.allow, "text": self.asked.text},
        }


@dataclass(frozen=True, slots=True)
class Deploying:
    """What is known of where it goes.

    Attributes:
        spec: the choices; ``view`` the target.
        secret: finds a named secret of the plan: a licence key may be one.
    """

    spec: Spec
    view: TargetView
    placement: Placement
    secret: Callable[[str], str] = field(repr=False)


def judge(
    appliance: Appliance,
    moment: Moment,
    deploying: Deploying | None = None,
    *,
    today: date | None = None,
) -> Verdict:
    """The verdict; a policy that is not right denies.

    Args:
        appliance: with the plan's choices, where there is one.
        deploying: where it goes; None: a package is looked at alone.
    """
    try:
        policy = licence_policy.load()
    except licence_policy.PolicyError as error:
        found = _finding("licence-policy-wrong", "error", error.what, error.subject, error.remedy)
        return Verdict(error.subject or str(licence_policy.policy_path()), (found,))
    if policy is None:
        return Verdict(findings=tuple(_identities(appliance, Policy(), deploying)))
    work = _Judging(policy, appliance, today or date.today())
    found_ = [*work.licences(), *work.vendors(), *work.keys(deploying)]
    found_ += _identities(appliance, policy, deploying)
    asked = None
    if policy.hook is not None:
        try:
            asked = ask(policy.hook, question(appliance, moment, deploying))
            found_.append(_answered(policy.hook.command[0], asked))
        except HookError as error:
            weight = policy.hook.on_failure
            found_.append(
                _finding("licence-program-failed", weight, error.what, error.subject, error.remedy)
            )
    return Verdict(str(licence_policy.policy_path()), tuple(found_), tuple(work.facts), asked)


def _finding(id: str, weight: str, message: str, subject: str = "", remedy: str = "") -> Finding:
    return Finding(id, _WEIGHTS[weight], sentence(message), subject, sentence(remedy))


class _Judging:
    """One appliance against the lists."""

    def __init__(self, policy: Policy, appliance: Appliance, today: date) -> None:
        self._policy = policy
        self._appliance = appliance
        self._today = today
        self.facts: list[str] = []

    def _vendors(self, owner: str) -> set[str]:
        """Whose products the licence of that owner is about."""
        products = self._appliance.products
        own = {each.vendor for each in products if each.owner == owner}
        return own or {each.vendor for each in products if not each.owner}

    def licences(self) -> Iterator[Finding]:
        """Every text against the list of texts, and those of vendors that need none."""
        if not self._policy.licences:
            return
        seen: set[str] = set()
        for number, licence in enumerate(self._appliance.licences, 1):
            if licence.digest in seen:
                continue
            seen.add(licence.digest)
            yield from self._licence(number, licence)

    def _licence(self, number: int, licence: Licence) -> Iterator[Finding]:
        about = f"licence {number} (digest {licence.digest[:12]}…)"
        entries = [e for e in self._policy.licences if e.digest == licence.digest]
        holding = [each for each in entries if not each.ended(self._today)]
        if holding:
            name = f" '{holding[0].name}'" if holding[0].name else ""
            self.facts.append(f"{about} is accepted here{name}{_until(holding[0])}")
            return
        vendors = self._vendors(licence.owner)
        free = [self._vendor(each, free=True) for each in vendors]
        if vendors and all(free):
            self.facts.append(f"{about} is accepted as one of {', '.join(sorted(vendors))}")
            return
        if entries:
            yield _finding(
                "licence-allowance-ended",
                "error",
                f"{about} was accepted here until {entries[0].until}, and is not any more",
                licence.owner,
                "Ask who keeps the policy of licences",
            )
            return
        yield _finding(
            "licence-unlisted",
            self._policy.unlisted,
            f"{about} is on no list of what is accepted here",
            licence.owner,
            f"Have it read, and its digest listed: {licence.digest}",
        )

    def _vendor(self, vendor: str, *, free: bool = False) -> VendorAllowance | None:
        for each in self._policy.vendors:
            holds = each.covers(vendor) and not each.ended(self._today)
            if holds and (not free or each.licences == "any"):
                return each
        return None

    def vendors(self) -> Iterator[Finding]:
        """Every product's vendor against the list of vendors."""
        if not self._policy.vendors:
            return
        products = [each for each in self._appliance.products if each.name or each.vendor]
        if not products:
            yield _finding(
                "vendor-unlisted",
                self._policy.unlisted,
                "the appliance does not say who makes it, and only listed vendors are accepted here",
                self._appliance.name,
            )
        for vendor in sorted({each.vendor for each in products}):
            entry = self._vendor(vendor)
            if entry is not None:
                self.facts.append(f"vendor '{vendor}' is accepted here{_until(entry)}")
                continue
            ended = [each for each in self._policy.vendors if each.covers(vendor)]
            said = (
                f"was accepted here until {ended[0].until}, and is not any more"
                if ended
                else "is on no list of who is accepted here"
            )
            yield _finding(
                "vendor-allowance-ended" if ended else "vendor-unlisted",
                "error" if ended else self._policy.unlisted,
                f"the vendor '{vendor}' {said}" if vendor else f"a product without a vendor {said}",
                next((e.name for e in products if e.vendor == vendor), ""),
                "Ask who keeps the policy of licences",
            )

    def keys(self, deploying: Deploying | None) -> Iterator[Finding]:
        """Every licence key that is asked for; its value is in no finding."""
        asked = [(each, rule) for each in self._appliance.properties
                 if (rule := self._rule(each)) is not None]  # fmt: skip
        if deploying is None or deploying.view.package:
            self.facts += [f"asks for a licence key: {each.label or each.key}" for each, _ in asked]
            return
        if not asked:
            return
        values = properties.values(self._appliance, deploying.spec, deploying.secret)
        for each, rule in asked:
            label, value = each.label or each.address, values.get(each.address) or ""
            if value and rule.well_formed(value):
                self.facts.append(f"a licence key is given: {label}")
            elif value:
                yield _finding(
                    "licence-key-malformed",
                    "error",
                    "the licence key that is given does not look like one",
                    label,
                    f"Give one of the form {rule.format}",
                )
            elif rule.required:
                yield _finding(
                    "licence-key-missing", "error", "no licence key is given", label, "Give it"
                )

    def _rule(self, asked: Property) -> KeyRule | None:
        return next((each for each in self._policy.keys if each.covers(asked)), None)


def _until(entry: Allowance) -> str:
    return f" until {entry.until}" if entry.until else ""


def _answered(program: str, answer: Answer) -> Finding:
    text = f": {answer.text}" if answer.text else ""
    if answer.allow:
        return _finding(
            "licence-asked", "info", f"the licence program was asked and allows it{text}", program
        )
    return _finding(
        "licence-denied",
        "error",
        f"the licence program was asked and denies it{text}",
        program,
        "Ask who keeps the policy of licences",
    )  # fmt: skip


def _identities(
    appliance: Appliance, policy: Policy, deploying: Deploying | None
) -> Iterator[Finding]:
    """Machines that get another SMBIOS UUID, which software may be activated by."""
    if deploying is None or deploying.view.package or deploying.view.capabilities.keeps_uuid:
        return
    for machine in appliance.machines:
        if machine.uuid:
            yield _finding(
                "uuid-changes",
                policy.uuid,
                f"it gets another SMBIOS UUID than {machine.uuid}, because the target gives every machine"
                " its own: software that is activated by it has to be activated anew",
                machine.name,
                "Take activations back before the move, or have their keys at hand; a package keeps the"
                " UUID for targets that can set it",
            )


# ----------------------------------------------------------------------------------------- the question
def question(appliance: Appliance, moment: Moment, deploying: Deploying | None) -> dict[str, Any]:
    """What the site's program is told; licence keys and passwords are not."""
    accepted = {} if deploying is None else {e.digest: e for e in deploying.spec.licences}
    licences = []
    for each in appliance.licences:
        answer = accepted.get(each.digest)
        told: dict[str, Any] = {"digest": each.digest, "owner": each.owner}
        if answer is not None:
            told |= {"accepted_by": answer.accepted_by, "accepted_at": answer.accepted_at}
        licences.append(told)
    return {
        "moment": moment,
        "appliance": appliance.name,
        "products": [
            {
                "owner": each.owner, "name": each.name, "vendor": each.vendor,
                "version": each.full_version or each.version,
            }
            for each in appliance.products
        ],
        "licences": licences,
        "machines": [_machine(each, deploying) for each in appliance.machines],
        "source": None
        if deploying is None
        else {
            "package": deploying.spec.source.package,
            "connection": deploying.spec.source.connection,
        },
        "target": None if deploying is None else _target(deploying),
    }  # fmt: skip


def _machine(machine: Machine, deploying: Deploying | None) -> dict[str, Any]:
    home = None if deploying is None else _home(machine, deploying)
    return {
        "id": str(machine.id),
        "name": machine.name,
        "uuid": machine.uuid,
        "processors": machine.processors.count,
        "memory": machine.memory.size,
        "os": machine.os.description or machine.os.vendor_id,
        "home": None if home is None else _ref(home),
    }


def _home(machine: Machine, deploying: Deploying) -> Ref | None:
    return deploying.placement.homes.get(machine.id, deploying.placement.home)


def _target(deploying: Deploying) -> dict[str, Any]:
    view = deploying.view
    return {
        "connection": view.connection or None,
        "package": view.package or None,
        "platform": view.capabilities.platform.kind,
        "version": view.capabilities.platform.version,
        "hosts": [
            {**_ref(each.ref), "processors": each.processors, "pool": each.pool and _ref(each.pool)}
            for each in view.hosts
        ],
    }


def _ref(ref: Ref) -> dict[str, str]:
    return {"kind": str(ref.kind), "id": ref.id, "name": ref.name}


def accepted(spec: Spec) -> list[Mapping[str, str]]:
    """Who accepted which text when, for the journal."""
    return [each.model_dump() for each in spec.licences]
