"""Signatures: each verdict by itself, and no file that two readers could read in two ways."""

import base64
import hashlib
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from kensho_tui.findings import Severity
from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.package import open_package
from kensho_tui.ovf.sign import KeySigner, certificate_file
from kensho_tui.ovf.signature import HASHES, Origin, State, origin, parse
from kensho_tui.ovf.trust import Chain, Trust
from tests.unit.ovf.certificates import (
    NOW,
    Identity,
    authority,
    ec_key,
    identity,
    publisher,
    rsa_key,
)
from tests.unit.ovf.corpus import CORPUS, needs_corpus
from tests.unit.ovf.test_package import DISK, folder, manifest, ova, text

MANIFEST = b"SHA256(a.ovf)= " + hashlib.sha256(b"a").hexdigest().encode() + b"\n"
NOBODY = Trust((), "nobody")


def signed(who: Identity, data: bytes = MANIFEST, algorithm: str = "sha256") -> bytes:
    """A certificate file by hand, as other tools make it."""
    how = HASHES[algorithm]()
    if isinstance(who.key, rsa.RSAPrivateKey):
        value = who.key.sign(data, padding.PKCS1v15(), how)
    else:
        value = who.key.sign(data, ec.ECDSA(how))
    return f"{algorithm.upper()}(a.mf)= {value.hex()}\n".encode() + who.pem


def seen(data: bytes, trust: Trust = NOBODY, manifest_: bytes | None = MANIFEST) -> Origin:
    """What is made of a certificate file today."""
    return origin(data, manifest_, "a.mf", trust=trust, now=NOW)


def trusting(*who: Identity) -> Trust:
    """Trust in these certificates."""
    return Trust(tuple(each.certificate for each in who), "the test")


def test_a_publisher_with_a_trusted_authority_is_proven() -> None:
    found = seen(signed(publisher()), trusting(authority()))
    assert (found.state, found.chain, found.proven) == (State.RIGHT, Chain.TRUSTED, True)
    assert found.signer is not None
    assert (found.signer.name, found.signer.key) == ("Publisher Ltd", "RSA 2048")
    assert found.signer.for_code is True
    assert found.signer.issuer == "CN=Test Authority"


def test_a_signer_who_is_named_himself_needs_no_authority() -> None:
    alone = identity("Alone", rsa_key(3))
    assert seen(signed(alone)).chain is Chain.SELF_SIGNED
    assert not seen(signed(alone)).proven
    found = seen(signed(alone), trusting(alone))
    assert (found.chain, found.proven) == (Chain.NAMED, True)


def test_an_authority_nobody_trusts_proves_nothing() -> None:
    other = identity("Other Authority", rsa_key(4), authority=True)
    found = seen(signed(publisher()), trusting(other))
    assert (found.state, found.chain, found.proven) == (State.RIGHT, Chain.UNKNOWN, False)


def test_who_is_no_authority_answers_for_nobody() -> None:
    # A publisher signs a certificate for somebody else with a key that is for packages only.
    forged = identity("Victim Ltd", rsa_key(5), publisher())
    found = seen(signed(forged), trusting(authority()))
    assert (found.state, found.chain) == (State.RIGHT, Chain.UNKNOWN)


def test_a_certificate_that_has_ended_is_told_beside_a_right_signature() -> None:
    old = identity(
        "Old Ltd", rsa_key(6), authority(),
        since=NOW - timedelta(days=20), until=NOW - timedelta(days=2),
    )  # fmt: skip
    found = seen(signed(old), trusting(authority()))
    assert (found.state, found.chain, found.in_time) == (State.RIGHT, Chain.TRUSTED, False)
    assert not found.proven


@pytest.mark.parametrize(
    ("who", "algorithm", "weak"),
    [
        (identity("Short", rsa_key(7, 1024)), "sha256", "a key of 1024 bits"),
        (publisher(), "sha1", "SHA-1"),
        (identity("Both", rsa_key(7, 1024)), "sha1", "SHA-1 and a key of 1024 bits"),
    ],
)
def test_what_could_be_forged_is_said(who: Identity, algorithm: str, weak: str) -> None:
    found = seen(signed(who, algorithm=algorithm), trusting(who))
    assert (found.state, found.weak, found.proven) == (State.RIGHT, weak, False)


