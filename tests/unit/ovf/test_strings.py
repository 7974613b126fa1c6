"""Texts in several languages: in the descriptor, and in files of their own."""

import gzip
from pathlib import Path

import pytest

from kensho_tui.findings import Severity
from kensho_tui.ovf.package import Package, open_package
from tests.unit.ovf.test_envelope import NS, envelope, system
from tests.unit.ovf.test_package import manifest, ova

GERMAN = f'<Strings {NS} xml:lang="de-DE"><Msg ovf:msgid="hello">Hallo</Msg>'
GERMAN += '<Msg ovf:msgid="terms">Alles.</Msg></Strings>'
FRENCH = '<Strings xml:lang="fr"><Msg ovf:msgid="hello">Bonjour</Msg></Strings>'
SECTIONS = (
    '<ProductSection><Info/><Product ovf:msgid="hello">Hello</Product></ProductSection>'
    '<EulaSection><Info/><License ovf:msgid="terms">All of it.</License></EulaSection>'
)


def package(
    tmp_path: Path,
    bundle: bytes | None = GERMAN.encode(),
    *,
    listed: bytes | None = None,
    **file: str,
) -> Path:
    """A package with French texts in its descriptor and German ones in a file."""
    extra = "".join(f' ovf:{name}="{value}"' for name, value in file.items())
    text = envelope(
        references=f'<File ovf:id="de" ovf:href="de.xml"{extra}/>',
        content=system(sections=SECTIONS),
        after=FRENCH + '<Strings xml:lang="de-DE" ovf:fileRef="de"/>',
    ).encode()
    members = {"a.ovf": text} | ({} if bundle is None else {"de.xml": bundle})
    promised = {**members, "de.xml": listed} if listed is not None else members
    return ova(tmp_path / "a.ova", {**members, "a.mf": manifest(promised)})


def texts(opened: Package, locale: str) -> tuple[str, str, str]:
    """Product, licence and the language that was taken."""
    appliance, _ = opened.appliance(locale=locale)
    return appliance.products[0].name, appliance.licences[0].text, appliance.language


def test_texts_in_a_file_of_their_own_are_read(tmp_path: Path) -> None:
    opened = open_package(package(tmp_path))
    assert texts(opened, "") == ("Hello", "All of it.", "en-US")
    assert texts(opened, "de-DE") == ("Hallo", "Alles.", "de-DE")
    # Another country's German is better than none.
    assert texts(opened, "de-AT") == ("Hallo", "Alles.", "de-DE")
    assert texts(opened, "fr-FR") == ("Bonjour", "All of it.", "fr")
    assert texts(opened, "ja") == ("Hello", "All of it.", "en-US")
    appliance, findings = opened.appliance()
    assert appliance.languages == ("en-US", "fr", "de-DE")
    assert findings == ()


def test_a_compressed_file_of_texts_is_read(tmp_path: Path) -> None:
    opened = open_package(package(tmp_path, gzip.compress(GERMAN.encode()), compression="gzip"))
    assert texts(opened, "de") == ("Hallo", "Alles.", "de-DE")


@pytest.mark.parametrize(
    ("bundle", "id_", "words"),
    [
        (None, "strings-unreadable", "not in the package"),
        (b"<Strings", "strings-unreadable", "not well-formed"),
        (b"<!DOCTYPE x [<!ENTITY e 'x'>]><Strings>&e;</Strings>", "strings-unreadable", "DTD"),
        (b"<Envelope/>", "strings-unreadable", "is 'Envelope', not 'Strings'"),
        (
            b"<Strings>" + b" " * (4 << 20) + b"</Strings>",
            "strings-unreadable",
            "larger than 4 MiB",
        ),
    ],
    ids=["absent", "cut", "hostile", "another", "large"],
)
def test_texts_that_cannot_be_read_leave_all_else(
    tmp_path: Path, bundle: bytes | None, id_: str, words: str
) -> None:
    opened = open_package(package(tmp_path, bundle))
    said = {each.id: each for each in opened.appliance(locale="de")[1]}
    assert words in said[id_].message
    assert said[id_].severity is Severity.WARNING
    assert texts(opened, "de")[:2] == ("Hello", "All of it.")
    assert texts(opened, "fr")[0] == "Bonjour"


def test_texts_that_were_changed_are_an_error_a_warning_or_not_looked_at(tmp_path: Path) -> None:
    path = package(tmp_path, GERMAN.replace("Alles", "Nichts").encode(), listed=GERMAN.encode())
    for how, weight in (("require", Severity.ERROR), ("warn", Severity.WARNING)):
        opened = open_package(path, integrity=how)  # type: ignore[arg-type]
        found = {each.id: each.severity for each in opened.findings}
        assert found["strings-damaged"] is weight
        assert texts(opened, "de")[1] == "All of it."
    assert texts(open_package(path, integrity="off"), "de")[1] == "Nichts."


def test_a_file_that_points_out_of_the_package_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text(GERMAN)
    text = envelope(
        references='<File ovf:id="de" ovf:href="../secret.xml"/>',
        content=system(sections=SECTIONS),
        after='<Strings xml:lang="de-DE" ovf:fileRef="de"/>',
    ).encode()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.ovf").write_bytes(text)
    opened = open_package(tmp_path / "p" / "a.ovf")
    assert texts(opened, "de")[0] == "Hello"
    assert "strings-unreadable" in {each.id for each in opened.findings}


def test_a_message_may_be_a_plain_file(tmp_path: Path) -> None:
    """OVF 2: what is long, such as a licence, in a file of its own for each language."""
    sections = '<EulaSection><Info/><License ovf:msgid="terms"/></EulaSection>'
    bundles = "".join(
        f'<Strings xml:lang="{tag}"><Msg ovf:msgid="terms" ovf:fileRef="{tag}"/></Strings>'
        for tag in ("en-US", "de", "fr")
    )
    references = "".join(
        f'<File ovf:id="{tag}" ovf:href="{tag}.txt"/>' for tag in ("en-US", "de", "fr")
    )
    text = envelope(
        references=references, content=system(sections=sections), after=bundles
    ).encode()
    members = {
        "a.ovf": text,
        "en-US.txt": b"\xef\xbb\xbfAll of it.\n",
        "de.txt": "Alles für alle.".encode(),
        "fr.txt": b"\xff\xfe",
    }
    opened = open_package(ova(tmp_path / "a.ova", {**members, "a.mf": manifest(members)}))
    for locale, said in (("", "All of it.\n"), ("de", "Alles für alle.")):
        assert opened.appliance(locale=locale)[0].licences[0].text == said
    (found,) = [each for each in opened.findings if "fr.txt" in each.subject]
    assert (found.id, found.severity) == ("strings-unreadable", Severity.WARNING)
    assert "no text in UTF-8" in found.message
