"""Commands that a test interrupts or kills: in a group of their own, and answering to Ctrl-C wherever the tests were started."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path


def start_group(words: Sequence[str], cwd: Path | None = None) -> subprocess.Popen[str]:
    """A process that leads a session of its own. A shell's background jobs ignore SIGINT and hand that down, so it is set back."""
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
