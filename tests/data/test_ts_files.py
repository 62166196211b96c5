"""The `.ts` format: files written here after its description, and what is wrong with one in one line."""

import numpy as np
import pytest
from tests.one_line import assert_one_line

from ssmemory.data import LabelledSeries, read_ts
from ssmemory.errors import DataError

NAN = float("nan")
HEAD = "@problemName x\n@univariate true\n@classLabel true a b\n@data\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "a.ts"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("capitals", [str, str.lower, str.upper])
def test_channels_lengths_gaps_and_classes(write, capitals):
    tags = ["@problemName", "@timeStamps", "@missing", "@univariate", "@dimensions", "@equalLength", "@classLabel"]
    values = ["two words", "false", "true", "false", "2", "false", "true Run walk"]
    header = "\n".join(f"{capitals(tag)} {value}" for tag, value in zip(tags, values, strict=True))
    text = f"\ufeff# a comment: @data\n%more\n\n{header}\n{capitals('@data')}\n"
    found = read_ts(write(f"{text}1,2,?: 4,NaN,6e1 :walk\r\n# between\n\n-7:8:Run\n"))
    assert isinstance(found, LabelledSeries)
    assert (found.name, found.classes, found.channels) == ("two words", ("Run", "walk"), 2)
    assert found.lengths.tolist() == [3, 1]
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(found.series[0], [[1, 4], [2, NAN], [NAN, 60]])
    np.testing.assert_array_equal(found.series[1], [[-7, 8]])
    assert {values.dtype for values in found.series} == {np.dtype(np.float64)}
    assert len(repr(found)) < 300


def test_targets_no_labels_and_names_that_are_not_given(write):
    found = read_ts(write("@targetLabel true\n@data\n1,2:3,4:-0.5\n5:6:1e3\n"))
    assert (found.classes, found.channels, found.labels.tolist()) == ((), 2, [-0.5, 1000.0])
    found = read_ts(write("@classLabel false\n@equalLength true\n@seriesLength 2\n@dimension 2\n@data\n1,2:3,4\n"))
    assert (found.labels, found.classes, found.series[0].tolist()) == (None, (), [[1, 3], [2, 4]])
    found = read_ts(write("@classLabel true\n@data\n1:b\n2:a\n3:b\n"))
    assert (found.labels.tolist(), found.classes) == ([1, 0, 1], ("a", "b"))


def test_every_number_as_it_was_written(write):
    values = np.random.default_rng(0).normal(size=(5, 40, 3)) * 10.0 ** np.arange(-8, 8, 3.2)[:5, None, None]
    rows = [":".join(",".join(map(repr, column)) for column in case.T.tolist()) + ":1" for case in values]
    found = read_ts(write("@dimensions 3\n@seriesLength 40\n@classLabel true 1 2\n@data\n" + "\n".join(rows)))
    np.testing.assert_array_equal(np.stack(found.series), values)


@pytest.mark.parametrize(
    ("text", "line", "expected", "got"),
    [
        (f"{HEAD}1,2:a\n1,x:b\n", 6, "numbers or [?]", "'x' in step 2"),
        (f"{HEAD}1,2,:a\n", 5, "numbers or [?]", "'' in step 3"),
        (f"{HEAD}1,inf:a\n", 5, "numbers or [?]", "'inf' in step 2"),
        (f"{HEAD}1,2:c\n", 5, "one of the classes a, b at the end", "'c'"),
        (f"{HEAD}1,2\n", 5, "one of the classes a, b", "'1,2'"),
        (f"{HEAD}1,2:3,4:a\n", 5, "1 channel and a label, separated by ':'", "2"),
        ("@dimensions 2\n@data\n1,2\n", 3, "2 channels, separated", "1"),
        ("@data\n1:2\n1:2:3\n", 3, "2 channels, separated", "3"),
        ("@data\n1,2:3\n", 2, "channels of one length", "lengths 2, 1"),
        ("@equalLength true\n@data\n1,2\n1\n", 4, "2 steps", "1"),
        ("@seriesLength 3\n@data\n1,2\n", 3, "3 steps", "2"),
        ("@missing false\n@data\n1,?\n", 3, "numbers alone, as @missing false says", "a gap in step 2"),
        ("@targetLabel true\n@data\n1,2:tall\n", 3, "a number as target", "'tall'"),
        ("@targetLabel true\n@data\n1,2:nan\n", 3, "a number as target", "'nan'"),
        ("@classLabel true\n@data\n1,2:\n", 3, "a class at the end", "''"),
        ("@colour red\n@data\n1\n", 1, "one of @problemname, .*@data", "@colour"),
        ("#\n@missing perhaps\n", 2, "@missing true or false", "'perhaps'"),
        ("@univariate\n", 1, "@univariate true or false", "''"),
        ("@missing true false\n", 1, "@missing true or false", "'true false'"),
        ("@dimensions 0\n", 1, "@dimensions and a whole number above 0", "'0'"),
        ("@seriesLength 2.5\n", 1, "@serieslength and a whole number", "'2.5'"),
        ("@classLabel true a a\n", 1, "classes of different names", "one twice"),
        ("1,2:a\n@data\n", 1, "a comment or a line that begins with @", "'1,2:a'"),
        ("@\n", 1, "one of @problemname", "@"),
    ],
)
def test_a_malformed_line_is_named(write, text, line, expected, got):
    path = write(text)
    with pytest.raises(DataError) as caught:
        read_ts(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: expected ")
    assert_one_line(message, expected, got, "correct the line, or fetch the file again")


@pytest.mark.parametrize(
    ("text", "expected", "got", "fix"),
    [
        ("@problemName x\n", "a line @data", "none", "add it"),
        ("", "a line @data", "none", "add it"),
        (f"{HEAD}# nothing\n", "a line of numbers after @data", "none", "check what"),
        ("@timeStamps true\n@data\n(0,1)\n", "@timestamps false", "true", "equal steps"),
        ("@classLabel true a\n@targetLabel true\n@data\n", "@classlabel or @targetlabel", "both true", "header"),
        ("@univariate true\n@dimensions 2\n@data\n", "one dimension", "@dimensions 2", "header"),
        (b"@problemName \xb0\n", "text in UTF-8", "other bytes", "UTF-8"),
    ],
)
def test_a_file_that_is_none(write, text, expected, got, fix):
    with pytest.raises(DataError) as caught:
        read_ts(path := write(text))
    assert str(caught.value).startswith(f"{path}: ")
    assert_one_line(str(caught.value), expected, got, fix)


def test_no_such_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"none.ts: expected a .ts file, got no such file; check the path"):
        read_ts(tmp_path / "none.ts")
    with pytest.raises(DataError, match=r"expected a readable .ts file, got Is a directory; check"):
        read_ts(tmp_path)
