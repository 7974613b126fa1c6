"""Documents from outside: what is hostile is refused, well-known mistakes are repaired."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kensho_tui.ovf import xml
from kensho_tui.ovf.envelope import Envelope
from kensho_tui.ovf.errors import DescriptorError

ROOT = '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="{ns}"/>'.format(
    ns="http://schemas.dmtf.org/ovf/envelope/1"
)


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE Envelope>",
        '<?xml version="1.0"?>\n<!-- x --><!DOCTYPE Envelope SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        "<?x ?>\n\n<!DOCTYPE Envelope>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_any_document_type_is_refused(prolog: str, encoding: str) -> None:
    with pytest.raises(DescriptorError, match="DTD"):
        xml.read((prolog + ROOT).encode(encoding))


def test_a_doctype_in_a_comment_is_only_a_comment() -> None:
    xml.read(b"<!-- <!DOCTYPE x> --><a>&lt;!DOCTYPE y></a>")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<a>" * 101 + b"</a>" * 101, "nested too deeply"),
        (b"<a>" + b"<b/>" * 400_001 + b"</a>", "too many elements"),
        (b"<a" + b' b="1"' * 1_600_001 + b"/>", "too many elements"),
        (b" " * ((16 << 20) + 1), "larger than 16 MiB"),
        (b"", "not well-formed"),
        (b"<a>", "not well-formed XML: .* .line 1, column 4."),
        (b"<a>&undefined;</a>", "not well-formed"),
        (b"<a>\x00</a>", "not well-formed"),
        (b'<?xml version="1.0" encoding="rot13"?><n/>', "encoding 'rot13' is not supported"),
        (b'<?xml version="1.0" encoding="utf-7"?><n/>', "encoding 'utf-7' is not supported"),
        (b"<a>\xff\xfe</a>", "not the text it says"),
    ],
)
def test_what_is_too_much_or_no_xml_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(DescriptorError, match=what):
        xml.read(data)


@pytest.mark.parametrize(
    ("data", "repaired"),
    [
        ("<a>ü</a>".encode(), False),
        (codecs.BOM_UTF8 + "<a>ü</a>".encode(), False),
        (codecs.BOM_UTF16_LE + "<a>ü</a>".encode("utf-16-le"), False),
        ("<?xml version='1.0' encoding='utf-16'?><a>ü</a>".encode("utf-16"), False),
        ("<?xml version='1.0'?><a>ü</a>".encode("utf-16-be"), False),
        ("<?xml version='1.0' encoding='utf-16'?><a>ü</a>".encode(), True),
        (codecs.BOM_UTF8 + "<?xml version='1.0' encoding='utf-16'?><a>ü</a>".encode(), False),
        ("<?xml version='1.0' encoding='iso-8859-1'?><a>ü</a>".encode("latin-1"), False),
        ("<?xml version='1.0' encoding='windows-1252'?><a>ü</a>".encode("cp1252"), False),
    ],
)
def test_encodings_are_read_for_what_they_are(data: bytes, repaired: bool) -> None:
    document = xml.read(data)
    assert xml.text(document.root) == "ü"
    assert [each.id for each in document.findings] == ["encoding-repaired"] * repaired


@given(st.binary(max_size=200))
def test_no_bytes_bring_it_down(data: bytes) -> None:
    try:
        xml.read(data)
    except DescriptorError as error:
        assert error.what


@given(st.text(max_size=50))
def test_printable_is_what_xml_can_hold(text: str) -> None:
    from lxml import etree

    element = etree.Element("a")
    element.text = xml.printable(text)
    assert xml.printable(xml.printable(text)) == xml.printable(text)
    assert element.text == xml.printable(text)


def test_another_root_is_named() -> None:
    with pytest.raises(DescriptorError, match="root element is 'html'"):
        Envelope.parse(b"<html/>")


def test_an_unknown_version_is_a_finding() -> None:
    envelope = Envelope.parse(b'<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/3"/>')
    assert [each.id for each in envelope.findings] == ["namespace-unknown"]


def test_a_namespace_whose_name_is_no_uri_is_read_and_told() -> None:
    data = b'<a xmlns:x="http://example.org/a b" x:y="1">\n<x:b/></a>'
    document = xml.read(data)
    assert [(f.id, f.line) for f in document.findings] == [("namespace-uri", 1)]
    assert document.root[0].tag == "{http://example.org/a b}b"
    with pytest.raises(DescriptorError, match="not well-formed"):
        xml.read(data.replace(b"</a>", b"<z:c/></a>"))
    with pytest.raises(DescriptorError, match="not well-formed"):
        xml.read(data.replace(b"</a>", b""))


@pytest.mark.parametrize("name", ["http://{x", "http://x}", "a&#123;b"])
def test_a_namespace_with_a_brace_is_refused(name: str) -> None:
    for text in (
        f"<e xmlns='{name}'/>",
        f"<e xmlns:a='{name}' a:b='c'/>",
        f"<e><f xmlns='{name}'/></e>",
    ):
        with pytest.raises(DescriptorError, match="holds a brace"):
            xml.read(text.encode())
