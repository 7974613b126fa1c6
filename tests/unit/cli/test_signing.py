"""``kensho package verify|sign|strip|manifest``: what is said, what is written, and who agrees (openssl)."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from kensho_tui.cli.out import Exit
from kensho_tui.cli.package import package
from kensho_tui.ovf.package import open_package
from tests.unit.ovf.certificates import authority, ec_key, identity, publisher, rsa_key
from tests.unit.ovf.test_envelope import envelope, system
from tests.unit.ovf.test_package import DISK, folder, manifest, ova, text

MEMBERS = {"a.ovf": text(), "d.vmdk": DISK}


def run(*arguments: object) -> Result:
    """The command with those arguments."""
    return CliRunner().invoke(package, [str(each) for each in arguments])


def plain(tmp_path: Path, *, archive: bool, algorithm: str = "sha256") -> Path:
    """A package with a manifest, not signed."""
    members = {**MEMBERS, "a.mf": manifest(MEMBERS, algorithm)}
    if archive:
        return ova(tmp_path / "a.ova", members)
    return folder(
        tmp_path / "a", **{name.replace(".", "_"): data for name, data in members.items()}
    )


def contents(path: Path) -> dict[str, bytes]:
    """All files of the package."""
    if path.suffix == ".ovf":
        return {each.name: each.read_bytes() for each in sorted(path.parent.iterdir())}
    with tarfile.open(path) as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m)) is not None}


def openssl_agrees(tmp_path: Path, files: dict[str, bytes], algorithm: str = "sha256") -> bool:
    """Whether openssl finds that the certificate's key signed the manifest."""
    line, pem = files["a.cert"].split(b"\n", 1)
    (tmp_path / "sig").write_bytes(bytes.fromhex(line.split(b"= ")[1].decode()))
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "mf").write_bytes(files["a.mf"])
    key = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "cert.pem", "-pubkey", "-noout"],
        check=True,
        capture_output=True,
    ).stdout
    (tmp_path / "key.pub").write_bytes(key)
    done = subprocess.run(
        ["openssl", "dgst", f"-{algorithm}", "-verify", tmp_path / "key.pub",
         "-signature", tmp_path / "sig", tmp_path / "mf"],
        check=False, capture_output=True,
    )  # fmt: skip
    return done.returncode == 0


@pytest.mark.parametrize("archive", [True, False])
def test_somebody_elses_file_under_a_partial_name_stays_and_so_does_the_package(
    tmp_path: Path, archive: bool
) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=archive)
    assert run("sign", path, "--key", key, "--certificate", certificate).exit_code == Exit.OK
    before = contents(path)
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    theirs = path.with_name("a.ova.partial" if archive else "a.cert.partial")
    for lay in (lambda: theirs.write_bytes(b"precious"), lambda: os.link(precious, theirs)):
        lay()
        done = run("sign", path, "--key", key, "--certificate", certificate)
        assert done.exit_code == Exit.INPUT
        assert f"{theirs}: " in done.stderr
        assert theirs.read_bytes() == precious.read_bytes() == b"precious"
        theirs.unlink()
        assert contents(path) == before
    assert run("sign", path, "--key", key, "--certificate", certificate).exit_code == 0
    assert not os.listxattr(path)


needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl: apt-get install openssl"
)


@needs_openssl
@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_signed_package_is_accepted_by_openssl_and_by_ourselves(
    tmp_path: Path, archive: bool, kind: str
) -> None:
    who = publisher() if kind == "rsa" else identity("Curve Ltd", ec_key(), authority())
    key, certificate = who.save(tmp_path, "who")
    _, trusted = authority().save(tmp_path, "authority")
    path = plain(tmp_path, archive=archive)
    before = contents(path)
    done = run("sign", path, "--key", key, "--certificate", certificate)
    assert (done.exit_code, "signed, manifest a.mf" in done.stdout) == (Exit.OK, True)
    files = contents(path)
    assert {name: files[name] for name in before} == before
    assert openssl_agrees(tmp_path, files)
    assert not list(path.parent.glob("*.partial"))
    verified = run("verify", path, "--signed-by", trusted, "--require-signed")
    assert (verified.exit_code, "author     proven" in verified.stdout) == (Exit.OK, True)
    assert list(files)[-1] == "a.cert" or not archive


