"""Systems side by side: means over seeds, paired differences with intervals, the paper's numbers, and how they are rendered.

:meth:`Comparison.cells` is the table as a reader sees it, :meth:`Comparison.markdown` the table of a page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields

import pandas as pd

from nontarget.data import defaults_of
from nontarget.results import Record
from nontarget.runtime.escaping import escaped, inline_markdown
from nontarget.statistics import TInterval, holm_significant, t_interval
from nontarget.study.labels_seen import seen_column, seen_note
from nontarget.study.systems import TABLES, reported_map
from nontarget.study.texttable import (
    DETECTABLE,
    UNSHOWN,
    VERDICTS,
    difference_text,
    html_table,
    interval_text,
    markdown_table,
    verdict,
)


@dataclass(frozen=True)
class Comparison:
    """Systems on one data set at one label ratio, over the same seeds: the data of a table."""

    dataset: str
    simulated: bool
    label_ratio: float
    maps: pd.DataFrame
    """mAP in percent: rows (system, seed), a column per tIoU and "avg"; a system without current results has no rows."""
    records: tuple[Record, ...]
    unavailable: tuple[str, ...] = ()
    """The systems without current results, each with the reason."""
    table: str = "table1"
    """Its name in ``nontarget.study.systems.TABLES``; empty if it is none of these."""
    reference: str = "baseline"
    """The system that the others are compared with."""
    helped: tuple[str, ...] = ()
    """Systems whose detections were rescored with external video scores."""
    partial: tuple[str, ...] = ()
    """The systems that lack some of the seeds, each with the number that it has."""
    protocol: str = ""
    """Which protocol cut and scored them (:func:`nontarget.protocols.describe`)."""
    mark: str = ""
    """A warning where the instrument is not known to tell rules apart (:func:`nontarget.study.pages.marked`), in Markdown."""

    @property
    def mean(self) -> pd.DataFrame:
        """Mean over seeds: a row per system, a column per tIoU."""
        return self.maps.groupby(level="system", sort=False).mean()

    @property
    def std(self) -> pd.DataFrame:
        """Sample standard deviation over seeds, likewise; NaN for one seed."""
        return self.maps.groupby(level="system", sort=False).std()

    @property
    def num_seeds(self) -> int:
        """The number of different seeds."""
        return self.maps.index.get_level_values("seed").nunique()

    @property
    def seeds(self) -> pd.Series:
        """The number of seeds of each system."""
        return self.maps.groupby(level="system", sort=False).size()

    def gains(self) -> dict[str, TInterval]:
        """Average mAP of each other system minus that of the reference, in points, paired by seed."""
        average = self.maps["avg"].unstack("system", sort=False)
        if self.reference not in average:
            return {}
        return {s: t_interval(average[s] - average[self.reference]) for s in average if s != self.reference}

    def differences(self) -> pd.DataFrame:
        """:meth:`gains` as a table: a row per system, the fields of :class:`nontarget.statistics.TInterval` as columns."""
        names = [field.name for field in fields(TInterval)]
        return pd.DataFrame.from_dict({s: asdict(gain) for s, gain in self.gains().items()}, orient="index", columns=names)

    def paper(self) -> pd.DataFrame:
        """What the paper reports for these systems on the data set that this one is modelled on; empty if there is nothing."""
        rows = reported_map(self.table, self.dataset, self.label_ratio)
        named = {row: system for system, row in self._rows_of_paper.items() if row in rows.index and system in self.mean.index}
        return rows.rename(index=named).loc[[system for system in self.mean.index if system in named.values()]]

    @property
    def _rows_of_paper(self) -> Mapping[str, str]:
        return TABLES[self.table].paper if self.table else {}

    def cells(self) -> pd.DataFrame:
        """The table as text (Markdown): a row per system, with the paper's row below it in italics."""
        mean, std, paper, gains = self.mean, self.std, self.paper(), self.gains()
        headings = {"avg": "Avg."} | {tiou: tiou for tiou in self._shown_tious}
        rows: list[dict[str, str]] = []
        for system in mean.index:
            gain = gains.get(system)
            difference = "" if gain is None else interval_text(gain.mean, gain.low, gain.high).replace(", ", ",\N{NO-BREAK SPACE}")
            row = {"System": escaped(system), "Avg.": "", _GAIN: difference}
            if self.seeds.nunique() > 1:
                row["Seeds"] = str(self.seeds[system])
            for tiou in headings:
                spread = "" if pd.isna(std.loc[system, tiou]) else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{std.loc[system, tiou]:.1f}"
                row[headings[tiou]] = f"{mean.loc[system, tiou]:.1f}{spread}"
            rows.append(row)
            if system in paper.index:
                reported = {headings[t]: f"*{v:.1f}*" for t, v in paper.loc[system].items() if t in headings}
                rows.append({"System": f"*{self._rows_of_paper[system]} (paper)*", **reported})
        return pd.DataFrame(rows).fillna("")

    @property
    def tious(self) -> list[str]:
        """The tIoU thresholds, as the columns of ``maps`` name them."""
        return [t for t in self.maps.columns if t != "avg"]

    @property
    def _shown_tious(self) -> list[str]:
        """The thresholds that have a column: all if there are few, else those that ActivityNet's tables show."""
        return self.tious if len(self.tious) <= 6 else [t for t in self.tious if t in ("0.5", "0.75", "0.95")]

    @property
    def caption(self) -> str:
        """What the table shows (Markdown)."""
        kind = "simulated data" if self.simulated else "real data"
        seeds = f"mean ± standard deviation over {_span(self.seeds)} seeds" if self.num_seeds > 1 else "one seed"
        name = f"Table {self.table[5:]}. " if self.table.startswith("table") else f"{TABLES[self.table].title}. " if self.table else ""
        text = f"{name}mAP (%) on {escaped(self.dataset)} ({kind}), {100 * self.label_ratio:g} % of the videos labelled; {seeds}. "
        text += f"{self.protocol[:1].upper()}{self.protocol[1:]}. " if self.protocol else ""
        if self.gains():
            text += f"{_GAIN}: average mAP minus that of {escaped(self.reference)}, paired by seed, with its 95 % interval. "
        if self.tious != self._shown_tious:
            text += f"Avg.: over all {len(self.tious)} thresholds from {self.tious[0]} to {self.tious[-1]}. "
        if len(self.paper()):
            text += f"In italics: the paper's numbers, on {defaults_of(self.dataset).paper_dataset} itself and with its own features."
        return text.strip()

    @property
    def scored(self) -> str:
        """What was scored, how many videos were labelled, and what computed it."""
        if not self.records:
            return "Nothing was scored."
        counts = pd.DataFrame([r["scored"] for r in self.records])
        made = pd.DataFrame([r["provenance"] for r in self.records])
        first, split = counts.iloc[0], counts[counts["unlabeled"] > 0]
        labeled = _span((split if len(split) else counts)["labeled"])
        return (
            f"Scored: all {first['videos']} test videos with {first['instances']} instances, "
            f"{_span(counts['detections'])} detections a run; {self._external}. "
            f"Trained with {labeled} labelled videos of {first['labeled'] + first['unlabeled']}. "
            f"Computed {_span(made['date'])} on {', '.join(sorted(set(made['device'])))}, "
            f"torch {', '.join(sorted(set(made['torch'])))}, code {', '.join(sorted(set(made['commit'])))}."
        )

    @property
    def _notes(self) -> list[str]:
        """What stands below the table (Markdown): warnings, what was scored, and what has not been computed."""
        fewer = [f"**Not all seeds are computed yet: {escaped('; '.join(self.partial))}.**"] if self.partial else []
        notes = [self.mark, seen_note(self.records), self.scored, *(f"**{escaped(text)}**" for text in self.unavailable), *fewer]
        return list(filter(None, notes))

    @property
    def _external(self) -> str:
        kind = "simulated" if self.simulated else "of the data set"
        return f"external video scores ({kind}) in {escaped(', '.join(self.helped))} only" if self.helped else "no external video scores"

    @property
    def findings(self) -> str:
        """Which systems differ from the reference, in one bold sentence, then the differences (Markdown)."""
        gains = {escaped(system): gain for system, gain in self.gains().items() if system != "whole-video"}
        reference = escaped(self.reference)
        verdicts = pd.Series({system: verdict(gain) for system, gain in gains.items()}, dtype=object)
        parts = [f"{name}: {', '.join(verdicts.index[verdicts == name])}" for name in VERDICTS if name in verdicts.to_list()]
        text = f"**Against {reference}, {'; '.join(parts)}.**" if parts else f"**Nothing to compare with {reference}.**"
        tested = sum(gain.num_values > 1 for gain in gains.values())
        if tested > 1:
            text += f" Significant after Holm's correction for {tested} differences: {', '.join(holm_significant(gains)) or 'none'}."
        lines = [f"{text} {DETECTABLE}" if UNSHOWN in verdicts.to_list() else text, ""]
        lines += [f"- {system}: {difference_text(gain, 'points of average mAP')}." for system, gain in gains.items()]
        average = self.maps["avg"].unstack("system", sort=False)
        if {"supervised only", "fully supervised"} <= set(average):
            worth = t_interval(average["fully supervised"] - average["supervised only"])
            lines.append(f"- The missing labels are worth {difference_text(worth, 'points')} to *supervised only*.")
        if "whole-video" in average:
            lines.append(f"- Without any localisation, one segment per video, mAP is {average['whole-video'].mean():.1f}.")
        if self.simulated:
            lines.append(f"- The data are simulated: nothing here is a result on {defaults_of(self.dataset).paper_dataset or 'real data'}.")
        return "\n".join(lines)

    def frame(self) -> pd.DataFrame:
        """A row per run: data set, label ratio, system, seed, and mAP (%) by tIoU; and ``labels_seen`` where that is known."""
        table = self.maps.reset_index().round(4).assign(**seen_column(self.records))
        table.insert(0, "label_ratio", self.label_ratio)
        table.insert(0, "dataset", self.dataset)
        return table

    def markdown(self, name: str | None = None) -> str:
        """A numbered MyST table with its caption, followed by what was scored."""
        return "\n\n".join([markdown_table(self.cells(), self.caption, name or ""), *map(inline_markdown, self._notes)])

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        return html_table(self.cells(), self.caption, self._notes)


_GAIN = "Δ"


def _span(values: Iterable[float | str]) -> str:
    unique = sorted(set(values))
    return f"{unique[0]}" if len(unique) == 1 else f"{unique[0]} to {unique[-1]}"
