"""Speed of what is called most, beside what the hardware allows: ``make bench``, on a GPU ``make bench-gpu``.

The limit of an operation is the larger of the time that its unavoidable reads and writes take at the memory's measured bandwidth, and the
time that its multiplications take at the measured rate of a large matrix product. A plain version (``plain.py``) is timed in turns with
ours. Ratios count: ours as a share of the plain version, and as a multiple of the limit. On one CPU thread it is the processor's time that
is counted, so that other programs on the machine are not. Results go to ``benchmarks/records/<device>.json``.
"""

import argparse
import json
import re
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import plain
import torch
from torch.utils.flop_counter import FlopCounterMode

from nontarget import evaluate_detections, non_target_loss, partition_label_space, soft_nms
from nontarget.batches import TrainingData, training_batches
from nontarget.config import TRAINING_PRESETS, InferenceConfig, Protocol
from nontarget.data import Normalization, Video, load_dataset, make_clips, make_labeled_clips, split_dataset
from nontarget.detectors import build_detector, detector_settings
from nontarget.inference import detect_videos
from nontarget.rules import get_rule
from nontarget.runtime.devices import cpu_threads, resolve_device
from nontarget.runtime.provenance import provenance
from nontarget.teacher import Teacher
from nontarget.trained import TrainedDetector
from nontarget.training import training_losses


def clock(device, threads):
    """What tells the time of a call."""
    if device.type == "cpu" and threads == 1:
        return time.process_time

    def synchronised():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def seconds(now, *functions, budget=1.0, at_least=3):
    """Median time of a call of each function, called in turns."""
    taken = [[] for _ in functions]
    for function in functions:
        function()
    while len(taken[0]) < at_least or sum(map(sum, taken)) < budget:
        for function, times in zip(functions, taken, strict=True):
            start = now()
            function()
            times.append(now() - start)
    return [median(times) for times in taken]


def hardware(device, now):
    """Measured bytes a second of a large copy (reads and writes), and floating-point operations a second of a large product."""
    big = torch.rand(64 * 2**20, device=device)
    out = torch.empty_like(big)
    side = 4096 if device.type == "cuda" else 2048
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    return 2 * big.numel() * 4 / seconds(now, lambda: out.copy_(big))[0], 2 * side**3 / seconds(now, lambda: a @ b)[0]


def losses(device):
    for classes, rows in ((21, 65536), (201, 2500), (201, 25600)):
        logits = torch.randn(rows, classes, device=device, requires_grad=True)
        probs = torch.randn(rows, classes, device=device).softmax(-1)
        cells = rows * classes

        def gradient(loss, logits=logits, probs=probs):
            torch.autograd.grad(loss(logits, probs), logits)

        calls = (lambda f=f, probs=probs: f(probs) for f in (partition_label_space, plain.partition))
        yield f"partition, {rows} x {classes}", *calls, cells * (4 + 4), 0
        calls = (lambda f=f, gradient=gradient: gradient(f) for f in (non_target_loss, plain.non_target_loss))
        yield f"loss and gradient, {rows} x {classes}", *calls, cells * (4 + 4 + 4), 0


def nms(device):
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(400_000, generator=generator) * 200
    segments = torch.stack((start, start + torch.rand(400_000, generator=generator) * 20), dim=1).to(device)
    scores = torch.rand(400_000, generator=generator).to(device)
    videos = torch.arange(200, device=device).repeat_interleave(2000)
    for classes in (1, 20):
        labels = torch.randint(classes, (400_000,), generator=generator).to(device)
        ours = lambda labels=labels: soft_nms(segments, scores, labels, videos=videos)  # noqa: E731
        reference = (lambda labels=labels: plain.soft_nms(segments, scores, labels, videos)) if classes == 1 else None
        # Each round reads and writes the scores and reads the segments of what is left.
        yield f"Soft-NMS, 200 videos x 2000 segments, {classes} class(es)", ours, reference, 200 // classes * 400_000 * 16, 0


def inference(device):
    """One video of random features through the preset ``full``, whose class head is made sure enough for many candidates."""
    settings, protocol = detector_settings("spot", "full"), Protocol(num_snippets=100, stride=50, windowing="rescale")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        detector = build_detector("spot", 400, 200, settings).to(device)
    detector.class_head.weight.data.mul_(30)
    normalization, classes = Normalization(torch.zeros(400), torch.ones(400)), tuple(f"class {i}" for i in range(200))
    trained = TrainedDetector(detector, "spot", settings, classes, normalization, protocol, InferenceConfig())
    steps = np.arange(120)
    features = np.random.default_rng(0).normal(size=(120, 400)) + 2 * np.sin(steps / 15)[:, None]
    videos = [Video("v", features.astype(np.float32), 1.0, 120.0)]
    with FlopCounterMode(display=False) as counter:
        detect_videos(trained, videos)
    yield "inference, one video, T 100, C 200, full", lambda: detect_videos(trained, videos), None, 0, counter.get_total_flops()


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
    yield (
        "evaluation, 4728 videos x 100 x 10 tIoU",
        lambda: evaluate_detections(truth, detections, thresholds),
        None,
        len(detections) * 10,
        0,
    )


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
        yield f"training step, {name}, tiny", step, None, 0, counter.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    device = resolve_device(chosen.device)
    with cpu_threads(chosen.threads):
        now = clock(device, chosen.threads)
        bandwidth, rate = hardware(device, now)
        print(f"{device}, {chosen.threads} thread(s): {bandwidth / 1e9:.1f} GB/s, {rate / 1e9:.0f} GFLOP/s")
        rows = []
        for name, ours, reference, moved, operations in (
            *losses(device),
            *nms(device),
            *inference(device),
            *evaluation(),
            *training(device),
        ):
            taken, *of_plain = seconds(now, *filter(None, (ours, reference)))
            limit = max(moved / bandwidth, operations / rate)
            bound = "memory" if moved / bandwidth >= operations / rate else "arithmetic"
            row = {"what": name, "ms": 1e3 * taken, "plain_ms": 1e3 * of_plain[0] if of_plain else None}
            row |= {"share_of_plain": taken / of_plain[0] if of_plain else None}
            rows.append(row | {"limit_ms": 1e3 * limit, "bound": bound, "times_the_limit": taken / limit})
            beside = f"x {taken / of_plain[0]:5.2f} of plain" if of_plain else " " * 16
            print(f"{name:52s} {1e3 * taken:9.2f} ms   {beside}   x {taken / limit:6.1f} of the limit ({bound})", flush=True)
    about = provenance(device, chosen.threads)
    record = {"provenance": about, "bytes_per_second": bandwidth, "flops_per_second": rate, "rows": rows}
    path = Path(__file__).parent / "records" / (re.sub(r"\W+", "-", about["device"]).strip("-").lower() + ".json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
