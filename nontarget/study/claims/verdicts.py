"""How a claim is judged: by a rule that was fixed before there were results."""

from dataclasses import dataclass
from typing import Literal

from nontarget.statistics import TInterval, pairs_to_exclude_zero, t_interval
from nontarget.study.claims.quantities import CommittedRuns, MissingRunError, Quantity
from nontarget.study.claims.stated import Claim, Group
from nontarget.study.texttable import detectable_text, difference_text

Verdict = Literal["reproduced", "not reproduced", "undetermined"]
SYMBOLS: dict[Verdict, str] = {"reproduced": "✓", "not reproduced": "✗", "undetermined": "?"}
NOT_ABOUT = "–"
"""The cell of a claim that does not apply to a data set."""
RULE = """Each claim is written as one or more quantities that the paper says are above 0, in points of average mAP or of share.
A quantity is computed for every seed, on the same split, and its 95 % interval is Student's t over the seeds.

- **✓ reproduced**: the interval of every quantity of the claim lies above 0.
- **✗ not reproduced**: the interval of at least one quantity lies below 0.
- **? undetermined**: otherwise; also if a run is missing or its committed result is stale. *Detectable* is then the smallest true value
  whose interval would lie above 0 with a probability of 80 %, given as many seeds with this spread.

| claim | quantity |
|:--|:--|
| A is better than B | average mAP of A minus that of B, paired by seed |
| an ordering, or the best of several | the same for every two neighbours, or for the best and each of the others |
| a gain falls with more labels | the fall of a line through the gains of a seed at all four label ratios, from the first to the last |
| a larger gain in a larger label space | the gain with many classes minus that with few, on two simulated or two real data sets |
| no significant gain on a small data set | the smallest gain that the paper's Table 1 reports, minus the measured one |
| positive classes contain the true class | share of snippets whose hidden label is in the set, minus its mean size / (C + 1) |
| negative classes contain it less often than chance | the same with the sign reversed |
| negative classes rarely contain it | a tenth, minus the share of snippets whose hidden label is in the set |

Chance is a weak criterion for the negative classes: they are most of the label space, so a class drawn at random is nearly always among
them. The last row was added for that reason, after the first results had been seen; the threshold of a tenth is our choice."""


@dataclass(frozen=True)
class Evidence:
    """The measured value of one quantity on one data set."""

    quantity: Quantity
    value: TInterval = t_interval(())
    """Over seeds, in points."""
    seeds_needed: int | None = None
    """See :func:`nontarget.statistics.pairs_to_exclude_zero`."""
    missing: str = ""
    """The run that is missing; empty if none is."""

    @property
    def verdict(self) -> Verdict:
        """The verdict on this quantity."""
        return "reproduced" if self.value.low > 0 else "not reproduced" if self.value.high < 0 else "undetermined"


@dataclass(frozen=True)
class Finding:
    """A claim on one data set; without evidence it does not apply to that data set."""

    group: Group
    claim: Claim
    dataset: str
    evidence: tuple[Evidence, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict by ``RULE``."""
        verdicts = {e.verdict for e in self.evidence}
        return "not reproduced" if "not reproduced" in verdicts else "reproduced" if verdicts == {"reproduced"} else "undetermined"

    @property
    def seeds_needed(self) -> int | None:
        """The number of seeds with which every interval would exclude 0; None if it is not known."""
        needed = [e.seeds_needed for e in self.evidence]
        return None if None in needed or not needed else max(n for n in needed if n is not None)

    @property
    def missing(self) -> bool:
        """Whether a run is missing."""
        return any(e.missing for e in self.evidence)

    @property
    def cell(self) -> str:
        """The verdict with its numbers."""
        if not self.evidence:
            return NOT_ABOUT
        text = f"{SYMBOLS[self.verdict]} {self.verdict}"
        if self.missing and self.verdict == "undetermined":
            return f"{text}: no current run"
        if len(self.evidence) > 1:
            above, below = (sum(e.verdict == v for e in self.evidence) for v in ("reproduced", "not reproduced"))
            absent = sum(bool(e.missing) for e in self.evidence)
            text += f": {above} of {len(self.evidence)} above 0, {below} below" + (f", {absent} without a run" if absent else "")
            return text + (detectable_text(self.detectable) if self.verdict == "undetermined" else "")
        return f"{text}: {difference_text(self.evidence[0].value)}"

    @property
    def detectable(self) -> list[float]:
        """What is detectable of each quantity whose interval contains 0, in points."""
        return [e.value.detectable for e in self.evidence if e.value.num_values > 1 and not e.value.excludes_zero]


def judge(group: Group, claim: Claim, dataset: str, runs: CommittedRuns) -> Finding:
    """The evidence for a claim on one data set."""
    evidence = (_evidence(quantity, runs, dataset) for quantity in claim.quantities)
    return Finding(group, claim, dataset, tuple(e for e in evidence if e is not None))


def _evidence(quantity: Quantity, runs: CommittedRuns, dataset: str) -> Evidence | None:
    try:
        values = quantity.values(runs, dataset)
    except MissingRunError as error:
        return Evidence(quantity, missing=str(error))
    if values is None:
        return None
    return Evidence(quantity, t_interval(values), pairs_to_exclude_zero(values))
