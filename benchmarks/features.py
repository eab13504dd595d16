"""Speed and memory of features, from a release on the disk to an epoch of training: part of ``make bench``.

Files are made in a temporary folder (about 6 GB). Times are those of a clock, but for "on one core", which count the processor's time, so
that other programs on the machine do not. The last column is the target. Results go to ``benchmarks/records/features-<device>.json``.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nontarget.config import Protocol
from nontarget.data import Normalization, cutting, make_clips, read_feature_folder
from nontarget.data.releases import convert_release, inspect_release
from nontarget.data.shard_writing import NewFeatures, write_folder
from nontarget.data.shards import Shards
from nontarget.runtime.devices import cpu_threads
from nontarget.runtime.provenance import provenance

MIB = 2**20
OPENING = """
import sys, time
from nontarget.data import read_feature_folder
started = time.process_time()
read_feature_folder(sys.argv[1])
print(time.process_time() - started)
"""


def resident():
    """Bytes of memory that this process has now, and at most had since the last :func:`forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return tuple(1024 * int(status.split(f"{name}:")[1].split()[0]) for name in ("VmRSS", "VmHWM"))


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


def entry(number, subset, duration_s, count):
    instances = [
        {"label": f"class {(number + k) % 20}", "segment": [1.0 + 2 * k, 2.5 + 2 * k], "label_id": (number + k) % 20} for k in range(count)
    ]
    return {"subset": subset, "duration": duration_s, "fps": 30.0, "annotations": instances}


def release(root, videos, steps, dim, instances):
    """A release in ActionFormer's layout of THUMOS14: stride 4, window 16, 30 frames a second."""
    features = root / "i3d_features"
    features.mkdir(parents=True)
    (root / "annotations").mkdir()
    names = [f"video_{'validation' if i % 2 else 'test'}_{i:07d}" for i in range(videos)]
    duration_s = (steps * 4 + 12) / 30
    database = {v: entry(i, "Validation" if i % 2 else "Test", duration_s, instances) for i, v in enumerate(names)}
    (root / "annotations" / "thumos14.json").write_text(json.dumps({"version": "Thumos14-30fps", "database": database}))
    noise = np.random.default_rng(0).normal(size=(steps, dim)).astype(np.float16)
    for i, v in enumerate(names):
        np.save(features / f"{v}.npy", np.roll(noise, i))
    return root


def inspection(folder):
    root = release(folder / "many", 20_000, 20, 4, 2)
    started = time.perf_counter()
    report = inspect_release(root)
    taken = time.perf_counter() - started
    assert len(report.release.videos) == 20_000
    shutil.rmtree(root)
    return [("inspect, 20,000 files", taken, "s", 10.0)]


def timed(action):
    """Seconds by a clock, and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    action()
    return np.array([time.perf_counter() - started, time.process_time() - used])


def copy(root, to):
    """What no conversion can do without: reading the features, one SHA-256 of them, and writing them until they are on the disk."""
    digest = hashlib.sha256()
    with to.open("wb") as out:
        for path in sorted(root.rglob("*.npy")):
            with path.open("rb") as file:
                while part := file.read(4 * MIB):
                    digest.update(part)
                    out.write(part)
        out.flush()
        os.fsync(out.fileno())
    to.unlink()


def conversion(folder):
    """Of 413 x 1,700 x 2048 against a copy of as many bytes with one digest, in turns; then opening it."""
    root = release(folder / "thumos", 413, 1700, 2048, 15)
    size = sum(p.stat().st_size for p in root.rglob("*.npy"))
    copies, conversions, grown = [], [], []
    for _ in range(2):
        os.sync()
        copies.append(timed(lambda: copy(root, folder / "copied")))
        shutil.rmtree(folder / "converted", ignore_errors=True)
        os.sync()
        forget_peak()
        before = resident()[0]
        conversions.append(timed(lambda: convert_release(root, folder / "converted", progress=False)))
        grown.append(resident()[1] - before)
    (copying, copying_used), (converting, converting_used) = np.min(copies, axis=0), np.min(conversions, axis=0)
    rows = [
        ("copy THUMOS14-size features, float16, with one SHA-256, until on the disk", size / copying / MIB, "MiB/s", None),
        ("convert them, which reads them back and compares", size / converting / MIB, "MiB/s", None),
        ("time of the conversion / time of the copy", converting / copying, "", 2.0),
        ("the copy, on one core", size / copying_used / MIB, "MiB/s", None),
        ("the conversion, on one core", size / converting_used / MIB, "MiB/s", None),
        ("memory that conversion adds", max(grown) / MIB, "MiB", 100.0),
    ]
    opened = [float(subprocess.check_output([sys.executable, "-c", OPENING, str(folder / "converted")])) for _ in range(5)]
    rows.append(("open the converted set, 413 x 1,700 x 2048, in a new process, on one core", min(opened), "s", 0.1))
    verifying = timed(Shards(folder / "converted").verify)
    rows.append(("verify it (inspect --verify)", size / verifying[0] / MIB, "MiB/s", None))
    shutil.rmtree(root)
    shutil.rmtree(folder / "converted")
    return rows


def epoch(folder):
    """Of an ActivityNet-size set, 10,000 x 100 x 400, in random order and batches of 32, cut as they are taken."""
    noise = np.random.default_rng(0).normal(size=(100, 400)).astype(np.float16)
    database = {f"v{i:05d}": {**entry(i, "training" if i else "validation", 100.0, 2), "feature_duration_s": 100.0} for i in range(10_001)}
    features = [NewFeatures(v, (100, 400), lambda i=i: np.roll(noise, i)) for i, v in enumerate(database)]
    content = {"classes": [f"class {c}" for c in range(20)], "database": database}
    write_folder(folder / "activitynet", content, features, progress=False)
    started = time.perf_counter()
    dataset = read_feature_folder(folder / "activitynet", protocol=Protocol(windowing="rescale", num_snippets=100))
    rows = [("open an ActivityNet-size set, 10,000 x 100 x 400", time.perf_counter() - started, "s", None)]
    videos = [v.video for v in dataset.train]
    forget_peak()
    before = resident()[0]
    started = time.process_time()
    normalization = Normalization.of(videos)
    taken = 1e3 * (time.process_time() - started) / len(videos)
    rows.append(("mean and deviation of its features, and their digests, on one core", taken, "ms/video", None))
    clips = make_clips(videos, dataset.protocol, normalization)
    assert clips.cutter is not None
    epochs = []
    for _ in range(3):
        order = torch.randperm(len(clips)).split(32)
        started = time.process_time()
        for indices in order:
            batch = clips[indices]
            assert batch.features.shape[1:] == (100, 400)
        epochs.append((time.process_time() - started) / len(clips))
    rows.append(("an epoch over it, cut batch by batch, on one core", 1e3 * min(epochs), "ms/video", 0.2))
    rows.append((f"memory that all this adds; the set has {clips.num_bytes / MIB:.0f} MiB", (resident()[1] - before) / MIB, "MiB", 100.0))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the files are made; default: a temporary one")
    chosen = parser.parse_args()
    rows = []
    with cpu_threads(1), tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for part in (inspection, epoch, conversion):
            for what, value, unit, target in part(Path(folder)):
                rows.append({"what": what, "value": value, "unit": unit, "at_most": target})
                print(f"{what:72s} {value:9.3f} {unit:9s}" + (f" at most {target:g}" if target else ""), flush=True)
    about = provenance(torch.device("cpu"), 1)
    record = {"provenance": about, "clips_in_memory_bytes": cutting.IN_MEMORY, "rows": rows}
    device = re.sub(r"\W+", "-", about["device"]).strip("-").lower()
    path = Path(__file__).parent / "records" / f"features-{device}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
