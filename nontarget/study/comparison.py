"""Systems side by side: means over seeds, paired differences with intervals, the paper's numbers, and what was scored."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from nontarget.results import Record
from nontarget.study.paper import DATASETS, METHODS, reported_map
from nontarget.study.systems import TABLES
from nontarget.study.texttable import TextTable, interval_text


@dataclass(frozen=True)
class Comparison:
    """Systems on one data set at one label ratio, over the same seeds: the data of a table."""

    dataset: str
    simulated: bool
    label_ratio: float
    maps: pd.DataFrame
    """mAP in percent: rows (system, seed), a column for each tIoU and "avg"; a system without current results has no rows."""
    records: tuple[Record, ...]
    unavailable: tuple[str, ...] = ()
    """Systems without current results, with the reason."""
    table: str = "table1"
    """Which of ``nontarget.study.systems.TABLES`` this is; empty for another comparison."""
    reference: str = "baseline"
    """The system that the others are compared with."""
    helped: tuple[str, ...] = ()
    """Systems whose detections were rescored with external video scores."""
    partial: tuple[str, ...] = ()
    """Systems that lack some of the seeds, with how many they have."""
    mark: str = ""
    """Where the instrument is not known to tell rules apart (:func:`nontarget.study.marks.marked`), in Markdown."""

    @property
    def mean(self) -> pd.DataFrame:
        """Mean over seeds, system x tIoU."""
        return self.maps.groupby(level="system", sort=False).mean()

    @property
    def std(self) -> pd.DataFrame:
        """Standard deviation over seeds (of the sample); NaN for one seed."""
        return self.maps.groupby(level="system", sort=False).std()

    @property
    def num_seeds(self) -> int:
        """The largest number of seeds that a system was run with."""
        return self.maps.index.get_level_values("seed").nunique()

    @property
    def seeds(self) -> pd.Series:
        """How many seeds each system was run with."""
        return self.maps.groupby(level="system", sort=False).size()

    def differences(self) -> pd.DataFrame:
        """Average mAP minus that of the reference, paired by seed: columns mean, low, high (95 % interval of Student's t, n - 1)."""
        average = self.maps["avg"].unstack("system", sort=False)
        if self.reference not in average:
            return pd.DataFrame(columns=["mean", "low", "high"])
        others = [system for system in average if system != self.reference]
        return pd.DataFrame({s: paired_interval(average[s] - average[self.reference]) for s in others}).T

    def paper(self) -> pd.DataFrame:
        """The paper's rows for these systems, on the data set that this one is modelled on; empty if there is none."""
        rows = reported_map(self.table, self.dataset, self.label_ratio)
        methods = METHODS.get(self.table, {})
        named = {methods[s]: s for s in self.maps.index.unique("system") if s in methods}
        return rows.rename(index=named).loc[[system for method, system in named.items() if method in rows.index]]

    def cells(self) -> pd.DataFrame:
        """The table as text: a row a system, the paper's below it in italics."""
        mean, std, paper, gain = self.mean, self.std, self.paper(), self.differences()
        shown = ["avg", *self._shown_tious]
        rows = []
        for system in mean.index:
            difference = interval_text(**gain.loc[system]).replace(", ", ",\N{NO-BREAK SPACE}") if system in gain.index else ""
            row = {"System": system, _heading("avg"): "", _GAIN: difference}
            if self.seeds.nunique() > 1:
                row["Seeds"] = str(self.seeds[system])
            for tiou in shown:
                spread = "" if pd.isna(std.loc[system, tiou]) else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{std.loc[system, tiou]:.1f}"
                row[_heading(tiou)] = f"{mean.loc[system, tiou]:.1f}{spread}"
            rows.append(row)
            if system in paper.index:
                reported = {_heading(t): f"*{v:.1f}*" for t, v in paper.loc[system].items() if t in shown}
                rows.append({"System": f"*{METHODS[self.table][system]} (paper)*"} | reported)
        return pd.DataFrame(rows).fillna("")

    @property
    def tious(self) -> list[str]:
        """The tIoU thresholds, as the columns of ``maps`` name them."""
        return [t for t in self.maps.columns if t != "avg"]

    @property
    def _shown_tious(self) -> list[str]:
        """Thresholds that have a column: all if they are few, else those that ActivityNet's tables show."""
        tious = self.tious
        return tious if len(tious) <= 6 else [t for t in tious if t in ("0.5", "0.75", "0.95")]

    @property
    def caption(self) -> str:
        """What the table shows, in a sentence or two."""
        kind = "simulated data" if self.simulated else "real data"
        seeds = f"mean ± standard deviation over {_span(self.seeds)} seeds" if self.num_seeds > 1 else "one seed"
        text = f"{_name_of(self.table)}mAP (%) on {self.dataset} ({kind}), {100 * self.label_ratio:g} % of the videos labelled; {seeds}. "
        if len(self.differences()):
            text += f"{_GAIN}: difference in average mAP to {self.reference}, paired by seed, with its 95 % interval. "
        if self.tious != self._shown_tious:
            text += f"Avg.: over all {len(self.tious)} thresholds from {self.tious[0]} to {self.tious[-1]}. "
        if len(self.paper()):
            text += f"In italics: the paper's numbers, on {DATASETS[self.dataset]} itself, with its own features."
        return text.strip()

    @property
    def scored(self) -> str:
        """What was trained on, what was scored, and on what it was computed."""
        if not self.records:
            return "Nothing was scored."
        counts = pd.DataFrame([r["scored"] for r in self.records])
        made = pd.DataFrame([r["provenance"] for r in self.records])
        first = counts.iloc[0]
        split = counts[counts["unlabeled"] > 0]
        labeled = _span(split["labeled"]) if len(split) else _span(counts["labeled"])
        videos = first["labeled"] + first["unlabeled"]
        return (
            f"Scored: all {first['videos']} test videos with {first['instances']} instances, "
            f"{_span(counts['detections'])} detections a run; {self._external}. "
            f"Trained with {labeled} labelled videos of {videos}. "
            f"Computed {_span(made['date'])} on {', '.join(sorted(set(made['device'])))}, "
            f"torch {', '.join(sorted(set(made['torch'])))}, code {', '.join(sorted(set(made['commit'])))}."
        )

    @property
    def _lacking(self) -> list[str]:
        """What is not there, in sentences (Markdown)."""
        fewer = [f"**Not all seeds are computed yet: {'; '.join(self.partial)}.**"] if self.partial else []
        return [*(f"**{text}**" for text in self.unavailable), *fewer]

    @property
    def _external(self) -> str:
        if not self.helped:
            return "no external video scores"
        return f"external video scores ({'simulated' if self.simulated else 'of the data set'}) in {', '.join(self.helped)} alone"

    @property
    def findings(self) -> str:
        """What the numbers say, in sentences (Markdown). A difference counts as shown if its 95 % interval leaves out 0."""
        gain, mean = self.differences(), self.mean["avg"]
        sentences = []
        for system, row in gain.iterrows():
            if system == "whole-video":
                continue
            sentences.append(f"- **{system}** against **{self.reference}**: {interval_text(**row)} points of average mAP: {_shown(row)}.")
        if {"supervised only", "fully supervised"} <= set(mean.index):
            average = self.maps["avg"].unstack("system", sort=False)
            worth = paired_interval(average["fully supervised"] - average["supervised only"])
            sentences.append(f"- The labels that are missing are worth {interval_text(**worth)} points to *supervised only*.")
        if "whole-video" in mean.index:
            sentences.append(f"- Not localising at all, one segment a video, earns {mean['whole-video']:.1f}.")
        if self.simulated:
            sentences.append(f"- These are simulated data: nothing here is a result on {DATASETS.get(self.dataset, 'real data')}.")
        return "\n".join(sentences)

    def markdown(self, name: str | None = None) -> str:
        """A numbered MyST table, with its caption, followed by what was scored."""
        cells = self.cells()
        lines = ["| " + " | ".join(cells.columns) + " |", "|:--" + "|--:" * (cells.shape[1] - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in cells.itertuples(index=False)]
        label = [f":name: {name}"] if name else []
        notes = [*filter(None, [self.mark]), self.scored, *self._lacking]
        return "\n".join(["```{table} " + self.caption, *label, "", *lines, "```", "", *("\n\n".join(notes)).splitlines()])

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        cells = self.cells().replace(r"\*(.*)\*", r"<em>\1</em>", regex=True)
        notes = "".join(f"<p>{text.replace('**', '')}</p>" for text in (*filter(None, [self.mark]), self.scored, *self._lacking))
        return f"<p>{self.caption}</p>{cells.to_html(index=False, escape=False, border=0)}{notes}"


@dataclass(frozen=True)
class Tabs:
    """Several comparisons, one a tab."""

    comparisons: tuple[Comparison, ...]
    name: str = "table1"
    missing: tuple[str, ...] = ()
    """Data sets and label ratios without current results."""

    def joined(self, others: Iterable["Tabs"]) -> "Tabs":
        """These and others, as one."""
        every = (self, *others)
        return Tabs(tuple(c for tabs in every for c in tabs.comparisons), self.name, tuple(m for tabs in every for m in tabs.missing))

    @property
    def not_computed(self) -> str:
        """What is not there, in a sentence; empty if all is."""
        return f"Not computed yet: {'; '.join(self.missing)}." if self.missing else ""

    @property
    def summary(self) -> TextTable:
        """Where each system is better or worse than the reference, and where the seeds cannot tell: a row a system."""
        if not self.comparisons:
            return TextTable(pd.DataFrame({"System": ["not computed yet"]}), "No current results.", f"{self.name}-summary")
        found = self._verdicts()
        columns = [verdict for verdict in VERDICTS if verdict in set(found["shown"])]
        rows = [
            {"System": system} | {verdict: _places(part[part["shown"] == verdict]) for verdict in columns}
            for system, part in found.groupby("system", sort=False)
        ]
        reference = " and ".join(dict.fromkeys(c.reference for c in self.comparisons))
        caption = (
            f"Average mAP against {reference}, by data set and percentage of labelled videos: better or worse where the 95 % interval "
        )
        return TextTable(pd.DataFrame(rows), f"{caption}of the difference leaves out 0.", f"{self.name}-summary")

    @property
    def findings(self) -> str:
        """How many differences are shown, how many would be by chance, and on which data (Markdown)."""
        if not self.comparisons:
            return self.not_computed
        shown = self._verdicts()["shown"]
        judged = shown[shown != SINGLE]
        outside = judged.isin([BETTER, WORSE]).sum()
        made_up = dict.fromkeys(c.dataset for c in self.comparisons if c.simulated)
        text = f"Of {len(judged)} differences to the reference, {outside} have an interval that leaves out 0; "
        text += f"were there no difference anywhere, about {0.05 * len(judged):.0f} would, by chance."
        doubtful = [f"{c.dataset} {100 * c.label_ratio:g} %" for c in self.comparisons if c.mark]
        if doubtful:
            text += f" On {', '.join(doubtful)} a gate of the instrument fails or was not computed, so a difference there shows little."
        text += f" {self.not_computed}" * bool(self.missing)
        return text + (f" Simulated data: {', '.join(made_up)}; nothing there is a result on the real set." if made_up else "")

    def _verdicts(self) -> pd.DataFrame:
        """Every difference to a reference: columns system, dataset, percent, shown (one of :data:`VERDICTS`)."""
        rows = [
            {"system": system, "dataset": c.dataset, "percent": f"{100 * c.label_ratio:g}", "shown": _shown(row)}
            for c in self.comparisons
            for system, row in c.differences().iterrows()
            if system != "whole-video"
        ]
        return pd.DataFrame(rows, columns=["system", "dataset", "percent", "shown"])

    def frame(self) -> pd.DataFrame:
        """Every run: data set, label ratio, system, seed, mAP (%) by tIoU."""
        first = ["dataset", "label_ratio", "system", "seed"]
        if not self.comparisons:
            return pd.DataFrame(columns=first)
        parts = [c.maps.reset_index().assign(dataset=c.dataset, label_ratio=c.label_ratio) for c in self.comparisons]
        table = pd.concat(parts, ignore_index=True).round(4)
        return table[[*first, *(c for c in table.columns if c not in first)]]

    def _repr_markdown_(self) -> str:
        tabs = []
        for c in self.comparisons:
            percent = f"{100 * c.label_ratio:g}"
            tabs.append(f"````{{tab-item}} {c.dataset}, {percent} %\n{c.markdown(f'{self.name}-{c.dataset}-{percent}')}\n````")
        shown = ["`````{tab-set}", *tabs, "`````"] if tabs else []
        return "\n".join([*shown, "", self.not_computed])

    def _repr_html_(self) -> str:
        return "".join(c._repr_html_() for c in self.comparisons) + f"<p>{self.not_computed}</p>"


def paired_interval(differences: Iterable[float]) -> dict[str, float]:
    """Mean of paired differences and its 95 % interval (Student's t); without one for fewer than two pairs."""
    values = pd.Series(list(differences)).dropna()
    mean, error = float(values.mean()), float(values.sem())
    if len(values) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


_GAIN = "Δ"
BETTER, WORSE, UNSHOWN, SINGLE = VERDICTS = ("better", "worse", "no difference that these seeds can show", "one seed, so no interval")


def _shown(difference: pd.Series) -> str:
    """What a difference with its interval says: one of ``VERDICTS``."""
    if pd.isna(difference["low"]):
        return SINGLE
    if not difference["low"] * difference["high"] > 0:
        return UNSHOWN
    return BETTER if difference["mean"] > 0 else WORSE


def _places(rows: pd.DataFrame) -> str:
    """Data sets and label ratios as text."""
    return "; ".join(f"{dataset} {', '.join(part['percent'])}" for dataset, part in rows.groupby("dataset", sort=False))


def _name_of(table: str) -> str:
    if table == "":
        return ""
    return f"Table {table[5:]}. " if table.startswith("table") else f"{TABLES[table].title}. "


def _heading(tiou: str) -> str:
    return "Avg." if tiou == "avg" else f"{tiou}"


def _span(values: Iterable[Any]) -> str:
    unique = sorted(set(values))
    return f"{unique[0]}" if len(unique) == 1 else f"{unique[0]} to {unique[-1]}"
