"""Where a detector's mean AP is lost: the same candidates with oracle classes, segments and scores, and what trivial detectors earn.

Each oracle corrects one thing and leaves all else to the detector, so the rise over "as is" is what that thing costs (in the manner of
Alwassel et al. 2018, who correct one kind of error at a time).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from nontarget.config import InferenceConfig, Protocol
from nontarget.data import LabeledVideo
from nontarget.experiment import Experiment, Training, train
from nontarget.inference import VideoSegments, detect_videos, suppressed, video_candidates
from nontarget.metrics import evaluate_detections
from nontarget.results import ResultStore, identity_key
from nontarget.segments import tiou
from nontarget.study.analysis.snippets import Snippets, snippets_of
from nontarget.study.trivial import TrivialSegments, runs_by_contrast, runs_by_mean, whole_video
from nontarget.trained import TrainedDetector

AS_IS = "as is"
ORACLES = ("oracle classes", "oracle masks", "oracle classes and masks", "oracle ranking")
TRIVIAL: dict[str, Callable[[Tensor, InferenceConfig], TrivialSegments]] = {
    "whole video": lambda probs, config: whole_video(probs),
    "runs above 0.5": lambda probs, config: runs_by_mean(probs, (0.5,)),
    "runs, mean probability": lambda probs, config: runs_by_mean(probs, config.class_thresholds),
    "runs, contrast": lambda probs, config: runs_by_contrast(probs, config.class_thresholds),
}
"""Trivial detectors by name, on the action probabilities [snippets, classes] of a video; each is followed by the same Soft-NMS."""
MIN_TIOU = 0.1
"""A candidate that overlaps no instance by as much is background and is not corrected (Alwassel et al. 2018)."""
ROW_COLUMNS = ["dataset", "label_ratio", "detector", "rule", "seed", "held_out", "key", "variant", "tiou", "mean_ap"]
"""Of :func:`decomposition_rows`."""


def decompose(model: Training | TrainedDetector, videos: Sequence[LabeledVideo] | None = None) -> pd.DataFrame:
    """Mean AP of a detector as it is, of its candidates under each oracle, and of the trivial detectors on its class probabilities.

    * oracle classes: a candidate has the class of the instance that it overlaps most;
    * oracle masks: it has that instance's segment, and its own class; of equal candidates the best one stays;
    * oracle ranking: candidates are matched one to one to instances of their class by falling tIoU, which is the score; the others come
      last.

    Args:
        model: a training, or a trained detector.
        videos: with annotations; default: the test videos of a training.

    Returns:
        mAP in percent: a row for each variant, a column for each tIoU and "avg". Trivial detectors need one class distribution a
        snippet (``spot``); for another detector their rows are left out.

    Raises:
        ValueError: there is no video, or none has an instance.
    """
    trained = model.trained if isinstance(model, Training) else model
    if videos is None:
        if not isinstance(model, Training):
            raise ValueError("decompose needs the videos to score a TrainedDetector on")
        videos = model.dataset.test
    protocol, config, ids = trained.protocol, trained.inference, [v.video.video_id for v in videos]
    truth = instances_of(videos)
    database: dict[str, dict[str, list[dict[str, object]]]] = {video_id: {"annotations": []} for video_id in ids}
    for row in truth.frame(ids, trained.classes).itertuples():
        database[row.video_id]["annotations"].append({"label": row.label, "segment": [row.start_s, row.end_s]})

    def scored(detections: pd.DataFrame) -> pd.Series:
        scores = evaluate_detections({"database": database}, detections, protocol=protocol, known_labels=trained.classes)
        by_tiou = {f"{t:g}": 100 * value for t, value in zip(scores.tiou_thresholds, scores.mean_ap, strict=True)}
        return pd.Series(by_tiou | {"avg": 100 * scores.average_mean_ap})

    rows = {AS_IS: scored(detect_videos(trained, [v.video for v in videos]))}
    pool = candidates_of(trained, videos)
    for name in ORACLES:
        rows[name] = scored(_with_oracle(name, pool, truth, protocol, config).frame(ids, trained.classes))
    if "background" in trained.detector.abilities:  # one class distribution a snippet
        snippets = snippets_of(trained, videos)
        for name in TRIVIAL:
            rows[name] = scored(suppressed(_trivial(name, snippets, ids, config), config, protocol).frame(ids, trained.classes))
    return pd.DataFrame(rows).T.rename_axis("variant")


def decomposition_rows(experiments: Iterable[Experiment], store: ResultStore | None = None, **options: object) -> pd.DataFrame:
    """:func:`decompose` for trained experiments (their weights are read from the store, or trained), as the rows of a table.

    Args:
        experiments: detectors.
        store: where their weights are.
        **options: of :func:`nontarget.experiment.train`.

    Returns:
        Columns :data:`ROW_COLUMNS`; ``key`` is that of the experiment's record, so that a row of other code or data is known as stale.
    """
    parts = []
    for experiment in experiments:
        identity = experiment.identity()
        frame = decompose(train(experiment, store, **options)).rename_axis(columns="tiou").stack().rename("mean_ap").reset_index()  # type: ignore[arg-type]
        about = {
            "dataset": identity["dataset"]["name"],
            "label_ratio": identity["label_ratio"],
            "detector": experiment.detector,
            "rule": experiment.rule,
            "seed": experiment.seed,
            "held_out": bool(identity["changed"].get("held_out", False)),
            "key": identity_key(identity),
        }
        parts.append(frame.assign(**about)[ROW_COLUMNS])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=ROW_COLUMNS)


def instances_of(videos: Sequence[LabeledVideo]) -> VideoSegments:
    """The instances of videos; ``video`` is the position in the sequence."""
    labels = [torch.from_numpy(v.annotations.labels) for v in videos]
    video = torch.repeat_interleave(torch.arange(len(videos)), torch.tensor([len(x) for x in labels], dtype=torch.long))
    segments = torch.cat([torch.from_numpy(v.annotations.segments_s) for v in videos])
    return VideoSegments(video, torch.cat(labels), segments, torch.ones(len(video), dtype=torch.float64))


def candidates_of(trained: TrainedDetector, videos: Sequence[LabeledVideo]) -> VideoSegments:
    """Every candidate of a detector that reaches the lowest score, in video time, before Soft-NMS."""
    pool = video_candidates(trained, [v.video for v in videos])
    pool = pool[pool.scores >= trained.inference.min_score]
    return VideoSegments(pool.video.cpu(), pool.labels.cpu(), pool.segments.cpu(), pool.scores.double().cpu())


def with_true_classes(pool: VideoSegments, truth: VideoSegments) -> VideoSegments:
    """Every candidate in the class of the instance that it overlaps most."""
    instance, near = _best_instance(pool, truth)
    return replace(pool, labels=torch.where(near, truth.labels[instance], pool.labels))


def with_true_segments(pool: VideoSegments, truth: VideoSegments) -> VideoSegments:
    """Every candidate with the segment of the instance that it overlaps most; of equal candidates the best one."""
    instance, near = _best_instance(pool, truth)
    return _distinct(replace(pool, segments=torch.where(near[:, None], truth.segments[instance], pool.segments)))


def with_true_both(pool: VideoSegments, truth: VideoSegments) -> VideoSegments:
    """Class and segment of the instance that a candidate overlaps most; of equal candidates the best one."""
    instance, near = _best_instance(pool, truth)
    return _distinct(
        replace(
            pool,
            labels=torch.where(near, truth.labels[instance], pool.labels),
            segments=torch.where(near[:, None], truth.segments[instance], pool.segments),
        )
    )


def best_ranked(pool: VideoSegments, truth: VideoSegments) -> VideoSegments:
    """Candidates matched one to one to instances of their class, by falling tIoU, which is their score; all others are left out.

    What is left out would come last and cost nothing, so that the AP at a threshold is the share of instances that a candidate reaches.
    """
    kept, scores = [], []
    for candidates, instances in _by_video(pool, truth):
        overlap = tiou(pool.segments[candidates][:, None], truth.segments[instances][None])
        overlap[pool.labels[candidates][:, None] != truth.labels[instances][None]] = 0.0
        # As many candidates as there are instances are enough for each instance.
        able = overlap.topk(min(len(instances), len(candidates)), dim=0).indices.unique()
        overlap = overlap[able]
        for _ in range(min(overlap.shape)):
            best = int(overlap.argmax())
            row, column = divmod(best, overlap.shape[1])
            if overlap[row, column] <= 0:
                break
            kept.append(candidates[able[row]])
            scores.append(overlap[row, column].clone())
            overlap[row], overlap[:, column] = 0.0, 0.0
    index = torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)
    score = torch.stack(scores) if scores else torch.zeros(0, dtype=torch.float64)
    return replace(pool[index], scores=score)


def _with_oracle(name: str, pool: VideoSegments, truth: VideoSegments, protocol: Protocol, config: InferenceConfig) -> VideoSegments:
    if name == "oracle ranking":
        return best_ranked(pool, truth)
    correct = {"oracle classes": with_true_classes, "oracle masks": with_true_segments, "oracle classes and masks": with_true_both}[name]
    return suppressed(correct(pool, truth), config, protocol)


def _trivial(name: str, snippets: Snippets, ids: Sequence[str], config: InferenceConfig) -> VideoSegments:
    parts = []
    for index, video_id in enumerate(ids):
        one = snippets[snippets.video_id == video_id]
        period = 2 * float(one.time_s[0])  # the first snippet's centre is half of it
        runs = TRIVIAL[name](torch.from_numpy(one.probs[:, :-1]), config)
        parts.append((torch.full_like(runs.labels, index), runs.labels, runs.segments * period, runs.scores))
    return VideoSegments(*map(torch.cat, zip(*parts, strict=True)))


def _best_instance(pool: VideoSegments, truth: VideoSegments) -> tuple[Int[Tensor, " n"], Tensor]:
    """Index of the instance that each candidate overlaps most, and whether that is enough to be more than background."""
    instance, best = torch.zeros_like(pool.video), torch.zeros_like(pool.scores)
    for candidates, instances in _by_video(pool, truth):
        overlap, which = tiou(pool.segments[candidates][:, None], truth.segments[instances][None]).max(dim=1)
        instance[candidates], best[candidates] = instances[which], overlap.to(best.dtype)
    return instance, best >= MIN_TIOU


def _by_video(pool: VideoSegments, truth: VideoSegments) -> Iterable[tuple[Int[Tensor, " n"], Int[Tensor, " m"]]]:
    """Indices of the candidates and of the instances of every video that has both."""
    count = 1 + max((int(s.video.max()) for s in (pool, truth) if len(s.video)), default=-1)
    groups = [s.video.argsort(stable=True).split(torch.bincount(s.video, minlength=count).tolist()) for s in (pool, truth)]
    yield from ((candidates, instances) for candidates, instances in zip(*groups, strict=True) if len(candidates) and len(instances))


def _distinct(pool: VideoSegments) -> VideoSegments:
    """The best of equal candidates."""
    start, end = pool.segments.numpy().T
    columns = {"video": pool.video.numpy(), "label": pool.labels.numpy(), "start": start, "end": end}
    frame = pd.DataFrame(columns).iloc[np.argsort(-pool.scores.numpy(), kind="stable")]
    kept = torch.from_numpy(np.sort(frame.drop_duplicates().index.to_numpy()))
    return pool[kept]
