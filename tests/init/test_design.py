import numpy as np
import pytest
import torch

from ssmemory import LinearSystem, init, memory_function
from ssmemory.errors import InputError
from ssmemory.init._spectrum_search import Imitation, Recollection, hidden_and_slopes, reached
from ssmemory.init.design import design
from ssmemory.learning import visible_fraction

MODES = np.array([-0.05 + 0.3j, -0.02 + 1.1j, -0.3 + 0j, -0.1 + np.pi * 1j])  # two pairs, a real mode, a negative one
CLOSED = LinearSystem.from_log_eigenvalues(np.concatenate([MODES, MODES[:2].conj()]))


def remembered(system, lag):
    return float(memory_function(system, [lag]).values)


def bump(length=120, centre=60, width=12):
    return np.exp(-(((np.arange(length) - centre) / width) ** 2))


def by_regression(system, kernel, horizon):
    """Share of a kernel's energy that the responses λ^τ explain, by least squares over a long horizon."""
    rows = np.exp(np.outer(np.arange(horizon), system.log_eigenvalues.numpy()))
    rows = rows / np.linalg.norm(rows, axis=0)
    padded = np.zeros(horizon, complex)
    padded[: len(kernel)] = kernel
    weights = np.linalg.lstsq(rows, padded, rcond=1e-14)[0]
    return 1 - np.linalg.norm(rows @ weights - padded) ** 2 / np.linalg.norm(kernel) ** 2


@pytest.mark.parametrize("lags", [[0], [7], [200], [3, 3, 50]])
def test_the_goal_of_lags_is_the_memory_function(lags):
    exact = float(memory_function(CLOSED, lags).values.mean())
    goal = Recollection(np.array(lags))
    assert 1 - hidden_and_slopes(goal, MODES)[0] == pytest.approx(exact, abs=1e-13)
    assert goal.exact(CLOSED) == pytest.approx(exact, rel=1e-13)


def test_the_slopes_of_lags_are_those_of_the_memory_function():
    leaf = torch.tensor(np.concatenate([MODES, MODES[:2].conj()]), requires_grad=True)
    memory_function(LinearSystem.from_log_eigenvalues(leaf), [3, 40]).values.mean().backward()
    expected = leaf.grad.numpy()
    expected = np.concatenate([expected[:2] + expected[4:].conj(), expected[2:4].real])
    _, slopes = hidden_and_slopes(Recollection(np.array([3, 40])), MODES)
    slopes = np.concatenate([slopes[:2], slopes[2:].real])
    np.testing.assert_allclose(-slopes, expected, rtol=1e-9)


def test_the_goal_of_a_teacher_is_the_visible_fraction_and_its_slopes_are_differences():
    kernel = bump()
    goal = Imitation(kernel)
    assert 1 - hidden_and_slopes(goal, MODES)[0] == pytest.approx(float(visible_fraction(CLOSED, kernel)), abs=1e-12)
    _, slopes = hidden_and_slopes(goal, MODES)
    for k in range(len(MODES)):
        for step, slope in ((1e-6, slopes[k].real), (1e-6j, slopes[k].imag))[: 2 if k < 2 else 1]:
            moved = [hidden_and_slopes(goal, MODES + s * step * (np.arange(len(MODES)) == k))[0] for s in (1, -1)]
            assert (moved[0] - moved[1]) / 2e-6 == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("dt", [0.01, 0.1, 0.4, 2.0])
def test_hand_made_spectra_are_judged_as_the_memory_function_does_also_where_they_fold(dt):
    for make in (init.s4d_lin, init.s4d_inv, init.s4d_legs, init.s4d_real):
        system = make(16, torch.tensor([dt], dtype=torch.float64))
        exact = float(memory_function(system, [30]).values)
        assert reached(Recollection(np.array([30])), system)[0] == pytest.approx(exact, abs=1e-13)


