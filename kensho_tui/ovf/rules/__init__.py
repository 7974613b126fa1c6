"""The conformance report: what in a descriptor is not as DSP0243 has it, each with what it is taken for.

And the lint for targets: what in a package their own imports refuse or lose. Only ``kensho package check``
asks these rules; reading a package for a migration does not.
"""

from kensho_tui.ovf.rules.catalog import RULES, Rule
from kensho_tui.ovf.rules.lint import lint
from kensho_tui.ovf.rules.report import Fixed, fix, inspect, merge
from kensho_tui.ovf.rules.targets import NAMES
from kensho_tui.ovf.rules.walk import Noted

__all__ = ["NAMES", "RULES", "Fixed", "Noted", "Rule", "fix", "inspect", "lint", "merge"]
