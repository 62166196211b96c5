"""Every layer trained once in the smallest size: what the page says is recomputed from what was left behind."""

import contextlib
import dataclasses
import io
import json
import statistics

import pytest
import torch
from tests.experiments.conftest import Job, single_thread

from ssmemory.cli import main
from ssmemory.errors import InputError
from ssmemory.experiments.which_layer import SCHEMA, SIZES, Config, Contestant, page
from ssmemory.experiments.which_layer.run import BASELINES, run, summarise
from ssmemory.fit import layer_memory
from ssmemory.nn import LAYERS, Backbone, BackboneConfig, load_model


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("which") / "out"
    said = io.StringIO()
    with single_thread(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        code = main(["run", "which-layer", "--size", "smoke", "--out", str(folder)])
    return Job(folder, code, said.getvalue(), json.loads((folder / "results.json").read_text()))


def test_it_ends_well_and_says_the_findings(job):
    assert job.code == 0
    assert job.said.splitlines()[:-1] == job.results["summary"]["findings"]
    assert job.results["schema"] == SCHEMA
    assert (job.folder / "index.html").read_text().count("<svg") == 3


def test_every_layer_of_the_package_takes_part():
    for config in SIZES.values():
        assert {contestant.layer for contestant in config.contestants} == set(LAYERS)
        for contestant in config.contestants:
            BackboneConfig(layer=contestant.layer, d_model=config.d_model, **contestant.options)


def test_every_layer_learned_more_than_chance(job):
    """Ten classes: a layer that carries nothing from step to step stays near a tenth."""
    scores = {row["name"]: row["test_accuracy"] for row in job.results["summary"]["rows"]}
    assert set(scores) == {contestant.name for contestant in SIZES["smoke"].contestants}
    assert min(scores.values()) > 0.2, scores


def test_the_memory_is_that_of_the_saved_model(job):
    for row in job.results["runs"]:
        model = load_model(job.folder / "runs" / f"{row['name'].lower().replace(' ', '-')}-seed0")
        measured = layer_memory(model, 64)
        assert [layer["first_input"] for layer in row["after"]] == pytest.approx(
            [layer.first_input for layer in measured], rel=1e-9
        )
        assert bool(row["before"]) == (row["name"] != "attention")


def test_the_summary_is_made_of_the_runs(job):
    runs = [
        dict(record, test_accuracy=record["test_accuracy"] + 0.01 * k) for k in (0, 1) for record in job.results["runs"]
    ]
    names = [contestant.name for contestant in SIZES["smoke"].contestants]
    rows = summarise(runs, names, 64)["rows"]
    for row in rows:
        scores = [record["test_accuracy"] for record in runs if record["name"] == row["name"]]
        assert row["test_accuracy"] == pytest.approx(statistics.mean(scores))
        assert row["test_accuracy_sd"] == pytest.approx(statistics.stdev(scores))


@pytest.mark.parametrize("shorter", [True, False])
def test_the_verdict_follows_the_memory(job, shorter):
    runs = json.loads(json.dumps(job.results["runs"]))
    for record in runs:
        for layer in record["before"]:
            layer["first_input"] = 1e-6 if (record["name"] in BASELINES) == shorter else 1e-3
    names = [contestant.name for contestant in SIZES["smoke"].contestants]
    verdict = summarise(runs, names, 64)["claims"]["G14"]["verdict"]
    assert verdict.startswith("holds" if shorter else "does not hold")


def test_the_page_has_a_row_for_every_layer(job):
    made = page(job.results)
    (table,) = [table for table in made.tables if table.title == "All layers"]
    assert [row[0] for row in table.rows] == [contestant.name for contestant in SIZES["smoke"].contestants]
    assert [row[2] for row in table.rows if row[0] == "attention"] == ["–"]


def test_another_configuration_is_refused(job):
    with pytest.raises(InputError, match=r"epochs=8 there, 5 now; choose another folder"):
        run(dataclasses.replace(SIZES["smoke"], epochs=5), job.folder)


def test_layers_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"config: expected layers of different names"):
        Config(contestants=(Contestant("a", "s4d"), Contestant("a", "s5")))


def test_contestants_start_from_their_seed(job):
    torch.manual_seed(0)
    config = SIZES["smoke"]
    first = config.contestants[0]
    model = Backbone(
        BackboneConfig(layer=first.layer, d_model=config.d_model, n_layers=1, pooling="last", **first.options)
    )
    record = next(record for record in job.results["runs"] if record["name"] == first.name)
    (measured,) = layer_memory(model, 64)
    assert record["before"][0]["first_input"] == pytest.approx(measured.first_input, rel=1e-9)
