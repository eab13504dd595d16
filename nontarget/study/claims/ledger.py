"""The ledger of the paper's claims: each with the paper's numbers, the measured ones with their intervals, and a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from nontarget.data import defaults_of
from nontarget.experiment import Experiment
from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped
from nontarget.study.claims.quantities import PAPER_DATASETS, CommittedRuns
from nontarget.study.claims.stated import Claim, Group, stated_claims
from nontarget.study.claims.verdicts import NOT_ABOUT, SYMBOLS, Finding, judge
from nontarget.study.texttable import TextTable

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
                found = [f for f in self.findings if f.group == group and self.kinds[f.dataset] == kind]
                rows = [row for claim in group.claims if (row := self._row(claim, found))]
                if rows:
                    caption = f"Verdicts on {kind} data, {group.title}. Points, with 95 % intervals."
                    yield group, TextTable(pd.DataFrame(rows), caption, f"claims-{group.name}-{kind}")

    def _row(self, claim: Claim, found: Sequence[Finding]) -> dict[str, str]:
        """A claim's row; empty if the claim applies to none of the data sets."""
        cells = {escaped(self._heading(f.dataset)): f.cell for f in found if f.claim == claim}
        if set(cells.values()) <= {NOT_ABOUT}:
            return {}
        modelled = any(defaults_of(f.dataset).paper_dataset for f in found)
        return {"Claim": claim.text, **({_PAPER: paper_cell(claim)} if modelled else {}), **cells}

    @property
    def summary(self) -> TextTable:
        """:meth:`counts` as a table of a page."""
        return TextTable(self.counts(), "Number of claims by data set and verdict.", "claims-summary")

    def counts(self) -> pd.DataFrame:
        """Number of claims by data set and verdict."""
        rows = []
        for dataset in self.kinds:
            found = [f for f in self.findings if f.dataset == dataset and f.evidence]
            row = {"Data set": self._heading(dataset), "Claims": len(found)}
            row |= {f"{symbol} {verdict}": sum(f.verdict == verdict for f in found) for verdict, symbol in SYMBOLS.items()}
            rows.append(row | {"of these without a current run": sum(f.verdict == "undetermined" and f.missing for f in found)})
        return pd.DataFrame(rows)

    @property
    def directions(self) -> TextTable:
        """How many intervals lie above 0, as the paper says, and how many below, by the quantity that they are about."""
        found = self.details().dropna(subset=["low"]).drop_duplicates(["quantity", "dataset"])
        above, below = found["low"] > 0, found["high"] < 0
        rows = [
            {"Quantity": about, "above 0": above[part.index].sum(), "below 0": below[part.index].sum(), "of": len(part)}
            for about, part in found.groupby("about", sort=False)
        ]
        return TextTable(pd.DataFrame(rows), "Intervals that exclude 0, over all data sets and label ratios.", "claims-directions")

    @property
    def conclusion(self) -> str:
        """How many intervals lie above and below 0, in one bold sentence, and those of the paper's method among them (Markdown)."""
        single = self.details().dropna(subset=["low"]).drop_duplicates(["quantity", "dataset"])
        gains = single[single["about"].str.match("(ActionFormer, )?non-target over")]
        return (
            f"**Of {len(single)} intervals, {(single['low'] > 0).sum()} lie above 0, as the paper says, and {(single['high'] < 0).sum()} "
            f"below; if there were no difference anywhere, about {0.05 * len(single):.0f} would exclude 0 by chance.** Of the {len(gains)} "
            f"gains of *non-target* over another system, {(gains['low'] > 0).sum()} lie above 0 and {(gains['high'] < 0).sum()} below."
        )

    def details(self) -> pd.DataFrame:
        """A row per quantity and data set, in points, with the paper's value where it reports one."""
        return pd.DataFrame(
            [
                {
                    "claim": f"{f.group.title}: {f.claim.text}",
                    "quantity": e.quantity.name,
                    "about": e.quantity.about,
                    "dataset": f.dataset,
                    "kind": self.kinds[f.dataset],
                    "paper": e.quantity.paper(defaults_of(f.dataset).paper_dataset or ""),
                    "mean": e.mean,
                    "low": e.low,
                    "high": e.high,
                    "verdict": e.verdict,
                    "seeds_needed": e.seeds_needed,
                    "missing": e.missing,
                    "in_map": e.quantity.in_map,
                    "single": len(f.evidence) == 1,
                }
                for f in self.findings
                for e in f.evidence
            ]
        )

    def chart(self) -> pd.DataFrame:
        """The claims about a single quantity in mAP, for :func:`nontarget.plotting.differences`."""
        details = self.details()
        chosen = details[details["in_map"] & details["single"]]
        return chosen.assign(panel=chosen["dataset"].map(self._heading), row=chosen["quantity"])

    def outlook(self) -> str:
        """How many more runs or seeds would settle an undetermined claim, by data set (Markdown)."""
        lines = []
        for dataset in self.kinds:
            found = [f for f in self.findings if f.dataset == dataset and f.evidence and f.verdict == "undetermined"]
            unsure = [f for f in found if not f.missing]
            needed = sorted(f.seeds_needed for f in unsure if f.seeds_needed is not None)
            text = f"- **{escaped(self._heading(dataset))}**: {len(found) - len(unsure)} claims undetermined for lack of a run, "
            text += f"{len(unsure)} for lack of seeds"
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
