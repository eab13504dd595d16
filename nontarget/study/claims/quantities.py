"""The quantities behind the paper's claims, which it says are above 0: read from its tables and from committed results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from nontarget.experiment import Experiment
from nontarget.results import ResultStore
from nontarget.study.comparison import Comparison
from nontarget.study.systems import TABLES, reported_map
from nontarget.study.tables import RATIOS, compare
from nontarget.study.texttable import percent

PAPER_DATASETS = {"thumos14": "THUMOS14", "activitynet": "ActivityNet"}
"""The data sets of the paper, and their names in text."""


class MissingRunError(LookupError):
    """A quantity needs a run that has no current committed result."""


@dataclass
class CommittedRuns:
    """Committed runs, each looked up once; results of older code or other data are not used."""

    seeds: int | Sequence[int] = 3
    store: ResultStore = field(default_factory=ResultStore)
    preset: str = "small"
    _known: dict[tuple[str, str, float], Comparison] = field(default_factory=dict, repr=False)

    def table(self, dataset: str, table: str, ratio: float) -> Comparison:
        """The comparison of a table's systems on a data set."""
        key = (dataset, table, ratio)
        if key not in self._known:
            systems = TABLES[table].experiments(Experiment(dataset, label_ratio=ratio, preset=self.preset))
            self._known[key] = compare(systems, self.seeds, source="committed", store=self.store, table=table)
        return self._known[key]

    def average_map(self, dataset: str, table: str, ratio: float, system: str) -> pd.Series:
        """Average mAP in percent of a system, by seed.

        Raises:
            MissingRunError: a seed has no current result.
        """
        maps = self._current(dataset, table, ratio, system).maps
        return maps.xs(system, level="system")["avg"]

    def coverage(self, dataset: str, ratio: float) -> pd.DataFrame:
        """Where the true class lies after training with ``non-target``: a row per seed, columns of :data:`nontarget.coverage.Coverage`.

        Raises:
            MissingRunError: a seed has no current result.
        """
        comparison = self._current(dataset, "table1", ratio, "non-target")
        rows = {seed: r["occupancy"] for (s, seed), r in zip(comparison.maps.index, comparison.records, strict=True) if s == "non-target"}
        return pd.DataFrame(rows).T

    def _current(self, dataset: str, table: str, ratio: float, system: str) -> Comparison:
        comparison = self.table(dataset, table, ratio)
        reason = next((u for u in (*comparison.unavailable, *comparison.partial) if u.startswith(f"{system}:")), None)
        if reason is not None:
            raise MissingRunError(f"{dataset}, {percent(ratio)} labelled: {reason}")
        return comparison


class Quantity(ABC):
    """A quantity that the paper says is above 0, in points (percent)."""

    in_map: ClassVar[bool] = True
    """Whether the points are of average mAP."""
    weak: ClassVar[bool] = False
    """Whether chance is all that it is compared with."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short description."""

    @property
    @abstractmethod
    def about(self) -> str:
        """The description without label ratios."""

    def paper(self, dataset: str) -> float | None:
        """The paper's value on one of its data sets, from its tables; None if it reports none."""
        return None

    @abstractmethod
    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series | None:
        """The measured value for each seed; None if the claim does not apply to this data set.

        Raises:
            MissingRunError: a run is missing or stale.
        """


@dataclass(frozen=True)
class Gap(Quantity):
    """Average mAP of one system minus that of another."""

    better: str
    worse: str
    table: str = "table1"
    ratio: float = 0.1

    @property
    def name(self) -> str:
        return f"{self.about}, {percent(self.ratio)}"

    @property
    def about(self) -> str:
        return f"{self.better} over {self.worse}"

    def paper(self, dataset: str) -> float | None:
        rows = _reported(self.table, dataset, self.ratio)
        methods = TABLES[self.table].paper
        if methods.get(self.better) not in rows.index or methods.get(self.worse) not in rows.index:
            return None
        return float(rows.loc[methods[self.better], "avg"] - rows.loc[methods[self.worse], "avg"])

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series:
        better, worse = (runs.average_map(dataset, self.table, self.ratio, system) for system in (self.better, self.worse))
        return better - worse


