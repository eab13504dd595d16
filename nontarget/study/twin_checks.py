"""What is known of features of the real data sets, measured on a twin: how well a plain classifier names the action."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from nontarget.data.videos import Dataset, LabeledVideo
from nontarget.runtime.escaping import escaped
from nontarget.study.texttable import TextTable

THUMOS14_WINDOWS_RIGHT = {"C3D": 0.586, "Res3D": 0.790}
"""Share of the 16-frame windows inside THUMOS14's actions of which a published classifier names the action."""
THUMOS14_CONFUSED = ("HammerThrow", "ThrowDiscus")
"""The classes that both of these confuse most: truth, and what it is taken for."""
ACTIVITYNET_VIDEOS_RIGHT = 0.886
"""Share of ActivityNet's validation videos of which a published classifier names the activity."""
_PUBLISHED_WINDOWS = {name: 100 * share for name, share in THUMOS14_WINDOWS_RIGHT.items()}
_PUBLISHED_VIDEOS = 100 * ACTIVITYNET_VIDEOS_RIGHT


@dataclass(frozen=True)
class TwinCheck:
    """What a linear classifier with all labels sees of a twin's worlds, beside what is published of the real data set."""

    dataset: str
    right: pd.DataFrame
    """A row per world: percent of the ``snippets`` inside an action, and of the ``videos``, that it names right."""
    confusions: Mapping[int, pd.DataFrame]
    """By world, see :func:`window_accuracy`."""

    @property
    def table(self) -> TextTable:
        """A row per measure, a column per world, and what is published."""
        thumos14, activitynet = self.dataset == "thumos14-sim", self.dataset == "activitynet-sim"
        windows = "; ".join(f"{share:.1f} ({name})" for name, share in _PUBLISHED_WINDOWS.items())
        pairs = {world: " and ".join(_most_confused(counts)) for world, counts in self.confusions.items()}
        rows = [
            ("snippets inside an action named right (%)", self.right["snippets"], windows if thumos14 else ""),
            ("videos named right (%)", self.right["videos"], f"{_PUBLISHED_VIDEOS:.1f}" if activitynet else ""),
            ("classes confused most", pairs, " and ".join(THUMOS14_CONFUSED) if thumos14 else ""),
        ]
        cells = [
            {"Measure": name, **{f"World {w}": measured[w] for w in self.right.index}, "Published": published or "not known"}
            for name, measured, published in rows
        ]
        caption = f"A linear classifier on {escaped(self.dataset)}, beside published classifiers of the real data set."
        return TextTable(pd.DataFrame(cells), caption, f"twin-check-{self.dataset}")

    @property
    def findings(self) -> str:
        """A sentence on each published number: how near the twin comes, and where it is off (Markdown)."""
        if self.dataset == "activitynet-sim":
            sentence = f"A published classifier names {_PUBLISHED_VIDEOS:.1f} % of ActivityNet's videos right, "
            return sentence + f"this one {_beside(self.right['videos'], [_PUBLISHED_VIDEOS])}."
        published = " and ".join(f"{share:.1f} % ({name})" for name, share in _PUBLISHED_WINDOWS.items())
        truth, named = THUMOS14_CONFUSED
        pairs = dict.fromkeys(map(_most_confused, self.confusions.values()))
        others = " or ".join(" with ".join(pair) for pair in pairs if set(pair) != set(THUMOS14_CONFUSED))
        mistaken = pd.Series([counts.loc[truth, named] / max(counts.loc[truth].sum(), 1) for counts in self.confusions.values()])
        return (
            f"Published classifiers name {published} of the windows inside THUMOS14's actions right, this one "
            f"{_beside(self.right['snippets'], list(_PUBLISHED_WINDOWS.values()))}. "
            f"They confuse {truth} with {named} most, this one {others or 'too'}"
            f"{', where the twin is off' if others else ''}; of its errors on {truth}, {_span(100 * mistaken)} % are {named}."
        )


def check_twin(worlds: Mapping[int, Dataset]) -> TwinCheck:
    """What a linear classifier sees of the worlds of one twin, which are given by seed."""
    snippets = {seed: window_accuracy(world) for seed, world in worlds.items()}
    right = {seed: {"snippets": 100 * snippets[seed][0], "videos": 100 * video_accuracy(world)} for seed, world in worlds.items()}
    confusions = {seed: counts for seed, (_, counts) in snippets.items()}
    return TwinCheck(next(iter(worlds.values())).name, pd.DataFrame(right).T, confusions)


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


def _most_confused(confusions: pd.DataFrame) -> tuple[str, str]:
    """The two classes that are confused most, whichever is the truth."""
    both = confusions.to_numpy() + confusions.to_numpy().T
    one, other = np.unravel_index(both.argmax(), both.shape)
    return str(confusions.index[one]), str(confusions.columns[other])


def _beside(measured: pd.Series, published: Sequence[float]) -> str:
    """Percentages of the twin, and how far they lie outside of what is published."""
    above, below = measured.max() - max(published), min(published) - measured.min()
    ends = {"above": above, "below": below}
    parts = [f"up to {points:.1f} points {side} what is published" for side, points in ends.items() if points > 0]
    return f"{_span(measured)} % of the twin's, {' and '.join(parts) or 'within that range'}"


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.1f}", f"{values.max():.1f}"
    return low if low == high else f"{low} to {high}"


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
        covered = np.zeros((len(centres), num_classes), dtype=bool)
        for c, row in zip(v.annotations.labels, covers, strict=True):
            covered[row, c] = True
        inside = covered.any(axis=1)
        features.append(v.video.features[inside].astype(np.float64))
        labels.append(v.annotations.labels[covers.argmax(axis=0)][inside] if len(covers) else np.zeros(0, dtype=np.int64))
        present.append(covered[inside])
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
