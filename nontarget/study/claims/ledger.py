"""The ledger of the paper's claims: each with the paper's numbers, the measured ones with their intervals, and a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from nontarget.data import defaults_of
from nontarget.experiment import Experiment
from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped
from nontarget.statistics import LEVEL, holm
from nontarget.study.claims.quantities import PAPER_DATASETS, CommittedRuns
from nontarget.study.claims.stated import Claim, Group, stated_claims
from nontarget.study.claims.verdicts import NOT_ABOUT, SYMBOLS, Finding, judge
from nontarget.study.texttable import TextTable, detectable_text

DATASETS = ("thumos14-sim", "activitynet-sim", "hapt", "nips4b")
_PAPER = f"Paper: {' / '.join(PAPER_DATASETS.values())}"


@dataclass(frozen=True)
class Ledger:
    """Every claim on every data set."""

    findings: tuple[Finding, ...]
    kinds: dict[str, str]
    """Data set -> "simulated" or "real"."""

    def tables(self) -> Iterator[tuple[Group, TextTable]]:
        """For each group of claims, a table of the simulated data sets beside the paper's numbers, and one of the real data sets."""
        for group in {f.group.name: f.group for f in self.findings}.values():
            for kind in dict.fromkeys(self.kinds.values()):
                findings = [f for f in self.findings if f.group == group and self.kinds[f.dataset] == kind]
                rows = [row for claim in group.claims if (row := self._row(claim, findings))]
                if rows:
                    caption = f"Verdicts on {kind} data, {group.title}. Points, with 95 % intervals."
                    yield group, TextTable(pd.DataFrame(rows), caption, f"claims-{group.name}-{kind}")

    def _row(self, claim: Claim, findings: Sequence[Finding]) -> dict[str, str]:
        """A claim's row; empty if the claim applies to none of the data sets."""
        cells = {escaped(self._heading(f.dataset)): f.cell for f in findings if f.claim == claim}
        if set(cells.values()) <= {NOT_ABOUT}:
            return {}
        modelled = any(defaults_of(f.dataset).paper_dataset for f in findings)
        return {"Claim": claim.text, **({_PAPER: paper_cell(claim)} if modelled else {}), **cells}

    @property
    def summary(self) -> TextTable:
        """:meth:`counts` as a table of a page."""
        caption = "Number of claims by data set and verdict; those that are compared with chance alone, a weak criterion, stand apart."
        return TextTable(self.counts(), caption, "claims-summary")

    def counts(self) -> pd.DataFrame:
        """Number of claims by criterion, data set and verdict."""
        rows = []
        for (criterion, weak), dataset in product({"more than chance": False, "chance alone": True}.items(), self.kinds):
            findings = [f for f in self.findings if f.dataset == dataset and f.evidence and f.claim.weak == weak]
            if findings:
                row = {"Data set": self._heading(dataset), "Criterion": criterion, "Claims": len(findings)}
                row |= {f"{symbol} {verdict}": sum(f.verdict == verdict for f in findings) for verdict, symbol in SYMBOLS.items()}
                rows.append(row | {"of these without a current run": sum(f.verdict == "undetermined" and f.missing for f in findings)})
        return pd.DataFrame(rows)

    @property
    def directions(self) -> TextTable:
        """How many intervals lie above 0, as the paper says, and how many below, by the quantity that they are about."""
        intervals = self.details().dropna(subset=["low"]).drop_duplicates(["quantity", "dataset"])
        above, below = intervals["low"] > 0, intervals["high"] < 0
        rows = [
            {"Quantity": about, "above 0": above[part.index].sum(), "below 0": below[part.index].sum(), "of": len(part)}
            for about, part in intervals.groupby("about", sort=False)
        ]
        return TextTable(pd.DataFrame(rows), "Intervals that exclude 0, over all data sets and label ratios.", "claims-directions")

    @property
    def conclusion(self) -> str:
        """On which side of 0 intervals lie, in one bold sentence, and those of the paper's method among them (Markdown)."""
        every = self.details().dropna(subset=["low"]).drop_duplicates(["quantity", "dataset"])
        single, weak = every[~every["weak"]], every[every["weak"]]
        gains = single[single["about"].str.match("(ActionFormer, )?non-target over")]
        kept = single[single["p_holm"] < 1 - LEVEL]
        count = len(single)
        text = (
            f"**The paper says that {count} measured quantities are above 0: the interval lies {_sides(single)}; if all were 0, about "
            f"{0.05 * count:.0f} intervals would exclude it by chance.** Significant after Holm's correction for all {count}: "
            f"{_sides(kept)}. Of the {len(gains)} gains of *non-target* over another system, the interval lies {_sides(gains)}."
        )
        if len(weak):
            text += f" Counted apart: {len(weak)} quantities against chance, a weak criterion; the interval lies {_sides(weak)}."
        return text

    def details(self) -> pd.DataFrame:
        """A row per quantity and data set, in points, with the paper's value where it reports one.

        ``p_holm`` is corrected for the number of different quantities and data sets, apart for those that are compared with chance alone.
        """
        rows = [
            {
                "claim": f"{f.group.title}: {f.claim.text}",
                "quantity": e.quantity.name,
                "about": e.quantity.about,
                "dataset": f.dataset,
                "kind": self.kinds[f.dataset],
                "paper": e.quantity.paper(defaults_of(f.dataset).paper_dataset or ""),
                **{name: getattr(e.value, name) for name in ("mean", "low", "high", "detectable", "p_value")},
                "verdict": e.verdict,
                "seeds_needed": e.seeds_needed,
                "missing": e.missing,
                "in_map": e.quantity.in_map,
                "weak": e.quantity.weak,
                "single": len(f.evidence) == 1,
            }
            for f in self.findings
            for e in f.evidence
        ]
        frame = pd.DataFrame(rows)
        tested = frame.dropna(subset=["p_value"]).drop_duplicates(["quantity", "dataset"])
        tested["p_holm"] = tested.groupby("weak")["p_value"].transform(holm)
        return frame.merge(tested[["quantity", "dataset", "p_holm"]], on=["quantity", "dataset"], how="left")

    def chart(self) -> pd.DataFrame:
        """The claims about a single quantity in mAP, for :func:`nontarget.plotting.differences`."""
        details = self.details()
        chosen = details[details["in_map"] & details["single"]]
        return chosen.assign(panel=chosen["dataset"].map(self._heading), row=chosen["quantity"])

    def outlook(self) -> str:
        """How many more runs or seeds would settle an undetermined claim, by data set (Markdown)."""
        lines = []
        for dataset in self.kinds:
            undetermined = [f for f in self.findings if f.dataset == dataset and f.evidence and f.verdict == "undetermined"]
            unsure = [f for f in undetermined if not f.missing]
            needed = sorted(f.seeds_needed for f in unsure if f.seeds_needed is not None)
            text = f"- **{escaped(self._heading(dataset))}**: {len(undetermined) - len(unsure)} claims undetermined for lack of a run, "
            text += f"{len(unsure)} for lack of seeds{detectable_text(d for f in unsure for d in f.detectable)}"
            if needed:
                text += f"; if means and spreads stay the same, {needed[0]} to {needed[-1]} seeds would settle {len(needed)} of these"
            lines.append(f"{text}.")
        return "\n".join(lines)

    def _heading(self, dataset: str) -> str:
        return f"{dataset} ({self.kinds[dataset]})"


