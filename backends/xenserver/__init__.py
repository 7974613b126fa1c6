"""XenServer and XCP-ng: XenAPI for what is described and built, the HTTP disk handlers for bytes.

Importing this package loads no vendor library; `PLATFORM.connect` does.
"""

from backends.xenserver.platform import PLATFORM

__all__ = ["PLATFORM"]
