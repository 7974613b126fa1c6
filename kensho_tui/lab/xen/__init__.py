"""A XenServer pool that speaks the real wire on loopback: XML-RPC, JSON-RPC and the disk handlers.

The client under test never knows: it logs in, calls and transfers as with a real host. What each
part follows is said at its head; the source followed is xapi-project/xen-api. What the lab does not
do: boot guests, keep roles, send metrics.
"""

from kensho_tui.lab.xen.control import Control
from kensho_tui.lab.xen.lab import LabDisk, XenLab
from kensho_tui.lab.xen.modes import Modes

__all__ = ["Control", "LabDisk", "Modes", "XenLab"]
