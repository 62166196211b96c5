import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot
from tests.reference import spectra

from ssmemory import LinearSystem, MemoryFunction, memory_function

mpl.use("Agg")

RINGS = np.stack([spectra.ring(6, np.random.default_rng(seed)) for seed in range(5)])
BATCH = LinearSystem.from_eigenvalues(RINGS)
LONG = memory_function(BATCH, 20_000).values.numpy()  # long enough to hold every memory of them above 1e-15


class TestReach:
    @pytest.mark.parametrize("level", [1.0, 0.999, 0.5, 0.1, 1e-3, 1e-9, 1e-14])
    @pytest.mark.parametrize("lags", [1, 64, [3, 9000]], ids=str)
    def test_against_counting(self, lags, level):
        got = memory_function(BATCH, lags).reach(level)
        assert got.dtype == torch.int64
        assert got.tolist() == (level <= LONG).sum(1).tolist()

    def test_far_beyond_what_could_be_counted(self):
        system = LinearSystem.from_log_eigenvalues([-1e-12 + 1j])
        reach = int(memory_function(system, 1).reach(1e-12))
        assert reach == pytest.approx(np.log(2) / 2e-12, rel=1e-9)  # 2e-12 e^(−2e-12 τ) = 1e-12

    @pytest.mark.parametrize("level", [1.0, 0.3])
    def test_of_a_shift_register(self, level):
        system = LinearSystem.from_matrices(np.eye(7, k=-1), np.eye(7)[0])
        assert int(memory_function(system, 2).reach(level)) == 7

    def test_is_0_where_even_the_present_falls_short(self):
        assert int(memory_function(LinearSystem.from_eigenvalues([0.99]), 5).reach(0.5)) == 0

    def test_carries_no_gradient_and_works_with_one(self):
        system = LinearSystem.from_eigenvalues(torch.from_numpy(RINGS[0]).requires_grad_())
        assert int(memory_function(system, 4).reach(0.1)) == (LONG[0] >= 0.1).sum()


class TestQuantile:
    @pytest.mark.parametrize("q", [1e-6, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9])
    @pytest.mark.parametrize("lags", [1, 64, [3, 9000]], ids=str)
    def test_against_adding_up(self, lags, q):
        got = memory_function(BATCH, lags).quantile(q)
        assert got.dtype == torch.int64
        beyond = 6 - np.cumsum(LONG, 1)  # what lags 0 … n−1 leave out, for n = 1, 2, …
        assert got.tolist() == (1 + (beyond > (1 - q) * 6).sum(1)).tolist()

    @pytest.mark.parametrize(("q", "n"), [(0.05, 1), (0.5, 4), (0.51, 5), (0.99, 8)])
    def test_of_a_shift_register(self, q, n):
        system = LinearSystem.from_matrices(np.eye(8, k=-1), np.eye(8)[0])
        assert int(memory_function(system, 2).quantile(q)) == n

    def test_counts_only_modes_that_count(self):
        twice = memory_function(LinearSystem.from_eigenvalues([0.9, 0.9, 0.5]), 1)
        once = memory_function(LinearSystem.from_eigenvalues([0.9, 0.5]), 1)
        for q in (0.1, 0.5, 0.9):
            assert int(twice.quantile(q)) == int(once.quantile(q))


def test_nothing_is_remembered_where_nothing_is_reached():
    memory = memory_function(LinearSystem.from_eigenvalues([0.9, 0.5], B=[0.0, 0.0]), 4)
    assert memory.values.tolist() == [0] * 4
    assert [int(memory.rank), float(memory.capacity), float(memory.tail)] == [0, 0, 0]
    assert [int(memory.reach(0.1)), int(memory.quantile(0.5))] == [0, 0]


class TestCapacityAndTail:
    @pytest.mark.parametrize("lags", [1, 5, 300, [0], [7], [4000, 2], [0, 1, 2], [2, 1, 0]], ids=str)
    def test_they_add_up_whatever_lags_are_asked_for(self, lags):
        memory = memory_function(BATCH, lags)
        np.testing.assert_allclose(memory.capacity, np.full(5, 6), rtol=1e-11)
        last = int(memory.lags.max())
        np.testing.assert_allclose(memory.tail, LONG[:, last + 1 :].sum(1), rtol=1e-9)


