"""Many runs by Snakemake: what is planned, what it costs, and a tiny sweep from end to end."""

import json
import os
import re
import signal
import time
from dataclasses import replace
from importlib.util import find_spec

import pandas as pd
import pytest
import yaml
from helpers import TINY
from sweeping import ROOT, RUNS, planned, snakemake, table, table_without_snakemake

from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore, identity_key
from nontarget.runtime.readers import read_json
from nontarget.study.reproduce import PARTS, part_experiments
from nontarget.study.sweep import Sweep, commit, main, plan, plan_path

needs_snakemake = pytest.mark.skipif(find_spec("snakemake") is None, reason="snakemake is not installed (extra: sweep)")


def tiny(rule, seed=0, **fields):
    return Experiment(**TINY, rule=rule, seed=seed, **fields)


def key_of(experiment):
    return identity_key(experiment.identity())


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "results")


def computed(store, experiment, seconds):
    """Its record, as if it had taken so long."""
    record = run(experiment, store, device="cpu", progress=False)
    record["provenance"]["seconds"] = {"pretrain": seconds}
    store.write(record)
    return record


# --- what is planned


def test_what_is_committed_or_stored_is_not_planned_and_the_rest_has_its_price(store):
    store.commit([computed(store, tiny("baseline", seed), seconds) for seed, seconds in ((0, 3600), (1, 7200))])
    store.commit([computed(store, tiny("pre-trained only"), 1800)])
    for weights in store.runs_folder.glob("weights-*"):
        weights.unlink()
    computed(store, tiny("SSP-style"), 1)
    wanted = [tiny("baseline", seed) for seed in (0, 1, 2, 2)] + [tiny("SSP-style", seed) for seed in (0, 2)]
    found = plan(wanted, store)
    assert found.table.loc["thumos14-sim"].to_dict() == {
        "runs": 5,
        "committed": 2,
        "stored": 1,
        "to run": 2,
        "shared stages": 1,
        # Pre-training 0.5 h once; baseline 1.5 h in all, by its two runs; SSP-style, of which none is committed, 3.5 h / 3, by all three.
        "core-hours": pytest.approx(0.5 + 1.0 + (3.5 / 3 - 0.5)),
        "unmeasured": 0,
    }
    assert set(found.uncommitted) == {key_of(e) for e in wanted[3:]}
    assert "2 runs to compute, 2.2 core-hours" in found.summary()
    again = plan(wanted, store, recompute=True)
    assert again.table.loc["thumos14-sim", ["committed", "stored", "to run"]].tolist() == [0, 3, 2], "records of this machine are kept"


def test_runs_that_nothing_measures_are_counted_and_have_no_price(store):
    store.commit([computed(store, tiny("baseline"), 3600)])
    other = replace(tiny("supervised only"), detector="actionformer", detector_settings={})
    found = plan([tiny("baseline"), other], store)
    assert found.table.loc["thumos14-sim", ["to run", "core-hours", "unmeasured"]].tolist() == [1, 0, 1]
    assert "not in these hours: 1 runs" in found.summary()


def test_a_stage_that_runs_share_is_one_job_that_they_depend_on(store):
    whole_video = [tiny(rule) for rule in ("supervised only", "whole-video")]  # both stages are the same
    jobs = {job.output: job for job in plan([*RUNS, *whole_video, tiny("baseline", seed=1)], store).jobs}
    shared = {job.until: [] for job in jobs.values() if job.until}
    for job in jobs.values():
        if job.until:
            shared[job.until].append(job.output)
    assert {stage: len(outputs) for stage, outputs in shared.items()} == {"pretrain": 2, "selftrain": 1}
    before = {tuple(jobs[f"{key_of(e)}.json"].needs for e in pair) for pair in (RUNS, whole_video)}
    assert all(first == second and first in jobs for first, second in before)
    assert jobs[f"{key_of(whole_video[0])}.json"].needs == shared["selftrain"][0]
    assert jobs[shared["selftrain"][0]].needs in shared["pretrain"]
    assert jobs[f"{key_of(tiny('baseline', seed=1))}.json"].needs is None, "a stage of its own is part of its run"


def test_a_stage_whose_weights_are_there_is_no_job(store):
    run(tiny("pre-trained only"), store, device="cpu", progress=False)
    assert {(job.until, job.needs) for job in plan(RUNS, store).jobs} == {(None, None)}


def test_until_trains_what_a_run_then_reads(store):
    from nontarget.experiment import train

    train(RUNS[0], store, device="cpu", progress=False, until="pretrain")
    (weights,) = store.runs_folder.glob("weights-*")
    before = weights.stat().st_mtime_ns
    record = run(RUNS[0], store, device="cpu", progress=False)
    assert weights.stat().st_mtime_ns == before
    assert record["scores"] == run(RUNS[0], ResultStore(store.folder / "other"), device="cpu", progress=False)["scores"]
    with pytest.raises(ValueError, match="unknown until 'selftrain'.*known: 'pretrain'"):
        train(tiny("pre-trained only"), store, device="cpu", until="selftrain")


def test_a_run_as_a_process_of_its_own(store, monkeypatch):
    from nontarget.experiment.__main__ import main as run_one

    monkeypatch.setenv("NONTARGET_RESULTS", str(store.folder))
    fields = json.dumps(TINY)
    run_one([fields, "--device", "cpu", "--until", "pretrain"])
    assert len(list(store.runs_folder.iterdir())) == 1
    run_one([fields, "--device", "cpu"])
    assert store.read(key_of(Experiment(**TINY))) is not None
    with pytest.raises(ValueError, match=r"experiment: unknown setting 'ruel'; did you mean 'rule'"):
        run_one(['{"ruel": "baseline"}'])


