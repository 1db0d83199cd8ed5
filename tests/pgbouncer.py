"""A real PgBouncer (Debian's package) in front of a PostgreSQL, reached by a URL of Neon's kind."""

import datetime as dt
import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
START_SECONDS = 10


def version() -> tuple[int, ...]:
    """(0,) where there is none."""
    if PROGRAM is None:
        return (0,)
    first = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return tuple(int(part) for part in first.split("."))


needs_pgbouncer = pytest.mark.skipif(PROGRAM is None and "CI" not in os.environ, reason="needs Debian's pgbouncer")
CONFIG = """
[databases]
{name} = host={socket} dbname={name} user=tickbase
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
client_tls_sslmode = require
client_tls_cert_file = {folder}/cert.pem
client_tls_key_file = {folder}/key.pem
"""


class PgBouncer:
    """In transaction mode with TLS and a password, and few connections, each of which serves everybody in turns."""

    def __init__(self, folder: Path, socket: Path, name: str = "tickbase", config: str = CONFIG) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://tickbase:p%40ss@localhost:{self.port}/{name}"
        if "client_tls" in config:
            self.url += "?sslmode=require"
        (folder / "pgbouncer.ini").write_text(config.format(name=name, socket=socket, port=self.port, folder=folder))
        (folder / "users").write_text('"tickbase" "p@ss"\n')
        _write_certificate(folder)
        # As root it would not run; PostgreSQL's own user may read the socket's directory.
        self.user = pwd.getpwuid(socket.stat().st_uid)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, self.user.pw_uid)

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        as_user = ["-u", self.user.pw_name] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([PROGRAM, "-q", *as_user, str(self.folder / "pgbouncer.ini")])
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PgBouncer did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *args: object) -> None:
        self.process.kill()
        self.process.wait(10)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