class TestDescribe:
    def test_one_system(self):
        sentence = memory_function(LinearSystem.from_eigenvalues([0.5, -0.5]), 3).describe(level=0.25)
        values = memory_function(LinearSystem.from_eigenvalues([0.5, -0.5]), 10).values
        assert sentence == f"Reads back {int((values >= 0.25).sum())} steps at level 0.25 (capacity 2)."

    def test_channels_and_a_length(self):
        reach = (LONG >= 0.1).sum(1)
        low, middle, high = np.quantile(reach, [0.1, 0.5, 0.9])
        assert memory_function(BATCH, 3).describe(784, level=0.1) == (
            f"Reads back {middle:.0f} steps (median of 5 channels; 10–90 %: {low:.0f}–{high:.0f}) at level 0.1 "
            "(capacity 6); your sequences have 784."
        )


class TestToFrame:
    def test_one_system(self):
        memory = memory_function(LinearSystem.from_eigenvalues([0.5]), [4, 0])
        frame = memory.to_frame()
        assert list(frame.columns) == ["lag", "memory"]
        assert frame["lag"].tolist() == [4, 0]
        assert frame["memory"].tolist() == memory.values.tolist()

    def test_batch(self):
        frame = memory_function(BATCH, [5, 100]).to_frame()
        assert list(frame.columns) == ["system", "lag", "memory"]
        assert len(frame) == 10
        for row in frame.itertuples():
            assert row.memory == pytest.approx(LONG[row.system, row.lag], rel=1e-11)

    def test_two_batch_dimensions(self):
        memory = memory_function(LinearSystem.from_eigenvalues(RINGS[:4].reshape(2, 2, 6)), [5, 100, 7])
        frame = memory.to_frame()
        assert list(frame.columns) == ["system_0", "system_1", "lag", "memory"]
        for row in frame.itertuples():
            assert row.memory == pytest.approx(LONG[2 * row.system_0 + row.system_1, row.lag], rel=1e-11)

    def test_values_with_gradients(self):
        given = torch.from_numpy(RINGS[0]).requires_grad_()
        assert len(memory_function(LinearSystem.from_eigenvalues(given), 3).to_frame()) == 3


@pytest.fixture
def ax():
    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


class TestPlot:
    def draw(self, memory: MemoryFunction, ax, **options):
        assert memory.plot(ax, **options) is ax
        ax.figure.canvas.draw()
        return [np.asarray(line.get_xydata()) for line in ax.get_lines()]

    def test_axes_curve_and_bound_of_one_system(self, ax):
        memory = memory_function(LinearSystem.from_eigenvalues(RINGS[0]), 300)
        curve, bound = self.draw(memory, ax, label="ring")
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert "lag + 1" in ax.get_xlabel()
        assert "memory" in ax.get_ylabel()
        steps = np.arange(1, 301)
        np.testing.assert_allclose(curve, np.stack([steps, LONG[0, :300]], 1), rtol=1e-11)
        np.testing.assert_allclose(bound, np.stack([steps, np.minimum(1, 6 / steps)], 1), rtol=1e-15)
        assert ax.get_lines()[0].get_label() == "ring"
        assert ax.get_lines()[1].get_linestyle() == "--"
        assert not ax.collections

    def test_lags_out_of_order_are_drawn_in_order(self, ax):
        (curve,) = self.draw(memory_function(LinearSystem.from_eigenvalues(RINGS[0]), [99, 0, 9]), ax, bound=False)
        np.testing.assert_allclose(curve, np.stack([[1, 10, 100], LONG[0, [0, 9, 99]]], 1), rtol=1e-11)

    def test_several_systems_are_a_median_and_a_band(self, ax):
        curve, _ = self.draw(memory_function(BATCH, 100), ax)
        np.testing.assert_allclose(curve[:, 1], np.median(LONG[:, :100], 0), rtol=1e-11)
        (band,) = ax.collections
        vertices = band.get_paths()[0].vertices
        for lag in (0, 30, 99):
            there = vertices[vertices[:, 0] == lag + 1, 1]
            low, high = np.quantile(LONG[:, lag], [0.1, 0.9])
            np.testing.assert_allclose([there.min(), there.max()], [low, high], rtol=1e-9)

    def test_the_curve_is_inside_the_picture(self, ax):
        memory = memory_function(LinearSystem.from_eigenvalues(RINGS[0]), 50)
        self.draw(memory, ax)
        bottom, top = ax.get_ylim()
        assert bottom < float(memory.values.min())
        assert top > float(memory.values.max())

    def test_a_figure_of_its_own(self):
        ax = memory_function(LinearSystem.from_eigenvalues(torch.tensor([0.5], requires_grad=True)), 10).plot()
        assert len(ax.get_lines()) == 2
        pyplot.close(ax.figure)
