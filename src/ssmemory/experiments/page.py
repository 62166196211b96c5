"""What an experiment hands to the report: sentences, tables, and figures, already drawn."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        title: what it shows, in a few words.
        svg: the drawing.
        caption: how to read it.
    """

    title: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: what it lists.
        head: names of the columns.
        rows: cells as they are to be read.
        caption: how to read it.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    caption: str


@dataclass(frozen=True)
class Page:
    """One experiment, ready to be laid out.

    Attributes:
        title: the question.
        intro: what was done, in one paragraph.
        findings: plain sentences saying what came out.
        notes: what limits them.
        figures: in reading order.
        tables: after the figures.
        command: the command that makes this page.
    """

    title: str
    intro: str
    findings: list[str]
    notes: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    command: str = ""