def test_keys_on_elliptic_curves_sign_too() -> None:
    curve = identity("Curve", ec_key())
    found = seen(signed(curve), trusting(curve))
    assert found.proven
    assert found.signer is not None
    assert found.signer.key == "EC secp256r1"


def test_a_changed_manifest_is_noticed() -> None:
    found = seen(signed(publisher()), trusting(authority()), MANIFEST + b"\n")
    assert found.state is State.WRONG
    assert "one of them was changed" in found.why
    assert not found.proven


def test_another_ones_certificate_does_not_make_a_signature_his() -> None:
    lines = signed(identity("Alone", rsa_key(3))).split(b"-----BEGIN")
    found = seen(lines[0] + publisher().pem, trusting(authority()))
    assert found.state is State.WRONG


def test_the_signature_of_another_file_is_none_of_this_one() -> None:
    data = signed(publisher()).replace(b"(a.mf)", b"(b.mf)")
    assert "'b.mf', not of 'a.mf'" in seen(data).why


def test_no_certificate_file_is_no_signature() -> None:
    assert origin(None, MANIFEST, "a.mf", trust=NOBODY, now=NOW) == Origin()


# ------------------------------------------------------------------------------ what is not read
SIGNED = signed(publisher())
LINE, PEM = SIGNED.split(b"\n", 1)
OTHER = identity("Alone", rsa_key(3)).pem


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin with"),
        (b"\xff\xfe\x00", "no text"),
        (PEM, "does not begin with"),
        (LINE + b"\n", "holds no certificate"),
        (LINE + b"\n" + LINE + b"\n" + PEM, "does not begin with"),
        (b"MD5(a.mf)= 00\n" + PEM, "uses 'MD5'"),
        (b"SHA256(a.mf)= 123\n" + PEM, "odd number of digits"),
        (LINE + b"\n" + publisher().certificate.public_bytes(Encoding.PEM) + OTHER, "not the issuer"),
        (LINE + b"\n" + OTHER + publisher().pem, "not the issuer"),
        (LINE + b"\n" + publisher().key_pem + PEM, "block of the kind 'PRIVATE KEY'"),
        (LINE + b"\n" + PEM[:-30], "without an end"),
        (LINE + b"\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged"),
        (LINE + b" " * (1 << 20) + PEM, "larger than 1 MiB"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(SignatureError, match=words):
        parse(data)
    found = seen(data, trusting(authority()))
    assert (found.state, found.proven) == (State.UNREADABLE, False)


def test_digits_on_several_lines_and_crlf_are_read() -> None:
    head, digits = LINE.split(b"= ")
    wrapped = (
        head + b"= " + digits[:62] + b"\r\n" + digits[62:] + b"\r\n" + PEM.replace(b"\n", b"\r\n")
    )
    assert seen(b"\xef\xbb\xbf" + wrapped, trusting(authority())).proven


def test_a_certificate_as_xencenter_writes_it_is_read_and_said() -> None:
    der = publisher().certificate.public_bytes(Encoding.DER)
    element = b"".join(n.to_bytes(4, "little") for n in (3, 1, 20)) + bytes(20)
    element += b"".join(n.to_bytes(4, "little") for n in (32, 1, len(der))) + der
    body = base64.encodebytes(element + bytes(12))
    data = LINE + b"\n-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
    found = seen(data, trusting(publisher()))
    assert found.proven
    assert "as XenCenter does" in found.form


def test_a_cms_signature_beside_it_is_said_and_left_alone() -> None:
    found = seen(SIGNED + b"-----BEGIN CMS-----\nAAAA\n-----END CMS-----\n", trusting(authority()))
    assert found.proven
    assert "CMS" in found.form


@needs_corpus
def test_a_signed_package_of_2008_is_right_weak_and_out_of_time() -> None:
    path = CORPUS / "Awingu__open-ovf/py/tests/test_files/ourOVF.ovf"
    opened = open_package(path)
    assert (opened.origin.state, opened.origin.chain) == (State.RIGHT, Chain.SELF_SIGNED)
    assert (opened.origin.in_time, opened.origin.weak) == (False, "SHA-1 and a key of 512 bits")
    [said] = [each for each in opened.findings if each.id == "signature-unproven"]
    assert "www.scott.mosers.us" in said.message


# ---------------------------------------------------------------------------------- in a package
def package(tmp_path: Path, who: Identity, *, archive: bool) -> Path:
    """A signed package."""
    members = {"a.ovf": text(), "d.vmdk": DISK}
    members["a.mf"] = manifest(members)
    members["a.cert"] = signed(who, members["a.mf"])
    if archive:
        return ova(tmp_path / "a.ova", members)
    return folder(
        tmp_path / "a", **{name.replace(".", "_"): data for name, data in members.items()}
    )


@pytest.mark.parametrize("archive", [True, False])
def test_a_package_by_the_one_who_is_asked_for_opens(tmp_path: Path, archive: bool) -> None:
    path = package(tmp_path, publisher(), archive=archive)
    _, trusted = authority().save(tmp_path, "authority")
    opened = open_package(path, signed_by=[trusted])
    assert opened.origin.proven
    assert [each.id for each in opened.findings] == ["signature-right"]
    assert "Signed by Publisher Ltd" in opened.findings[0].message


@pytest.mark.parametrize("archive", [True, False])
def test_a_package_by_somebody_else_is_an_error(tmp_path: Path, archive: bool) -> None:
    path = package(tmp_path, identity("Alone", rsa_key(3)), archive=archive)
    _, trusted = authority().save(tmp_path, "authority")
    [said] = open_package(path, signed_by=[trusted], integrity="off").findings
    assert (said.id, said.severity) == ("signature-required", Severity.ERROR)
    assert "answers for itself" in said.message


def test_an_unsigned_package_is_an_error_only_where_a_signer_is_asked_for(tmp_path: Path) -> None:
    members = {"a.ovf": text(), "d.vmdk": DISK}
    path = ova(tmp_path / "a.ova", {**members, "a.mf": manifest(members)})
    assert open_package(path).findings == ()
    _, trusted = authority().save(tmp_path, "authority")
    [said] = open_package(path, signed_by=[trusted]).findings
    assert (said.id, said.severity) == ("signature-required", Severity.ERROR)
    assert "carries no signature" in said.message


def test_a_file_the_signed_manifest_does_not_list_is_an_error_where_a_signer_is_asked_for(
    tmp_path: Path,
) -> None:
    members = {"a.ovf": text(), "d.vmdk": DISK}
    listed = manifest({"a.ovf": members["a.ovf"]})
    path = ova(
        tmp_path / "a.ova", {**members, "a.mf": listed, "a.cert": signed(publisher(), listed)}
    )
    _, trusted = authority().save(tmp_path, "authority")
    found = {each.id: each.severity for each in open_package(path, signed_by=[trusted]).findings}
    assert found == {"signature-right": Severity.INFO, "manifest-incomplete": Severity.ERROR}


def test_a_manifest_of_sha1_is_not_made_strong_by_its_signature(tmp_path: Path) -> None:
    members = {"a.ovf": text(), "d.vmdk": DISK}
    listed = manifest(members, "sha1")
    path = ova(
        tmp_path / "a.ova", {**members, "a.mf": listed, "a.cert": signed(publisher(), listed)}
    )
    _, trusted = authority().save(tmp_path, "authority")
    found = {each.id for each in open_package(path, signed_by=[trusted]).findings}
    assert "signature-required" in found


def test_a_wrong_signature_is_an_error_a_warning_or_not_looked_at(tmp_path: Path) -> None:
    members = {"a.ovf": text(), "d.vmdk": DISK}
    listed = manifest(members)
    path = ova(tmp_path / "a.ova", {**members, "a.mf": listed, "a.cert": signed(publisher())})
    weights = {
        how: [(each.id, each.severity) for each in open_package(path, integrity=how).findings]
        for how in ("require", "warn", "off")
    }
    assert weights == {
        "require": [("signature-wrong", Severity.ERROR)],
        "warn": [("signature-wrong", Severity.WARNING)],
        "off": [],
    }


def test_a_certificate_with_a_name_of_no_known_kind_is_damaged() -> None:
    der = publisher().certificate.public_bytes(Encoding.DER)
    name = b"Publisher Ltd"
    at = der.rindex(name)
    odd = der[: at - 2] + b"\x03" + der[at - 1 :]  # a bit string where a text belongs
    pem = base64.encodebytes(odd).decode()
    block = f"-----BEGIN CERTIFICATE-----\n{pem}-----END CERTIFICATE-----\n"
    found = seen(f"SHA256(a.mf)= 00\n{block}".encode())
    assert found.state is State.UNREADABLE
    assert "damaged" in found.why


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is missing: apt-get install openssl"
)
@pytest.mark.parametrize("extensions", [(), ("-extfile", "leaf.ext")])
def test_an_authority_as_openssl_makes_it_without_options(
    tmp_path: Path, extensions: tuple[str, ...]
) -> None:
    """It does not say what its key is for; and without an extension file a leaf is of version 1."""
    (tmp_path / "leaf.ext").write_text("subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=My-CA -days 9",
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=Leaf",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 9",
    ):
        more = extensions if command.startswith("x509") else ()
        subprocess.run(
            ["openssl", *command.split(), *more], cwd=tmp_path, check=True, capture_output=True
        )
    key = load_pem_private_key((tmp_path / "leaf.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    leaf = Identity(key, x509.load_pem_x509_certificate((tmp_path / "leaf.pem").read_bytes()))
    found = seen(signed(leaf), Trust.of_files([tmp_path / "ca.pem"]))
    if extensions:
        assert found.chain is Chain.TRUSTED
    else:
        assert found.chain is Chain.UNKNOWN
        assert found.chain_why == (
            "CN=My-CA is trusted, but a certificate under it is not of version 3"
        )


def test_an_authority_that_may_not_sign_others_answers_for_nobody_and_that_is_said() -> None:
    pretender = identity("Pretender", rsa_key(9), authority())
    found = seen(signed(identity("Maker", rsa_key(8), pretender)), trusting(authority()))
    assert found.chain is Chain.UNKNOWN
    assert found.chain_why.startswith("CN=Test Authority is trusted, but the certificates do not")


# --------------------------------------------------------------------------------- trust, signing
def test_trust_is_read_from_files_and_folders(tmp_path: Path) -> None:
    _, one = authority().save(tmp_path, "one")
    (tmp_path / "more").mkdir()
    publisher().save(tmp_path / "more", "two")
    assert len(Trust.of_files([one, tmp_path / "more"]).certificates) == 3
    (tmp_path / "none.pem").write_text("nothing")
    with pytest.raises(SignatureError, match="holds no certificate"):
        Trust.of_files([tmp_path / "none.pem"])


def test_the_operators_own_folder_is_trusted_beside_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path))
    before = Trust.usual()
    assert authority().certificate not in before.certificates
    (tmp_path / "trust").mkdir()
    authority().save(tmp_path / "trust", "house")
    assert seen(signed(publisher()), Trust.usual()).proven
    assert len(Trust.usual().certificates) == len(before.certificates) + 1