def ledger(
    datasets: Sequence[str] = DATASETS,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    store: ResultStore | None = None,
    groups: Sequence[Group] | None = None,
) -> Ledger:
    """Judge every claim by the committed results.

    Args:
        datasets: see :func:`nontarget.data.load_dataset`; the data themselves are not needed.
        seeds: how many, or which; a claim needs all of them.
        preset: ``small`` or ``full``.
        store: the store whose committed table is read; default: that in the default folder.
        groups: the claims; default: all.
    """
    runs = CommittedRuns(seeds, store or ResultStore(), preset)
    kinds = {d: "simulated" if Experiment(d, preset=preset).identity()["dataset"]["simulated"] else "real" for d in datasets}
    findings = tuple(
        judge(group, claim, dataset, runs)
        for group in (stated_claims() if groups is None else groups)
        for claim in group.claims
        for dataset in datasets
    )
    return Ledger(findings, kinds)


def paper_cell(claim: Claim) -> str:
    """The paper's values on its data sets, or "–" where it reports none."""
    by_dataset = [[quantity.paper(dataset) for quantity in claim.quantities] for dataset in PAPER_DATASETS]
    return " / ".join("–" if None in values else ", ".join(f"{v:+.1f}" for v in values) for values in by_dataset)


def _sides(intervals: pd.DataFrame) -> str:
    """How many intervals lie on which side of 0."""
    return f"above 0 for {(intervals['low'] > 0).sum()} and below for {(intervals['high'] < 0).sum()}"
