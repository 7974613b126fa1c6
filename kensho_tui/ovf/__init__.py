"""DSP0243: descriptor, package files, manifest, properties and environment.

The descriptor is a typed view over the XML tree that loses nothing it does not know.
"""
