"""The summary of made-up runs: starts by the rule, the interval by Student's t, and words that fit the numbers."""

import numpy as np
import pytest
from scipy import stats

from ssmemory.experiments.frozen_vs_learned.findings import summarise

DTS = (0.001, 0.03, 0.11, 1.37)
FIRST = {0.001: 0.05, 0.03: 0.3, 0.11: 0.1, 1.37: 0.0}  # memory of the first input: best at 0.03


def made_up(dt, mode, seed, score, *, validation=0.5, reach=(64, 64), kept=1.0, epochs=2):
    """Return a run as `run` records it."""
    rows = [{"epoch": 0}]
    for epoch in range(1, epochs + 1):
        accuracy = validation - 0.01 * (epochs - epoch)
        rows.append({"epoch": epoch, "validation_accuracy": accuracy, "train_accuracy": 0.7, "seconds": float(epoch)})
    first = FIRST[dt], FIRST[dt] * kept
    before, after = (
        [{"reach": float(r), "first_input": f, "rank": 32.0}] * 2 for r, f in zip(reach, first, strict=True)
    )
    return {
        "dt": dt,
        "mode": mode,
        "seed": seed,
        "rows": rows,
        "before": before,
        "after": after,
        "test_accuracy": score,
        "trained_parameters": 10,
    }


def sweep(frozen, learned, *, reach=(64, 64), validation=None, dts=DTS, **more):
    """Return runs whose long start scores as given, seed by seed; the others score 0.3."""
    validation = validation or {}
    runs = []
    for dt in dts:
        for mode, scores in (("frozen", frozen), ("learned", learned)):
            for seed, score in enumerate(scores):
                value = score if dt == 0.03 else 0.3
                tuned = validation.get(dt, 0.5)
                runs.append(made_up(dt, mode, seed, value, validation=tuned, reach=reach, **more))
    return runs


AHEAD = [0.90, 0.93, 0.91], [0.85, 0.87, 0.87]
BEHIND = AHEAD[1], AHEAD[0]
EVEN = [0.90, 0.85, 0.91], [0.87, 0.90, 0.86]


@pytest.mark.parametrize("scores", [AHEAD, BEHIND, EVEN])
def test_the_interval_is_that_of_a_paired_t_test(scores):
    difference = summarise(sweep(*scores), 64)["difference"]
    wanted = stats.ttest_rel(*scores).confidence_interval(0.95)
    assert difference["mean"] == pytest.approx(np.mean(np.subtract(*scores)))
    assert difference["low"] == pytest.approx(wanted.low)
    assert difference["high"] == pytest.approx(wanted.high)
    assert difference["pairs"] == pytest.approx(list(np.subtract(*scores)))


def test_pairs_are_by_seed_whatever_the_order():
    runs = sweep(*EVEN)
    assert summarise(runs[::-1], 64)["difference"] == summarise(runs, 64)["difference"]


@pytest.mark.parametrize(
    ("scores", "words", "verdict"),
    [
        (
            AHEAD,
            "frozen 5.0 points ahead of learned, 95 % interval +2.5 to +7.5",
            "a difference that the seeds agree on",
        ),
        (
            BEHIND,
            "frozen 5.0 points behind learned, 95 % interval -7.5 to -2.5",
            "a difference that the seeds agree on",
        ),
        (EVEN, "frozen 1.0 points ahead of learned", "no difference that these seeds could tell from chance"),
    ],
)
def test_both_verdicts_and_both_signs(scores, words, verdict):
    sentence = summarise(sweep(*scores), 64)["findings"][1]
    assert words in sentence
    assert sentence.endswith(f": {verdict}.")
    for name, values in zip(("frozen recurrence", "learned"), scores, strict=True):
        assert f"{name} {'scores ' if name.startswith('f') else ''}{100 * np.mean(values):.1f} ± " in sentence


@pytest.mark.parametrize(
    ("frozen", "learned", "verdict"),
    [(*AHEAD, "holds"), (*BEHIND, "does not hold here"), (*EVEN, "comparable"), ([0.9], [0.8], "undecided")],
)
def test_the_claim_of_comparable_scores_is_judged_by_the_interval(frozen, learned, verdict):
    claim = summarise(sweep(frozen, learned), 64)["claims"]["G10"]
    assert claim["verdict"].startswith(f"{verdict}:")
    assert claim["measured"] == f"frozen − learned = {100 * (np.mean(frozen) - np.mean(learned)):+.1f} points"


