"""What is known of features of the real data sets, measured on a twin: how well a plain classifier names the action."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from nontarget.data.videos import Dataset, LabeledVideo

THUMOS14_WINDOWS_RIGHT = {"C3D": 0.586, "Res3D": 0.790}
"""Share of the 16-frame windows inside THUMOS14's actions of which a published classifier names the action. Both confuse HammerThrow with
ThrowDiscus most."""
ACTIVITYNET_VIDEOS_RIGHT = 0.886
"""Share of ActivityNet's validation videos of which a published classifier names the activity."""


def window_accuracy(dataset: Dataset) -> tuple[float, pd.DataFrame]:
    """Share of the test snippets inside an action that a linear classifier names right; a snippet is about a window of 16 frames.

    The classifier is fitted to the snippets inside the actions of all training videos. Where two classes are annotated, either is right.

    Returns:
        The share, and how often a snippet of one class (rows) is named another (columns): counts, with zeros where it is right.
    """
    train, truth = _inside(dataset.train, dataset.num_classes), _inside(dataset.test, dataset.num_classes)
    named = _classifier(*train[:2]).predict(truth[0])
    wrong = ~truth[2][np.arange(len(named)), named]
    confusions = pd.crosstab(
        pd.Categorical.from_codes(truth[1][wrong], list(dataset.classes)),
        pd.Categorical.from_codes(named[wrong], list(dataset.classes)),
        rownames=["truth"],
        colnames=["named"],
        dropna=False,
    )
    return float(1 - wrong.mean()), confusions


def video_accuracy(dataset: Dataset) -> float:
    """Share of the test videos that a linear classifier of the mean snippet inside the actions names right; it has all labels."""
    train, test = _means(dataset.train, dataset.num_classes), _means(dataset.test, dataset.num_classes)
    return float((_classifier(*train).predict(test[0]) == test[1]).mean())


def _classifier(features: NDArray[np.float64], labels: NDArray[np.int64]) -> LogisticRegression:
    with threadpool_limits(1):
        return LogisticRegression(C=0.1, max_iter=300).fit(features, labels)


def _inside(videos: Sequence[LabeledVideo], num_classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Snippets whose centre lies inside an action: features, the class listed first, and which are annotated [snippets, classes]."""
    features, labels, present = [], [], []
    for v in videos:
        centres = (np.arange(len(v.video.features)) + 0.5) / v.video.fps
        start, end = v.annotations.segments_s.T[:, :, None]
        covers = (start <= centres) & (centres < end)
        shown = np.zeros((len(centres), num_classes), dtype=bool)
        for c, row in zip(v.annotations.labels, covers, strict=True):
            shown[row, c] = True
        inside = shown.any(axis=1)
        features.append(v.video.features[inside].astype(np.float64))
        labels.append(v.annotations.labels[covers.argmax(axis=0)][inside] if len(covers) else np.zeros(0, dtype=np.int64))
        present.append(shown[inside])
    return np.concatenate(features), np.concatenate(labels), np.concatenate(present)


def _means(videos: Sequence[LabeledVideo], num_classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of the snippets inside the actions, and the class listed first, of each video that has any."""
    means, classes = [], []
    for v in videos:
        features, labels, _ = _inside((v,), num_classes)
        if len(labels):
            means.append(features.mean(axis=0))
            classes.append(v.annotations.labels[0])
    return np.stack(means), np.array(classes)
