"""A private PostgreSQL server for a test run: own data folder, own socket, a free port on the loopback address.

Needs the server's programs. As root it runs as the user `postgres`, because PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.support.wait import wait_until

_PASSWORD = "correct horse"


def missing_programs() -> str | None:
    """Why no server can be started here, or None."""
    if _programs() is None:
        return "PostgreSQL's server programs (initdb, postgres) are not installed"
    return None


@dataclass(frozen=True)
class Server:
    folder: Path
    address: str
    port: int
    process: subprocess.Popen[bytes]

    def new_database(self) -> str:
        """URL of an empty database."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://tester:{_PASSWORD.replace(' ', '%20')}@{self.address}:{self.port}/{name}"

    def end_sessions(self, url: str) -> None:
        """As when the way to its clients broke and the server has noticed."""
        with psycopg.connect(self._dsn(url.rpartition("/")[2]), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def stop(self) -> None:
        """At once, as a crash; idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)

    def kill(self) -> None:
        """As a crash that takes only the first process by surprise; returns when the others have noticed."""
        self.process.kill()
        self.process.wait(timeout=30)
        wait_until(lambda: not self._at_work(), "PostgreSQL's other processes to leave")

    def _at_work(self) -> list[int]:
        """Processes of this server: they work in its data folder."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and os.readlink(entry / "cwd") == str(self.folder / "data"):
                    found.append(int(entry.name))
        return found

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError("PostgreSQL did not start")
        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _dsn(self, database: str) -> str:
        return f"host={self.address} port={self.port} user=tester password='{_PASSWORD}' dbname={database}"


@contextmanager
def running_server(address: str = "127.0.0.1") -> Iterator[Server]:
    """`address`: an IPv4 one of this machine. Whoever is in the same /24 network may connect."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        _give_away(folder)
        _init(folder, address)
        server = start(folder, _free_port(), address)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, port: int, address: str = "127.0.0.1") -> Server:
    """A server on a folder that `initdb` made. Durability stays on: it is what the tests are about."""
    options = [
        f"port={port}",
        f"listen_addresses={address}",
        f"unix_socket_directories={folder}",
        "shared_buffers=16MB",
    ]
    settings = [part for option in options for part in ("-c", option)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            _as_postgres(["postgres", "-D", str(folder / "data"), *settings]), stdout=log, stderr=log, cwd=folder
        )
    server = Server(folder, address, port, process)
    wait_until(server.ready, "PostgreSQL to answer")
    return server


def _init(folder: Path, address: str) -> None:
    secret = folder / "password"
    secret.write_text(_PASSWORD)
    _give_away(secret)
    command = ["initdb", "-D", str(folder / "data"), "-U", "tester", "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run(
        _as_postgres([*command, "-E", "UTF8", "--locale=C.UTF-8"]), check=True, capture_output=True, cwd=folder
    )
    with (folder / "data/pg_hba.conf").open("a") as access:
        access.write(f"host all all {address}/24 scram-sha-256\n")


def _as_postgres(command: list[str]) -> list[str]:
    programs = _programs()
    assert programs is not None
    program = [str(programs / command[0]), *command[1:]]
    if os.geteuid() != 0:
        return program
    # Not runuser: it would stay between us and the server, and signals would end it instead.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *program]


def _programs() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, "postgres")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
