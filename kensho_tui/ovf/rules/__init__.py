"""The conformance report: what in a descriptor is not as DSP0243 has it, each with what it is taken for.

Only ``kensho package check`` asks these rules; reading a package for a migration does not.
"""

from kensho_tui.ovf.rules.catalog import RULES, Rule
from kensho_tui.ovf.rules.report import Fixed, fix, inspect, merge
from kensho_tui.ovf.rules.walk import Noted

__all__ = ["RULES", "Fixed", "Noted", "Rule", "fix", "inspect", "merge"]
