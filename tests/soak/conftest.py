"""The counts of the soaks, printed at the end of a run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.soak.judge import Verdict

Tell = Callable[..., None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Print counts at the end of the run: those of a verdict, and what the test adds."""

    def note(verdict: Verdict, **more: object) -> None:
        for name, value in {**more, **verdict.counts}.items():
            record_property(name.replace("_", " "), value)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [report for report in ended if report.user_properties]
    if told:
        terminalreporter.section("counts")
    for report in told:
        counts = ", ".join(f"{name} {value}" for name, value in report.user_properties)
        terminalreporter.line(f"{report.outcome} {report.nodeid.rpartition('/')[2]}: {counts}")