@pytest.mark.parametrize(("d_state", "share"), [(2, 0.50), (4, 0.64), (8, 0.76), (16, 0.845)])
def test_recall_at_lag_200_reaches_its_share_of_the_bound(d_state, share):
    found = design(d_state, lags=[200])
    assert found.value == pytest.approx(remembered(found.system, 200), rel=1e-12)
    assert found.bound == pytest.approx(d_state / 201)
    assert share < found.share == found.value / found.bound < 1
    assert float(found.system.eigenvalues.abs().max()) < 1
    assert found.system.conj_sym
    assert found.system.d_state == int(found.system.rank) == d_state


@pytest.mark.parametrize("lag", [50, 200])
def test_it_beats_the_best_s4d_lin_by_a_fifth(lag):
    found = design(16, lags=[lag])
    dense = np.geomspace(0.01, 30, 3000) / (lag + 1)
    best = max(reached(Recollection(np.array([lag])), init.s4d_lin(16, torch.from_numpy(dense))))
    assert found.baselines["S4D-Lin"] == pytest.approx(best, rel=2e-3)
    assert found.best_baseline == "S4D-Lin"
    assert found.value > 1.2 * best
    system = found.baseline_systems["S4D-Lin"]
    assert remembered(system, lag) == pytest.approx(found.baselines["S4D-Lin"], rel=1e-12)


def test_another_optimiser_finds_nothing_better():
    from scipy.optimize import minimize

    goal, best = Recollection(np.array([40])), 0.0
    for seed in range(3):
        start = np.random.default_rng(seed).uniform([1, 1, 0, 4], [4, 4, 4, 8])

        def hidden(x):
            return hidden_and_slopes(goal, (-abs(x[:2]) + 1j * x[2:]) / 41)[0]

        best = max(
            best, 1 - minimize(hidden, start, method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6}).fun
        )
    assert design(4, lags=[40]).value >= best - 1e-9


@pytest.mark.parametrize("lag", [1, 12, 200])
def test_one_mode_has_the_closed_form(lag):
    assert design(1, lags=[lag]).value == pytest.approx((lag / (lag + 1)) ** lag / (lag + 1), rel=1e-9)


@pytest.mark.parametrize("d_state", [3, 5])
def test_an_odd_state_has_a_real_mode_and_lies_between_its_neighbours(d_state):
    below, found, above = (design(n, lags=[60]) for n in (d_state - 1, d_state, d_state + 1))
    assert below.value < found.value < above.value
    assert found.system.d_state == int(found.system.rank) == d_state
    assert abs(np.poly(found.system.eigenvalues.numpy()).imag).max() < 1e-14


def test_a_window_is_its_last_lag():
    by_window, by_lag = design(6, window=51), design(6, lags=[50])
    assert by_window.value == by_lag.value
    assert by_window.bound == 6 / 51
    assert float(memory_function(by_window.system, 51).values.min()) == pytest.approx(by_window.value, rel=1e-12)


@pytest.mark.parametrize(("d_state", "window"), [(3, 3), (4, 1), (8, 7)])
def test_a_window_within_the_state_is_kept_whole(d_state, window):
    found = design(d_state, window=window)
    assert found.bound == 1
    assert found.value == pytest.approx(1, abs=1e-7)


def test_several_lags_are_bounded_by_the_concave_curve():
    found = design(4, lags=range(40))
    assert found.bound == pytest.approx(4 / 40)  # the capacity, and not the mean of min(1, 4/(τ+1))
    assert found.share == pytest.approx(1, abs=1e-6)
    assert Recollection(np.array([0, 99])).bound(2) == pytest.approx(0.5 + 0.5 / 99)
    assert Recollection(np.array([5])).bound(9) == 1


def test_lags_far_apart_are_served_together():
    found = design(6, lags=[0, 2000])
    assert found.value >= max(found.baselines.values())
    assert found.value == pytest.approx(float(memory_function(found.system, [0, 2000]).values.mean()))
    assert found.share > 0.98


def test_far_lags_keep_the_share():
    assert design(4, lags=[500_000]).share == pytest.approx(design(4, lags=[2000]).share, rel=1e-3)


