"""Virtual disk images, and the bytes' way from one to another.

Each format is one file; `kensho_tui.disks.copy` is the only place where bytes move.
"""
