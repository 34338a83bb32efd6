"""`python -m tests.fidelity FOLDER`: compare the stored values of every file below a folder."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from tests.fidelity.comparison import AGREEMENT, FAILURES, Comparison, Result, Verdict

_SHOWN_FILES = 10


def main() -> int:
    """Compare and print; the exit status tells whether the archive is right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--short", action="store_true", help="the first and last frame of each file only")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # pydicom comments on each oddity
    decoding = DecodingProcesses(os.cpu_count() or 1, DecodingLimits(timeout_s=60.0, memory_bytes=4 << 30))
    comparison = Comparison(decoding, is_short=arguments.short)
    try:
        paths = sorted(path for path in arguments.folder.rglob("*") if path.is_file())
        verdicts = list(_show_progress(comparison.compare(paths, arguments.folder), len(paths)))
    finally:
        comparison.close()
        decoding.close()
    print("\n".join(report(verdicts)))
    return int(not verdicts or any(verdict.result in FAILURES for verdict in verdicts))


def report(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Write a table by transfer syntax, and then each file that is not equal, by its reason."""
    images = [one for one in verdicts if one.transfer_syntax]
    columns = [result for result in Result if any(one.result is result for one in images)]
    yield f"{'transfer syntax':50} {'files':>5} {'frames':>6}  {'  '.join(columns)}  agrees with"
    for name in sorted({one.transfer_syntax for one in images}):
        own = [one for one in images if one.transfer_syntax == name]
        counts = Counter(one.result for one in own)
        cells = "  ".join(f"{counts[column] or '':>{len(column)}}" for column in columns)
        others = sorted({other for one in own if one.result in AGREEMENT for other in one.reason.split(", ")})
        frames = sum(one.frames for one in own)
        yield f"{name[:50]:50} {len(own):5} {frames:6}  {cells}  {', '.join(others)}"
    counts = Counter(one.result for one in verdicts)
    yield f"{len(verdicts)} files: " + ", ".join(f"{counts[result]} {result}" for result in Result)
    yield from _list_exceptions(verdicts)


def _list_exceptions(verdicts: Sequence[Verdict]) -> Iterator[str]:
    by_reason: dict[tuple[Result, str], list[str]] = defaultdict(list)
    for one in verdicts:
        if one.result not in {*AGREEMENT, Result.NO_IMAGE}:
            by_reason[one.result, one.reason].append(one.file)
    for (result, reason), files in sorted(by_reason.items()):
        yield f"{result}: {reason}"
        yield from (f"    {file}" for file in files[:_SHOWN_FILES])
        if len(files) > _SHOWN_FILES:
            yield f"    and {len(files) - _SHOWN_FILES} more"


def _show_progress(verdicts: Iterable[Verdict], number: int) -> Iterator[Verdict]:
    is_shown = sys.stderr.isatty()
    for done, verdict in enumerate(verdicts, 1):
        if is_shown:
            print(f"\r{done}/{number}", end="", file=sys.stderr)
        yield verdict
    if is_shown:
        print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
