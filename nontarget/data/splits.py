"""Which training videos are labelled: seeded, stratified by class, nested.

A split is drawn from one class list per video, the video-level labels that published splits of a benchmark are stratified by as well,
and from nothing else of the annotations. The lists are an input of their own, :attr:`nontarget.data.Dataset.class_lists`: made once
with the data set (a feature folder may state them, key ``video_classes``), and recorded with every result by :func:`split_record`.
Nothing after that, normalisation, training or thresholds, depends on what is annotated in an unlabelled video: with other times, counts
or labels of its instances, all of it is the same to the last bit.

The other reading, a split that knows no classes at all, would be no published protocol: at 10 % it leaves classes without a label.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nontarget.config import plain
from nontarget.data.videos import Annotations, Dataset, LabeledVideo, Video

LABEL_RATIOS = (0.1, 0.2, 0.4, 0.6, 1.0)
"""Those of the paper, and full supervision."""
SEEDS = range(3)
"""The splits that a table has unless told otherwise."""
TOO_FEW = "Table 1 needs more training videos: every class must have a label, and some videos none"
"""What is said where :func:`least_ratio` has none."""


@dataclass(frozen=True)
class Split:
    """The training videos of one experiment. What the unlabelled ones show is out of reach from here."""

    labeled: tuple[LabeledVideo, ...]
    unlabeled: tuple[Video, ...]


def split_dataset(dataset: Dataset, label_ratio: float, seed: int) -> Split:
    """Label a share of the training videos.

    The videos are put in one seeded order in which every prefix is balanced over the classes; the first ``label_ratio`` of them
    are labelled. So 10 % lies within 20 %, and so on, for the same seed. Classes are those of the data set's ``class_lists``, whatever
    the annotations are by now.

    Args:
        dataset: its training videos are split.
        label_ratio: share of the training videos, in (0, 1]; 1 labels all (full supervision).
        seed: of the order.

    Raises:
        ValueError: ``label_ratio`` is out of range, or leaves a class without a labelled video; the message says which ratio would do.
    """
    label_ratio, seed = plain(label_ratio), plain(seed)
    if not 0 < label_ratio <= 1:
        raise ValueError(f"label_ratio must be in (0, 1], got {label_ratio!r}")
    class_lists = [dataset.class_lists[v.video.video_id] for v in dataset.train]
    order = _order(class_lists, dataset.num_classes, seed)
    count = round(label_ratio * len(order))
    present = _presence(class_lists, dataset.num_classes)
    reached = present[order].cumsum(axis=0)
    unreached = (reached[-1] > 0) & (reached[count - 1] == 0 if count else True)
    if unreached.any():
        enough = videos_needed(class_lists, dataset.num_classes, seed)
        missing = [dataset.classes[c] for c in np.flatnonzero(unreached)]
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise ValueError(
            f"label_ratio {label_ratio:g} labels {count} of the {len(order)} training videos of {dataset.name} (split seed {seed}) "
            f"and leaves {len(missing)} of {dataset.num_classes} classes without a label ({named}); "
            f"this split needs a ratio of at least {np.ceil(1000 * enough / len(order)) / 1000:g}"
        )
    # In the data set's own order, so that nothing but membership depends on the seed.
    labeled = np.sort(order[:count])
    unlabeled = np.sort(order[count:])
    hidden = tuple(dataset.train[i].video for i in unlabeled)
    return Split(tuple(dataset.train[i] for i in labeled), hidden + dataset.unlabeled)


def videos_needed(class_lists: Sequence[Sequence[int]], num_classes: int, seed: int) -> int:
    """How many videos a split of this seed must label so that every class that occurs has one, see :func:`split_dataset`."""
    present = _presence(class_lists, num_classes)
    missing = present.any(axis=0)
    order = _drawn(class_lists, num_classes, seed)
    count = 0
    while missing.any():
        missing &= ~present[next(order)]
        count += 1
    return count


def least_ratio(class_lists: Sequence[Sequence[int]], num_classes: int, unlabeled: bool) -> float | None:
    """The least of :data:`LABEL_RATIOS` at which every class has a label in each split of a table.

    Args:
        class_lists: classes of each training video.
        num_classes: without background.
        unlabeled: whether there are training videos beside that nobody has labelled.

    Returns:
        None where no training video would be left without a label, or none shows a class.
    """
    needed = max(videos_needed(class_lists, num_classes, seed) for seed in SEEDS)
    ratio = next(ratio for ratio in LABEL_RATIOS if round(ratio * len(class_lists)) >= needed)
    return ratio if needed and (unlabeled or round(ratio * len(class_lists)) < len(class_lists)) else None


def split_record(dataset: Dataset, hidden: Sequence[LabeledVideo]) -> dict[str, object]:
    """What a result keeps of its split: from what it was drawn, and which training videos are labelled.

    Args:
        dataset: that was split.
        hidden: its training videos that are not labelled.
    """
    lists = {v.video.video_id: dataset.class_lists[v.video.video_id] for v in dataset.train}
    unlabeled = {v.video.video_id for v in hidden}
    return {
        "drawn_from": "class list of each training video",
        "class_lists": hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest(),
        "labeled": [video for video in lists if video not in unlabeled],
    }


def held_out_part(dataset: Dataset, share: float = 1 / 3) -> Dataset:
    """Development data: a share of the training videos in the place of the test videos, the same whatever the seed of the split.

    Settings are chosen, and the instrument is judged, on these; the test videos of the data set are not in the result.
    """
    order = _order([dataset.class_lists[v.video.video_id] for v in dataset.train], dataset.num_classes, seed=0)
    count = round((1 - share) * len(order))
    train, test = (tuple(dataset.train[i] for i in np.sort(part)) for part in (order[:count], order[count:]))
    return replace(dataset, train=train, test=test, unlabeled=(), external_scores=None)


def balanced_order(annotations: Sequence[Annotations], num_classes: int, seed: int) -> NDArray[np.int64]:
    """A random order of the videos in which every class keeps its share in every prefix, as far as that is possible.

    One video after another is drawn from those that show the class that lags furthest behind (in share of its videos drawn so far,
    then in rarity; ties at random), as in the iterative stratification of Sechidis et al. (2011).
    """
    return _order([a.classes for a in annotations], num_classes, seed)


def _order(class_lists: Sequence[Sequence[int]], num_classes: int, seed: int) -> NDArray[np.int64]:
    return np.array(list(_drawn(class_lists, num_classes, seed)), dtype=np.int64)


def _drawn(class_lists: Sequence[Sequence[int]], num_classes: int, seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    present = _presence(class_lists, num_classes)
    totals = present.sum(axis=0)
    drawn = np.zeros(num_classes)
    waiting = np.ones(len(class_lists), dtype=bool)
    for _ in class_lists:
        left = present[waiting].any(axis=0)
        if left.any():
            lag = np.where(left, drawn / np.maximum(totals, 1), np.inf)
            furthest = np.flatnonzero(lag == lag.min())
            furthest = furthest[totals[furthest] == totals[furthest].min()]
            candidates = np.flatnonzero(waiting & present[:, rng.choice(furthest)])
        else:  # videos without an instance come last
            candidates = np.flatnonzero(waiting)
        video = rng.choice(candidates)
        waiting[video] = False
        drawn += present[video]
        yield int(video)


def _presence(class_lists: Sequence[Sequence[int]], num_classes: int) -> NDArray[np.bool_]:
    """[videos, classes], True where the video shows the class."""
    present = np.zeros((len(class_lists), num_classes), dtype=bool)
    for row, classes in zip(present, class_lists, strict=True):
        row[list(classes)] = True
    return present
