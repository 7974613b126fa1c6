"""Widgets that more than one screen uses, one a file."""
