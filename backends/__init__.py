"""Platforms, each in a folder of its own, behind the one contract of `backends.base`.

Found through the entry-point group ``kensho_tui.backends`` (`backends.registry`), so that others
can add a platform without touching this project.
"""
