"""Systems side by side: means over seeds, paired differences with intervals, the paper's numbers, and what was scored."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import pandas as pd
from scipy import stats

from nontarget.config import check_choice
from nontarget.experiment import Experiment, run_all
from nontarget.paper import DATASETS, METHODS, reported_map
from nontarget.results import Found, Record, ResultStore, identity_key
from nontarget.systems import MAIN_SYSTEMS, TABLES

Source = Literal["run", "stored", "committed"]
RATIOS = (0.1, 0.2, 0.4, 0.6)  # Sec. 4.2


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
    """Which of ``nontarget.systems.TABLES`` this is; empty for another comparison."""
    reference: str = "baseline"
    """The system that the others are compared with."""
    helped: tuple[str, ...] = ()
    """Systems whose detections were rescored with external video scores."""

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
        """How many seeds every system was run with."""
        return self.maps.index.get_level_values("seed").nunique()

    def differences(self) -> pd.DataFrame:
        """Average mAP minus that of the reference, paired by seed: columns mean, low, high (95 % interval of Student's t, n - 1)."""
        average = self.maps["avg"].unstack("system", sort=False)
        if self.reference not in average:
            return pd.DataFrame(columns=["mean", "low", "high"])
        others = [system for system in average if system != self.reference]
        return pd.DataFrame({s: paired_interval(average[s] - average[self.reference]) for s in others}).T

    def paper(self) -> pd.DataFrame:
        """The paper's rows for these systems, on the data set that ours is modelled on; empty if there is none."""
        rows = reported_map(self.table, self.dataset, self.label_ratio)
        methods = METHODS.get(self.table, {})
        named = {methods[s]: s for s in self.maps.index.unique("system") if s in methods}
        return rows.rename(index=named).loc[[system for method, system in named.items() if method in rows.index]]

    def cells(self) -> pd.DataFrame:
        """The table as text: a row a system, the paper's below it in italics."""
        mean, std, paper, gain = self.mean, self.std, self.paper(), self.differences()
        rows = []
        for system in mean.index:
            row = {"System": system}
            for tiou in mean.columns:
                spread = "" if pd.isna(std.loc[system, tiou]) else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{std.loc[system, tiou]:.1f}"
                row[_heading(tiou)] = f"{mean.loc[system, tiou]:.1f}{spread}"
            row[_GAIN] = _interval_text(gain.loc[system]) if system in gain.index else ""
            rows.append(row)
            if system in paper.index:
                reported = {_heading(t): f"*{v:.1f}*" for t, v in paper.loc[system].items() if t in mean.columns}
                rows.append({"System": f"*{METHODS[self.table][system]}, paper on {DATASETS[self.dataset]}*"} | reported)
        return pd.DataFrame(rows).fillna("")

    @property
    def caption(self) -> str:
        """What the table shows, in a sentence or two."""
        kind = "simulated data" if self.simulated else "real data"
        seeds = f"mean ± standard deviation over {self.num_seeds} seeds" if self.num_seeds > 1 else "one seed"
        text = f"{_name_of(self.table)}mAP (%) on {self.dataset} ({kind}), {100 * self.label_ratio:g} % of the videos labelled; {seeds}. "
        if len(self.differences()):
            text += f"{_GAIN}: difference in average mAP to {self.reference}, paired by seed, with its 95 % interval. "
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
            shown = (
                "no difference that these seeds can show" if not row["low"] * row["high"] > 0 else "better" if row["mean"] > 0 else "worse"
            )
            if pd.isna(row["low"]):
                shown = "one seed, so no interval"
            sentences.append(f"- **{system}** against **{self.reference}**: {_interval_text(row)} points of average mAP: {shown}.")
        if {"supervised only", "fully supervised"} <= set(mean.index):
            average = self.maps["avg"].unstack("system", sort=False)
            worth = paired_interval(average["fully supervised"] - average["supervised only"])
            sentences.append(f"- The labels that are missing are worth {_interval_text(pd.Series(worth))} points to *supervised only*.")
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
        notes = [self.scored, *(f"**{u}**" for u in self.unavailable)]
        return "\n".join(["```{table} " + self.caption, *label, "", *lines, "```", "", *("\n\n".join(notes)).splitlines()])

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        cells = self.cells().replace(r"\*(.*)\*", r"<em>\1</em>", regex=True)
        notes = "".join(f"<p>{text}</p>" for text in (self.scored, *self.unavailable))
        return f"<p>{self.caption}</p>{cells.to_html(index=False, escape=False, border=0)}{notes}"


def paper_table(
    name: str = "table1",
    dataset: str = "thumos14-sim",
    label_ratio: float = 0.1,
    seeds: int | Sequence[int] = 3,
    *,
    preset: str = "small",
    features: str | None = None,
    systems: Sequence[str] | None = None,
    source: Source = "run",
    store: ResultStore | None = None,
    **options: Any,
) -> Comparison:
    """A table of the paper, or one of ours, for one data set and label ratio.

    Args:
        name: one of ``nontarget.systems.TABLES``.
        dataset: see :func:`nontarget.data.load_dataset`.
        label_ratio: share of labelled training videos.
        seeds: how many (0, 1, ...), or which.
        preset: ``small`` or ``full``.
        features: a feature folder to use instead.
        systems: some of the table's systems; for ``table1`` any learning rule. Default: all.
        source: ``run`` reads what was computed on this machine and computes the rest; ``stored`` reads that alone; ``committed``
            reads the committed table alone. What is missing or stale there is said to be, and not used.
        store: default: the store in the default folder.
        **options: of :func:`nontarget.experiment.run_all`.
    """
    check_choice("table", name, TABLES)
    plain = Experiment(dataset=dataset, label_ratio=label_ratio, preset=preset, features=features)
    chosen = TABLES[name].experiments(plain, systems)
    return compare(chosen, seeds, source=source, store=store, table=name, reference=TABLES[name].reference, **options)


def table1(dataset: str = "thumos14-sim", label_ratio: float = 0.1, seeds: int | Sequence[int] = 3, **options: Any) -> Comparison:
    """Table 1 of the paper with its main systems, see :func:`paper_table`."""
    return paper_table("table1", dataset, label_ratio, seeds, **{"systems": MAIN_SYSTEMS, **options})


def complete_ratios(name: str = "table1", ratios: Sequence[float] = RATIOS, **options: Any) -> list[Comparison]:
    """:func:`paper_table` at those label ratios at which every system has results, in ``source="stored"`` or ``"committed"``."""
    found = [paper_table(name, label_ratio=ratio, **options) for ratio in ratios]
    return [comparison for comparison in found if not comparison.unavailable]


def current_tables(
    name: str,
    datasets: Sequence[str],
    ratios: Sequence[float] = RATIOS,
    seeds: int | Sequence[int] = 3,
    *,
    source: Source = "committed",
    store: ResultStore | None = None,
) -> tuple[Comparison, ...]:
    """:func:`paper_table` for those data sets and label ratios of which at least two of its systems have results.

    Raises:
        ValueError: there is none.
    """
    found = [paper_table(name, d, r, seeds, source=source, store=store) for d in datasets for r in ratios]
    kept = tuple(c for c in found if c.maps.index.unique("system").size > 1)
    if not kept:
        raise ValueError(f"no {source} results of {name} for any of {list(datasets)} at the label ratios {list(ratios)}")
    return kept


@dataclass(frozen=True)
class Tabs:
    """Several comparisons, one a tab."""

    comparisons: tuple[Comparison, ...]
    name: str = "table1"

    @property
    def findings(self) -> str:
        """Those of every comparison, each under its name (Markdown)."""
        return "\n\n".join(f"**{c.dataset}, {100 * c.label_ratio:g} %**\n\n{c.findings}" for c in self.comparisons)

    def frame(self) -> pd.DataFrame:
        """Every run: data set, label ratio, system, seed, mAP (%) by tIoU."""
        parts = [c.maps.reset_index().assign(dataset=c.dataset, label_ratio=c.label_ratio) for c in self.comparisons]
        table = pd.concat(parts, ignore_index=True).round(4)
        first = ["dataset", "label_ratio", "system", "seed"]
        return table[[*first, *(c for c in table.columns if c not in first)]]

    def _repr_markdown_(self) -> str:
        tabs = []
        for c in self.comparisons:
            percent = f"{100 * c.label_ratio:g}"
            tabs.append(f"````{{tab-item}} {c.dataset}, {percent} %\n{c.markdown(f'{self.name}-{c.dataset}-{percent}')}\n````")
        return "\n".join(["`````{tab-set}", *tabs, "`````"])

    def _repr_html_(self) -> str:
        return "".join(c._repr_html_() for c in self.comparisons)


def compare(
    systems: dict[str, Experiment],
    seeds: int | Sequence[int],
    *,
    source: Source = "run",
    store: ResultStore | None = None,
    table: str = "",
    reference: str = "baseline",
    **options: Any,
) -> Comparison:
    """Run, or look up, several systems over the same seeds.

    Arguments as for :func:`paper_table`; ``systems`` maps the name of a row to its experiment, whose seed is replaced.
    """
    store = store or ResultStore()
    try:
        chosen = list(range(seeds)) if isinstance(seeds, int) else [operator.index(seed) for seed in seeds]
    except TypeError:
        raise ValueError(f"seeds must be a number of seeds or a list of them, got {seeds!r}") from None
    if not chosen or not systems:
        raise ValueError(f"nothing to compare: seeds {seeds!r}, systems {list(systems)}")
    experiments = {(name, seed): replace(e, seed=seed) for name, e in systems.items() for seed in chosen}
    unavailable: list[str] = []
    if source == "run":
        found = dict(zip(experiments, run_all(list(experiments.values()), store, **options), strict=True))
    else:
        found = _looked_up(experiments, source, store, unavailable)
    any_of = next(iter(systems.values()))
    identity = any_of.identity()
    columns = [f"{t:g}" for t in identity["protocol"]["tiou_thresholds"]] + ["avg"]
    about = identity["dataset"]
    maps = pd.DataFrame([record["scores"] for record in found.values()], columns=columns).mul(100)
    maps.index = pd.MultiIndex.from_tuples(found, names=["system", "seed"]) if found else _NO_RUNS
    return Comparison(
        about["name"],
        about["simulated"],
        any_of.label_ratio,
        maps,
        tuple(found.values()),
        tuple(unavailable),
        table,
        reference,
        tuple(name for name, e in systems.items() if e.inference_settings.get("external_scores")),
    )


def calibration(
    dataset: str, noises: Sequence[float], seeds: Sequence[int], *, label_ratio: float = 0.1, source: Source = "run", **options: Any
) -> pd.DataFrame:
    """Average mAP of ``supervised only`` and ``baseline`` on a twin at several noise levels; no other rule is run.

    Returns:
        Rows (noise, rule, seed, average_map), mAP in percent.

    Raises:
        ValueError: a result is not there (with ``source`` other than ``run``).
    """
    systems = calibration_experiments(dataset, noises, label_ratio)
    comparison = compare(systems, seeds, source=source, **options)
    if comparison.unavailable:
        raise ValueError("; ".join(comparison.unavailable))
    average = comparison.maps["avg"]
    rows = [(systems[name].twin_settings["noise"], systems[name].rule, seed, value) for (name, seed), value in average.items()]
    return pd.DataFrame(rows, columns=["noise", "rule", "seed", "average_map"])


def calibration_experiments(dataset: str, noises: Sequence[float], label_ratio: float = 0.1) -> dict[str, Experiment]:
    """The runs of :func:`calibration`, by name, for any seed."""
    return {
        f"{rule}, noise {noise}": Experiment(dataset, rule, label_ratio, twin_settings={"noise": noise})
        for noise in noises
        for rule in ("supervised only", "baseline")
    }


def paired_interval(differences: Iterable[float]) -> dict[str, float]:
    """Mean of paired differences and its 95 % interval (Student's t); without one for fewer than two pairs."""
    values = pd.Series(list(differences)).dropna()
    mean, error = float(values.mean()), float(values.sem())
    if len(values) < 2:
        return {"mean": mean, "low": float("nan"), "high": float("nan")}
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def _looked_up(
    experiments: dict[tuple[str, int], Experiment], source: Source, store: ResultStore, unavailable: list[str]
) -> dict[tuple[str, int], Record]:
    """Records that are there; a system of which one run is missing or stale is left out as a whole, and named."""
    check_choice("source", source, get_args(Source))
    metrics = store.metrics() if source == "committed" else None
    found = {}
    for key, experiment in experiments.items():
        identity = experiment.identity()
        record = store.read(identity_key(identity)) if metrics is None else None
        found[key] = store.committed(identity, metrics) if metrics is not None else Found("current" if record else "missing", record)
    for name in dict.fromkeys(name for name, _ in experiments):
        states = {seed: f.status for (system, seed), f in found.items() if system == name and f.record is None}
        if states:
            reason = "; ".join(f"seed {seed} {status}" for seed, status in states.items())
            unavailable.append(f"{name}: no current {source} result ({reason})")
            found = {key: f for key, f in found.items() if key[0] != name}
    return {key: f.record for key, f in found.items() if f.record is not None}


_GAIN = "Δ"
_NO_RUNS = pd.MultiIndex.from_arrays([[], []], names=["system", "seed"])


def _name_of(table: str) -> str:
    if table == "":
        return ""
    return f"Table {table[5:]}. " if table.startswith("table") else f"{TABLES[table].title}. "


def _heading(tiou: str) -> str:
    return "Avg." if tiou == "avg" else f"{tiou}"


def _interval_text(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return f"{row['mean']:+.1f}"
    return f"{row['mean']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"


def _span(values: Iterable[Any]) -> str:
    unique = sorted(set(values))
    return f"{unique[0]}" if len(unique) == 1 else f"{unique[0]} to {unique[-1]}"
