"""Packages on nginx: TLS by an own authority, a password, parts of files, and how much is really sent."""

import base64
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding

from bench.packages import sparse_archive
from kensho_tui.cli.out import Exit
from kensho_tui.cli.root import root
from tests.unit.cli.test_create import files
from tests.unit.cli.test_create import run as package
from tests.unit.ovf.certificates import authority, identity, rsa_key

OWN = Path(__file__).parents[2] / ".venv-nginx" / "usr" / "sbin"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:{OWN}")
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        NGINX is None,
        reason="nginx is missing: ./dev test fetches it where apt-get is, else install it",
    ),
]
CONFIGURATION = """\
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error warn;
events {{ worker_connections 64; }}
http {{
  log_format sent '$request_method $uri $status $body_bytes_sent';
  access_log {folder}/sent sent;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    auth_basic "depot"; auth_basic_user_file {folder}/users;
    root {folder}/www;
    location /plain/ {{ max_ranges 0; }}
    location /packed/ {{ gzip on; gzip_types *; gzip_min_length 1; }}
  }}
}}
"""


@dataclass
class Depot:
    """An nginx that runs."""

    folder: Path
    port: int

    @property
    def www(self) -> Path:
        """What it serves."""
        return self.folder / "www"

    def at(self, path: str) -> str:
        """The address of a file."""
        return f"https://127.0.0.1:{self.port}/{path}"

    def sent(self) -> int:
        """Bytes of bodies sent so far, by its own log."""
        return sum(int(line.split()[3]) for line in (self.folder / "sent").read_text().splitlines())


@pytest.fixture
def depot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Depot]:
    """With a connection ``depot`` that knows its authority and password."""
    assert NGINX is not None
    folder = tmp_path / "nginx"
    for name in ("www/plain", "www/packed"):
        (folder / name).mkdir(parents=True)
    server = identity("127.0.0.1", rsa_key(20), authority(), host="127.0.0.1")
    server.save(folder, "server")
    (folder / "ca.pem").write_bytes(authority().certificate.public_bytes(Encoding.PEM))
    digest = base64.b64encode(hashlib.sha1(b"s3cret").digest()).decode()
    (folder / "users").write_text(f"ci:{{SHA}}{digest}\n")
    (folder / "password").write_text("s3cret\n")
    (folder / "password").chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-e", str(folder / "error"), "-c", str(folder / "nginx.conf")]
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "error").read_text()
            time.sleep(0.05)
        made = Depot(folder, port)
        monkeypatch.setenv("KENSHO_CONFIG_DIR", str(tmp_path / "config"))
        added = kensho(
            "connection", "add", "depot", "--platform", "package", "--address", made.at(""),
            "--username", "ci", "--secret", f"file:{folder / 'password'}",
            "--set", f"authorities={folder / 'ca.pem'}",
        )  # fmt: skip
        assert added.exit_code == 0, added.output
        yield made
    finally:
        process.terminate()
        process.wait(20)


def kensho(*arguments: object) -> Result:
    return CliRunner().invoke(root, [str(each) for each in arguments])


def shop(tmp_path: Path, target: Path) -> Path:
    made = package("create", files(tmp_path), "--output", target)
    assert made.exit_code == 0, made.output
    return target


def test_a_package_is_described_and_verified_where_it_lies(depot: Depot, tmp_path: Path) -> None:
    path = shop(tmp_path, depot.www / "shop.ova")
    shown = kensho("package", "show", depot.at("shop.ova"))
    assert shown.exit_code == 0, shown.output
    assert "Shop · 4.2 · Example" in shown.output
    before = depot.sent()
    verified = kensho("package", "verify", depot.at("shop.ova"))
    assert verified.exit_code == 0, verified.output
    assert "integrity  intact" in verified.output
    assert path.stat().st_size <= depot.sent() - before + 10240 < path.stat().st_size + (256 << 10)


def test_of_100_gib_next_to_nothing_is_sent(depot: Depot, tmp_path: Path) -> None:
    sparse_archive(depot.www)
    shown = kensho("package", "show", depot.at("sparse.ova"))
    assert shown.exit_code == 0, shown.output
    assert "107 GB" in shown.output
    assert depot.sent() < 256 << 10


@pytest.mark.parametrize("place", ["plain", "packed"])
def test_a_server_that_gives_no_parts_or_packs_what_it_sends(
    depot: Depot, tmp_path: Path, place: str
) -> None:
    shop(tmp_path, depot.www / place / "shop.ova")
    verified = kensho("package", "verify", depot.at(f"{place}/shop.ova"))
    assert verified.exit_code == 0, verified.output
    assert "integrity  intact" in verified.output


def test_who_is_not_known_or_not_trusted_gets_a_sentence(depot: Depot, tmp_path: Path) -> None:
    shop(tmp_path, depot.www / "shop.ova")
    (depot.folder / "password").write_text("wrong\n")
    refused = kensho("package", "show", depot.at("shop.ova"))
    assert refused.exit_code not in {0, int(Exit.INTERNAL)}
    assert "password" in refused.output
    assert "wrong" not in refused.output.replace("wrong password", "")
    assert kensho("connection", "remove", "depot").exit_code == 0
    untrusted = kensho("package", "show", depot.at("shop.ova"))
    assert untrusted.exit_code not in {0, int(Exit.INTERNAL)}
    assert "certificate" in untrusted.output
