"""Every error that ppi_ml raises on purpose, with the exit code of the command line.

    PpiError                      1  something went wrong inside
    ├── UsageError                2  a command or call that cannot be understood
    │   ├── ConfigError           2  a wrong setting; the message starts with its path
    │   └── InputError            2  arrays or settings that an estimator cannot use
    ├── DataError                 3  the events break their contract
    │   ├── NothingLeftError      3  not one order line can be used; it carries the load report
    │   └── NotTrainableError     3  a model or baseline that these events cannot train, and why
    └── IntegrityError            4  a damaged, foreign or incomplete bundle

A message says what was wrong, where, what was expected and how to fix it. It never holds a
customer's value.
"""

from __future__ import annotations


class PpiError(Exception):
    """The root of the tree; `exit_code` is what `ppi-ml` ends with."""

    exit_code = 1


class UsageError(PpiError):
    """A command or call that cannot be understood."""

    exit_code = 2


class ConfigError(UsageError):
    """A wrong setting; the message starts with the path to it."""


class InputError(UsageError, ValueError):
    """Arrays or settings that an estimator cannot use; also scikit-learn's `ValueError`."""


class DataError(PpiError):
    """The events break their contract."""

    exit_code = 3


class NothingLeftError(DataError):
    """Not one order line can be used; `report` is the load report (`load_report.LoadReport`)."""

    def __init__(self, message: str, report: object) -> None:
        super().__init__(message)
        self.report = report


class NotTrainableError(DataError):
    """A model or baseline that these events cannot train; the message says why."""


class IntegrityError(PpiError):
    """A damaged, foreign or incomplete bundle."""

    exit_code = 4