@needs_openssl
def test_a_program_signs_with_a_key_that_stays_where_it_is(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=True)
    done = run("sign", path, "--certificate", certificate, "--algorithm", "sha512",
               "--command", f"openssl dgst -{{algorithm}} -sign '{key}'")  # fmt: skip
    assert done.exit_code == Exit.OK
    assert openssl_agrees(tmp_path, contents(path), "sha512")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-here", "cannot be run: No such file"),
        (f"{sys.executable} -c 'import sys; print(\"secret\"); sys.exit(3)'", "ended with 3"),
        (f"{sys.executable} -c ''", "0 bytes of signature"),
        ("yes", "printed more than 16384 bytes"),
        (f"{sys.executable} -c 'print(1)'", "does not belong to the key that signed"),
    ],
)
def test_a_program_that_does_not_sign_leaves_the_package_as_it_was(
    tmp_path: Path, command: str, words: str
) -> None:
    _, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=True)
    before = path.read_bytes()
    done = run("sign", path, "--certificate", certificate, "--command", command)
    assert (done.exit_code, path.read_bytes()) == (Exit.INPUT, before)
    assert words in done.stderr
    assert "secret" not in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.ova", "who.key", "who.pem"]


def test_keys_with_passphrases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    who, lock = publisher(), BestAvailableEncryption(b"open sesame")
    _, certificate = who.save(tmp_path, "who")
    key, bundle = tmp_path / "locked.key", tmp_path / "locked.p12"
    key.write_bytes(who.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    others = [authority().certificate, identity("Stranger", rsa_key(3)).certificate]
    bundle.write_bytes(serialize_key_and_certificates(b"x", who.key, who.certificate, others, lock))
    path = plain(tmp_path, archive=True)
    for given in (["--key", key, "--certificate", certificate], ["--pkcs12", bundle]):
        refused = run("sign", path, *given)
        assert (refused.exit_code, "the key cannot be read" in refused.stderr) == (Exit.INPUT, True)
        monkeypatch.setenv("WRONG", "close sesame")
        assert run("sign", path, *given, "--passphrase", "env:WRONG").exit_code == Exit.INPUT
        monkeypatch.setenv("RIGHT", "open sesame")
        done = run("sign", path, *given, "--passphrase", "env:RIGHT")
        assert done.exit_code == Exit.OK, done.stderr
        assert "sesame" not in done.output
    assert contents(path)["a.cert"].count(b"BEGIN CERTIFICATE") == 2


def test_damage_is_not_signed_unless_a_new_manifest_is_wanted(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    members = {**MEMBERS, "a.mf": manifest(MEMBERS)}
    members["d.vmdk"] = DISK[:-1] + b"?"
    path = ova(tmp_path / "a.ova", members)
    before = path.read_bytes()
    asked = ("sign", path, "--key", key, "--certificate", certificate)
    refused = run(*asked)
    assert (refused.exit_code, path.read_bytes()) == (Exit.INPUT, before)
    assert "d.vmdk" in refused.stderr
    assert "does not match the manifest" in refused.stderr
    assert run(*asked, "--new-manifest").exit_code == Exit.OK
    assert run("verify", path).exit_code == Exit.OK


@pytest.mark.parametrize("archive", [True, False])
def test_a_package_that_is_not_complete_is_neither_signed_nor_verified(
    tmp_path: Path, archive: bool
) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    members = {"a.ovf": MEMBERS["a.ovf"], "a.mf": manifest({"a.ovf": MEMBERS["a.ovf"]})}
    if archive:
        path = ova(tmp_path / "a.ova", members)
    else:
        path = folder(tmp_path / "a", a_ovf=members["a.ovf"], a_mf=members["a.mf"])
        (path.parent / "d.vmdk").symlink_to("/etc/passwd")
    verified = run("verify", path)
    assert (verified.exit_code, "missing: d.vmdk" in verified.stdout) == (Exit.FINDINGS, True)
    for command in (("sign", path, "--key", key, "--certificate", certificate, "--new-manifest"),
                    ("manifest", path)):  # fmt: skip
        refused = run(*command)
        assert (refused.exit_code, "not in the package: d.vmdk" in refused.stderr) == (
            Exit.INPUT,
            True,
        )


def test_a_new_manifest_says_which_files_have_changed(tmp_path: Path) -> None:
    members = {**MEMBERS, "a.mf": manifest(MEMBERS)}
    members["d.vmdk"] = DISK[:-1] + b"?"
    done = run("manifest", ova(tmp_path / "a.ova", members))
    assert (done.exit_code, "d.vmdk did not match the old manifest" in done.stderr) == (
        Exit.OK,
        True,
    )
    assert "a.ovf did not match" not in done.stderr


def test_a_manifest_that_lists_nothing_is_not_called_intact(tmp_path: Path) -> None:
    done = run("verify", ova(tmp_path / "a.ova", {**MEMBERS, "a.mf": b""}))
    assert (done.exit_code, "nothing is listed" in done.stdout) == (Exit.FINDINGS, True)
    assert "intact" not in done.stdout


def test_a_weak_key_is_told_to_who_signs_with_it(tmp_path: Path) -> None:
    key, certificate = identity("Short", rsa_key(7, 1024)).save(tmp_path, "short")
    done = run("sign", plain(tmp_path, archive=True), "--key", key, "--certificate", certificate)
    assert (done.exit_code, "a key of 1024 bits, which can be forged" in done.stderr) == (
        Exit.OK,
        True,
    )


def test_loose_files_become_an_archive_where_the_name_is_that_of_one(tmp_path: Path) -> None:
    path = plain(tmp_path, archive=False)
    assert run("manifest", path, "--output", tmp_path / "b.ova").exit_code == Exit.OK
    assert list(contents(tmp_path / "b.ova")) == ["a.ovf", "d.vmdk", "a.mf"]
    assert run("verify", tmp_path / "b.ova").exit_code == Exit.OK
    done = run("manifest", path, "--output", tmp_path / "b.zip")
    assert (done.exit_code, "not written" in done.stderr) == (Exit.INPUT, True)


def test_what_a_manifest_does_not_list_is_not_signed(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    members = {**MEMBERS, "a.mf": manifest({"a.ovf": MEMBERS["a.ovf"]})}
    path = ova(tmp_path / "a.ova", members)
    refused = run("sign", path, "--key", key, "--certificate", certificate)
    assert refused.exit_code == Exit.INPUT
    assert "does not list this file" in refused.stderr
    assert "--new-manifest" in refused.stderr


@pytest.mark.parametrize("archive", [True, False])
def test_a_signature_is_taken_off_and_nothing_else(tmp_path: Path, archive: bool) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=archive)
    before = contents(path)
    run("sign", path, "--key", key, "--certificate", certificate)
    assert run("strip", path).exit_code == Exit.OK
    assert contents(path) == before
    again = run("strip", path)
    assert (again.exit_code, "not signed" in again.stderr) == (Exit.INPUT, True)


@pytest.mark.parametrize("archive", [True, False])
def test_a_manifest_in_another_algorithm_for_those_who_know_no_other(
    tmp_path: Path, archive: bool
) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=archive)
    run("sign", path, "--key", key, "--certificate", certificate)
    done = run("manifest", path, "--algorithm", "sha1")
    assert (done.exit_code, "is taken off" in done.stderr) == (Exit.OK, True)
    files = contents(path)
    assert "a.cert" not in files
    expected = {
        name: f"SHA1({name})= {hashlib.sha1(data).hexdigest()}" for name, data in MEMBERS.items()
    }
    assert sorted(files["a.mf"].decode().splitlines()) == sorted(expected.values())
    assert {name: files[name] for name in MEMBERS} == MEMBERS


@pytest.mark.parametrize("archive", [True, False])
def test_the_new_package_can_have_another_place(tmp_path: Path, archive: bool) -> None:
    path = plain(tmp_path, archive=archive)
    before = contents(path)
    target = tmp_path / ("new.ova" if archive else "new")
    done = run("manifest", path, "--algorithm", "sha512", "--output", target, "--json")
    assert done.exit_code == Exit.OK
    made = Path(json.loads(done.stdout)["package"])
    assert contents(path) == before
    assert run("verify", made).exit_code == Exit.OK
    assert b"SHA512(" in contents(made)["a.mf"]
    taken = run("manifest", path, "--output", target)
    assert (taken.exit_code, "there is something of that name" in taken.stderr) == (
        Exit.INPUT,
        True,
    )


def test_what_is_wrapped_becomes_a_plain_package_somewhere_else(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    wrapped = tmp_path / "a.ova.gz"
    wrapped.write_bytes(gzip.compress(plain(tmp_path, archive=True).read_bytes()))
    before = wrapped.read_bytes()
    asked = ("sign", wrapped, "--key", key, "--certificate", certificate)
    refused = run(*asked)
    assert (refused.exit_code, "--output" in refused.stderr) == (Exit.INPUT, True)
    assert run(*asked, "--output", tmp_path / "b.ova").exit_code == Exit.OK
    assert wrapped.read_bytes() == before
    assert list(contents(tmp_path / "b.ova")) == ["a.ovf", "d.vmdk", "a.mf", "a.cert"]


def test_a_link_still_leads_to_the_package(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    path = plain(tmp_path / "there", archive=True)
    (tmp_path / "link.ova").symlink_to(path)
    assert run("manifest", tmp_path / "link.ova", "--algorithm", "sha512").exit_code == Exit.OK
    assert (tmp_path / "link.ova").is_symlink()
    assert b"SHA512(" in contents(path)["a.mf"]


def test_an_archive_keeps_its_mode_and_what_lies_beside_it(tmp_path: Path) -> None:
    path = plain(tmp_path, archive=True)
    path.chmod(0o640)
    (tmp_path / "notes.txt").write_text("mine")
    assert run("manifest", path).exit_code == Exit.OK
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a.ova", "notes.txt"]


# -------------------------------------------------------------------------------------- verifying
def test_verify_tells_every_file_that_is_not_as_it_was(tmp_path: Path) -> None:
    members = {**MEMBERS, "extra.iso": b"x", "a.mf": manifest({**MEMBERS, "gone.iso": b"?"})}
    members["d.vmdk"] = DISK[:-1] + b"?"
    path = ova(tmp_path / "a.ova", members)
    done = run("verify", path, "--json")
    assert done.exit_code == Exit.FINDINGS
    assert json.loads(done.stdout)["files"] == {
        "a.ovf": "intact", "d.vmdk": "damaged", "extra.iso": "unlisted", "gone.iso": "missing",
    }  # fmt: skip
    said = run("verify", path).stdout
    assert "damaged: d.vmdk; missing: gone.iso" in said
    assert "not in the manifest: extra.iso" in said
    assert "signature  none" in said


def test_verify_needs_a_signer_only_where_one_is_asked_for(tmp_path: Path) -> None:
    path = plain(tmp_path, archive=True)
    _, trusted = authority().save(tmp_path, "authority")
    assert run("verify", path).exit_code == Exit.OK
    assert run("verify", path, "--require-signed").exit_code == Exit.FINDINGS
    assert run("verify", path, "--signed-by", trusted).exit_code == Exit.FINDINGS
    key, certificate = identity("Alone", rsa_key(3)).save(tmp_path, "alone")
    run("sign", path, "--key", key, "--certificate", certificate)
    assert run("verify", path).exit_code == Exit.OK
    assert run("verify", path, "--require-signed").exit_code == Exit.FINDINGS
    found = run("verify", path, "--signed-by", trusted)
    assert found.exit_code == Exit.FINDINGS
    assert "the signer alone answers for itself" in found.stdout
    assert run("verify", path, "--signed-by", certificate, "--require-signed").exit_code == Exit.OK


def test_a_package_without_a_manifest_is_said_to_promise_nothing(tmp_path: Path) -> None:
    path = ova(tmp_path / "a.ova", MEMBERS)
    done = run("verify", path)
    assert (done.exit_code, "nothing tells whether" in done.stdout) == (Exit.FINDINGS, True)


def test_show_says_who_signed(tmp_path: Path) -> None:
    key, certificate = publisher().save(tmp_path, "who")
    path = plain(tmp_path, archive=True)
    assert "signature  none" in run("show", path).stdout
    run("sign", path, "--key", key, "--certificate", certificate)
    assert "signature  by Publisher Ltd, author not proven" in run("show", path).stdout
    assert open_package(path).origin.signer is not None


def test_licences_are_a_verdict_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.mkdir(mode=0o700)
    monkeypatch.setenv("KENSHO_CONFIG_DIR", str(config))
    sections = (
        "<ProductSection><Info/><Product>Shop</Product><Vendor>Example Ltd</Vendor></ProductSection>"
        "<EulaSection><Info/><License>You may.</License></EulaSection>"
    )
    members = {"a.ovf": envelope(content=system(sections=sections)).encode()}
    path = ova(tmp_path / "a.ova", {**members, "a.mf": manifest(members)})
    assert "licences   not judged" in run("verify", path).stdout
    policy = config / "licences.toml"
    policy.write_text('[[vendors]]\nname = "Example Ltd"\nuntil = 2999-01-01\n')
    done = run("verify", path)
    assert (done.exit_code, "licences   allowed" in done.stdout) == (Exit.OK, True)
    assert "vendor 'Example Ltd' is accepted here until 2999-01-01" in done.stdout
    policy.write_text(f'[[licences]]\ndigest = "{"0" * 64}"\n')
    done = run("verify", path)
    assert done.exit_code == Exit.FINDINGS
    assert "integrity  intact" in done.stdout
    assert "licences   denied" in done.stdout
    told = json.loads(run("verify", path, "--json").stdout)
    assert told["licences"]["verdict"] == "denied"
    assert [each["id"] for each in told["licences"]["findings"]] == ["licence-unlisted"]


def test_what_a_library_notes_of_a_strangers_certificate_is_not_shown(tmp_path: Path) -> None:
    path = plain(tmp_path, archive=False)
    der = publisher().certificate.public_bytes(Encoding.DER)
    at = der.rindex(b"\x55\x04\x03", 0, der.rindex(b"Publisher Ltd"))
    odd = der[: at + 2] + b"\x06" + der[at + 3 :]  # a country of thirteen letters
    block = base64.encodebytes(odd).decode()
    (path.parent / "a.cert").write_text(
        f"SHA256(a.mf)= 00\n-----BEGIN CERTIFICATE-----\n{block}-----END CERTIFICATE-----\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "kensho_tui", "package", "verify", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "KENSHO_CONFIG_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == Exit.FINDINGS, done.stderr
    assert "C=Publisher Ltd" in done.stdout
    assert "Warning" not in done.stderr
