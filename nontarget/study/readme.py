"""The README's picture and its paragraph "what came out", written from committed results: ``python -m nontarget.study.readme``.

``--check`` writes nothing and fails if they are not what the committed results say.
"""

import argparse
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped, label_text
from nontarget.statistics import TInterval, holm_significant, t_interval
from nontarget.study.comparison import Comparison
from nontarget.study.pages import marked
from nontarget.study.reproduce import DATASETS, main_ratio
from nontarget.study.systems import MAIN_SYSTEMS
from nontarget.study.tables import paper_table
from nontarget.study.texttable import BETTER, DETECTABLE, UNSHOWN, WORSE, difference_text, verdict

README = Path(__file__).resolve().parents[2] / "README.md"
CHART = ("<!-- chart -->", "<!-- end of chart -->")
CAME_OUT = ("<!-- what came out -->", "<!-- end -->")
SEEDS = 10
FEWEST_SEEDS = 3
"""Of *baseline* and of *non-target*, for a data set to be shown."""
_AGAINST = {
    "baseline": "the pseudo-label *baseline*",
    "supervised only": "*supervised only*",
    "pre-trained only": "*pre-trained only*, before any self-training",
}
_NOTHING = (
    "Not computed yet: the detector and its training were rebuilt, without looking at how the paper's rule compares, and no comparison of "
    "rules has been computed with them. Results of the settings before are no longer shown."
)


def main_comparisons(store: ResultStore | None = None, datasets: Iterable[str] = DATASETS) -> list[Comparison]:
    """Table 1's main systems on every data set with results of *baseline* and *non-target*, at the ratio of the book, with gate marks."""
    comparisons = []
    for dataset in datasets:
        chosen = {"systems": MAIN_SYSTEMS, "source": "committed", "store": store}
        comparison = paper_table("table1", dataset, main_ratio(dataset), SEEDS, **chosen)  # type: ignore[arg-type]
        if {"baseline", "non-target"} <= set(comparison.mean.index) and len(_pairs(comparison, "non-target", "baseline")) >= FEWEST_SEEDS:
            comparisons.append(marked(comparison, store))
    return comparisons


def chart(comparisons: Sequence[Comparison]) -> str:
    """A bar of the baseline and a line of non-target for each data set, as a Mermaid diagram; a sentence if there is none."""
    if not comparisons:
        return "*Average mAP of the baseline and of the paper's rule: not computed yet.*"
    means = {rule: [float(c.mean.loc[rule, "avg"]) for c in comparisons] for rule in ("baseline", "non-target")}
    top = 10 * math.ceil((max(map(max, means.values())) + 1) / 10)
    names = ", ".join(f'"{label_text(c.dataset)} {100 * c.label_ratio:g} %"' for c in comparisons)
    counts = sorted({len(_pairs(c, "non-target", "baseline")) for c in comparisons})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    title = f"Average mAP (%) of the baseline (bars) and of non-target (line); share of labelled videos; -sim is simulated; {seeds} seeds"
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "{title}"',
            f"    x-axis [{names}]",
            f'    y-axis "average mAP (%)" 0 --> {top}',
            f"    bar [{', '.join(f'{v:.1f}' for v in means['baseline'])}]",
            f"    line [{', '.join(f'{v:.1f}' for v in means['non-target'])}]",
            "```",
        ]
    )


def came_out(comparisons: Sequence[Comparison]) -> str:
    """What the comparisons say of the paper's rule, in sentences; a difference counts if its 95 % interval excludes 0."""
    if not comparisons:
        return _NOTHING
    gains = {(c.dataset, other): t_interval(_pairs(c, "non-target", other)) for other in _AGAINST for c in comparisons}
    gains = {name: gain for name, gain in gains.items() if gain.num_values > 1}
    text = f"Average mAP of the paper's rule (*non-target*), in points, with 95 % intervals over seeds. {DETECTABLE} "
    text += " ".join(f"Against {title}: {_sorted(gains, other)}." for other, title in _AGAINST.items())
    kept = groupby(holm_significant(gains), key=lambda name: name[1])
    where = [f"against *{other}* on {', '.join(escaped(dataset) for dataset, _ in names)}" for other, names in kept]
    text += f" Significant after Holm's correction for all {len(gains)}: {'; '.join(where) or 'none'}."
    doubtful = [escaped(c.dataset) for c in comparisons if c.mark]
    if doubtful:
        text += f" Whether the instrument can tell rules apart is not known, or a gate fails, on {', '.join(doubtful)}."
    absent = [name for name in DATASETS if name not in {c.dataset for c in comparisons}]
    return text + (f" Not computed yet: {', '.join(absent)}." if absent else "")


def rewritten(text: str, comparisons: Sequence[Comparison]) -> str:
    """The README with its picture and paragraph renewed.

    Raises:
        ValueError: a marker is not there.
    """
    paragraph = textwrap.fill(CAME_OUT[0] + came_out(comparisons), 138, break_on_hyphens=False, break_long_words=False)
    paragraph = textwrap.indent(paragraph, "  ").strip().removeprefix(CAME_OUT[0])
    return _between(_between(text, CHART, f"\n{chart(comparisons)}\n"), CAME_OUT, paragraph)


def _sorted(gains: Mapping[tuple[str, str], TInterval], other: str) -> str:
    """The differences from one system, by verdict."""
    sorts: dict[str, list[str]] = {BETTER: [], WORSE: [], UNSHOWN: []}
    for dataset, gain in ((dataset, gain) for (dataset, system), gain in gains.items() if system == other):
        sorts[verdict(gain)].append(f"{escaped(dataset)} {difference_text(gain)}")
    return "; ".join(f"{sort} on {', '.join(names)}" for sort, names in sorts.items() if names) or "not computed yet"


def _pairs(comparison: Comparison, one: str, other: str) -> list[float]:
    """Differences of those seeds that both systems have."""
    average = comparison.maps["avg"].unstack("system")
    return (average[one] - average[other]).dropna().tolist() if {one, other} <= set(average) else []


def _between(text: str, markers: tuple[str, str], inside: str) -> str:
    first, last = markers
    if first not in text or last not in text:
        raise ValueError(f"README.md must have the markers {first!r} and {last!r}")
    return re.sub(f"{re.escape(first)}.*?{re.escape(last)}", lambda _: f"{first}{inside}{last}", text, count=1, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.study.readme", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the README is not what results say")
    chosen = parser.parse_args(arguments)
    old = README.read_text(encoding="utf-8")
    new = rewritten(old, main_comparisons())
    if chosen.check and new != old:
        raise SystemExit(f"{README}: not what the committed results say; run python -m nontarget.study.readme")
    if not chosen.check:
        README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
