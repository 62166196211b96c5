"""Estimators: scikit-learn's own checks and its ridge; forms of input, gaps, forgetting, disk, streams; bad input."""

import json
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from tests.one_line import assert_one_line
from threadpoolctl import threadpool_limits

from ssmemory.errors import DataError, InputError
from ssmemory.fit import LinearReadout, _choosing
from ssmemory.fit._explained import decay_times
from ssmemory.fit._sequences import Scaling, read_sequences
from ssmemory.fit.estimators import MemoryClassifier, MemoryRegressor

SMALL = {"n_units": 24, "d_state": 32, "nonlinearity": "relu", "segments": 1, "standardise": False, "random_state": 0}


def waves(n: int, length: int = 60, *, channels: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sines of one of three frequencies, a class each, at random phase in noise: (n, channels, length)."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % 3
    phase = generator.uniform(0, 2 * np.pi, (n, channels, 1))
    clean = np.sin((0.2 + 0.1 * y[:, None, None]) * np.arange(length) + phase)
    return clean + 0.5 * generator.standard_normal(clean.shape), np.array(["a", "b", "c"])[y]


X, Y = waves(45)
X2, Y2 = waves(30, channels=2, seed=1)
RATE = np.array([0.2, 0.3, 0.4])[np.arange(45) % 3]


def fitted(**options) -> MemoryClassifier:
    return MemoryClassifier(**(SMALL | options)).fit(X, Y)


def features(estimator, X) -> np.ndarray:
    sequences = read_sequences(estimator, X, reset=False)
    found = np.empty((len(sequences), estimator._form.features.n_features), np.float32)
    for places, rows in estimator._form.rows(sequences):
        found[places] = rows
    return found


@pytest.mark.parametrize("kind", [MemoryClassifier, MemoryRegressor])
def test_scikit_learn_finds_nothing_wrong(kind):
    with threadpool_limits(1):
        found = check_estimator(kind(), on_skip=None)
    assert {check["status"] for check in found} <= {"passed", "skipped"}
    assert sum(check["status"] == "passed" for check in found) >= 45


def test_it_is_scikit_learns_ridge_on_its_features():
    model = fitted(penalty=0.1)
    rows = features(model, X).astype(float)
    ridge = make_pipeline(StandardScaler(), Ridge(0.1 * len(X)))
    ridge.fit(rows, np.where(Y[:, None] == model.classes_, 1.0, -1.0))
    np.testing.assert_allclose(model.decision_function(X), ridge.predict(rows), atol=1e-8)


def test_leave_one_out_error_is_that_of_leaving_one_out():
    model = MemoryRegressor(**SMALL, penalty=0.1).fit(X, RATE)
    rows, left = features(model, X).astype(float), []
    mean, scale = rows.mean(0), rows.std(0)
    for k in range(len(rows)):
        keep = np.arange(len(rows)) != k  # α weighs against the sum of errors: n, as of the whole
        ridge = Ridge(0.1 * len(X)).fit((rows[keep] - mean) / scale, RATE[keep])
        left.append(ridge.predict((rows[[k]] - mean) / scale)[0] - RATE[k])
    np.testing.assert_allclose(model.readout_.error, np.mean(np.square(left)), rtol=1e-6)


def test_frequencies_are_told_apart_and_measured():
    more, labels = waves(90, seed=5)
    model = MemoryClassifier(random_state=0).fit(X, Y)
    assert model.score(more, labels) > 0.9
    rate = np.array([0.2, 0.3, 0.4])[np.arange(90) % 3]
    options = {"random_state": 0, "n_units": 64, "d_state": 64}
    assert MemoryRegressor(**options).fit(more, rate).score(X, RATE) > 0.7
    assert cross_val_score(clone(model), more[:, 0], labels, cv=2).min() > 0.8


def test_appliances_of_unequal_lengths_are_told_apart():
    generator = np.random.default_rng(2)

    def currents(n: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Made up: a resistor draws a sine, a rectifier short peaks, a motor a burst that decays; lengths 80 … 160."""
        kinds, found = np.arange(n) % 3, []
        for kind in kinds:
            t = np.arange(generator.integers(80, 161))
            sine = np.sin(2 * np.pi * t / 20 + generator.uniform(0, 6))
            shape = (sine, np.where(abs(sine) > 0.9, np.sign(sine), 0), sine * (1 + 3 * np.exp(-t / 30)))[kind]
            found.append(generator.uniform(0.5, 2) * shape + 0.2 * generator.standard_normal(len(t)))
        return found, kinds

    model = MemoryClassifier(n_units=64, d_state=64, random_state=0).fit(*currents(45))
    assert model.score(*currents(60)) > 0.85


def test_every_form_of_the_same_sequences_is_the_same():
    matrix = X[:, 0]
    model = MemoryClassifier(**SMALL).fit(matrix, Y)
    expected = model.decision_function(matrix)
    forms = [X, list(X), list(matrix), torch.from_numpy(X), matrix.tolist()]
    ragged = np.empty(len(X), object)
    ragged[:] = list(matrix)
    for form in [*forms, ragged]:
        assert np.array_equal(model.decision_function(form), expected)
        assert np.array_equal(MemoryClassifier(**SMALL).fit(form, Y).decision_function(matrix), expected)


def test_a_sequence_is_predicted_alike_whatever_comes_with_it():
    lengths = np.random.default_rng(0).integers(5, 60, len(X))
    unequal = [x[:, :length] for x, length in zip(X, lengths, strict=True)]
    model = MemoryClassifier(**(SMALL | {"segments": 4})).fit(unequal, Y)
    together = features(model, unequal)
    assert np.array_equal(together, np.concatenate([features(model, [x]) for x in unequal]))
    assert np.array_equal(together[::-1], features(model, unequal[::-1]))


def test_scaling_and_filling_by_hand():
    gap = np.array([[np.nan, 1.0, np.nan, np.nan, 4.0, 5.0, np.nan], [2.0] * 7])
    estimator = MemoryClassifier()
    sequences = read_sequences(estimator, [gap, gap + 1], reset=True)
    filled = np.array([1, 1, 2, 3, 4, 5, 5.0])
    share = np.array([0.5, 0, 0.5, 0.5, 0, 0, 0.5])
    known = np.array([1, 4, 5, 2, 5, 6.0])
    by_data = Scaling.of(sequences, False)(gap)
    np.testing.assert_allclose(by_data[:, 0], (filled - known.mean()) / known.std(), rtol=1e-6)
    np.testing.assert_allclose(by_data[:, 1], -1)  # 2 among 2 and 3
    np.testing.assert_allclose(by_data[:, 2], share)
    alone = Scaling.of(sequences, True)(gap)
    np.testing.assert_allclose(alone[:, 0], (filled - known[:3].mean()) / known[:3].std(), rtol=1e-6)
    np.testing.assert_allclose(alone[:, 1], 0)  # constant
    lost = Scaling.of(sequences, False)(np.stack([gap[0], np.full(7, np.nan)]))
    np.testing.assert_allclose(lost[:, 1], 0)  # the mean of the data


def test_missing_values_are_survived_and_can_be_what_matters():
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = fitted(n_units=64)
    assert model.score(gaps, Y) > 0.8  # filled, though none were missing at fit
    labels = np.arange(45) % 2
    noise = np.random.default_rng(3).standard_normal((90, 1, 40))
    noise[np.tile(labels, 2) == 1, :, 10:13] = np.nan
    informed = MemoryClassifier(**SMALL).fit(noise[:45], labels)
    assert informed._form.scaling.marks
    assert informed.score(noise[45:], np.tile(labels, 2)[45:]) > 0.95


def test_level_matters_or_not():
    level = np.arange(40) % 2
    noise = np.random.default_rng(4).standard_normal((80, 30)) + np.tile(level, 2)[:, None]
    model = MemoryClassifier(n_units=32, d_state=32, segments=1, random_state=0).fit(noise[:40], level)
    assert model._form.scaling.standardise is not True
    assert model.score(noise[40:], np.tile(level, 2)[40:]) > 0.9
    blind = MemoryClassifier(**(SMALL | {"standardise": True})).fit(noise[:40], level)
    np.testing.assert_allclose(blind.decision_function(noise), blind.decision_function(7 * noise + 100), atol=1e-3)


@pytest.mark.parametrize("capacity", [4096, 16], ids=["rows", "sums"])
def test_pieces_and_forgetting(capacity, monkeypatch):
    monkeypatch.setattr("ssmemory.fit.ridge._MOST", capacity)  # at least 64 rows are kept
    more, labels = waves(60, seed=6)
    whole = fitted(penalty=0.01).partial_fit(more, labels)
    pieces = MemoryClassifier(**SMALL, penalty=0.01).partial_fit(X, Y, classes=["c", "b", "a"])
    for part in (slice(0, 7), slice(7, 41), slice(41, 60)):
        pieces.partial_fit(more[part], labels[part])
    np.testing.assert_allclose(pieces.decision_function(more), whole.decision_function(more), atol=1e-8)
    assert (whole._form.sums._sums is None) == (capacity == 4096)
    changed = whole.decision_function(more)
    order = np.random.default_rng(0).permutation(60)
    whole.forget(more[order], labels[order])
    np.testing.assert_allclose(whole.decision_function(more), fitted(penalty=0.01).decision_function(more), atol=1e-8)
    assert abs(changed - whole.decision_function(more)).max() > 0.01
    assert whole.readout_.n_samples == 45


def test_choices_are_made_on_some_where_there_are_many(monkeypatch):
    few = MemoryClassifier(n_units=16, d_state=32, random_state=0).fit(X, Y)
    assert few.readout_.error == min(error for *_, error in few._form.tried)
    monkeypatch.setattr(_choosing, "_SAMPLE", 20)
    monkeypatch.setattr(_choosing, "_MANY", 45)
    many = MemoryClassifier(n_units=16, d_state=32, random_state=0).fit(X, Y)
    assert (many._form.n_compared, many.readout_.n_samples, len(many._form.tried)) == (20, 45, 7)
    assert [bool(tried.n_contrasts) for tried in many._form.tried] == 6 * [False] + [True]
    chosen = min(many._form.tried, key=lambda tried: tried.error)
    sizes = many._form.sizes
    assert (many._form.scaling.standardise, sizes["nonlinearity"], sizes["segments"]) == chosen[:3]
    assert (many._form.contrasts is not None) == bool(chosen.n_contrasts)


def test_what_only_the_whole_tells_needs_contrasts():
    """Two steps of one sign or not: no unit pooled over time sees it, and no linear map."""
    noise = np.random.default_rng(9).standard_normal((900, 8))
    labels = np.where(noise[:, 2] * noise[:, 5] > 0, "same", "other")
    scores = [
        MemoryClassifier(**SMALL | {"n_contrasts": n}).fit(noise[:600], labels[:600]).score(noise[600:], labels[600:])
        for n in (0, 600)
    ]
    assert scores[0] < 0.6
    assert scores[1] > 0.7


def test_processes_change_rounding_only():
    np.testing.assert_allclose(
        fitted(n_jobs=2).decision_function(X), fitted(n_jobs=1).decision_function(X), rtol=0, atol=1e-8
    )


@pytest.mark.parametrize(
    "options", [{}, {"segments": 4, "standardise": "both", "n_layers": 2}, {"n_contrasts": 9}], ids=str
)
def test_saved_and_loaded_predicts_the_same_bits_and_goes_on(options, tmp_path):
    model = fitted(**options)
    model.save(tmp_path).joinpath("mine.txt").write_text("stays")
    model.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4  # the numbers of the first are gone
    json.loads((tmp_path / "estimator.json").read_text())
    loaded = MemoryClassifier.load(tmp_path)
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    more, labels = waves(12, seed=7)
    loaded.partial_fit(more, labels)
    model.partial_fit(more, labels)
    np.testing.assert_allclose(loaded.decision_function(X), model.decision_function(X), atol=1e-10)
    loaded.forget(more, labels)


def test_a_regressor_of_several_is_saved_too(tmp_path):
    both = np.stack([RATE, -RATE], 1)
    model = MemoryRegressor(**(SMALL | {"random_state": np.random.RandomState(0)})).fit(X[:, 0], both)
    assert model.predict(X[:, 0]).shape == (45, 2)
    loaded = MemoryRegressor.load(model.save(tmp_path / "new"))
    assert np.array_equal(loaded.predict(X[:, 0]), model.predict(X[:, 0]))
    assert loaded.n_features_in_ == 60


@pytest.mark.parametrize("options", [{}, {"n_layers": 2, "nonlinearity": "relu"}, {"n_contrasts": 40}], ids=str)
@pytest.mark.parametrize("gaps", [False, True])
def test_a_stream_predicts_what_predict_does_on_the_prefix(options, gaps):
    given = X2.copy()
    if gaps:
        given[np.random.default_rng(0).random(X2.shape) < 0.3] = np.nan
        given[0, 0, :3] = np.nan  # begins with one channel only
        given[0, 1, 0] = 0.5
    rate = np.array([0.2, 0.3, 0.4])[np.arange(30) % 3]
    model = MemoryRegressor(**SMALL | options).fit(given, rate)
    stream = model.stream()
    found = [stream.step(u) for u in given[0].T]
    prefixes = [given[0][:, : t + 1] for t in range(60)]
    np.testing.assert_allclose(found, model.predict(prefixes), atol=1e-5)
    assert np.std(found) > 1e-3
    assert stream.n_steps == 60


def test_a_stream_of_labels():
    stream, model = (model := fitted()).stream(), model
    labels = [stream.step(u) for u in X[4, 0]]
    assert labels == model.predict([X[4, :, : t + 1] for t in range(60)]).tolist()
    assert labels[-1] == Y[4]


def test_a_stream_of_two_values_is_not_left_to_rounding():
    switches = (X > 0).astype(float)
    model = MemoryRegressor(**SMALL | {"n_units": 200}).fit(switches, RATE)
    stream = model.stream()
    found = [stream.step(u) for u in switches[0, 0]]
    np.testing.assert_allclose(found, model.predict([switches[0, :, : t + 1] for t in range(60)]), atol=1e-5)


def test_explain_has_the_numbers():
    model = MemoryClassifier(n_units=16, d_state=32, n_contrasts=7, random_state=0).fit(X, Y)
    said, readout = model.explain(), model.readout_
    assert "45 sequences" in said
    assert "60 to 60 steps, median 60" in said
    assert "decay times from 1 to 30 steps, the longest 0.5 of the median length" in said
    assert "Contrasts: 7, each between two sequences, by all that 60 numbers hold of the last 60 steps" in said
    assert f"Penalty: {readout.penalty:.2e}" in said
    assert f"Leave-one-out error: {readout.error:.4g} mean squared, on 45" in said
    assert f"{1 - readout.error / readout.variance:.1%} of the variance" in said
    for *_, error in model._form.tried:
        assert f": {error:.4g}" in said
    shares = [int(share) for share in re.findall(r"steps \((\d+)%\)", said)]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 101
    assert "as given" in fitted(penalty=0.5).explain()


def test_weight_is_found_where_it_was_put():
    form = MemoryRegressor(**SMALL | {"n_layers": 2, "segments": 2}).fit(X, RATE)._form
    weights = np.zeros((form.features.n_features, 1))
    weights[2 * 24 + 24 + 17] = 3  # second layer, second segment, unit 17, which reads the second of two groups
    times, weight = decay_times(form, LinearReadout(weights, np.zeros(1), 1.0, 0.5, 1.0, 2, 2, np.ones((1, 2))))
    np.testing.assert_allclose(times, [1, 30])
    assert weight[1] > 0
    assert weight[0] == 0


def test_a_class_that_never_came_and_one_sample_a_class():
    model = MemoryClassifier(**SMALL).partial_fit(X, Y, classes=["a", "b", "c", "never"])
    assert "never" not in model.predict(X)
    assert model.decision_function(X).shape == (45, 4)
    two = MemoryClassifier(**SMALL).fit(X[:2], Y[:2])
    assert two.decision_function(X).shape == (45,)
    assert set(two.predict(X)) <= {"a", "b"}


def test_nothing_before_fit_and_nothing_after_a_fit_that_failed():
    for method in ("predict", "forget", "stream", "explain", "save"):
        with pytest.raises(NotFittedError):
            getattr(MemoryClassifier(), method)(*{"forget": (X, Y), "predict": (X,), "save": ("x",)}.get(method, ()))
    model = fitted()
    with pytest.raises(InputError):
        model.fit(X, ["a"] * 45)
    with pytest.raises(NotFittedError):
        model.predict(X)


HOLE = np.full((1, 30), np.nan)
BAD = [
    (lambda: fitted().partial_fit(X[:1], ["d"]), "'a', 'b', 'c'", "'d'", "fit anew"),
    (lambda: fitted().partial_fit(X[:1], ["a"], ["a", "d"]), "'a', 'b', 'c'", "'d'", "the same"),
    (lambda: MemoryClassifier().partial_fit(X, Y), "all labels", "none", "classes="),
    (lambda: MemoryClassifier().partial_fit(X[:1], Y[:1], ["a", "b"]), "two classes", "one class", "shuffle"),
    (lambda: MemoryClassifier().fit(X, ["a"] * 45), "two classes", "one class", "others"),
    (lambda: MemoryClassifier().fit(X, Y[:-1]), "45", "44", "match"),
    (lambda: MemoryClassifier().fit(X, np.where(Y == "a", np.nan, 1)), "finite", "15 NaN", "drop"),
    (lambda: MemoryRegressor().fit(X, np.where(Y == "a", np.nan, 1)), "finite", "15 NaN", "drop"),
    (lambda: MemoryRegressor().fit(X[:1], RATE[:1]), "at least 2", "1 sample", "more"),
    (lambda: MemoryRegressor().partial_fit(X[:1], RATE[:1]), "at least 2", "1 sample", "more"),
    (lambda: MemoryRegressor(**SMALL).fit(X, RATE).partial_fit(X, X2[0, 0][:45, None] * [1, 2]), "1", "2", "fitted"),
    (lambda: MemoryRegressor().fit(np.ones((9, 20)), np.arange(9)), "some that vary", "constant", "others"),
    (lambda: fitted().predict(X2), "channels: 1", "2", "before steps"),
    (lambda: fitted().predict(list(X2)), "channels: 1", "2", "before steps"),
    (lambda: MemoryClassifier().fit([X[0], X2[0]], ["a", "b"]), "channels: 1", "2", "the same"),
    (lambda: fitted().predict([]), "at least one", "none", "length"),
    (lambda: fitted().predict(X[0, 0]), "length", "one axis", "Reshape your data"),
    (lambda: fitted().predict(X[..., None]), "length", r"\(45, 1, 60, 1\)", "one step"),
    (lambda: fitted().predict([X[0], X[0][:, :0]]), "nothing empty", r"\(1, 0\)", "one array"),
    (lambda: fitted().predict([X[0], np.array("a")]), "real numbers", "<U1", "one array"),
    (lambda: fitted().predict([X[0] / 0.0]), "finite", "infinity", "replace"),
    (lambda: fitted().predict([X[0], HOLE]), "known value", "all missing", "drop"),
    (lambda: fitted(segments=16).predict([X[0], X[0][:, :9]]), "at least 16 steps", "9", "fewer segments"),
    (lambda: fitted(segments=0), "at least 1 or 'auto'", "0", "default"),
    (lambda: fitted(segments="many"), "'auto'", "'many'", "default"),
    (lambda: fitted(n_units=2.5), "whole number", "2.5", "default"),
    (lambda: fitted(d_state=20), "multiple of 16", "20", "256"),
    (lambda: fitted(longest="far"), "steps or 'auto'", "'far'", "default"),
    (lambda: fitted(longest=0.5), "more than one step", "0.5", "half"),
    (lambda: fitted(standardise="yes"), "True, False, 'both' or 'auto'", "'yes'", "one of these"),
    (lambda: fitted(penalty=-1.0), "≥ 0", "-1.0", "chosen"),
    (lambda: fitted(batch_size=0), "at least 1", "0", "16"),
    (lambda: fitted().forget(X2[:1, :1], ["a"]), "that are there", "1 that are not", "bit for bit"),
    (lambda: fitted(segments=4).stream(), "one segment", "4 segments", "segments=1"),
    (lambda: fitted(standardise=True).stream(), "a scale", "anew", "standardise=False"),
    (lambda: fitted().stream().step([1.0, 2.0]), r"\(1,\)", r"\(2,\)", "a channel"),
    (lambda: fitted().stream().step(np.nan), "known value", "all missing", "begin"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "expected", "got", "fix"), BAD)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_one_line(call, expected, got, fix):
    with pytest.raises(InputError) as caught:
        call()
    assert_one_line(str(caught.value), expected, got, fix)


def test_a_folder_that_holds_something_else_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"estimator\.json.*name that of save") as caught:
        MemoryClassifier.load(tmp_path)
    assert "\n" not in str(caught.value)
    folder = fitted().save(tmp_path)
    with pytest.raises(DataError, match="expected a MemoryRegressor, got a MemoryClassifier"):
        MemoryRegressor.load(folder)
    arrays = next(tmp_path.glob("arrays-*"))
    arrays.write_bytes(arrays.read_bytes()[:50])
    with pytest.raises(DataError, match="that save wrote") as caught:
        MemoryClassifier.load(folder)
    assert "\n" not in str(caught.value)
