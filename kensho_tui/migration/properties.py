"""What the appliance's properties finally are: answers, secrets and defaults brought together."""

from collections.abc import Callable, Iterator

from kensho_tui.machine import Appliance, Property
from kensho_tui.migration.plan import SecretValue, Spec
from kensho_tui.ovf.properties import needed, problem


def values(appliance: Appliance, spec: Spec, secret: Callable[[str], str]) -> dict[str, str]:
    """Value of every property that has one, by address.

    Args:
        secret: finds the secret of that name; called for password answers only.
    """
    found: dict[str, str] = {}
    for each in appliance.properties:
        answer = spec.properties.get(each.address)
        if isinstance(answer, SecretValue):
            found[each.address] = secret(answer.secret)
        elif answer is not None:
            found[each.address] = answer
        elif each.default is not None:
            found[each.address] = each.default
        elif each.configurable and not needed(each):
            found[each.address] = ""
    return found


def secrets(appliance: Appliance, spec: Spec) -> Iterator[tuple[str, Property]]:
    """Names of the secrets that answer properties, each with the property whose rules it has to keep."""
    for each in appliance.properties:
        answer = spec.properties.get(each.address)
        if isinstance(answer, SecretValue):
            yield answer.secret, each


def problems(
    appliance: Appliance, spec: Spec, secret: Callable[[str], str]
) -> Iterator[tuple[Property, str]]:
    """Properties that have no valid value, each with the reason; never the value of a password."""
    known = values(appliance, spec, secret)
    for each in appliance.properties:
        if not each.configurable and each.address not in spec.properties:
            continue
        value = known.get(each.address)
        reason = "an answer is needed" if value is None else problem(each, value)
        if reason:
            yield each, reason
