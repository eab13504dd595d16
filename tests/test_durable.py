"""Nothing is lost and nothing is corrupt in silence: writers at the same time, killed writers, changed files, interrupts."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import TINY, TINY_TRAINING, tiny_dataset
from test_results import IDENTITY, record

from nontarget.data import Annotations, DataError, LabeledVideo, load_dataset, read_annotations, split_dataset, write_feature_folder
from nontarget.experiment import Experiment, run, train
from nontarget.experiment import specification as module
from nontarget.parallel import run_all
from nontarget.results import METRIC_COLUMNS, ResultStore
from nontarget.runtime.files import atomic_write, check_writable, remove_abandoned
from nontarget.runtime.interrupts import Interrupted, interruptible
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import code_version
from nontarget.runtime.tables import read_table, table_lines, write_table
from nontarget.runtime.workers import worker_pool

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def store(tmp_path):
    store = ResultStore(tmp_path / "results")
    store.prepare()
    return store


# --- several writers


def commit_in_turns(which, barrier, root, trials):
    for trial in range(trials):
        barrier.wait()
        ResultStore(f"{root}/{trial}").commit([record(which)])


@pytest.mark.slow
def test_two_processes_that_commit_at_the_same_time_lose_nothing(tmp_path):
    context, trials = multiprocessing.get_context("spawn"), 10
    barrier = context.Barrier(2)
    processes = [context.Process(target=commit_in_turns, args=(which, barrier, str(tmp_path), trials)) for which in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [ResultStore(tmp_path / str(t)).metrics()["key"].nunique() for t in range(trials)] == [2] * trials


def test_a_lock_that_is_held_is_named_and_one_that_its_holder_left_is_free(tmp_path):
    path = tmp_path / "table.csv"
    script = f"""
        import os, signal
        from nontarget.runtime.locks import locked
        with locked({str(path)!r}):
            print("held", flush=True)
            signal.pause()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TimeoutError, match=r"another process has been writing for 0.1 s; .* delete .*\.table\.csv\.lock.*table\.csv"):  # noqa: SIM117
            with locked(path, timeout_s=0.1):
                pass
        holder.kill()
    with locked(path, timeout_s=5):
        pass


def test_where_the_file_system_knows_no_locks_a_file_is_the_lock(tmp_path, monkeypatch):
    import errno

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("nontarget.runtime.locks.FileLock.acquire", refuse)
    path = tmp_path / "table.csv"
    with locked(path, timeout_s=1):
        assert (tmp_path / ".table.csv.softlock").exists()
        with pytest.raises(TimeoutError, match="softlock"), locked(path, timeout_s=0.1):
            pass
    assert not (tmp_path / ".table.csv.softlock").exists()


