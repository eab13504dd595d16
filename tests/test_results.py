import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas as pd
import pytest

from nontarget.results import METRIC_COLUMNS, ResultStore, default_results_folder, identity_key
from nontarget.runtime.files import atomic_write, check_writable
from nontarget.runtime.tables import write_table

IDENTITY = {
    "dataset": {"name": "toy", "checksum": "abc", "simulated": True},
    "preset": "small",
    "label_ratio": 0.1,
    "seed": 0,
    "detector": {"name": "spot", "settings": {}},
    "rule": {"name": "non-target", "settings": {}},
    "changed": {},
    "versions": {"training": 1},
}


def record(seed=0, average=0.25, **changes):
    identity = {**IDENTITY, "seed": seed, **changes}
    return {
        "key": identity_key(identity),
        "identity": identity,
        "scores": {"0.3": 0.5, "0.5": 0.25, "avg": average},
        "scored": {"videos": 3, "instances": 7, "detections": 20, "labeled": 2, "unlabeled": 8},
        "provenance": {
            "device": "cpu",
            "torch": "2",
            "commit": "c0ffee",
            "date": "2026-01-01",
            "seconds": {"pretrain": 1.0, "selftrain": 2.5},
        },
        "occupancy": {"truth_target": 0.75, "truth_positive": 0.125, "size_positive": 0.25},
        "gradient_share": {"pretrain": {"labeled": 0.625, "mask": 0.375}, "selftrain": {"labeled": 0.25, "mask": 0.75}},
        "curves": {"pretrain": [{"learning_rate": 0.1, "labeled": 2.0}]},
    }


@pytest.fixture
def store(tmp_path):
    store = ResultStore(tmp_path / "results")
    store.prepare()
    return store


def test_key_is_of_the_content_not_of_its_order():
    shuffled = dict(reversed(list(IDENTITY.items())))
    assert identity_key(shuffled) == identity_key(IDENTITY)
    assert identity_key({**IDENTITY, "seed": 1}) != identity_key(IDENTITY)
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity_key({"x": float("nan")})


def test_write_and_read(store):
    assert store.read(record()["key"]) is None
    store.write(record())
    assert store.read(record()["key"]) == record()
    assert list(store.records()) == [record()]


def test_a_record_that_is_not_its_own_is_set_aside(store):
    store.write(record())
    path = store.runs_folder / f"{record()['key']}.json"
    good = path.read_text()
    changed = (
        good.replace('"seed": 0', '"seed": 1'),
        good.replace('"avg": 0.25', '"avg": 0.99'),
        good.replace('"digest"', '"digesu"'),
        good.replace("0.375", "NaN"),
        good[: len(good) // 2],
        "[]",
        "{}",
        "[" * 100_000,
    )
    for number, bad in enumerate(changed, start=1):
        assert bad != good
        path.write_text(bad)
        with pytest.warns(
            UserWarning, match=rf"{path.name}: not used, and computed again .*; it is kept as {path.name}.set-aside-{number}"
        ):
            assert store.read(record()["key"]) is None
        assert not path.exists()
        assert path.with_name(f"{path.name}.set-aside-{number}").read_text() == bad
    store.write(record())
    assert list(store.records()) == [record()], "what is set aside is no record"


def test_committed_table(store):
    assert store.committed(IDENTITY).status == "missing"
    assert store.commit([record(0), record(1, 0.35), record(0)]) == 2
    assert not store.metrics().duplicated(["key", "tiou"]).any(), "a run that is committed twice has its rows once"
    found = store.committed(IDENTITY)
    assert found.status == "current"
    assert found.record["scores"] == record()["scores"]
    assert list(found.record["scores"])[-1] == "avg"
    assert found.record["scored"] == record()["scored"]
    assert found.record["occupancy"] == record()["occupancy"]
    assert found.record["gradient_share"] == record()["gradient_share"]
    assert store.committed({**IDENTITY, "seed": 2}).status == "missing"


def test_rows_of_other_data_or_code_are_stale_and_not_used(store):
    store.commit([record()])
    for changed in (
        {"versions": {"training": 2}},
        {"dataset": {**IDENTITY["dataset"], "checksum": "other"}},
        {"detector": {"name": "spot", "settings": {"embed_dim": 3}}},
    ):
        found = store.committed({**IDENTITY, **changed})
        assert found.status == "stale"
        assert found.record is None
    # Data that are not at hand: the committed checksum is taken, but all else must still agree.
    absent = {**IDENTITY, "dataset": {**IDENTITY["dataset"], "checksum": None}}
    assert store.committed(absent).status == "current"
    assert store.committed({**absent, "versions": {"training": 2}}).status == "stale"


def test_committing_replaces_rows_of_the_same_settings_alone(store):
    store.commit([record(0), record(1)])
    newer = record(0, 0.4, versions={"training": 2})
    assert store.commit([newer]) == 2
    assert store.committed(newer["identity"]).record["scores"]["avg"] == 0.4
    assert store.committed(IDENTITY).status == "stale"
    assert store.committed(record(1)["identity"]).status == "current"
    before = store.metrics_path.read_bytes()
    store.commit([newer])
    assert store.metrics_path.read_bytes() == before, "committing again changes nothing"


def test_a_table_from_before_gradient_shares_is_read(store):
    store.commit([record()])
    old = pd.read_csv(store.metrics_path, dtype={"tiou": str}).drop(columns=["gradient_share", "digest"])
    write_table(store.metrics_path, old)
    assert store.committed(IDENTITY).record["gradient_share"] == {}
    store.commit([record(1)])
    assert store.committed(IDENTITY).record["gradient_share"] == {}
    assert store.committed(record(1)["identity"]).record["gradient_share"] == record()["gradient_share"]
    assert store.metrics_path.read_text().splitlines()[0] == ",".join([*(c for c in METRIC_COLUMNS if c != "labels_seen"), "digest"])


# --- atomic, whatever happens


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with atomic_write(path) as file:
            file.write(b"new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_disk_full_while_a_record_is_written(tmp_path):
    """A real limit of the operating system on the size of files, as a full disk is one."""
    script = """
        import resource, sys
        from nontarget.results import ResultStore
        sys.path.insert(0, sys.argv[2])
        from test_results import record
        store = ResultStore(sys.argv[1]); store.prepare(); store.write(record())
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            store.write({**record(), "curves": {"pretrain": [{"loss": 1.0}] * 1000}})
        except OSError as error:
            print(error)
        else:
            raise SystemExit("no error")
    """
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "results"), here], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was changed" in done.stdout
    assert str(tmp_path / "results") in done.stdout
    store = ResultStore(tmp_path / "results")
    assert store.read(record()["key"]) == record(), "the old record is whole"
    assert [p.suffix for p in store.runs_folder.iterdir()] == [".json"], "and nothing else is left"


