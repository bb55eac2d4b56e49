"""A pytest plugin: while PPI_ML_DATA is set, a skipped test that needs real data is a failure."""

from __future__ import annotations

import os

import pytest

_skipped: list[str] = []


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def _note(report: pytest.CollectReport | pytest.TestReport) -> None:
    if not (report.skipped and os.environ.get("PPI_ML_DATA")):
        return
    reason = str(report.longrepr)
    marked = isinstance(report, pytest.TestReport) and "real" in report.keywords
    if marked or "PPI_ML_DATA" in reason:
        _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _skipped:
        terminalreporter.write_line(f"skipped although PPI_ML_DATA is set: {line}", red=True)
