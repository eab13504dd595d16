"""What the alternatives of :mod:`nontarget.study.open_questions` change, measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from nontarget.experiment import Experiment
from nontarget.runtime.escaping import escaped
from nontarget.study.comparison import Comparison
from nontarget.study.open_questions import READINGS, REFERENCE, alternatives, readings_experiments
from nontarget.study.systems import seeds_of
from nontarget.study.tables import compare
from nontarget.study.texttable import DETECTABLE, TextTable, detectable_text, holm_text, interval_text, percent, significant


@dataclass(frozen=True)
class Effects:
    """What each alternative changes on one data set."""

    comparison: Comparison
    frame: pd.DataFrame
    """A row an alternative, by name: columns reading, alternative, mean, low, high, detectable (points of average mAP; NaN: no current
    result), p_value, num_values, and panel and row, for :func:`nontarget.plotting.differences`."""

    @property
    def title(self) -> str:
        """Data set and kind."""
        return f"{self.comparison.dataset} ({'simulated' if self.comparison.simulated else 'real'})"

    @property
    def table(self) -> TextTable:
        """One row an alternative."""
        questions = {reading.name: reading for reading in READINGS}
        rows = [
            {
                "Reading": r.reading,
                "Where": questions[r.reading].where,
                "Alternative": r.alternative,
                "Δ": "no current result" if pd.isna(r.mean) else interval_text(r.mean, r.low, r.high, r.detectable),
            }
            for r in self.frame.itertuples()
        ]
        caption = (
            f"{escaped(self.title)} data, {percent(self.comparison.label_ratio)} of the videos labelled: average mAP with another reading "
            f"minus that with non-target, in points, paired by seed, with its 95 % interval; {self.comparison.num_seeds} seeds. "
            f"{DETECTABLE}"
        )
        return TextTable(pd.DataFrame(rows), caption, f"readings-{self.comparison.dataset}")

    @property
    def findings(self) -> str:
        """Which alternatives matter, in a sentence or two (Markdown)."""
        intervals = self.frame.dropna(subset=["low", "high"])
        better, worse = intervals[intervals["low"] > 0], intervals[intervals["high"] < 0]
        text = f"- **{escaped(self.title)}**: {len(better)} of {len(intervals)} alternatives are better than non-target{_named(better)}, "
        text += f"{len(worse)} worse{_named(worse)}"
        unsure = intervals[intervals["low"] * intervals["high"] <= 0]
        text += f", {len(unsure)} not distinguishable{detectable_text(unsure['detectable'])}"
        absent = len(self.frame) - len(intervals)
        return text + (f"; of {absent} there is no current result, or a single seed." if absent else ".")


def readings_findings(effects: Iterable[Effects]) -> str:
    """How many alternatives make a difference on any data set, in a bold sentence, then data set by data set (Markdown)."""
    effects = list(effects)
    intervals = pd.concat([effect.frame for effect in effects]).dropna(subset=["low"])
    lines = [
        f"**Of {len(intervals)} intervals, {significant(intervals)} exclude 0; if no alternative made a difference, about "
        f"{0.05 * len(intervals):.0f} would do so by chance.** {holm_text(intervals)}",
        "",
    ]
    return "\n".join([*lines, *(effect.findings for effect in effects)])


def measure(plain: Experiment, seeds: int | Sequence[int], **options: Any) -> Effects:
    """The effect of every alternative.

    Args:
        plain: see :func:`nontarget.study.open_questions.alternatives`.
        seeds: how many, or which; see :func:`nontarget.study.systems.seeds_of`. An alternative that lacks one of them has no effect yet.
        **options: of :func:`nontarget.study.tables.compare`: ``source``, ``store``, ``device``.
    """
    comparison = compare(readings_experiments(plain), seeds, reference=REFERENCE, **options)
    whole = comparison.seeds[comparison.seeds == len(seeds_of(REFERENCE, seeds))].index
    measured = comparison.differences()
    measured = measured[measured.index.isin(whole)]
    rows = [(name, reading.name, name.removeprefix(f"{reading.name}: ")) for reading, name, _ in alternatives(plain)]
    frame = pd.DataFrame(rows, columns=["name", "reading", "alternative"]).set_index("name")
    effects = Effects(comparison, frame.join(measured.astype(float)))
    return replace(effects, frame=effects.frame.assign(panel=effects.title, row=frame.index))


def _named(rows: pd.DataFrame) -> str:
    return f" ({', '.join(map(str, rows.index))})" if len(rows) else ""