def test_a_teacher_is_judged_as_by_regression():
    kernel = bump()
    found = design(4, teacher=kernel)
    assert found.value == pytest.approx(by_regression(found.system, kernel, 4000), abs=1e-9)
    assert max(found.baselines.values()) < found.value <= found.bound <= 1


def test_a_teacher_of_few_modes_is_seen_whole():
    t = np.arange(300)
    kernel = 0.95**t * np.cos(0.4 * t) + 0.5 * (-0.9) ** t
    found = design(3, teacher=kernel)
    assert found.value == pytest.approx(1, abs=1e-8)
    wanted = np.sort_complex([0.95 * np.exp(0.4j), 0.95 * np.exp(-0.4j), -0.9])
    np.testing.assert_allclose(np.sort_complex(found.system.eigenvalues.numpy()), wanted, atol=1e-3)


def test_a_teacher_of_one_lag_is_the_recall_problem():
    kernel = [0.0] * 50 + [2.0]
    found = design(4, teacher=kernel)
    assert found.value == pytest.approx(design(4, lags=[50]).value, rel=1e-6)
    assert found.bound == pytest.approx(4 / 51)


def test_the_bound_of_a_teacher_holds_for_random_systems():
    generator = np.random.default_rng(3)
    kernel = generator.standard_normal(40)
    bound = Imitation(kernel).bound(4)
    assert bound < 0.9
    for seed in range(20):
        assert float(visible_fraction(init.random_disk(4, seed=seed), kernel)) < bound


def test_the_seed_decides():
    one, same, other = (design(4, lags=[30], seed=seed, starts=6) for seed in (1, 1, 2))
    assert torch.equal(one.system.log_modes, same.system.log_modes)
    assert one.starts == same.starts
    assert len(one.starts) == 6
    assert list(one.starts)[-1].startswith("random")
    assert one.value == pytest.approx(other.value, rel=1e-6)
    assert len(design(4, lags=[30], starts=1).starts) == 1


def test_it_explains_itself():
    text = design(16, lags=[50]).explain()
    assert "MF at lag 50: 0.2698, 86.0% of the bound 0.3137" in text
    assert "1.23 times as much as the best hand-made spectrum, S4D-Lin" in text
    assert "not proven" in text


@pytest.mark.parametrize("goal", [{"window": 20}, {"teacher": [1.0, 2.0, 3.0]}])
def test_it_draws_itself(goal):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    figure = design(4, **goal).plot()
    assert len(figure.axes) == 2
    assert "designed" in figure.axes[1].get_legend_handles_labels()[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "goal: expected exactly one of window, lags and teacher, got none"),
        ({"window": 5, "lags": [3]}, "got window and lags"),
        ({"window": 0}, "window: expected a whole number of at least 1, got 0"),
        ({"window": 2.5}, "window"),
        ({"window": 10**7}, "window: expected at most 1,000,000 steps"),
        ({"lags": [-1]}, "lags: expected lags ≥ 0, got -1"),
        ({"lags": []}, "lags"),
        ({"lags": 5}, "lags: expected whole numbers in a list, got 5"),
        ({"lags": [1.5]}, "lags"),
        ({"lags": [[1], [2, 3]]}, "lags"),
        ({"lags": [10**7]}, "lags: expected lags ≤ 1,000,000"),
        ({"teacher": []}, "teacher"),
        ({"teacher": [1.0, float("nan")]}, "teacher: expected finite weights"),
        ({"teacher": [0.0, 0.0]}, "teacher: expected a weight that is not zero"),
        ({"teacher": [1.0 + 1j]}, "teacher: expected real weights, got complex ones"),
        ({"teacher": np.ones(10**6 + 1)}, "teacher: expected at most 1,000,000 weights"),
        ({"teacher": "no"}, "teacher"),
        ({"window": 5, "d_state": 0}, "d_state: expected a whole number of at least 1, got 0"),
        ({"window": 5, "seed": -1}, "seed"),
        ({"window": 5, "starts": 0}, "starts: expected a whole number of at least 1, got 0"),
    ],
)
def test_it_refuses_what_makes_no_sense_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as refusal:
        design(**({"d_state": 4} | arguments))
    assert "\n" not in str(refusal.value)
