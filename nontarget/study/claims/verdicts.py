"""How a claim is judged: by a rule that is fixed before there are results."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from nontarget.study.claims.quantities import MissingRunError, Quantity, Runs
from nontarget.study.claims.stated import Claim, Group
from nontarget.study.tables import paired_interval
from nontarget.study.texttable import interval_text

Verdict = Literal["reproduced", "not reproduced", "undetermined"]
SYMBOLS: dict[Verdict, str] = {"reproduced": "✓", "not reproduced": "✗", "undetermined": "?"}
NOT_ABOUT = "–"
"""Cell of a claim that is not about a data set."""
MOST_SEEDS = 1000
"""Beyond this no number of seeds is named."""

RULE = """Each claim is written as one or more quantities that the paper says are above 0, in points of average mAP or of share.
A quantity is computed for every seed, on the same split, and its 95 % interval is Student's t over the seeds.

- **✓ reproduced**: the interval of every quantity of the claim lies above 0.
- **✗ not reproduced**: the interval of at least one of them lies below 0.
- **? undetermined**: all else, also when a run is missing or its committed result is stale.

| claim | quantity |
|:--|:--|
| A is better than B | average mAP of A minus that of B, paired by seed |
| an ordering, or the best of several | that of every two neighbours, or of the best and each other |
| a gain falls with more labels | the fall of a line through the gains of a seed at all four label ratios, from the first to the last |
| a larger label space, a larger gain | the gain on the set of many classes minus that on the one of few, both simulated or both real |
| no significant gain on a small set | the smallest gain that the paper's Table 1 reports, minus this project's |
| positive classes hold the truth | share of the snippets whose hidden label is in the set, minus the set's mean size divided by C + 1 |
| negative classes hold it less often than chance | the same with the sign reversed |
| negative classes rarely hold it | a tenth, minus the share of the snippets whose hidden label is in the set |

Chance is a low bar for the negative classes: they are most of the label space, so that a class drawn at random is nearly always among
them. The last row was added for that reason, after the first results had been seen; its tenth is this project's."""


@dataclass(frozen=True)
class Evidence:
    """Our value of one quantity on one data set."""

    quantity: Quantity
    mean: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    seeds_needed: int | None = None
    """See :func:`seeds_to_part_from_zero`."""
    missing: str = ""
    """Which run is not there; empty if all are."""

    @property
    def verdict(self) -> Verdict:
        """Of this quantity alone."""
        return "reproduced" if self.low > 0 else "not reproduced" if self.high < 0 else "undetermined"


@dataclass(frozen=True)
class Finding:
    """A claim on one data set; without evidence it is not about that data set."""

    group: Group
    claim: Claim
    dataset: str
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Verdict:
        """By RULE."""
        found = {e.verdict for e in self.evidence}
        return "not reproduced" if "not reproduced" in found else "reproduced" if found == {"reproduced"} else "undetermined"

    @property
    def seeds_needed(self) -> int | None:
        """How many seeds would part every interval from 0; None: not known."""
        needed = [e.seeds_needed for e in self.evidence]
        return None if None in needed or not needed else max(n for n in needed if n is not None)

    @property
    def missing(self) -> bool:
        """Whether a run is not there."""
        return any(e.missing for e in self.evidence)

    @property
    def cell(self) -> str:
        """Verdict and numbers."""
        if not self.evidence:
            return NOT_ABOUT
        text = f"{SYMBOLS[self.verdict]} {self.verdict}"
        if self.missing and self.verdict == "undetermined":
            return f"{text}: no current run"
        if len(self.evidence) > 1:
            above, below = (sum(e.verdict == v for e in self.evidence) for v in ("reproduced", "not reproduced"))
            absent = sum(bool(e.missing) for e in self.evidence)
            return f"{text}: {above} of {len(self.evidence)} above 0, {below} below" + (f", {absent} without a run" if absent else "")
        [e] = self.evidence
        return f"{text}: {interval_text(e.mean, e.low, e.high)}"


def judge(group: Group, claim: Claim, dataset: str, runs: Runs) -> Finding:
    """The evidence for a claim on one data set."""
    evidence = (_evidence(quantity, runs, dataset) for quantity in claim.quantities)
    return Finding(group, claim, dataset, tuple(e for e in evidence if e is not None))


def seeds_to_part_from_zero(values: pd.Series) -> int | None:
    """How many seeds would give values of this mean and spread a 95 % interval without 0; None: more than MOST_SEEDS, or not known."""
    n = np.arange(2, MOST_SEEDS + 1)
    reach = stats.t.ppf(0.975, n - 1) * values.std() / np.sqrt(n)
    enough = n[reach < abs(values.mean())]
    return int(enough[0]) if len(enough) else None


def _evidence(quantity: Quantity, runs: Runs, dataset: str) -> Evidence | None:
    try:
        values = quantity.values(runs, dataset)
    except MissingRunError as error:
        return Evidence(quantity, missing=str(error))
    if values is None:
        return None
    interval = paired_interval(values)
    return Evidence(quantity, interval["mean"], interval["low"], interval["high"], seeds_to_part_from_zero(values))
