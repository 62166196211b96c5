"""The page: one file that needs nothing beside it, with the findings and the figures, rebuilt to the byte."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from ssmemory.cli import main
from ssmemory.experiments import Figure, Page, Table, read_results, write_report
from ssmemory.experiments.frozen_vs_learned import SCHEMA

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(HTMLParser):
    """Tags in order, attributes, and text by tag; complains about a tag that closes another."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []
        self.text: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.text.setdefault(self.open[-1] if self.open else "", []).append(data.strip())


@pytest.fixture(scope="module")
def html(smoke) -> str:
    return (smoke.folder / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html) -> Reader:
    return Reader(html)


def test_every_tag_is_closed(read):
    assert read.open == []
    assert read.tags[0] == "html"


def test_nothing_is_fetched_from_elsewhere(html, read):
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(read.tags)
    for tag, name, value in read.attributes:
        if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert value.startswith("#"), f"<{tag} {name}={value!r}> is not of this page"
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)", html))
    assert "@import" not in html
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html))
    names_only = (
        "http://www.w3.org/",
        "http://creativecommons.org/ns#",
        "http://purl.org/dc/",
        "https://matplotlib.org/",
    )
    assert all(address.startswith(names_only) for address in addresses), addresses  # names of vocabularies, not fetched


def test_references_within_the_page_meet_one_meaning(html, read):
    """Four drawings share one page: an id that is used may come twice only if both are the same thing."""
    used = {value[1:] for _, name, value in read.attributes if name in ("href", "xlink:href")}
    used |= {target.strip("\"'")[1:] for target in re.findall(r"url\(([^)]*)\)", html)}
    assert used
    for name in used:
        meant = re.findall(rf'<(\w+) id="{re.escape(name)}"([^>]*)>\s*(<[^>]*>)?', html)
        assert len(set(meant)) == 1, name


def test_findings_and_figures_are_there(smoke, read):
    paragraphs = read.text["p"]
    for sentence in smoke.results["summary"]["findings"]:
        assert sentence in paragraphs
    assert read.tags.count("svg") == read.tags.count("figcaption") == 4
    assert "table" in read.tags
    assert len(read.text["td"]) >= 4 * 7
    assert "ssmemory run frozen-vs-learned --size smoke" in read.text["code"]


def test_figures_name_their_axes(read):
    words = set(read.text["text"])
    for label in ("memory function", "test accuracy (%)", "training loss", "Re λ"):
        assert label in words


def test_the_data_licence_is_named(smoke, read):
    assert f"Licence of the data: {smoke.results['data']['licence']}" in read.text["li"]


def test_report_rebuilds_the_same_page(smoke, html, tmp_path, capsys):
    """From results.json alone: nothing else is there."""
    shutil.copy(smoke.folder / "results.json", tmp_path)
    assert main(["report", str(tmp_path / "results.json")]) == 0
    assert capsys.readouterr().out == f"report: {tmp_path / 'index.html'}\n"
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == html


def test_results_are_read_by_folder_or_by_file(smoke):
    assert (
        read_results(smoke.folder, [SCHEMA]) == smoke.results == read_results(smoke.folder / "results.json", [SCHEMA])
    )


def test_text_is_escaped_and_drawings_are_not(tmp_path):
    made = Page(
        title="a < b & c",
        intro="<script>alert(1)</script>",
        findings=["1 < 2"],
        notes=["<b>"],
        figures=[Figure("<i>", '<svg xmlns="http://www.w3.org/2000/svg"></svg>', "<u>")],
        tables=[Table("<s>", ["<h>"], [["<cell>"]], "<caption>")],
        command="<rm>",
    )
    reader = Reader(write_report(made, tmp_path / "deep" / "index.html").read_text())
    assert reader.tags.count("svg") == 1
    assert not {"script", "b", "i", "u", "s", "cell", "rm"} & set(reader.tags)
    assert reader.text["title"] == ["a < b & c"]
    assert "<cell>" in reader.text["td"]


def test_a_bare_page_is_laid_out_too(tmp_path):
    reader = Reader(write_report(Page("t", "i", []), tmp_path / "index.html").read_text())
    assert reader.open == []
    assert "svg" not in reader.tags
