"""The system calls of a process and its children, as strace tells them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHANGES_OF_FILES = (
    "openat,creat,close,dup,dup2,dup3,lseek,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,"
    "ftruncate,truncate,fallocate,link,linkat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,"
    "sync_file_range,copy_file_range,sendfile"
)
_FAMILY = "clone,clone3,fork,vfork"
_ANSWERS = "sendto,sendmsg"
_LONGEST_BYTES = 8 * 1024**2

_LINE = re.compile(r"(?P<thread>\d+) +(?:<\.\.\. \w+ resumed>)?(?P<text>.*)", re.DOTALL)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+|\?).*", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call that has ended; ``begun`` and ``ended`` are numbers of lines, and order all calls."""

    thread: int
    name: str
    arguments: str
    result: int
    begun: int
    ended: int

    @property
    def contents(self) -> list[bytes]:
        """The strings among the arguments: paths, or what is written."""
        found = list(_BYTES.finditer(self.arguments))
        assert not any(one[2] for one in found), "strace has cut a string"
        return [bytes.fromhex(one[1].replace("\\x", "")) for one in found]

    @property
    def numbers(self) -> list[str]:
        """The arguments that are no strings, in their order."""
        return [part.strip() for part in _BYTES.sub("", self.arguments).split(",")]


def tracing(strace: str, log: Path) -> list[str]:
    """Give the words before a command that have its calls appended to ``log``; the tracer is its child."""
    return [
        strace, "-D", "-f", "--seccomp-bpf", "-qq", "-xx", "-A", "-o", str(log), "-s", str(_LONGEST_BYTES),
        "-e", f"trace={_CHANGES_OF_FILES},{_FAMILY},{_ANSWERS}", "-e", "signal=none",
    ]  # fmt: skip


def read_calls(log: Path) -> Iterator[SystemCall]:
    """Read a log; calls come in the order of their ends."""
    unfinished: dict[int, tuple[int, str]] = {}
    with log.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            found = _LINE.fullmatch(line.rstrip("\n"))
            assert found is not None, line[:100]
            thread, text = int(found["thread"]), found["text"]
            begun, before = unfinished.pop(thread, (number, ""))
            text = before + text
            if text.endswith(_UNFINISHED):
                unfinished[thread] = begun, text.removesuffix(_UNFINISHED)
                continue
            call = _CALL.fullmatch(text)
            if call is not None and call["result"] != "?":
                yield SystemCall(thread, call["name"], call["arguments"], int(call["result"]), begun, number)
