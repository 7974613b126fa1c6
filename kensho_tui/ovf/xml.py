"""Descriptor bytes to an lxml tree: nothing hostile gets through, well-known mistakes are repaired.

Any document type declaration is refused: OVF needs none, and it is the door of every XML attack.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from kensho_tui.findings import Finding, Severity
from kensho_tui.ovf.errors import DescriptorError
from kensho_tui.ovf.names import ENVELOPES, XSI
from kensho_tui.ovf.recover import declared, missing

MAX_BYTES = 16 << 20
MAX_DEPTH = 100
MAX_MARKS = 400_000  # "<" in the text: about two for each element
MAX_ATTRIBUTES = 400_000

_DECLARATION = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = re.compile(
    r"utf-?8|utf-?16(-?(le|be))?|(us-)?ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d"
    r"|gb2312|gbk|gb18030|big5|shift_jis|euc-jp|euc-kr|koi8-[ru]",
    re.IGNORECASE,
)
_PROLOG = re.compile(r"\s*(?:(?:<\?.*?\?>|<!--.*?-->)\s*)*", re.DOTALL)
# XML 1.0 §2.2: what is no Char.
_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document. ``declared`` is the encoding that its bytes really have."""

    root: etree._Element
    findings: tuple[Finding, ...]
    encoding: str


def read(data: bytes, subject: str = "", *, recover: bool = False) -> Document:
    """Parse a document from outside.

    Args:
        data: the bytes of the descriptor.
        subject: how the operator knows it, for errors.
        recover: whether namespace prefixes that are not declared are taken for what they can only mean.

    Raises: DescriptorError: too large or deep, a DTD, not well-formed, an unknown encoding.
    """
    if len(data) > MAX_BYTES:
        raise DescriptorError(
            f"the descriptor is larger than {MAX_BYTES >> 20} MiB", subject=subject
        )
    text, encoding, findings = _decode(data, subject)
    if text.count("<") > MAX_MARKS or text.count("=") > MAX_ATTRIBUTES * 4:
        raise DescriptorError("the descriptor has too many elements", subject=subject)
    prolog = _PROLOG.match(text)
    if text.startswith("<!DOCTYPE", prolog.end() if prolog else 0):
        raise DescriptorError(
            "the descriptor has a document type declaration (DTD), which no OVF needs",
            subject=subject,
            remedy="Do not trust this package; if it is your own, remove the DOCTYPE",
        )
    try:
        encoded, parser = text.encode("utf-8", "surrogatepass"), _parser()
        try:
            root = etree.fromstring(encoded, parser)
        except etree.XMLSyntaxError as error:
            # A blank in the name of a namespace: to XML that is a name as any other.
            # (The error's own log has what went wrong before, in other documents, too.)
            if prefixes := missing(parser.error_log):
                if not recover:
                    raise _undeclared(prefixes, error, subject) from error
                text, repaired = declared(text, prolog.end() if prolog else 0, prefixes)
                document = read(text.encode("utf-8", "surrogatepass"), subject)
                findings += [*repaired, *document.findings]
                return Document(document.root, tuple(findings), encoding)
            if not _is_of_names(parser.error_log):
                raise
            root = etree.fromstring(encoded, _parser(recover=True))
            findings.append(
                Finding(
                    "namespace-uri",
                    Severity.INFO,
                    "The name of a namespace is no URI; it is taken as it stands.",
                    line=error.position[0],
                )
            )
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise DescriptorError(
            f"the descriptor is not well-formed XML: {_reason(error)}",
            subject=subject,
            remedy="Get the package again, or mend the descriptor",
        ) from error
    if root.getroottree().docinfo.doctype:
        raise DescriptorError("the descriptor has a document type declaration", subject=subject)
    _check_tree(root, subject)
    return Document(root, tuple(findings), encoding)


def _undeclared(prefixes: list[str], error: etree.XMLSyntaxError, subject: str) -> DescriptorError:
    names = ", ".join(f"'{each}'" for each in prefixes)
    return DescriptorError(
        f"the descriptor is not well-formed XML: the namespace prefix {names} is not declared"
        f" (line {error.position[0]})",
        subject=subject,
        remedy="Take it for what it can only mean with --recover (kensho package show, check, edit,"
        " convert); 'kensho package check --recover --fix' writes it right",
    )


def _parser(*, recover: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_blank_text=False,
        recover=recover,
    )


def _is_of_names(log: etree._ListErrorLog) -> bool:
    """Whether all that is wrong is that names of namespaces are no URIs."""
    return len(log) > 0 and all(entry.type == etree.ErrorTypes.WAR_NS_URI for entry in log)