@pytest.mark.parametrize(("score", "verdict"), [(0.29, "does not hold here"), (0.31, "holds")])
def test_the_claim_about_a_poor_spectrum_asks_every_seed(score, verdict):
    """All others score 0.3: one seed of the long start at or below that is enough to refuse it."""
    claim = summarise(sweep([0.9, 0.9, 0.9], [0.9, score, 0.9]), 64)["claims"]["G13"]
    assert claim["verdict"].startswith(f"{verdict}:")


def test_one_seed_says_nothing_about_chance():
    summary = summarise(sweep([0.9], [0.8]), 64)
    assert summary["difference"]["low"] is None
    assert summary["difference"]["high"] is None
    assert summary["findings"][1].endswith(
        "scores 90.0 % and learned 80.0 % on the test images, frozen 10.0 points ahead of learned: "
        "with one seed, which says nothing about chance."
    )
    assert all(point["test_accuracy_sd"] is None for point in summary["curve"])


def test_spread_is_the_standard_deviation_over_the_seeds():
    point = next(p for p in summarise(sweep(*AHEAD), 64)["curve"] if (p["dt"], p["mode"]) == (0.03, "frozen"))
    assert point["seeds"] == 3
    assert point["test_accuracy_sd"] == pytest.approx(np.std(AHEAD[0], ddof=1))
    assert (point["test_accuracy_min"], point["test_accuracy_max"]) == (0.90, 0.93)
    assert point["rise_in_last_epoch"] == pytest.approx(0.01)
    assert point["seconds_per_epoch"] == 1.5


def test_starts_by_the_rule():
    """Long by memory alone, though another start scores better; short by validation among larger dt but the largest."""
    runs = sweep(*AHEAD, validation={0.001: 0.99, 0.03: 0.2, 0.11: 0.6, 1.37: 0.9})
    assert summarise(runs, 64)["starts"] == {"long": 0.03, "short": 0.11, "hopeless": 1.37}


def test_short_is_tuned_on_validation_with_learned_recurrence():
    dts = (0.03, 0.11, 0.5, 1.37)
    FIRST[0.5] = 0.02
    runs = sweep(*AHEAD, dts=dts, validation={0.11: 0.4, 0.5: 0.6})
    for run in runs:
        if run["dt"] == 0.11 and run["mode"] == "frozen":
            run["rows"][-1]["validation_accuracy"] = 0.9  # must not count
        if run["dt"] == 0.11:
            run["test_accuracy"] = 0.99  # must not count either
    assert summarise(runs, 64)["starts"]["short"] == 0.5


def test_two_starts_are_enough():
    summary = summarise(sweep(*AHEAD, dts=(0.03, 1.37)), 64)
    assert summary["starts"] == {"long": 0.03, "short": 1.37, "hopeless": 1.37}
    assert "the hopeless start" not in summary["findings"][2]


@pytest.mark.parametrize(("length", "share"), [(64, "60 %"), (16, "30 %")])
def test_how_far_back_is_told_against_the_bound(length, share):
    """MF(length − 1) = 0.3 of at most min(1, rank/length), with rank 32."""
    sentence = summarise(sweep(*AHEAD, kept=0.5), length)["findings"][0]
    assert f"the first of {length} steps at their end with a memory function of 0.3, {share} of the most" in sentence
    assert "its 32 state directions" in sentence
    assert "learning left it at 0.15" in sentence


@pytest.mark.parametrize(("kept", "verdict"), [(1.0, "holds"), (1.6, "does not hold here")])
def test_the_claim_that_learning_does_not_extend_memory(kept, verdict):
    """From the shorter start 0.1 grows by that factor; half of the long start's 0.3 is the mark."""
    assert summarise(sweep(*AHEAD, kept=kept), 64)["claims"]["G9"]["verdict"].startswith(verdict)


def test_was_it_set_up_right():
    sentence = summarise(sweep(*AHEAD, reach=(5, 9)), 64)["findings"][2]
    assert "the best shorter memory (dt = 0.11) scores 30.0 ± 0.0 % learned and 30.0 ± 0.0 % frozen" in sentence
    assert "the hopeless start (dt = 1.37) scores" in sentence
    assert sentence.endswith("from 5 to 9 steps.")


def test_one_epoch_is_enough():
    summary = summarise(sweep(*AHEAD, epochs=1), 64)
    assert all(point["rise_in_last_epoch"] is None for point in summary["curve"])
