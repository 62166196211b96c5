"""Real data sets to train and measure on: fetch them once, read them strictly, turn them into sequences."""

from ssmemory.data.catalogue import Dataset, list_datasets
from ssmemory.data.fetching import Fetched, fetch
from ssmemory.data.idx import read_idx
from ssmemory.data.images import ImageSet, load_images
from ssmemory.data.sequences import pixel_sequences, standardise

__all__ = [
    "Dataset",
    "Fetched",
    "ImageSet",
    "fetch",
    "list_datasets",
    "load_images",
    "pixel_sequences",
    "read_idx",
    "standardise",
]
