"""Reading the user's own series: every kind of file, and what is wrong with one in one line."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import pickle
import struct

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from ssmemory import errors
from ssmemory.data import read_series, tables
from ssmemory.data.stamps import in_words
from ssmemory.errors import DataError, InputError, MissingExtraError

NAN = float("nan")


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def message_of(error, call, *words, **options):
    with pytest.raises(error) as caught:
        call(*words, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert ": expected " in message
    assert ", got " in message
    assert "; " in message
    return message


def test_csv_with_names_dates_and_gaps(write):
    gaps = ["", "NA", "NaN", "?", "? "]
    rows = "".join(f"2026-01-01 00:{m:02d},{m / 2}, {gaps[m] if m < 5 else m}\n" for m in range(30))
    series = read_series(path := write("a.csv", f"time,load, heat\n{rows}"))
    assert (series.names, series.step, series.source) == (("load", "heat"), "1 min", str(path))
    assert series.sampling_rate == pytest.approx(1 / 60, rel=1e-12)
    assert series.values.shape == (30, 2)
    assert series.values.dtype == np.float64
    assert series.n_missing == 5
    np.testing.assert_array_equal(series.values[:, 0], np.arange(30) / 2)
    np.testing.assert_array_equal(series.values[5:, 1], np.arange(5, 30))
    assert len(repr(series)) < 300


@pytest.mark.parametrize(("sep", "end"), [(",", ".csv"), (";", ".CSV"), ("|", ".txt"), ("\t", ".csv"), ("\t", ".tsv")])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_separators_are_found(write, sep, end, begin):
    series = read_series(write(f"a{end}", f"{begin}x{sep}y z\r\n1{sep}2\r\n3{sep}4\r\n"))
    assert series.names == ("x", "y z")
    assert (series.sampling_rate, series.step) == (None, None)
    np.testing.assert_array_equal(series.values, [[1, 2], [3, 4]])


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_csv(write, end, pack):
    series = read_series(write(f"a.csv{end}", pack(b"x,y\n1,2\n3,\n")))
    np.testing.assert_array_equal(series.values, [[1, 2], [3, NAN]])
    whole = pack(b"x,y\n" + b"1,2\n" * 5000)
    for broken in (whole[: len(whole) // 2], b"x,y\n1,2\n"):
        message = message_of(DataError, read_series, write(f"b.csv{end}", broken))
        assert "expected a readable CSV file, got" in message


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("1,2\n3,4\n", ("0", "1"), [[1, 2], [3, 4]]),
        ("1.5\n-2e3\n?\n", ("0",), [[1.5], [-2000], [NAN]]),
        ("\n?,2\n3,4\n", ("0", "1"), [[NAN, 2], [3, 4]]),
        ("2026-01-01,2\n2026-01-02,4\n", ("1",), [[2], [4]]),
        ("1 2  3\n4 5  6\n", ("0", "1", "2"), [[1, 2, 3], [4, 5, 6]]),
        ("a,b\n1\n3,4\n", ("a", "b"), [[1, NAN], [3, 4]]),
        (",a\n0,5\n1,7\n2,8\n", ("a",), [[5], [7], [8]]),
        ('"","a"\n"1",5\n"2",7\n', ("a",), [[5], [7]]),
        (",a\n4,5\n1,7\n", ("Unnamed: 0", "a"), [[4, 5], [1, 7]]),
        (",a\n2026-01-01,5\n2026-01-02,7\n", ("a",), [[5], [7]]),
        ("a,b\nTrue,1\nFalse,2\n", ("a", "b"), [[1, 1], [0, 2]]),
    ],
)
def test_first_lines_and_first_columns(write, text, names, values):
    series = read_series(write("a.csv", text))
    assert series.names == names
    np.testing.assert_array_equal(series.values, values)


def test_columns_in_the_order_asked_for(write):
    path = write("a.csv", "word,x,when,y\nno,1,2026-01-01,5\nno,2,2026-01-02,6\n")
    series = read_series(path, columns=["y", "x"], time_column="when")
    assert (series.names, series.step) == (("y", "x"), "1 day")
    np.testing.assert_array_equal(series.values, [[5, 1], [6, 2]])
    assert read_series(path, columns="x").names == ("x",)
    assert read_series(write("b.csv", "1,2\n3,4\n"), columns=[1]).values.tolist() == [[2], [4]]


@pytest.mark.parametrize(
    ("first", "second", "third", "step"),
    [
        ("2026-01-01", "2026-01-02", "2026-01-03", "1 day"),
        ("2026-01-01T00:00Z", "2026-01-01T00:15Z", "2026-01-01T00:30Z", "15 min"),
        ("2026-10-25T01:00+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "1 h"),
        ("2026-01-01", "2026-01-01 12:00", "2026-01-02", "12 h"),
        ("11/02/2026", "12/02/2026", "13/02/2026", "1 day"),
        ("01/02/2026", "02/02/2026", "03/02/2026", "1 month"),
        ("02/01/2026", "02/02/2026", "02/03/2026", "1 day"),
        ("30/11/2026", "01/12/2026", "02/12/2026", "1 day"),
        ("1.2.2026 0:00", "1.2.2026 6:00", "1.2.2026 12:00", "6 h"),
        ("2026-01-31", "2026-02-28", "2026-03-31", "1 month"),
        ("2026-01-15", "2026-04-15", "2026-07-15", "3 months"),
        ("2024-01-01", "2025-01-01", "2026-01-01", "1 year"),
        ("2026-01-01 00:00:00.000", "2026-01-01 00:00:00.017", "2026-01-01 00:00:00.033", "16.5 ms"),
    ],
)
def test_stamps(write, first, second, third, step):
    assert read_series(write("a.csv", f"when,y\n{first},1\n{second},2\n{third},3\n")).step == step


def test_months_have_their_mean_length(write):
    series = read_series(write("a.csv", "when,y\n2026-01-01,1\n2026-02-01,2\n2026-03-01,2\n"))
    assert 1 / series.sampling_rate == pytest.approx(365.2425 / 12 * 86_400)


def test_a_date_and_a_time_of_day_beside_it(write):
    text = "Date,Time,y\n31/1/2026,23:59:00,1\n1/2/2026,00:00:00,?\n1/2/2026,00:01:00,3\n"
    for options in ({}, {"time_column": ("Date", "Time")}):
        series = read_series(write("a.csv", text), **options)
        assert (series.names, series.step, series.n_missing) == (("y",), "1 min", 1)
    text = "day,month,year,y\n1,2,2026,1\n2,2,2026,3\n"
    assert read_series(write("b.csv", text), time_column=("year", "month", "day")).step == "1 day"


def test_numbers_as_stamps_count_seconds(write):
    path = write("a.csv", "t,y\n0,1\n0.25,2\n0.5,3\n")
    assert read_series(path).names == ("t", "y")
    series = read_series(path, time_column="t")
    assert (series.names, series.sampling_rate, series.step) == (("y",), 4.0, "250 ms")
    assert read_series(path, time_column=()).names == ("t", "y")


def test_one_row_has_no_step(write):
    series = read_series(write("a.csv", "when,y\n2026-01-01,1\n"))
    assert (series.values.tolist(), series.step, series.sampling_rate) == ([[1]], None, None)


@pytest.mark.parametrize(
    ("stamps", "got"),
    [
        (["2026-01-01", "2026-01-02", "2026-01-05"], "expected stamps at equal steps, got steps from 1 day to 3 days"),
        (["2026-01-03", "2026-01-02", "2026-01-01"], "got one that repeats or goes back in row 2"),
        (["2026-01-01", "2026-01-02", "2026-01-02"], "got one that repeats or goes back in row 3"),
        (["2026-01-01", "2026-01-02", "soon"], "expected a date in every row, got 'soon' in row 3"),
        (["2026-01-01", "", "2026-01-03"], "expected a date in every row, got 'nan' in row 2"),
    ],
)
def test_stamps_that_are_not_regular(write, stamps, got):
    text = "when,y\n" + "".join(f"{stamp},{k}\n" for k, stamp in enumerate(stamps))
    message = message_of(DataError, read_series, path := write("a.csv", text))
    assert message.startswith(f"{path}: column 'when': ")
    assert got in message
    assert read_series(path, time_column=(), columns=["y"]).values.tolist() == [[0], [1], [2]]


def test_a_gap_in_a_long_series_is_found_wherever_it_is(write):
    minutes = pd.date_range("2026-01-01", periods=500, freq="min")
    for missing in (1, 2, 250, 497, 498):
        rows = "".join(f"{stamp},1\n" for k, stamp in enumerate(minutes) if k != missing)
        assert "steps from 1 min to 2 min" in message_of(DataError, read_series, write("a.csv", f"t,y\n{rows}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n3,tall\n4,small\n", "a.csv: column 'y': expected numbers, got 'tall' in row 2; correct it, or"),
        ("x;y\n1,5;2\n", "column 'x': expected numbers, got '1,5' in row 1; write decimals with a point"),
        ("x,y\n1,1+2j\n", "column 'y': expected numbers, got '1+2j' in row 1"),
        ("x,y\n1,\n2,?\n", "column 'y': expected at least one value, got gaps alone; choose others with columns="),
        ("x,y\n1,inf\n", "column 'y': expected finite numbers or gaps, got an infinite one; leave such cells empty"),
        ("", "a.csv: expected numbers, got an empty file; check what"),
        ("\n\n", "a.csv: expected rows of numbers, got none; check what"),
        ("x,y\n", "a.csv: expected rows of numbers, got none; check what"),
        ("when\n2026-01-01\n", "a.csv: expected a column of numbers, got time stamps alone; check sep="),
        ("x,y\n1,2,3\n4,5,6\n", "a.csv: expected 2 values in a row, as in the first, got more; name every column"),
        ("x,y\n1,2\n4,5,6\n", "a.csv: expected a readable CSV file, got Error tokenizing data"),
        (b"x,\xb0C\n1,2\n", "a.csv: expected text in UTF-8, got other bytes; save it again as UTF-8"),
    ],
)
def test_bad_csv(write, text, message):
    assert message in message_of(DataError, read_series, write("a.csv", text))


def test_text_elsewhere_does_no_harm(write):
    assert read_series(write("a.csv", "x,y\n1,2\n3,tall\n"), columns=["x"]).values.tolist() == [[1], [3]]


def test_names_and_options_that_are_not_accepted(write, tmp_path):
    path = write("a.csv", "speed,y\n1,2\n")
    call = read_series
    message = message_of(InputError, call, path, columns=["sped"])
    assert message == "column: expected one of speed, y, got 'sped'; did you mean 'speed'?"
    message = message_of(InputError, call, path, time_column="when")
    assert message == "time_column: expected one of speed, y, got 'when'; choose one of these"
    assert "columns: expected at least one name, got none" in message_of(InputError, call, path, columns=[])
    assert r"sep: expected one character or '\s+', got ', '" in message_of(InputError, call, path, sep=", ")
    assert "got no such file; check the path" in message_of(DataError, call, tmp_path / "none.csv")
    assert "got a folder; name a file in it" in message_of(DataError, call, tmp_path)
    known = "expected a name that ends in .csv, .tsv, .txt, .parquet, .npy, .wav, got"
    for name, end in (("a.xlsx", ".xlsx"), ("a", ""), ("a.npy.gz", ".gz"), ("a.csv.zip", ".zip")):
        assert f"{known} '{end}'; rename it" in message_of(InputError, call, write(name, "x"))
    np.save(tmp_path / "a.npy", np.ones(3))
    assert "time_column: expected none for .npy" in message_of(InputError, call, tmp_path / "a.npy", time_column="t")
    assert "sep: expected none for .npy" in message_of(InputError, call, tmp_path / "a.npy", sep=",")


@pytest.mark.parametrize("shape", [(5,), (5, 2), (3, 5, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8, np.float64])
def test_npy(tmp_path, shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    series = read_series(tmp_path / "a.npy")
    assert series.values.dtype == np.float64
    assert series.names == (("0",) if len(shape) == 1 else ("0", "1"))
    assert (series.sampling_rate, series.step) == (None, None)
    np.testing.assert_array_equal(series.values, array[:, None] if len(shape) == 1 else array)
    if len(shape) > 1:
        np.testing.assert_array_equal(read_series(tmp_path / "a.npy", columns=[1]).values, array[..., 1:])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1j]), "expected real numbers, got complex ones (complex128); save its real and imaginary parts"),
        (np.array(["a"]), "expected an array of numbers, got the type <U1; save it with"),
        (np.array(["2026-01-01"], dtype="M8[D]"), "got the type datetime64[D]"),
        (np.zeros((0, 2)), "or (n, length, channels), got (0, 2); reshape it"),
        (np.zeros(()), "got ()"),
        (np.zeros((1, 1, 1, 1)), "got (1, 1, 1, 1)"),
        (np.array([[1, NAN], [2, NAN]]), "column '1': expected at least one value, got gaps alone"),
        (np.array([1, np.inf]), "column '0': expected finite numbers or gaps, got an infinite one"),
        (np.array([{}], dtype=object), "expected an array of numbers, got Python objects; save it with numpy.save("),
    ],
)
def test_bad_npy(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert message in message_of(DataError, read_series, tmp_path / "a.npy")


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_nothing_is_unpickled(write, tmp_path):
    for content in (pickle.dumps(Bomb()), b"not numpy"):
        assert "got Python objects" in message_of(DataError, read_series, write("a.npy", content))
    np.save(tmp_path / "b.npy", np.array([Bomb()]), allow_pickle=True)
    assert "got Python objects" in message_of(DataError, read_series, tmp_path / "b.npy")
    np.savez(tmp_path / "c.npz", a=np.ones(3))
    (tmp_path / "c.npz").rename(tmp_path / "c.npy")
    assert "expected one array, got an archive of arrays" in message_of(DataError, read_series, tmp_path / "c.npy")
    np.save(tmp_path / "d.npy", np.ones(1000))
    half = write("e.npy", (tmp_path / "d.npy").read_bytes()[:500])
    assert "expected an array of numbers, got" in message_of(DataError, read_series, half)


@pytest.mark.parametrize(
    ("dtype", "full"), [(np.int16, 2**15), (np.int32, 2**31), (np.uint8, 2**7), (np.float32, 1), (np.float64, 1)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_wav(tmp_path, dtype, full, channels):
    tone = np.sin(np.arange(200) / 5).reshape(-1, channels) * 0.5
    shifted = tone * full + (128 if dtype == np.uint8 else 0)
    wavfile.write(tmp_path / "a.wav", 8000, shifted.astype(dtype))
    series = read_series(tmp_path / "a.wav")
    assert (series.sampling_rate, series.step, len(series.names)) == (8000.0, "125 µs", channels)
    np.testing.assert_allclose(series.values, tone, atol=1.0 / full if full > 1 else 1e-7)


def test_wav_reaches_from_minus_one_to_one_and_may_have_a_title(write):
    data = struct.pack("<3h", -(2**15), 0, 2**15 - 1)
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    title = b"LISZ" + struct.pack("<I", 4) + b"name"
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + title + b"data" + struct.pack("<I", 6) + data
    series = read_series(path := write("a.wav", b"RIFF" + struct.pack("<I", len(body)) + body))
    assert series.values.ravel().tolist() == [-1, 0, 1 - 2**-15]
    assert series.step == "62.5 µs"
    whole = path.read_bytes()
    for broken in (whole[:-3], whole[:50], whole[:20], whole[:3], b"not a wave file at all", whole + b"junk!"):
        if broken != whole + b"junk!":
            message = message_of(DataError, read_series, write("b.wav", broken))
            assert "b.wav: expected a readable WAV file, got" in message


def test_wav_without_sound(tmp_path):
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(0, dtype=np.int16))
    message = message_of(DataError, read_series, tmp_path / "a.wav")
    assert "expected sound, got 0 samples at 8000 Hz" in message or "readable WAV" in message


def test_tables_without_pandas(write, monkeypatch):
    def not_installed(module):
        raise ModuleNotFoundError(module, name="pandas")

    monkeypatch.setattr(errors.importlib, "import_module", not_installed)
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(MissingExtraError, match=r"expected the package 'pandas'.*ssmemory\[plot\]"):
            read_series(write(name, "x\n1\n"))


def test_parquet_without_a_reader(write, monkeypatch):
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda name: None)
    message = message_of(MissingExtraError, read_series, write("a.parquet", "PAR1"))
    assert message == "reading Parquet: expected pyarrow or fastparquet, got neither installed; pip install pyarrow"


def test_parquet_as_pandas_hands_it_over(write, monkeypatch):
    """All but pandas' own reader, which needs pyarrow: an index of stamps, numbers that may be null, words."""
    frame = pd.DataFrame(
        {"x": [1.5, None, 3], "n": pd.array([1, None, 3], dtype="Int64"), "w": ["1", "?", None], "z": ["a", "b", "c"]},
        index=pd.date_range("2026-01-01", periods=3, freq="h", tz="Europe/Paris", name="when"),
    )
    monkeypatch.setattr(tables.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(pd, "read_parquet", lambda path: frame.copy())
    path = write("a.parquet", "PAR1")
    series = read_series(path, columns=["x", "n", "w"])
    assert (series.step, series.n_missing) == ("1 h", 4)
    np.testing.assert_array_equal(series.values, [[1.5, 1, 1], [NAN, NAN, NAN], [3, 3, NAN]])
    assert "column 'z': expected numbers, got 'a' in row 1" in message_of(DataError, read_series, path)
    assert "expected numbers, got '2026-01-01" in message_of(DataError, read_series, path, columns=["when"])


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs pyarrow")
def test_parquet(write, tmp_path):
    frame = pd.DataFrame(
        {"x": [1.0, 2.0], "y": [3.0, None]}, index=pd.date_range("2026-01-01", periods=2, freq="15min")
    )
    frame.to_parquet(tmp_path / "a.parquet")
    series = read_series(tmp_path / "a.parquet")
    assert (series.names, series.step, series.n_missing) == (("x", "y"), "15 min", 1)
    assert "expected a readable Parquet file" in message_of(DataError, read_series, write("b.parquet", b"PAR1 no"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1 / 44_100, "22.68 µs"),
        (0.5, "500 ms"),
        (90, "90 s"),
        (3600, "1 h"),
        (7 * 86_400, "7 days"),
        (1e-10, "1e-10 s"),
    ],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
