"""Real data sets to train and measure on: fetch them once, read them strictly, turn them into sequences."""

from ssmemory.data.catalogue import Dataset, ImageDataset, list_datasets
from ssmemory.data.fetching import Fetched, fetch
from ssmemory.data.household import load_household_power
from ssmemory.data.idx import read_idx
from ssmemory.data.images import ImageSet, load_images
from ssmemory.data.sequences import pixel_sequences, standardise
from ssmemory.data.series import Series, read_series
from ssmemory.data.texts import TextSet, load_imdb

__all__ = [
    "Dataset",
    "Fetched",
    "ImageDataset",
    "ImageSet",
    "Series",
    "TextSet",
    "fetch",
    "list_datasets",
    "load_household_power",
    "load_images",
    "load_imdb",
    "pixel_sequences",
    "read_idx",
    "read_series",
    "standardise",
]