@dataclass(frozen=True)
class Fading(Quantity):
    """How much a gain falls from the smallest to the largest label ratio, on the least-squares line through all of them."""

    better: str
    worse: str
    ratios: tuple[float, ...] = RATIOS

    @property
    def name(self) -> str:
        return f"{self.about}, {percent(self.ratios[0])} to {percent(self.ratios[-1])}"

    @property
    def about(self) -> str:
        return f"fall of ({self.better} over {self.worse})"

    @property
    def gaps(self) -> Mapping[float, Gap]:
        """The gain at each label ratio."""
        return {ratio: Gap(self.better, self.worse, ratio=ratio) for ratio in self.ratios}

    def paper(self, dataset: str) -> float | None:
        gains = [gap.paper(dataset) for gap in self.gaps.values()]
        return None if None in gains else float(self._fall(np.array([gains], dtype=float))[0])

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series:
        gains = pd.DataFrame({ratio: gap.values(runs, dataset) for ratio, gap in self.gaps.items()})
        return pd.Series(self._fall(gains.to_numpy()), gains.index)

    def _fall(self, gains: np.ndarray) -> np.ndarray:
        """The fall for each seed, given gains [seeds, ratios]."""
        steps = np.array(self.ratios) - np.mean(self.ratios)
        slopes: np.ndarray = gains @ steps / (steps @ steps)
        return -slopes * (self.ratios[-1] - self.ratios[0])


@dataclass(frozen=True)
class LargerSpace(Quantity):
    """A gain on a data set with many classes minus the same gain on one with few.

    The seeds of different data sets are independent draws, so they are paired in order.
    """

    gap: Gap
    smaller: Mapping[str, str]
    """Data set with many classes -> the one with few."""

    @property
    def name(self) -> str:
        return f"({self.gap.name}) minus on fewer classes"

    @property
    def about(self) -> str:
        return f"({self.gap.about}) minus on fewer classes"

    def paper(self, dataset: str) -> float | None:
        few, many = self.gap.paper("thumos14"), self.gap.paper("activitynet")
        return None if dataset != "activitynet" or few is None or many is None else many - few

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series | None:
        if dataset not in self.smaller:
            return None
        return self.gap.values(runs, dataset) - self.gap.values(runs, self.smaller[dataset])


@dataclass(frozen=True)
class NoGain(Quantity):
    """How far a gain is below the smallest one that the paper reports (Table 1, both data sets, all label ratios)."""

    gap: Gap
    datasets: tuple[str, ...]
    """The data sets with few videos and few classes."""

    @property
    def name(self) -> str:
        return f"{self.margin:.1f}, the smallest gain reported, minus ({self.gap.name})"

    @property
    def about(self) -> str:
        return f"smallest gain reported minus ({self.gap.about})"

    @property
    def margin(self) -> float:
        """The smallest gain of the paper, in points."""
        reported = [Gap(self.gap.better, self.gap.worse, ratio=ratio).paper(d) for d in PAPER_DATASETS for ratio in RATIOS]
        return min(gain for gain in reported if gain is not None)

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series | None:
        return self.margin - self.gap.values(runs, dataset) if dataset in self.datasets else None


class TruthQuantity(Quantity):
    """A quantity about the subspaces in which the hidden labels lie after training with ``non-target``."""

    in_map: ClassVar[bool] = False

    snippets: Literal["truth", "action"]
    """All snippets (``truth``), or those of an action only. The number of classes is a mean over all snippets in either case."""
    ratio: float

    @property
    def name(self) -> str:
        which = "all snippets" if self.snippets == "truth" else "snippets of an action"
        return f"{self.about}, {which}, {percent(self.ratio)}"


@dataclass(frozen=True)
class TruthShare(TruthQuantity):
    """Share of snippets whose hidden label is in a subspace against chance, which is its mean number of classes divided by C + 1."""

    weak: ClassVar[bool] = True

    subspace: Literal["positive", "negative"]
    """For ``positive`` the share minus chance, for ``negative`` chance minus the share."""
    snippets: Literal["truth", "action"] = "truth"
    ratio: float = 0.1

    @property
    def about(self) -> str:
        return f"truth in {self.subspace} classes against chance"

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series:
        shares = runs.coverage(dataset, self.ratio)
        sizes = shares[["size_positive", "size_negative", "size_ambiguous"]]
        chance = shares[f"size_{self.subspace}"] / (1 + sizes.sum(axis=1))  # 1 for the target class
        above = 100 * (shares[f"{self.snippets}_{self.subspace}"] - chance)
        return above if self.subspace == "positive" else -above


@dataclass(frozen=True)
class RarelyTrue(TruthQuantity):
    """How far the share of snippets whose hidden label is a negative class is below one in ten."""

    margin: ClassVar[float] = 10.0
    """In percent. Assumed: the paper says "highly unlikely" and gives no number."""

    snippets: Literal["truth", "action"] = "truth"
    ratio: float = 0.1

    @property
    def about(self) -> str:
        return f"{self.margin:.0f} minus share with the truth in negative classes"

    def values(self, runs: CommittedRuns, dataset: str) -> pd.Series:
        return self.margin - 100 * runs.coverage(dataset, self.ratio)[f"{self.snippets}_negative"]


@cache
def _reported(table: str, dataset: str, ratio: float) -> pd.DataFrame:
    """The paper's rows, cached since the ledger asks for them hundreds of times."""
    return reported_map(table, dataset, ratio)