def test_unfinished_files_of_dead_writers_alone_are_removed(tmp_path):
    path = tmp_path / "file"
    script = f"""
        from nontarget.runtime.files import atomic_write
        with atomic_write({str(path)!r}) as file:
            file.write(b"half")
            file.flush()
            print("writing", flush=True)
            input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "writing\n"
        with atomic_write(path) as mine:
            mine.write(b"whole")
            remove_abandoned(tmp_path)
            assert len(list(tmp_path.glob(".file.*.part"))) == 2, "both writers live"
        assert path.read_bytes() == b"whole"
        writer.kill()
    assert len(list(tmp_path.glob(".file.*.part"))) == 1
    with atomic_write(path) as again:
        again.write(b"newer")
    assert os.listdir(tmp_path) == ["file"], "the next writer of the file removes what a killed one left"
    (tmp_path / ".other.abc.part").touch()
    check_writable(tmp_path)
    assert os.listdir(tmp_path) == ["file"], "and so does who is about to write to the folder"


# --- committed tables


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda text: text.replace(",0.5,0.25,", ",0.5,9.99,", 1), "9.99"),
        (lambda text: text.replace("\n", "\n\x00", 1), "line 2"),
        (lambda text: "".join(text.splitlines(keepends=True)[:2] + text.splitlines(keepends=True)[3:]), "line 2"),  # a row is lost
        (lambda text: text + text.splitlines(keepends=True)[1], "line 2"),  # a row is doubled
        (lambda text: text.replace("mean_ap", "mean_aq", 1), "line 2"),
    ],
)
def test_a_changed_row_is_named_and_not_used_and_kept_aside(store, damage, named):
    store.commit([record(0), record(1)])
    good = store.metrics_path.read_text()
    bad = damage(good)
    store.metrics_path.write_text(bad)
    with pytest.warns(UserWarning, match="metrics.csv: .* not what was written") as warned:
        assert store.committed(record(0)["identity"]).status == "missing"
    assert named in str(warned[0].message)
    damaged = [text for _, text in table_lines(store.metrics_path).damaged]
    with pytest.warns(UserWarning, match="not what was written"):
        store.commit([record(0)])
    kept = store.metrics_path.with_name("metrics.csv.set-aside-1").read_text().split("\n")
    assert damaged == kept[1:-1], "what is not used is not deleted"
    assert store.committed(record(0)["identity"]).record["scores"] == record(0)["scores"]


def test_rows_without_digests_are_not_used_and_not_lost(store):
    store.commit([record(0)])
    pd.read_csv(store.metrics_path, dtype=str, keep_default_na=False).drop(columns="digest").to_csv(store.metrics_path, index=False)
    before = store.metrics_path.read_bytes()
    with pytest.warns(UserWarning, match="3 of them have no digest; `python scripts/add_digests.py`"):
        assert store.committed(IDENTITY).status == "missing"
    with pytest.raises(ValueError, match=r"metrics.csv: 3 row\(s\) have no digest, and nothing was changed"):
        store.prepare_commit()
    with pytest.warns(UserWarning, match="no digest"), pytest.raises(ValueError, match="nothing was changed"):
        store.commit([record(1)])
    assert store.metrics_path.read_bytes() == before


def test_tables_are_what_was_written(tmp_path):
    frame = pd.DataFrame({"key": ["a", "a", "b"], "text": ['x,"y"', "", "ä | b"], "value": [0.1, 1e-9, 3.0]})
    path = tmp_path / "t.csv"
    write_table(path, frame)
    pd.testing.assert_frame_equal(read_table(path, list(frame), keep_default_na=False), frame)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    pd.testing.assert_frame_equal(read_table(path, list(frame), keep_default_na=False), frame)
    with pytest.raises(ValueError, match="must not hold a line break"):
        write_table(path, frame.assign(text="two\nlines"))


@pytest.mark.parametrize("name", ["metrics", "decomposition", "why", "audit", "choices"])
def test_committed_rows_of_this_repository_have_their_digests(name):
    lines = table_lines(ROOT / "results" / f"{name}.csv")
    assert lines.intact
    assert not lines.damaged


def test_reading_and_writing_the_committed_table_changes_nothing(tmp_path):
    store = ResultStore(ROOT / "results")
    write_table(tmp_path / "metrics.csv", store.metrics())
    assert (tmp_path / "metrics.csv").read_bytes() == store.metrics_path.read_bytes()


def add_digests(*arguments):
    command = [sys.executable, str(ROOT / "scripts" / "add_digests.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_script_adds_digests_once_and_takes_nothing_on_trust(store):
    store.commit([record(0), record(1)])
    store.write(record(0))
    signed, path = store.metrics_path.read_bytes(), store.record_path(record()["key"])
    header, *rows = store.metrics_path.read_text().splitlines()
    without = [line.rpartition(",")[0] for line in (header, *rows)]
    for old in (without, [header, *rows[:3], *without[4:]], [header, *rows[:3], *(f"{line}," for line in without[4:])]):
        store.metrics_path.write_text("\n".join(old) + "\n")
        assert add_digests(store.folder).returncode == 0
        assert store.metrics_path.read_bytes() == signed
    content = json.loads(path.read_text())
    del content["digest"]
    path.write_text(json.dumps(content))
    assert "*.json: 1 digests added to 1 files" in add_digests(store.folder).stdout
    assert store.read(record()["key"]) == record()
    path.write_text(path.read_text().replace("0.25", "0.99"))
    store.metrics_path.write_bytes(signed.replace(b",0.5,0.25,", b",0.5,0.99,", 1))
    done = add_digests(store.folder)
    assert done.returncode == 1
    assert "metrics.csv, line 3: not what was written" in done.stderr
    assert f"{path.name}: its content is not that of its digest" in done.stderr
    assert add_digests(store.folder, "--renew", "metrics.csv").returncode == 1, "the record is still another"
    assert store.metrics()["mean_ap"].max() == 0.99, "somebody said that it was on purpose"
    assert list(store.metrics()) == [c for c in METRIC_COLUMNS if c != "labels_seen"]


# --- runs


def test_a_record_that_vanishes_while_others_run_is_named(store, monkeypatch):
    gone, other = (Experiment(**TINY, seed=seed) for seed in (0, 1))
    first = run(gone, store, device="cpu")
    original = run

    def vanishing(*arguments, **options):
        store.record_path(first["key"]).unlink()
        return original(*arguments, **options)

    monkeypatch.setattr("nontarget.parallel.run", vanishing)
    with pytest.raises(FileNotFoundError, match=rf"1 of 2 records were there or written, and are gone or changed: .*{first['key']}\.json"):
        run_all([gone, other], store, device="cpu", workers=1)
    monkeypatch.undo()
    assert len(run_all([gone, other, gone], store, device="cpu", workers=1)) == 3


def test_a_table_that_cannot_be_written_is_found_before_the_first_run(tmp_path, monkeypatch):
    from nontarget.study.reproduce import main

    (tmp_path / "results" / "metrics.csv").mkdir(parents=True)
    monkeypatch.setenv("NONTARGET_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr("nontarget.study.reproduce.run_all", lambda *_, **__: pytest.fail("a run was begun"))
    with pytest.raises(OSError, match=r"cannot write results there .*metrics\.csv"):
        main(["thumos14-sim", "--parts", "table1"])


def test_more_threads_are_another_run_and_are_not_committed(store):
    e = Experiment(**TINY)
    one, two = (run(e, store, device="cpu", threads=n) for n in (1, 2))
    assert one["key"] != two["key"]
    assert (one["provenance"]["threads"], two["provenance"]["threads"]) == (1, 2)
    assert "threads" not in one["identity"], "the keys of committed runs stay as they are"
    assert len(list(store.runs_folder.glob("weights-*"))) == 4, "nor do they share weights"
    with pytest.raises(ValueError, match="committed runs have 1 CPU thread, got 2"):
        store.commit([two])


def test_code_version_is_unknown_where_git_refuses(monkeypatch):
    def refuse(*_):
        raise subprocess.CalledProcessError(128, "git", stderr="fatal: detected dubious ownership in repository")

    monkeypatch.setattr("nontarget.runtime.provenance._git", refuse)
    code_version.cache_clear()
    try:
        assert code_version() == "unknown"
    finally:
        code_version.cache_clear()


# --- no leak


def with_random_hidden_truth(dataset, known, rng):
    """Every annotation of every training video that is not known: other labels, counts and times."""

    def other(v):
        if v.video.video_id in known:
            return v
        n = int(rng.integers(0, 6))
        starts = rng.random(n) * v.video.duration_s / 2
        return LabeledVideo(v.video, Annotations(rng.integers(0, dataset.num_classes, n), np.stack((starts, starts + 1), axis=1)))

    return replace(dataset, train=tuple(map(other, dataset.train)))


@pytest.mark.parametrize("rule", ["baseline", "non-target"])
def test_hidden_annotations_change_nothing(tmp_path, monkeypatch, rule):
    """Split, normalisation, curves and weights, to the last bit."""
    e = Experiment(**TINY, rule=rule)
    plain = train(e, ResultStore(tmp_path / "plain"), device="cpu", progress=False)
    known = {v.video.video_id for v in plain.dataset.train} - {v.video.video_id for v in plain.hidden}
    other = with_random_hidden_truth(plain.dataset, known, np.random.default_rng(0))
    assert {v.video.video_id: v.annotations.classes for v in other.train} != {v: c for v, c in other.class_lists.items() if "train" in v}
    monkeypatch.setattr(module, "load_dataset", lambda *_, **__: other)
    blind = train(e, ResultStore(tmp_path / "blind"), device="cpu", progress=False)
    assert [v.video.video_id for v in blind.hidden] == [v.video.video_id for v in plain.hidden]
    assert torch.equal(blind.trained.normalization.mean, plain.trained.normalization.mean)
    assert torch.equal(blind.trained.normalization.std, plain.trained.normalization.std)
    assert {n: s.curve for n, s in blind.stages.items()} == {n: s.curve for n, s in plain.stages.items()}
    states = [training.trained.detector.state_dict() for training in (plain, blind)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_split_is_recorded(store):
    e = Experiment(**TINY)
    split = run(e, store, device="cpu")["split"]
    dataset = e.load()
    assert split["labeled"] == [v.video.video_id for v in split_dataset(dataset, 0.25, 0).labeled]
    assert split["drawn_from"] == "class list of each training video"


def test_a_folder_may_state_the_class_lists(tmp_path):
    dataset = tiny_dataset()
    plain = split_dataset(dataset, 0.25, 0)
    known = {v.video.video_id for v in plain.labeled}
    write_feature_folder(tmp_path / "blind", with_random_hidden_truth(dataset, known, np.random.default_rng(0)))
    again = load_dataset(features=tmp_path / "blind")
    assert [v.video.video_id for v in split_dataset(again, 0.25, 0).labeled] == [v.video.video_id for v in plain.labeled]
    path = tmp_path / "blind" / "annotations.json"
    (tmp_path / "blind" / "SHA256SUMS").unlink()
    content = json.loads(path.read_text())
    content["video_classes"] = {"nobody": [], again.train[0].video.video_id: ["Jump"], again.train[1].video.video_id: "Jump"}
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"3 problem\(s\)(.|\n)*no video 'nobody'(.|\n)*unknown class(.|\n)*must be a list"):
        load_dataset(features=tmp_path / "blind")


def test_annotations_of_unlabelled_videos_are_not_parsed(tmp_path):
    database = {
        "a": {"subset": "training", "duration": 10, "annotations": [{"label": "x", "segment": [1, 2]}]},
        "b": {"subset": "validation", "duration": 10, "annotations": [{"label": "x", "segment": [1, 2]}]},
        "c": {"subset": "unlabeled", "duration": 10, "annotations": [{"label": "secret", "segment": [5, "?"]}]},
    }
    (tmp_path / "annotations.json").write_text(json.dumps({"database": database}))
    found = read_annotations(tmp_path / "annotations.json")
    assert found.classes == ("x",)
    assert len(found.videos["c"].annotations.labels) == 0


# --- interrupts, and the end of workers


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """A program that was started in the background ignores SIGINT, and so do its children; here they do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


