"""`accesstrail demo` as a process of a test: what it has told, held as Ctrl-Z holds it, ended as Ctrl-C ends it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp

from pipeline.adapters.accounts import accounts_path

_ENDS_WITHIN_S = 180


@dataclass(frozen=True)
class Demo:
    """A demo that runs."""

    state: Path
    log: Path
    process: subprocess.Popen[bytes]

    def told(self) -> str:
        """Everything it has printed until now."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def await_told(self, pattern: str, patience_s: float) -> re.Match[str]:
        """The first place where it says so, waited for."""
        deadline_s = time.monotonic() + patience_s
        while (found := re.search(pattern, told := self.told())) is None:
            assert self.process.poll() is None, told[-3000:]
            assert time.monotonic() < deadline_s, f"never said {pattern}:\n{told[-3000:]}"
            time.sleep(0.2)
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """It sends nothing meanwhile; the system that it started goes on."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def password(self, name: str) -> str:
        """What it has printed for an account."""
        found = re.search(rf"{re.escape(name)} +password 密码 (\S+)", self.told())
        assert found is not None
        return found[1]

    def code(self, name: str) -> str:
        """The one-time code of this moment, as the authenticator app shows it."""
        address = f"file:{accounts_path(self.state)}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as file:
            ((shared,),) = file.execute("SELECT totp_secret FROM accounts WHERE name = ?", (name,)).fetchall()
        return pyotp.TOTP(shared).now()

    def end(self) -> None:
        """Ctrl-C, and the wait for what it has to put in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            assert self.process.wait(_ENDS_WITHIN_S) == 0, self.told()[-3000:]
        finally:
            if self.process.poll() is None:
                self.process.kill()
                subprocess.run([sys.executable, "-m", "pipeline.cli", "down", "--state", str(self.state)], check=False)


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """A demo in a folder of its own, ended afterwards."""
    state, log = folder / "demo", folder / "demo.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "demo", "--state", str(state)], stdout=out, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # A shell's background job ignores Ctrl-C, and so would whatever it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
    demo = Demo(state, log, process)
    try:
        yield demo
    finally:
        demo.end()
