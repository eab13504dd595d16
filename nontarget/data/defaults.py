"""What is known of a data set: how it is recognised, its protocol, its budget, and how the book treats it. Each list of names is here."""

from dataclasses import dataclass
from typing import Literal, get_args

from nontarget.config import Protocol, as_plain_numbers, check_at_least_one, check_choice, is_finite_number
from nontarget.data.simulate import TWINS

BookTables = Literal["none", "table1", "all"]


@dataclass(frozen=True, kw_only=True)
class DatasetDefaults:
    """Defaults that a data set carries; every field can be left out.

    Raises:
        ValueError: a field is out of range.
    """

    protocol: Protocol | None = None
    """Protocol of a feature folder that does not state its own; None: that of THUMOS14. A twin has its protocol in its presets."""
    steps_per_epoch: int | None = None
    """Optimiser steps per epoch with the preset ``small``; None: as many as the preset has."""
    label_ratio: float = 0.1
    """The book's main label ratio: the lowest at which every class has a label."""
    paper_dataset: str | None = None
    """The data set of the paper that this one is, or is modelled on."""
    book_tables: BookTables = "none"
    """Which tables the book has of it."""
    checksum: str | None = None
    """Checksum of its feature folder (``nontarget.data.folder.folder_checksum``), which is recognised by it whatever its name."""

    def __post_init__(self) -> None:
        as_plain_numbers(self)
        if self.steps_per_epoch is not None:
            check_at_least_one("steps_per_epoch", self.steps_per_epoch)
        if not (is_finite_number(self.label_ratio) and 0 < self.label_ratio <= 1):
            raise ValueError(f"label_ratio must be a share in (0, 1], got {self.label_ratio!r}")
        check_choice("book_tables", self.book_tables, get_args(BookTables))


# The protocols of folders are assumed. At twice the rate and with windows of 128 snippets, at twice the cost, full supervision on
# development data is 2.2 points better on salads50 and 0.6 on shrec21, and worse on hapt and nips4b (results/choices.csv, as for the steps
# per epoch).
_OWN: dict[str, DatasetDefaults] = {
    "thumos14-sim": DatasetDefaults(paper_dataset="thumos14", book_tables="all"),
    "activitynet-sim": DatasetDefaults(steps_per_epoch=25, paper_dataset="activitynet", book_tables="all"),
    "thumos14": DatasetDefaults(paper_dataset="thumos14"),
    "activitynet": DatasetDefaults(paper_dataset="activitynet"),
    # Steps of a recipe, 3 to 47 s at 1 Hz: at 0.5 Hz a window spans 128 s.
    "salads50": DatasetDefaults(
        protocol=Protocol(pool=2, num_snippets=64, stride=32),
        steps_per_epoch=25,
        book_tables="table1",
        checksum="b7766efd6d60a0e4dc52d23720e8289eba9816b98a4af65ca42361f4a490d73c",
    ),
    # Hand gestures of 0.3 to 4 s at 12.5 Hz: at 6.25 Hz a window spans 10 s.
    "shrec21": DatasetDefaults(
        protocol=Protocol(pool=2, num_snippets=64, stride=32),
        book_tables="all",
        checksum="d0b1dc605761db1e93e36595bb1a7e9c75570f47b06c26b8e7a690b372886b50",
    ),
    # Bird calls of 0.03 to 3 s at 50 Hz, in recordings of 5 s: at 25 Hz a window spans half of one. At 10 % some classes have no label.
    "nips4b": DatasetDefaults(
        protocol=Protocol(pool=2, num_snippets=64, stride=32),
        steps_per_epoch=100,
        label_ratio=0.2,
        book_tables="table1",
        checksum="e73c93de9bc0b31e6fc48d2b515c8dfd5d838be37189a13a489d94cfb449ed20",
    ),
    # Activities of 3 to 30 s at 5 Hz: at 1.25 Hz a window of 64 snippets spans 51 s.
    "hapt": DatasetDefaults(
        protocol=Protocol(pool=4, num_snippets=64, stride=32),
        book_tables="all",
        checksum="cfe4086b920b5994a83675f486083e77d0f7adcbd1cb36b0161a1f1ecec3f4c7",
    ),
    # Gestures of about 1 s at 30 Hz, in recordings of 5 to 17 s: at 15 Hz a window spans 4 s.
    "precog16": DatasetDefaults(
        protocol=Protocol(pool=2, num_snippets=64, stride=32),
        checksum="10a80d96f441112a7e7207bdf8212510c9971635b24b810012f72354f014e993",
    ),
}
_REGISTERED: dict[str, DatasetDefaults] = {}


def register(name: str, defaults: DatasetDefaults) -> DatasetDefaults:
    """Give a feature folder of your own its defaults, for this process; the same name replaces them.

    A folder is recognised by ``defaults.checksum``, if that is given, or by its name: that of a link to it, or its own.

    Raises:
        TypeError: ``defaults`` are no :class:`DatasetDefaults`, or ``name`` is no string.
        ValueError: the name is that of a data set of this library.
    """
    if not isinstance(name, str) or not isinstance(defaults, DatasetDefaults):
        raise TypeError(f"a data set is registered as register(name, DatasetDefaults(...)), got {name!r} and {defaults!r}")
    if name in _OWN or name in TWINS:
        raise ValueError(f"there is a data set {name!r} already in nontarget.data.defaults; choose another name")
    _REGISTERED[name] = defaults
    return defaults


def defaults_of(name: str) -> DatasetDefaults:
    """The defaults of a data set; those of :class:`DatasetDefaults` for a name that nobody registered."""
    return _OWN.get(name) or _REGISTERED.get(name) or DatasetDefaults()


def recognised(checksum: str) -> str | None:
    """The name of the data set whose feature folder has this checksum; None if nothing is known of it."""
    return next((name for name, defaults in (_OWN | _REGISTERED).items() if defaults.checksum == checksum), None)


def is_registered(name: str) -> bool:
    """Whether somebody gave a data set of this name its defaults, see :func:`register`."""
    return name in _REGISTERED


def book_datasets() -> tuple[str, ...]:
    """Names of the data sets that the book has tables of, in the order of its pages."""
    return tuple(name for name, defaults in (_OWN | _REGISTERED).items() if defaults.book_tables != "none")
