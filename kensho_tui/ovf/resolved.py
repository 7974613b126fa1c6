"""Resolutions of a document that stays as it is: each deployment option is resolved once.

For editors, which show and compare many states of a document. Not for an envelope whose tree is edited.
"""

from weakref import WeakKeyDictionary

from kensho_tui.findings import Finding
from kensho_tui.machine import Appliance
from kensho_tui.ovf.envelope import Envelope

_Result = tuple[Appliance, tuple[Finding, ...]]
_KNOWN: WeakKeyDictionary[Envelope, dict[str | None, _Result]] = WeakKeyDictionary()


def resolved(envelope: Envelope, configuration: str | None = None) -> _Result:
    """The same as `Envelope.appliance`, kept as long as the envelope is.

    Raises: DescriptorError: there is no such configuration.
    """
    found = _KNOWN.setdefault(envelope, {})
    if configuration not in found:
        default = next((e.id for e in envelope.configurations if e.default), None)
        if configuration is None and default is not None:
            found[None] = resolved(envelope, default)
        else:
            found[configuration] = envelope.appliance(configuration)
    return found[configuration]
