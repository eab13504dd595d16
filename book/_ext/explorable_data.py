"""What explorables show of this project's own results, as plain values for JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from nontarget.data import LabeledVideo, make_clips
from nontarget.experiment import Experiment, Training, train
from nontarget.results import ResultStore
from nontarget.study.systems import MAIN_SYSTEMS, TABLES

DETECTOR_SHOWN = Experiment(
    "thumos14-sim",
    "fully supervised",
    training_settings={"steps_per_epoch": 15},
    protocol_settings={"num_snippets": 128, "stride": 64},
)
"""Trained in seconds and kept in the store; with all labels, so that its curves are worth a look, and with windows that hold a video."""


def postprocessing(experiment: Experiment = DETECTOR_SHOWN, store: ResultStore | None = None) -> dict[str, Any]:
    """One test video, as the detector sees it: class curves, masks, truth. What is shown is chosen by the truth alone.

    The classes are those in the video and, of the others, the two with the highest probability somewhere.
    """
    training = train(experiment, store, device="cpu", progress=False)  # seconds; the same page on every machine
    trained, video = training.trained, _video_shown(training)
    clip = make_clips([video.video], trained.protocol, trained.normalization)
    with torch.no_grad():
        output = trained.detector(clip.features, clip.valid)
    length = int(clip.valid.sum())
    curves = output.action_probs[0, :length].T
    peaks = curves.amax(dim=1).argsort(descending=True).tolist()
    present = sorted(set(video.annotations.labels.tolist()))
    shown = [*present, *[c for c in peaks if c not in present][:2]]
    truth = {c: video.annotations.segments_s[video.annotations.labels == c] for c in shown}
    return {
        "video": video.video.video_id,
        "simulated": training.dataset.simulated,
        "about": f"{experiment.detector} detector, {experiment.rule}, seed {experiment.seed}",
        "fps": float(clip.fps[0]),
        "duration": round(video.video.duration_s, 3),
        "classes": [{"name": trained.classes[c], "curve": _rounded(curves[c]), "truth": truth[c].round(2).tolist()} for c in shown],
        "masks": _rounded(output.mask_logits.sigmoid()[0, :length, :length]),
        "classThresholds": list(trained.inference.class_thresholds),
        "maskThresholds": list(trained.inference.mask_thresholds),
        "sigma": trained.protocol.nms_sigma,
        "minScore": trained.inference.min_score,
        "maxDetections": trained.inference.max_detections,
    }


def ratio(store: ResultStore | None = None) -> dict[str, Any]:
    """Average mAP in percent of every committed run of the plain systems that is current, by data set and system."""
    store = store or ResultStore()
    metrics = store.metrics()
    rows = metrics[(metrics["tiou"] == "avg") & (metrics["detector"] == "spot") & (metrics["settings"] == "{}")]
    points: dict[str, dict[str, list[dict[str, float]]]] = {}
    simulated: dict[str, bool] = {}
    for row in rows.to_dict("records"):
        experiment = Experiment(row["dataset"], row["rule"], float(row["label_ratio"]), int(row["seed"]), row["preset"])
        found = store.committed(experiment.identity(), metrics)
        if found.record is None:
            continue
        simulated[row["dataset"]] = row["simulated"] in (True, "True")
        point = {"ratio": float(row["label_ratio"]), "seed": int(row["seed"]), "map": round(100 * found.record["scores"]["avg"], 2)}
        points.setdefault(row["dataset"], {}).setdefault(row["rule"], []).append(point)
    order = _system_order(points)
    datasets = [
        {
            "name": name,
            "simulated": simulated[name],
            "systems": [{"name": system, "points": points[name][system]} for system in order if system in points[name]],
        }
        for name in sorted(points, key=lambda name: (name != "thumos14-sim", name))
    ]
    return {"datasets": datasets, "order": order, "main": list(MAIN_SYSTEMS)}


def _video_shown(training: Training) -> LabeledVideo:
    """The first test video of one clip whose instances are three or more, of one class, visible and not most of the video."""
    snippets = training.trained.protocol.num_snippets
    for video in training.dataset.test:
        labels, segments_s = video.annotations.labels, video.annotations.segments_s
        lengths = (segments_s[:, 1] - segments_s[:, 0]) * video.video.fps
        several = len(labels) >= 3 and len(set(labels.tolist())) == 1
        if several and len(video.video.features) <= snippets and lengths.min() >= 3 and lengths.sum() <= 0.6 * len(video.video.features):
            return video
    raise ValueError(f"{training.dataset.name}: no test video of at most {snippets} snippets has three instances of one class to show")


def _system_order(points: Mapping[str, Mapping[str, object]]) -> list[str]:
    known = list(TABLES["table1"].systems)
    found = {system for systems in points.values() for system in systems}
    return [s for s in known if s in found] + sorted(found - set(known))


def _rounded(values: torch.Tensor) -> Any:
    return np.round(values.double().numpy(), 3).tolist()
