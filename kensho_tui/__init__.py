"""Kensho moves virtual machines between platforms through the OVF standard, from a terminal."""

__version__ = "0.1.0"