def test_a_key_does_not_sign_with_another_ones_certificate() -> None:
    with pytest.raises(SignatureError, match="does not belong to the key"):
        certificate_file(MANIFEST, "a.mf", KeySigner(rsa_key(9), [publisher().certificate]))


def test_the_chain_is_put_in_order_and_strangers_are_refused() -> None:
    middle = identity("Middle", rsa_key(10), authority(), authority=True)
    leaf = identity("Leaf", rsa_key(11), middle)
    given = [leaf.certificate, authority().certificate, middle.certificate]
    data = certificate_file(MANIFEST, "a.mf", KeySigner(leaf.key, given))
    assert parse(data).certificates == (
        leaf.certificate,
        middle.certificate,
        authority().certificate,
    )
    assert seen(data, trusting(authority())).proven
    with pytest.raises(SignatureError, match="does not belong to the chain"):
        KeySigner(leaf.key, [leaf.certificate, publisher().certificate])


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_what_is_signed_is_a_plain_signature_of_the_manifest(algorithm: str) -> None:
    who = publisher()
    file = parse(
        certificate_file(MANIFEST, "a.mf", KeySigner(who.key, [who.certificate]), algorithm)
    )
    assert (file.algorithm, file.manifest) == (algorithm, "a.mf")
    key = who.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    hash_ = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(),
             "sha512": hashes.SHA512()}[algorithm]  # fmt: skip
    key.verify(file.value, MANIFEST, padding.PKCS1v15(), hash_)
