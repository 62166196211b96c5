"""Real data sets to train and measure on: fetch them once, read them strictly, turn them into sequences."""

from ssmemory.data.catalogue import Dataset, ImageDataset, list_datasets
from ssmemory.data.ett import ForecastSplit, ett_split
from ssmemory.data.fetching import Fetched, fetch
from ssmemory.data.forecasting import load_table
from ssmemory.data.household import load_household_power
from ssmemory.data.idx import read_idx
from ssmemory.data.images import ImageSet, load_images
from ssmemory.data.labelled import SeriesSet, load_series_set, read_series_set
from ssmemory.data.sequences import pixel_sequences, standardise
from ssmemory.data.series import Series, read_series
from ssmemory.data.texts import TextSet, load_imdb
from ssmemory.data.ts_files import LabelledSeries, read_ts

__all__ = [
    "Dataset",
    "Fetched",
    "ForecastSplit",
    "ImageDataset",
    "ImageSet",
    "LabelledSeries",
    "Series",
    "SeriesSet",
    "TextSet",
    "ett_split",
    "fetch",
    "list_datasets",
    "load_household_power",
    "load_images",
    "load_imdb",
    "load_series_set",
    "load_table",
    "pixel_sequences",
    "read_idx",
    "read_series",
    "read_series_set",
    "read_ts",
    "standardise",
]