# --- workflow/sweep.yml


def test_the_sweep_of_the_book_has_all_parts():
    sweep = Sweep.read(ROOT / "workflow" / "sweep.yml")
    assert {*sweep.parts, *sweep.as_in_book} == set(PARTS)
    assert sweep.seeds == {0.1: 10, 0.2: 10, 0.4: 5, 0.6: 5}
    wanted = {key_of(e) for part in sweep.as_in_book for e in part_experiments(part, "activitynet-sim")}
    assert wanted <= {key_of(e) for e in sweep.experiments(["activitynet-sim"])}


def test_ratios_and_seeds():
    sweep = Sweep(
        datasets=["hapt", "nips4b"],
        parts=["table1", "table3"],
        seeds={0.1: 3, 0.2: 2},
        most_seeds={"actionformer": 1},
        ratios={"table1": [0.1, 0.2]},
    )
    runs = sweep.experiments(["hapt"])
    seeds = {(e.detector, e.label_ratio): set() for e in runs}
    for e in runs:
        seeds[e.detector, e.label_ratio].add(e.seed)
    assert seeds == {("spot", 0.1): {100, 101, 102}, ("spot", 0.2): {100, 101}, ("actionformer", 0.1): {100}}
    assert {e.label_ratio for e in sweep.experiments(["nips4b"])} == {0.2}, "at 10 % some of its classes have no label"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": ["table9"]}, "unknown part 'table9'; did you mean 'table"),
        ({"as_in_book": ["table1"]}, "parts and as_in_book must have no part in common, got table1 in both"),
        ({"seeds": {0.1: 0}}, "number of seeds must be a whole number of at least 1, got 0"),
        ({"ratios": {"table1": [0.3]}}, r"seeds must have a number for each label ratio, got none for 0\.3"),
        ({"seds": {}}, "unknown setting 'seds'; did you mean 'seeds'"),
        ({"seeds": 3}, "seeds: expected a mapping"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, change, message):
    path = tmp_path / "sweep.yml"
    path.write_text(yaml.safe_dump({"datasets": ["hapt"], "parts": ["table1"], "seeds": {0.1: 1}} | change))
    with pytest.raises(ValueError, match=rf"sweep\.yml: {message}"):
        Sweep.read(path)
    path.write_text("parts: [")
    with pytest.raises(ValueError, match=r"sweep\.yml: not YAML"):
        Sweep.read(path)


def test_plan_prints_and_writes_and_commit_takes_what_is_finished(tmp_path, monkeypatch, capsys):
    store = ResultStore()
    (tmp_path / "sweep.yml").write_text(yaml.safe_dump({"datasets": ["thumos14-sim", "nowhere"], "parts": ["table1"], "seeds": {0.1: 1}}))
    monkeypatch.setattr("nontarget.study.sweep.part_experiments", lambda *_: [replace(e, seed=100) for e in RUNS])
    main(["plan", "--sweep", str(tmp_path / "sweep.yml")])
    assert plan_path(store).is_file()
    assert "not at hand, and left out: nowhere" in capsys.readouterr().out
    assert commit() == 0
    run(replace(RUNS[0], seed=100), store, device="cpu", progress=False)
    main(["commit"])
    assert "1 runs in all" in capsys.readouterr().out
    plan_path(store).unlink()
    with pytest.raises(FileNotFoundError, match="no such file"):
        commit()


# --- Snakemake


def wait_until(condition, process, log, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@needs_snakemake
@pytest.mark.slow
def test_a_sweep_resumes_after_kill_9_and_gives_the_same_table(tmp_path):
    store, log = planned(tmp_path), tmp_path / "log"
    process = snakemake(tmp_path, log)
    wait_until(lambda: "(Rule: stage)" in log.read_text(), process, log)
    os.killpg(process.pid, signal.SIGKILL)  # Snakemake and its jobs
    process.wait()
    assert not store.metrics_path.exists(), "it was killed before the end"
    (shared,) = [store.runs_folder / job["output"] for job in read_json(plan_path(store))["jobs"] if job["until"]]
    before = shared.stat().st_mtime_ns
    assert snakemake(tmp_path, log).wait(600) == 0, log.read_text()
    assert shared.stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(table(store), table_without_snakemake(tmp_path))
    assert len({store.read(key_of(e))["provenance"]["seconds"]["pretrain"] for e in RUNS}) == 1, "it was trained once, for both"
    assert plan(RUNS, store).jobs == ()


@needs_snakemake
def test_without_a_plan_snakemake_says_how_to_make_one(tmp_path):
    process = snakemake(tmp_path, tmp_path / "log", "--dry-run")
    assert process.wait(120) == 1
    assert "no such plan; `python -m nontarget.study.sweep plan`" in (tmp_path / "log").read_text()


@needs_snakemake
@pytest.mark.parametrize("profile", ["default", "slurm", "kubernetes"])
def test_profiles_by_dry_run(tmp_path, profile):
    if profile != "default" and find_spec(f"snakemake_executor_plugin_{profile}") is None:
        pytest.skip(f"snakemake-executor-plugin-{profile} is not installed")
    planned(tmp_path)
    process = snakemake(tmp_path, tmp_path / "log", "--dry-run", profile=profile)
    assert process.wait(120) == 0, (tmp_path / "log").read_text()
    counts = re.findall(r"^(metrics|run|stage) +(\d+)$", (tmp_path / "log").read_text(), re.MULTILINE)
    assert set(counts) == {("metrics", "1"), ("run", "2"), ("stage", "1")}
