"""The page of claims says what the committed results say."""

import json
from pathlib import Path

from ssmemory.experiments import EXPERIMENTS
from ssmemory.experiments.ledger import claims_document

DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_page_is_made_from_the_committed_results():
    assert (DOCS / "claims.md").read_text() == claims_document(DOCS / "results", EXPERIMENTS)


def test_every_committed_result_still_makes_a_page():
    schemas = {experiment.SCHEMA: experiment for experiment in EXPERIMENTS.values()}
    for path in (DOCS / "results").glob("*.json"):
        results = json.loads(path.read_text())
        page = schemas[results["schema"]].page(results)
        assert page.findings == results["summary"]["findings"]
        assert page.figures


def test_a_changed_verdict_changes_the_page(tmp_path):
    found = json.loads((DOCS / "results" / "longest-memory-cpu.json").read_text())
    found["summary"]["claims"]["G8"]["verdict"] = "a | verdict\nof two lines"
    (tmp_path / "longest-memory-cpu.json").write_text(json.dumps(found))
    page = claims_document(tmp_path, EXPERIMENTS)
    assert "a \\| verdict of two lines" in page
    assert page.count("`ssmemory run longest-memory --size cpu`") == 3