def _reason(error: etree.XMLSyntaxError | UnicodeEncodeError) -> str:
    """What the parser says, with the place told once."""
    if isinstance(error, etree.XMLSyntaxError):
        line, column = error.position
        said = (error.msg or "it ends too early").partition(", line ")[0]
        return f"{said} (line {line}, column {column})"
    return error.reason


def _decode(data: bytes, subject: str) -> tuple[str, str, list[Finding]]:
    """Text without byte-order mark, the encoding it really had, and what was repaired."""
    findings: list[Finding] = []
    declared = _DECLARATION.match(data[:400])
    encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    for mark, name in _BOMS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            declared = None
            break
    else:
        if declared and encoding.replace("-", "").startswith("utf16"):
            # XenCenter declares UTF-16 and writes UTF-8; a real UTF-16 file has no "<?xml" in ASCII.
            findings.append(
                Finding(
                    "encoding-repaired",
                    Severity.INFO,
                    "The descriptor says it is UTF-16 but is UTF-8; it was read as UTF-8.",
                    line=1,
                )
            )
            encoding = "utf-8"
        elif data[:4] == b"<\0?\0":
            encoding = "utf-16-le"
        elif data[:4] == b"\0<\0?":
            encoding = "utf-16-be"
    if not _ENCODINGS.fullmatch(encoding):
        raise DescriptorError(f"the encoding '{encoding}' is not supported", subject=subject)
    try:
        return data.decode(encoding), encoding, findings
    except (UnicodeDecodeError, LookupError) as error:
        raise DescriptorError(
            f"the descriptor is not the text it says it is ({error})",
            subject=subject,
            remedy="Get the package again",
        ) from error


def _check_tree(root: etree._Element, subject: str) -> None:
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise DescriptorError("the descriptor is nested too deeply", subject=subject)
        if event == "start" and isinstance(element.tag, str):
            for name in (element.tag, *element.attrib):
                # A name is written "{namespace}name": with another brace nobody can tell them apart.
                if name.count("{") + name.count("}") > 2:
                    raise DescriptorError(
                        f"a namespace's name holds a brace (line {line(element)})",
                        subject=subject,
                        remedy="Do not trust this package; if it is your own, mend the name",
                    )


def local(element: etree._Element) -> str:
    """The element's name without namespace; "" for comments and processing instructions."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def namespace(element: etree._Element) -> str:
    """The element's namespace; "" where it has none."""
    return (etree.QName(element).namespace or "") if isinstance(element.tag, str) else ""


def kind(element: etree._Element) -> str:
    """`local`, but for OVF 0.9's ``<Section xsi:type="ovf:DiskSection_Type">`` the type's name."""
    name = local(element)
    if name in {"Section", "Content"}:
        typed = element.get(f"{{{XSI}}}type", "")
        return typed.rpartition(":")[2].removesuffix("_Type") or name
    return name


def children(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    """Child elements of those kinds, in order; all child elements where none is named."""
    for child in element:
        if isinstance(child.tag, str) and (not names or kind(child) in names):
            yield child


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first child element of that kind."""
    return next(children(element, name), None)


def attr(element: etree._Element, name: str) -> str | None:
    """An attribute of the standard: in any envelope namespace, or in none, as many write it."""
    for space in ENVELOPES:
        value = element.get(f"{{{space}}}{name}")
        if value is not None:
            return value
    return element.get(name)


def flag(element: etree._Element, name: str, *, default: bool) -> bool:
    """A boolean attribute; the default where it is absent or unreadable."""
    return boolean(attr(element, name), default=default)


def boolean(text: str | None, *, default: bool) -> bool:
    """``true``/``1``/``yes`` or their opposite in any case; the default for all else."""
    word = (text or "").strip().lower()
    if word in {"true", "1", "yes"}:
        return True
    if word in {"false", "0", "no"}:
        return False
    return default


def number(text: str | None) -> int | None:
    """A non-negative integer of at most 19 digits; None for all else."""
    word = (text or "").strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 19 else None


def text(element: etree._Element | None) -> str:
    """The element's text as it stands; "" where there is no element."""
    return "" if element is None else "".join(str(part) for part in element.itertext())


def line(element: etree._Element) -> int | None:
    """Line of the element in the descriptor, from 1."""
    value = element.sourceline
    return value if isinstance(value, int) else None


def printable(value: str) -> str:
    """The text without the characters XML 1.0 cannot hold (§2.2): control characters, surrogates."""
    return _FORBIDDEN.sub("", value)