LONG = {**TINY, "training_settings": {**TINY_TRAINING, "pretrain_epochs": 100_000}}
PARENT = f"""
import sys
from nontarget.experiment import *
from nontarget.parallel import *
from nontarget.results import ResultStore
if __name__ == "__main__":
    run_all([Experiment(**{LONG!r}, seed=s) for s in range(int(sys.argv[2]))], ResultStore(sys.argv[1]), device="cpu", workers=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code", "runs"), [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 2)])
def test_an_interrupt_says_in_a_line_what_is_kept(store, signum, code, runs):
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(store.folder), str(runs)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(store.runs_folder.glob("*.partial.safetensors"))) < runs:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signum)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said.strip().splitlines() == [
        f"interrupted: finished runs and epochs are kept in {store.runs_folder}; the same call or command goes on from there"
    ]


def test_interrupts_are_left_to_who_handles_them(capsys):
    with pytest.raises(KeyboardInterrupt), interruptible("all"), interruptible("nothing"):
        signal.raise_signal(signal.SIGINT)
    assert capsys.readouterr().err == "interrupted: all\n", "the outermost speaks"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert issubclass(Interrupted, SystemExit)


def start_a_child_and_wait(folder):
    """As a page of the book does, whose kernel is a process of its own, in a session of its own."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(folder, "pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


POOL = """
import sys
sys.path.insert(0, sys.argv[2])
from test_durable import *
if __name__ == "__main__":
    with worker_pool(1) as pool:
        pool.submit(start_a_child_and_wait, sys.argv[1]).result()
"""


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_and_their_children_end_with_a_killed_parent(tmp_path, signum):
    import psutil

    assert worker_pool  # what POOL imports from here
    process = subprocess.Popen([sys.executable, "-c", POOL, str(tmp_path), str(Path(__file__).parent)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (pids := (tmp_path / "pids").read_text().split() if (tmp_path / "pids").exists() else []):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signum)
    process.wait(30)

    def alive(pid):
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

    deadline = time.monotonic() + 20
    while any(alive(int(pid)) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in pids if alive(int(pid))] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_killed_at_random_moments_and_run_again():
    """Two kills; ``make chaos`` does fifty, in notebooks and the book too."""
    from chaos import chaos

    counts = chaos(2, ("training", "reproduce"), seed=os.getpid())
    assert {name: hit for name, (hit, _) in counts.items()} == {"training": 1, "reproduce": 1}
