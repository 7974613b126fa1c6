"""Lists of revoked certificates: who is on one, whose list counts, and what is said where there is none."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from kensho_tui.ovf.errors import SignatureError
from kensho_tui.ovf.revoked import Revocation, parse
from kensho_tui.ovf.trust import Trust
from tests.unit.ovf.certificates import NOW, Identity, authority, identity, publisher, rsa_key
from tests.unit.ovf.test_signature import seen, signed

DAY = timedelta(days=1)


def revoked_list(
    by: Identity,
    *who: Identity,
    until: datetime = NOW + 7 * DAY,
    reason: x509.ReasonFlags | None = None,
    extension: x509.ExtensionType | None = None,
    name: x509.Name | None = None,
) -> x509.CertificateRevocationList:
    """The list of the authority with these on it."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=name or by.certificate.subject, last_update=NOW - 8 * DAY, next_update=until
    )
    for each in who:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate.serial_number)
            .revocation_date(NOW - 9 * DAY)
        )
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(by.key, hashes.SHA256())


def trust(*lists: x509.CertificateRevocationList, certificates: tuple[Identity, ...] = ()) -> Trust:
    known = (authority(), *certificates)
    return Trust(tuple(each.certificate for each in known), "the test", lists)


def test_who_is_on_the_list_proves_nothing_any_more() -> None:
    compromised = x509.ReasonFlags.key_compromise
    found = seen(
        signed(publisher()), trust(revoked_list(authority(), publisher(), reason=compromised))
    )
    assert found.revocation is Revocation.REVOKED
    assert found.revoked_why == (
        f"'Publisher Ltd' was revoked on {NOW - 9 * DAY:%Y-%m-%d} (key compromise)"
    )
    assert not found.proven
    assert found.state == "right"  # it is still the signature of this manifest


def test_who_is_not_on_it_is_said_not_to_be() -> None:
    other = identity("Somebody else", rsa_key(5), authority())
    found = seen(signed(publisher()), trust(revoked_list(authority(), other)))
    assert found.revocation is Revocation.GOOD
    assert found.proven
    assert f"'Test Authority' of {NOW - 8 * DAY:%Y-%m-%d}" in found.revoked_why


def test_without_a_list_it_is_said_that_nobody_looked() -> None:
    found = seen(signed(publisher()), trust())
    assert found.revocation is Revocation.NOT_CHECKED
    assert found.proven
    assert found.revoked_why == "no list of revoked certificates of 'Test Authority' is here"


def test_a_list_that_has_ended_is_said_to_have_but_who_is_on_it_stays_revoked() -> None:
    old = NOW - DAY
    found = seen(signed(publisher()), trust(revoked_list(authority(), until=old)))
    assert found.revocation is Revocation.OUT_OF_DATE
    assert found.proven
    found = seen(signed(publisher()), trust(revoked_list(authority(), publisher(), until=old)))
    assert found.revocation is Revocation.REVOKED


def test_a_list_that_the_authority_did_not_sign_says_nothing() -> None:
    mallory = identity("Mallory", rsa_key(6), authority=True)
    forged = revoked_list(mallory, publisher(), name=authority().certificate.subject)
    found = seen(signed(publisher()), trust(forged))
    assert found.revocation is Revocation.NOT_CHECKED


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
    ],
)
def test_a_list_of_changes_or_of_others_is_not_taken_for_a_whole_one(
    extension: x509.ExtensionType,
) -> None:
    found = seen(signed(publisher()), trust(revoked_list(authority(), extension=extension)))
    assert found.revocation is Revocation.NOT_CHECKED


def test_an_authority_in_between_can_be_revoked_too() -> None:
    between = identity("Between", rsa_key(7), authority(), authority=True)
    maker = identity("Maker", rsa_key(8), between)
    lists = (revoked_list(authority(), between), revoked_list(between))
    found = seen(signed(maker), trust(*lists))
    assert found.revocation is Revocation.REVOKED
    assert "'Between' was revoked" in found.revoked_why
    assert not found.proven
    # Of the one in between there is a list, of the maker there is none.
    found = seen(signed(maker), trust(revoked_list(authority())))
    assert found.revocation is Revocation.NOT_CHECKED
    assert "of 'Between' is here" in found.revoked_why


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_lists_are_read_from_files_beside_the_certificates(
    tmp_path: Path, encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path))
    folder = tmp_path / "trust"
    folder.mkdir()
    authority().save(folder, "house")
    (folder / "house.crl").write_bytes(
        revoked_list(authority(), publisher()).public_bytes(encoding)
    )
    assert seen(signed(publisher()), Trust.usual()).revocation is Revocation.REVOKED
    named = Trust.of_files([folder / "house.pem", folder / "house.crl"])
    assert seen(signed(publisher()), named).revocation is Revocation.REVOKED
    (folder / "house.crl").write_bytes(b"no list")
    with pytest.raises(SignatureError, match="holds no list of revoked certificates"):
        Trust.of_files([folder])


def test_a_list_of_an_unknown_version_is_no_list() -> None:
    data = revoked_list(authority()).public_bytes(Encoding.DER)
    at = data.index(b"\x02\x01\x01")  # v2
    with pytest.raises(SignatureError, match="holds no list"):
        parse(data[: at + 2] + b"\x31" + data[at + 3 :])
