"""A tiny sweep by Snakemake, for tests on this machine and on Slurm."""

import os
import subprocess
import sys
from pathlib import Path

from helpers import TINY

from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore
from nontarget.study.sweep import plan, plan_path

ROOT = Path(__file__).parents[1]
RUNS = [Experiment(**TINY, rule=rule) for rule in ("baseline", "SSP-style")]  # their pre-training is the same


def planned(folder):
    """The store of a sweep that is about to begin."""
    store = ResultStore(folder / "results")
    plan(RUNS, store).write(plan_path(store))
    return store


def snakemake(folder, log, *options, profile="default"):
    """Begin the sweep, in a process group of its own."""
    environment = os.environ | {
        "NONTARGET_RESULTS": str(folder / "results"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "workflow" / "Snakefile", "--directory", folder]
    command += ["--workflow-profile", ROOT / "workflow" / "profiles" / profile, *options]
    with log.open("ab") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True)


def table(store):
    """The committed table, but for when it was computed."""
    return store.metrics().drop(columns=["seconds", "date"])


def table_without_snakemake(folder):
    """The same runs, one after another in this process."""
    store = ResultStore(folder / "plain")
    store.commit([run(e, store, device="cpu", progress=False) for e in RUNS])
    return table(store)
