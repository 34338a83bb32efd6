"""Commands of the operator as real processes, on the archive of this process's environment."""

from __future__ import annotations

import os
import subprocess
import sys


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start ``filmless`` with these arguments; its output is one text."""
    return subprocess.Popen(
        [sys.executable, "-m", "pacs.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; give exit code and output."""
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def command(*arguments: str) -> str:
    """Have a command succeed; give its output."""
    code, told = finished(start(*arguments))
    assert code == 0, told
    return told
