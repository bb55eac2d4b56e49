"""Tables and numbers for people: as text for the terminal, as markdown, and as HTML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH = 98
"""Characters of a line in the terminal."""
_NOISE = 1e-7
"""Below this a difference comes from the order in which numbers were added."""


@dataclass(frozen=True)
class Table:
    """A title, the heads of the columns, and rows of as many cells; the first one names the row."""

    title: str
    head: list[str]
    body: list[list[str]]

    def to_text(self) -> str:
        """The table for the terminal: names to the left, numbers aligned to the right."""
        lines = [self.head, *self.body]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [_aligned(line, widths) for line in lines]
        return "\n".join([self.title, "-" * WIDTH, *aligned])

    def to_markdown(self) -> str:
        """The table as markdown under a heading of the second level."""
        align = [":--", *["--:"] * (len(self.head) - 1)]
        lines = ["| " + " | ".join(map(markdown, row)) + " |" for row in [self.head, *self.body]]
        lines.insert(1, "| " + " | ".join(align) + " |")
        return "\n".join([f"## {markdown(self.title)}", "", *lines])

    def to_html(self) -> str:
        """The table as HTML, with the title as its caption."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        body = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.body
        ]
        return (
            f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def markdown(text: str) -> str:
    """Plain text inside markdown: what would be read as mark-up is escaped."""
    for mark in "\\`*|<>":
        text = text.replace(mark, f"\\{mark}")
    return text


def number(value: float | None, digits: int = 4) -> str:
    """Format a value for people; empty if null."""
    return "" if value is None else f"{value:.{digits}f}"


def loss(value: float | None) -> str:
    """Format a loss for people: four digits, or as many as show three that count."""
    small = value is not None and 0 < abs(value) < 0.01
    return number(value, 2 - floor(log10(abs(value))) if small and value else 4)


def percent(share: float, digits: int = 1) -> str:
    """Format a share for people: 0.02 is "2.0 %"."""
    return f"{100 * share:.{digits}f} %"


def signed(value: float | None) -> str:
    """Format a difference for people: with its sign, and not rounded to zero unless it is noise."""
    if value is None:
        return ""
    if abs(value) < _NOISE:
        return "0.0000"
    return f"{value:+.4f}" if abs(value) >= 0.00005 else f"{value:+.0e}"


def span(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    """Format an interval; empty if there is none."""
    return "" if low is None or high is None else f"{form(low)} to {form(high)}"


def _aligned(cells: list[str], widths: list[int]) -> str:
    first, *rest = [
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join([first, *rest]).rstrip()
