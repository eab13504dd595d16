"""Many runs by Snakemake: what there is to compute, what it will cost, and the jobs; ``make sweep``, ``make sweep DRY=1``.

``plan`` reads ``workflow/sweep.yml`` and leaves out the runs that are committed or stored already. The rest become jobs, which
``workflow/Snakefile`` runs on all cores of a machine, on Slurm or on Kubernetes: a stage of training that several runs share is one job
that they depend on, and each run is one more. ``commit`` puts the finished runs into the committed table.

Which runs stand behind a part of the book is known to ``nontarget.study.reproduce`` alone.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from nontarget.config import check_at_least_one, check_choice, check_mapping, from_mapping
from nontarget.data import available
from nontarget.experiment import Experiment, weights_path
from nontarget.experiment.specification import stage_identities
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.devices import cpu_count
from nontarget.runtime.files import atomic_write
from nontarget.runtime.readers import foreign_errors, read_json, read_text
from nontarget.study.reproduce import PARTS, main_ratio, part_experiments
from nontarget.study.systems import FIRST_SEED

SWEEP = Path("workflow/sweep.yml")
DEVICES = ("cpu", "cuda")
"""``auto`` is none of them: weights are named by the device that trains them, which may not be that of the machine that plans."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Content of ``workflow/sweep.yml``.

    Raises:
        ValueError: an unknown part, a part that is listed twice, a label ratio without a number of seeds, or a number below 1.
    """

    datasets: Sequence[str]
    """Those that are not at hand are named, and left out."""
    parts: Sequence[str]
    """Parts that are run with the label ratios and seeds below."""
    seeds: Mapping[float, int]
    """Label ratio -> number of seeds."""
    most_seeds: Mapping[str, int] = field(default_factory=dict)
    """Detector -> largest number of seeds, whatever the ratio."""
    ratios: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Part -> label ratios; default: the one that the book shows. Those at which some classes have no label are left out."""
    as_in_book: Sequence[str] = ()
    """Parts with the label ratios and seeds of the book (``nontarget.study.reproduce.part_experiments``)."""

    def __post_init__(self) -> None:
        for name in ("seeds", "most_seeds", "ratios"):
            check_mapping(name, getattr(self, name))
        for part in (*self.parts, *self.as_in_book, *self.ratios):
            check_choice("part", part, PARTS)
        if twice := set(self.parts) & set(self.as_in_book):
            raise ValueError(f"parts and as_in_book must have no part in common, got {', '.join(sorted(twice))} in both")
        for count in (*self.seeds.values(), *self.most_seeds.values()):
            check_at_least_one("number of seeds", count)
        if lacking := {ratio for ratios in self.ratios.values() for ratio in ratios} - set(self.seeds):
            raise ValueError(f"seeds must have a number for each label ratio, got none for {', '.join(map(str, sorted(lacking)))}")

    @classmethod
    def read(cls, path: str | Path = SWEEP) -> "Sweep":
        """From a YAML file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no YAML, or its content is not that of a sweep; the message names the file.
        """
        with foreign_errors(path, "not YAML"):
            content = yaml.safe_load(read_text(path))
        return from_mapping(cls, content, str(path))

    def experiments(self, datasets: Iterable[str]) -> list[Experiment]:
        """Every run on these data sets; one that several parts share is listed more than once."""
        wanted = []
        for dataset in datasets:
            least = main_ratio(dataset)
            for part in self.parts:
                ratios = [ratio for ratio in self.ratios.get(part, [least]) if ratio >= least]
                wanted += [e for ratio in ratios for e in self._at(part, dataset, ratio)]
            wanted += [e for part in self.as_in_book for e in part_experiments(part, dataset)]
        return wanted

    def _at(self, part: str, dataset: str, ratio: float) -> list[Experiment]:
        if ratio not in self.seeds:
            raise ValueError(f"seeds must have a number for each label ratio, got none for {ratio}, that of {part} on {dataset}")
        seeds = range(FIRST_SEED, FIRST_SEED + self.seeds[ratio])
        runs = part_experiments(part, dataset, [ratio], seeds)
        return [e for e in runs if e.seed < FIRST_SEED + self.most_seeds.get(e.detector, len(seeds))]


