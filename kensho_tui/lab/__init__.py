"""Stand-ins of platforms on loopback, for the demo, the pictures and the tests. Nothing imports it."""

from kensho_tui.lab.xen import LabDisk, Modes, XenLab

__all__ = ["LabDisk", "Modes", "XenLab"]
