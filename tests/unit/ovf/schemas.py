"""DMTF's schemas, which are not part of the repository."""

import os
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

XSD = Path(os.environ.get("KENSHO_XSD", Path(__file__).parents[4] / "shared" / "xsd"))
needs_xsd = pytest.mark.skipif(
    not XSD.is_dir(),
    reason=f"DMTF's schemas are not at {XSD}: set KENSHO_XSD to a folder with 1.1.1-xo, 2.0.1-itchy"
    " and 1.0.0-xenadmin",
)


@cache
def envelope_schema() -> etree.XMLSchema:
    """DSP8023 1.1.1."""
    return etree.XMLSchema(etree.parse(str(XSD / "1.1.1-xo" / "dsp8023_1.1.1.xsd")))


@cache
def second_schema() -> etree.XMLSchema:
    """DSP8023 2.0.1."""
    parser = etree.XMLParser(no_network=True, resolve_entities=False)
    path = XSD / "2.0.1-itchy" / "dsp8023_2.0.1.xsd"
    return etree.XMLSchema(etree.parse(str(path), parser))


@cache
def environment_schema() -> etree.XMLSchema:
    """DSP8027 1.0.0; its import names an address, which is replaced by the file beside it."""
    folder = XSD / "1.0.0-xenadmin"
    text = (folder / "DSP8027.xsd").read_bytes()
    text = text.replace(
        b"http://schemas.dmtf.org/wbem/wscim/1/common.xsd", str(folder / "common.xsd").encode()
    )
    return etree.XMLSchema(etree.fromstring(text))


def problems(schema: etree.XMLSchema, data: bytes) -> list[str]:
    """What the schema says against the document; [] where it is valid."""
    if schema.validate(etree.fromstring(data)):
        return []
    return [f"{error.line}: {error.message}" for error in schema.error_log]