@dataclass(frozen=True)
class Job:
    """A process of a sweep: a run, or a stage of training that several runs share."""

    output: str
    """Name of its file in the folder of records."""
    experiment: Mapping[str, Any]
    """The fields that are not the default."""
    until: str | None
    """Name of the shared stage; None: the whole run."""
    needs: str | None
    """The output of the job that comes before, if there is one."""
    seconds: float | None
    """What it will take, by committed runs of its data set and detector; None: there are none."""


@dataclass(frozen=True)
class Plan:
    """What is left to do, and what there is."""

    jobs: tuple[Job, ...]
    uncommitted: tuple[str, ...]
    """Keys of all runs that the committed table lacks: to be computed, or stored on this machine."""
    table: pd.DataFrame
    """A row per data set: ``runs`` in all, ``committed``, ``stored`` on this machine alone, ``to run``, ``shared stages``,
    ``core-hours`` and ``unmeasured``, the number of runs that are not in those hours."""
    device: str = "cpu"

    def summary(self) -> str:
        """For a terminal."""
        total = self.table.sum().rename("in all")
        frame = pd.concat([self.table, total.to_frame().T]).astype(dict.fromkeys(self.table.columns.drop("core-hours"), int))
        lines = [frame.to_string(float_format="{:.2f}".format)]
        lines.append(
            f"{frame.loc['in all', 'to run']} runs to compute, {total['core-hours']:.1f} core-hours by committed runs of the same data set "
            f"and detector, or {total['core-hours'] / cpu_count():.1f} h on the {cpu_count()} core(s) of this machine"
        )
        if unmeasured := int(total["unmeasured"]):
            lines.append(f"not in these hours: {unmeasured} runs, of whose data set and detector no run is committed")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """As JSON, for ``workflow/Snakefile`` and :func:`commit`."""
        content = {"device": self.device, "jobs": [asdict(job) for job in self.jobs], "uncommitted": self.uncommitted}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(json.dumps(content, indent=1).encode())


def plan_path(store: ResultStore) -> Path:
    """Where the plan of a sweep is kept."""
    return store.runs_folder / "sweep" / "plan.json"


def plan(experiments: Iterable[Experiment], store: ResultStore | None = None, device: str = "cpu", recompute: bool = False) -> Plan:
    """The jobs that these experiments need: what is committed by this code on these data, or stored, is not computed again.

    Args:
        experiments: on data that are at hand.
        store: of records, weights and the committed table.
        device: ``cpu`` or ``cuda``, of the machines that compute.
        recompute: plan also what is committed, unless it is stored.
    """
    check_choice("device", device, DEVICES)
    store = store or ResultStore()
    metrics = store.metrics()
    committed, costs = set() if recompute else set(metrics["key"]), _Costs(metrics)
    runs = {identity_key(identity): (e, identity) for e in experiments for identity in [e.identity()]}
    stored = {key for key in runs if key not in committed and store.read(key) is not None}
    todo = {key: run for key, run in runs.items() if key not in committed | stored}
    stages = {key: _stages(e, identity, store, device) for key, (e, identity) in todo.items()}
    users = Counter(name for of_run in stages.values() for name in of_run)
    jobs: dict[str, Job] = {}
    for key, (experiment, identity) in todo.items():
        about, before, spent = _changed_fields(experiment), None, 0.0
        for name, stage in stages[key].items():
            finished = (store.runs_folder / name).is_file()
            if users[name] < 2 and not finished:
                break
            seconds = costs.until(stage, identity)
            if not finished:
                jobs.setdefault(name, Job(name, about, stage, before, None if seconds is None else max(0.0, seconds - spent)))
                before = name
            spent = seconds or 0.0
        seconds = costs.until(None, identity)
        jobs[f"{key}.json"] = Job(f"{key}.json", about, None, before, None if seconds is None else max(0.0, seconds - spent))
    states = pd.DataFrame(
        [(e.dataset, "committed" if key in committed else "stored" if key in stored else "to run") for key, (e, _) in runs.items()],
        columns=["data set", "state"],
    )
    return Plan(tuple(jobs.values()), tuple(key for key in runs if key not in committed), _table(states, jobs.values()), device)


