"""Several comparisons of systems: each in a tab of a page, and one table of where they differ."""

from dataclasses import dataclass

import pandas as pd

from nontarget.runtime.escaping import escaped, html_text
from nontarget.statistics import TInterval, holm_significant
from nontarget.study.comparison import Comparison
from nontarget.study.texttable import DETECTABLE, UNSHOWN, VERDICTS, TextTable, verdict


@dataclass(frozen=True)
class Tabs:
    """Several comparisons, each in a tab of a page."""

    comparisons: tuple[Comparison, ...]
    name: str = "table1"
    missing: tuple[str, ...] = ()
    """Data sets and label ratios without current results."""

    @property
    def single(self) -> Comparison | None:
        """The comparison, if there is only one and none is missing; it then needs no tabs."""
        return self.comparisons[0] if len(self.comparisons) == 1 and not self.missing else None

    @property
    def not_computed(self) -> str:
        """What has not been computed (Markdown); empty if nothing is missing."""
        return f"Not computed yet: {escaped('; '.join(self.missing))}." if self.missing else ""

    @property
    def summary(self) -> TextTable:
        """Where each system is better or worse than the reference, and where these seeds show neither: a row per system."""
        judged, datasets = self._verdicts(), {c.dataset for c in self.comparisons}
        name = f"{self.name}-summary" + (f"-{datasets.pop()}" if len(datasets) == 1 else "")
        if not len(judged):
            return TextTable(pd.DataFrame({"System": ["not computed yet"]}), "No current results.", name)
        columns = [verdict for verdict in VERDICTS if verdict in set(judged["verdict"])]
        rows = [
            {"System": escaped(system)} | {verdict: _places(part[part["verdict"] == verdict]) for verdict in columns}
            for system, part in judged.groupby("system", sort=False)
        ]
        reference = escaped(" and ".join(dict.fromkeys(c.reference for c in self.comparisons)))
        caption = f"Average mAP against {reference}, by data set and percentage of labelled videos: better or worse where the 95 % "
        caption += "interval of the difference excludes 0."
        if UNSHOWN in columns:
            caption += f" The numbers in parentheses say what is detectable, in points. {DETECTABLE}"
        return TextTable(pd.DataFrame(rows), caption, name)

    @property
    def findings(self) -> str:
        """How many differences are shown, in one bold sentence, how many would be by chance, and on which data (Markdown)."""
        if not self.comparisons:
            return f"**{self.not_computed}**"
        if self.single:
            return self.single.findings
        gains = {(c.dataset, c.label_ratio, system): gain for c, system, gain in self._gains() if gain.num_values > 1}
        made_up = dict.fromkeys(escaped(c.dataset) for c in self.comparisons if c.simulated)
        text = f"**Of {len(gains)} differences from the reference, {sum(gain.excludes_zero for gain in gains.values())} have a 95 % "
        text += f"interval that excludes 0; if there were no difference anywhere, about {0.05 * len(gains):.0f} would do so by chance.** "
        text += f"Significant after Holm's correction for all {len(gains)}: {len(holm_significant(gains))}."
        doubtful = [f"{escaped(c.dataset)} {100 * c.label_ratio:g} %" for c in self.comparisons if c.mark]
        if doubtful:
            text += f" On {', '.join(doubtful)} a gate of the instrument fails or was not computed, so a difference there shows little."
        text += f" {self.not_computed}" * bool(self.missing)
        return text + (f" Simulated data: {', '.join(made_up)}; nothing there is a result on the real data set." if made_up else "")

    def _gains(self) -> list[tuple[Comparison, str, TInterval]]:
        """Every difference to a reference."""
        return [(c, system, gain) for c in self.comparisons for system, gain in c.gains().items() if system != "whole-video"]

    def _verdicts(self) -> pd.DataFrame:
        """Every difference to a reference: columns system, dataset, percent, verdict (one of ``VERDICTS``)."""
        rows = []
        for c, system, gain in self._gains():
            judgement = verdict(gain)
            detectable = f" ({gain.detectable:.1f})" if judgement == UNSHOWN else ""
            rows.append((system, c.dataset, f"{100 * c.label_ratio:g}{detectable}", judgement))
        return pd.DataFrame(rows, columns=["system", "dataset", "percent", "verdict"])

    def frame(self) -> pd.DataFrame:
        """A row per run: data set, label ratio, system, seed, and mAP (%) by tIoU."""
        if not self.comparisons:
            return pd.DataFrame(columns=["dataset", "label_ratio", "system", "seed"])
        return pd.concat([c.frame() for c in self.comparisons], ignore_index=True)

    def _repr_markdown_(self) -> str:
        if self.single:
            return self.single.markdown()
        tabs = []
        for c in self.comparisons:
            percent = f"{100 * c.label_ratio:g}"
            tabs.append(f"````{{tab-item}} {escaped(c.dataset)}, {percent} %\n{c.markdown(f'{self.name}-{c.dataset}-{percent}')}\n````")
        return "\n".join([*(["`````{tab-set}", *tabs, "`````"] if tabs else []), "", self.not_computed])

    def _repr_html_(self) -> str:
        return "".join(c._repr_html_() for c in self.comparisons) + f"<p>{html_text(self.not_computed)}</p>"


def _places(rows: pd.DataFrame) -> str:
    """Data sets and label ratios as text (Markdown)."""
    return "; ".join(f"{escaped(dataset)} {', '.join(part['percent'])}" for dataset, part in rows.groupby("dataset", sort=False))
