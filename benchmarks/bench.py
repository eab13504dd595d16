"""Speed of what is called most, beside what the hardware allows: ``make bench``, on a GPU ``make bench-gpu``.

The limit of an operation is the larger of the time that its unavoidable reads and writes take at the memory's measured bandwidth, and the
time that its multiplications take at the measured rate of a large matrix product. The last column says how many times that limit we take.
Results go to ``benchmarks/records/<device>.json``.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from nontarget import evaluate_detections, non_target_loss, partition_label_space, soft_nms
from nontarget.batches import TrainingData, training_batches
from nontarget.config import TRAINING_PRESETS
from nontarget.data import Normalization, load_dataset, make_clips, make_labeled_clips, split_dataset
from nontarget.detectors import build_detector, detector_settings
from nontarget.rules import get_rule
from nontarget.runtime.devices import cpu_threads, resolve_device
from nontarget.runtime.provenance import provenance
from nontarget.teacher import Teacher
from nontarget.training import training_losses


def seconds(function, budget=1.0):
    """Median time of a call."""
    return Timer("f()", globals={"f": function}, num_threads=torch.get_num_threads()).blocked_autorange(min_run_time=budget).median


def hardware(device):
    """Measured bytes a second of a large copy (reads and writes), and floating-point operations a second of a large product."""
    big = torch.rand(64 * 2**20, device=device)
    out = torch.empty_like(big)
    side = 4096 if device.type == "cuda" else 2048
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    return 2 * big.numel() * 4 / seconds(lambda: out.copy_(big)), 2 * side**3 / seconds(lambda: a @ b)


def losses(device):
    for classes, rows in ((21, 65536), (201, 8192)):
        logits = torch.randn(rows, classes, device=device, requires_grad=True)
        probs = torch.randn(rows, classes, device=device).softmax(-1)
        cells = rows * classes

        def loss_and_gradient(logits=logits, probs=probs):
            torch.autograd.grad(non_target_loss(logits, probs), logits)

        yield f"partition, {rows} x {classes}", lambda probs=probs: partition_label_space(probs), cells * (4 + 4), 0
        yield f"loss and gradient, {rows} x {classes}", loss_and_gradient, cells * (4 + 4 + 4), 0


def nms(device):
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(400_000, generator=generator) * 200
    segments = torch.stack((start, start + torch.rand(400_000, generator=generator) * 20), dim=1).to(device)
    scores = torch.rand(400_000, generator=generator).to(device)
    videos = torch.arange(200, device=device).repeat_interleave(2000)
    # Each of 200 rounds reads and writes the scores and reads the segments of what is left.
    yield "Soft-NMS, 200 videos x 2000 segments", lambda: soft_nms(segments, scores, videos=videos), 200 * 400_000 * 16, 0


def evaluation():
    rng = np.random.default_rng(0)
    videos = np.repeat([f"v{i}" for i in range(4728)], 100)
    starts, lengths = rng.random((2, len(videos))) * 100
    labels = np.where(rng.random(len(videos)) < 0.5, np.repeat(rng.integers(0, 200, 4728), 100), rng.integers(0, 200, len(videos)))
    detections = pd.DataFrame(
        {"video_id": videos, "label": labels, "start_s": starts, "end_s": starts + lengths, "score": rng.random(len(videos))}
    )
    truth = detections.groupby("video_id").head(2)[["video_id", "label", "start_s", "end_s"]]
    thresholds = np.arange(0.5, 1, 0.05)
    yield "evaluation, 4728 videos x 100 x 10 tIoU", lambda: evaluate_detections(truth, detections, thresholds), len(detections) * 10, 0


def training(device):
    for name in ("thumos14-sim", "activitynet-sim"):
        dataset = load_dataset(name)
        split, config = split_dataset(dataset, 0.1, 0), TRAINING_PRESETS["small"]
        normalization = Normalization.of([v.video for v in dataset.train])
        data = TrainingData(
            make_labeled_clips(split.labeled, dataset.protocol, normalization, dataset.num_classes),
            make_clips(split.unlabeled, dataset.protocol, normalization),
        ).on_device_if_it_fits(device)
        settings = detector_settings("spot", "small")
        detector = build_detector("spot", dataset.feature_dim, dataset.num_classes, settings).to(device).train()
        frozen, rule = build_detector("spot", dataset.feature_dim, dataset.num_classes, settings).to(device), get_rule("non-target")
        teacher = Teacher(frozen, data.unlabeled, config.batch_size, cached=False)
        batch = next(training_batches(data, rule, 1, config.batch_size, device))

        def step(detector=detector, teacher=teacher, rule=rule, batch=batch, config=config):
            losses = training_losses(detector, rule, batch.labeled, batch.unlabeled, pseudo=teacher(batch), config=config)
            torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(detector.parameters()), allow_unused=True)

        with FlopCounterMode(display=False) as counter:
            step()
        yield f"training step, {name}, tiny", step, 0, counter.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    with cpu_threads(chosen.threads):
        bandwidth, rate = hardware(device)
        print(f"{device}, {chosen.threads} thread(s): {bandwidth / 1e9:.1f} GB/s, {rate / 1e9:.0f} GFLOP/s")
        rows = []
        for name, function, moved, operations in (*losses(device), *nms(device), *evaluation(), *training(device)):
            taken, limit = seconds(function), max(moved / bandwidth, operations / rate)
            bound = "memory" if moved / bandwidth >= operations / rate else "arithmetic"
            rows.append({"what": name, "ms": 1e3 * taken, "limit_ms": 1e3 * limit, "bound": bound, "times_the_limit": taken / limit})
            print(f"{name:44s} {1e3 * taken:9.2f} ms   limit {1e3 * limit:8.3f} ms ({bound})   x {taken / limit:.0f}")
    about = provenance(device, chosen.threads)
    record = {"provenance": about, "bytes_per_second": bandwidth, "flops_per_second": rate, "rows": rows}
    path = Path(__file__).parent / "records" / (re.sub(r"\W+", "-", about["device"]).strip("-").lower() + ".json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