def commit(store: ResultStore | None = None) -> int:
    """Put what is finished of the planned runs into the committed table; returns its number of runs.

    Raises:
        FileNotFoundError: no plan was made.
    """
    store = store or ResultStore()
    content = read_json(plan_path(store))
    with foreign_errors(plan_path(store), "not the plan of a sweep"):
        keys = [str(key) for key in content["uncommitted"]]
    return store.commit(record for key in keys if (record := store.read(key)) is not None)


class _Costs:
    """Seconds of runs, from the committed ones."""

    def __init__(self, metrics: pd.DataFrame) -> None:
        runs = metrics[metrics["tiou"] == "avg"]
        about = ["dataset", "preset", "detector"]
        self._by_rule = runs.groupby([*about, "rule"])["seconds"].mean().to_dict()
        self._by_detector = runs.groupby(about)["seconds"].mean().to_dict()

    def until(self, stage: str | None, identity: Mapping[str, Any]) -> float | None:
        """Up to the end of a stage, or of the run: the mean over runs of the same data set, detector and, where there are any, rule."""
        about = (identity["dataset"]["name"], identity["preset"], identity["detector"]["name"])
        if stage == "pretrain":
            return self._by_rule.get((*about, "pre-trained only"))
        return self._by_rule.get((*about, identity["rule"]["name"]), self._by_detector.get(about))


def _stages(experiment: Experiment, identity: Mapping[str, Any], store: ResultStore, device: str) -> dict[str, str]:
    """File of the weights -> stage, in the order of training."""
    stages = stage_identities(identity, experiment.learning_rule())
    return {weights_path(store, depends_on, device).name: name for name, depends_on in stages.items()}


def _changed_fields(experiment: Experiment) -> dict[str, Any]:
    """The fields of an experiment that are not the default, and its data set."""
    defaults = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(Experiment)}
    return {name: value for name, value in asdict(experiment).items() if name == "dataset" or value != defaults[name]}


def _table(states: pd.DataFrame, jobs: Iterable[Job]) -> pd.DataFrame:
    """See :attr:`Plan.table`."""
    table = pd.crosstab(states["data set"], states["state"]).reindex(columns=["committed", "stored", "to run"], fill_value=0)
    table.insert(0, "runs", table.sum(axis=1))
    of_jobs = pd.DataFrame([(j.experiment["dataset"], j.until is not None, j.seconds) for j in jobs], columns=["data set", "shared", "s"])
    of_jobs["unmeasured"] = of_jobs["s"].isna() & ~of_jobs["shared"].astype(bool)
    sums = of_jobs.astype({"s": float, "shared": int, "unmeasured": int}).groupby("data set").sum()
    table["shared stages"], table["core-hours"], table["unmeasured"] = sums["shared"], sums["s"] / 3600, sums["unmeasured"]
    return table.fillna(0).rename_axis(index=None, columns=None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.study.sweep", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    planning = commands.add_parser("plan", help="say what there is to compute and what it costs, and write the jobs for Snakemake")
    planning.add_argument("--sweep", type=Path, default=SWEEP, help=f"default: {SWEEP}")
    planning.add_argument("--datasets", nargs="+", help="default: those of the sweep")
    planning.add_argument("--device", choices=DEVICES, default="cpu", help="of the machines that compute; default: cpu")
    planning.add_argument("--recompute", action="store_true", help="also what is committed, unless it is stored on this machine")
    commands.add_parser("commit", help="put what is finished of the planned runs into the committed table")
    chosen = parser.parse_args(arguments)
    store = ResultStore()
    store.prepare_commit()
    if chosen.command == "commit":
        print(f"{store.metrics_path}: {commit(store)} runs in all")
        return
    sweep = Sweep.read(chosen.sweep)
    datasets = chosen.datasets or sweep.datasets
    there = available()
    at_hand = [name for name in datasets if name in there]
    planned = plan(sweep.experiments(at_hand), store, chosen.device, chosen.recompute)
    planned.write(plan_path(store))
    print(planned.summary())
    if absent := [name for name in datasets if name not in at_hand]:
        print(f"not at hand, and left out: {', '.join(absent)} (see NONTARGET_DATA)")


if __name__ == "__main__":
    main()