def test_kill_9_while_records_are_written(tmp_path):
    """Killed at any moment, the store holds whole records alone."""
    script = """
        import sys, itertools
        sys.path.insert(0, sys.argv[2])
        from nontarget.results import ResultStore
        from test_results import record
        store = ResultStore(sys.argv[1]); store.prepare()
        for seed in itertools.count():
            r = record(seed % 5)
            store.write({**r, "curves": {"pretrain": [{"loss": float(seed)}] * 3000}})
            print(seed, flush=True)
    """
    here = str(Path(__file__).parent)
    for delay in (0.02, 0.05, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "results"), here], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout.readline().strip() == "0"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        store = ResultStore(tmp_path / "results")
        records = list(store.records())
        assert records
        for r in records:
            assert len(r["curves"]["pretrain"]) == 3000


@pytest.mark.parametrize("folder", ["/dev/null/results", "/proc/nontarget"])
def test_unwritable_results_folder(folder):
    with pytest.raises(OSError, match="cannot write results there") as caught:
        ResultStore(folder).prepare()
    assert folder in str(caught.value)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(OSError, match="cannot write results there"):
        check_writable(tmp_path / "results")


def test_where_results_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("NONTARGET_RESULTS", str(tmp_path))
    assert default_results_folder() == tmp_path
    monkeypatch.delenv("NONTARGET_RESULTS")
    assert default_results_folder() == Path(__file__).resolve().parents[1] / "results"


def test_the_committed_table_of_this_repository_is_whole():
    """Every row's key is a hash, every run has all its thresholds once, and no two runs have the same settings."""
    store = ResultStore(Path(__file__).resolve().parents[1] / "results")
    metrics = store.metrics()
    if not len(metrics):
        pytest.skip("no committed results yet")
    assert metrics["key"].str.fullmatch("[0-9a-f]{16}").all()
    described = ["dataset", "preset", "label_ratio", "detector", "rule", "settings", "seed"]
    assert (metrics.groupby(described)["key"].nunique() == 1).all()
    assert not metrics.duplicated(["key", "tiou"]).any()
    assert metrics["mean_ap"].between(0, 1).all()
    for key, rows in metrics.groupby("key"):
        thresholds = rows[rows["tiou"] != "avg"]["mean_ap"]
        assert rows[rows["tiou"] == "avg"]["mean_ap"].item() == pytest.approx(thresholds.mean(), abs=2e-6), key
    assert not metrics["commit"].str.endswith("-dirty").any(), "results come from committed code"
    json.loads(metrics["settings"].iloc[0])
