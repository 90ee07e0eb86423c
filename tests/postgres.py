"""A real PostgreSQL server for tests: a cluster of its own in a folder of its own, gone afterwards."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Postgres:
    """A running server with one database."""

    bin: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://127.0.0.1:{self.port}/postgres"

    def run(self, sql: str) -> None:
        """Run statements as the owner of the database."""
        command = [str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", "-d", "postgres"]
        env = {**os.environ, "PGPASSWORD": self.password}
        subprocess.run([*command, "-q", "-v", "ON_ERROR_STOP=1", "-c", sql], env=env, check=True, capture_output=True)


def binaries() -> Path | None:
    """The folder with initdb and its companions: of PATH, else Debian's newest; None where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return debian[-1].parent if debian else None


@contextmanager
def server(programs: Path) -> Iterator[Postgres]:
    """A server that accepts its owner's password and nothing else."""
    home = Path(tempfile.mkdtemp(prefix="medlake-postgres-", dir="/tmp"))
    password = f"pw-{secrets.token_hex(12)}"
    (home / "password").write_text(password)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    as_owner = _not_root(home)
    data = str(home / "data")
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off -c log_statement=none"
    pg_ctl = [*as_owner, str(programs / "pg_ctl"), "-D", data, "-w"]
    try:
        initdb = [*as_owner, str(programs / "initdb"), "-D", data, "-U", "owner", "-A", "scram-sha-256", "-E", "UTF8"]
        subprocess.run([*initdb, "--locale=C", f"--pwfile={home / 'password'}"], check=True, capture_output=True, cwd=home)
        start = [*pg_ctl, "-l", str(home / "log"), "-o", options, "start"]
        subprocess.run(start, check=True, capture_output=True, cwd=home)
        try:
            yield Postgres(programs, port, password)
        finally:
            subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=False, capture_output=True, cwd=home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _not_root(home: Path) -> list[str]:
    """PostgreSQL refuses to run as root: the folder goes to somebody who has no rights, and so does the server."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    for path in (home, home / "password"):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return ["runuser", "-u", "nobody", "--"]
