"""How well snippet embeddings tell groups of snippets apart: a map to look at, and a number with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from nontarget.study.comparison import paired_interval


def draw_snippets(labels: ArrayLike, each: int, seed: int = 0) -> NDArray[np.int64]:
    """Positions of ``each`` snippets of every label that occurs (of all, where there are fewer), drawn with a seed, in order."""
    values, rng = np.asarray(labels), np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(values == label))[:each] for label in np.unique(values)]
    return np.sort(np.concatenate(drawn))


def map_to_plane(embeddings: ArrayLike, seed: int = 0, perplexity: float = 30.0) -> NDArray[np.float32]:
    """t-SNE of standardised embeddings [n, dim] to [n, 2], begun from their first two principal components.

    Args:
        embeddings: at least four.
        seed: of the optimisation.
        perplexity: lowered to a third of n where there are few.
    """
    x = StandardScaler().fit_transform(np.asarray(embeddings, dtype=np.float64))
    # One thread: on a busy machine several wait for each other, for minutes.
    with threadpool_limits(1):
        return TSNE(init="pca", random_state=seed, perplexity=min(perplexity, (len(x) - 1) / 3)).fit_transform(x)


@dataclass(frozen=True)
class Separability:
    """Balanced accuracy of a linear classifier on videos that it was not trained on."""

    score: float
    """Mean over the labels of the share of their snippets that are recognised, in [0, 1]; 1 / number of labels is chance."""
    resampled: NDArray[np.float64]
    """The same with the videos drawn anew with replacement, one value a draw."""
    num_snippets: int
    num_videos: int

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, by the bootstrap over videos."""
        return _percentiles(self.resampled)

    def minus(self, other: "Separability") -> tuple[float, float, float]:
        """Difference to another one on the same snippets, and its 95 % interval: both are resampled with the same videos."""
        return (self.score - other.score, *_percentiles(self.resampled - other.resampled))


def separability(
    embeddings: ArrayLike, labels: ArrayLike, videos: ArrayLike, *, folds: int = 5, seed: int = 0, resamples: int = 2000
) -> Separability:
    """How well a logistic regression on embeddings tells labels apart, cross-validated so that no video is in both parts of a fold.

    The interval says how much depends on which videos there are; it leaves out the randomness of training the detector.

    Args:
        embeddings: [n, dim], standardised within each fold.
        labels: [n], of two or more kinds, weighted to count alike.
        videos: [n], the video of each snippet.
        folds: parts of the cross-validation; fewer if a label is in fewer videos.
        seed: of the folds and the bootstrap.
        resamples: draws of the bootstrap.

    Raises:
        ValueError: fewer than two labels, or one that occurs in a single video.
    """
    x, (kinds, y), (names, video) = np.asarray(embeddings), _codes(labels), _codes(videos)
    total = np.zeros((len(names), len(kinds)))
    np.add.at(total, (video, y), 1)
    shown_in = (total > 0).sum(axis=0)
    if len(kinds) < 2 or shown_in.min() < 2:
        found = dict(zip(kinds.tolist(), shown_in.tolist(), strict=True))
        raise ValueError(f"labels must be two or more kinds, each in two or more videos; got (label: videos) {found}")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    split = StratifiedGroupKFold(min(folds, int(shown_in.min())), shuffle=True, random_state=seed)
    with threadpool_limits(1):
        right = cross_val_predict(classifier, x, y, groups=video, cv=split) == y
    hits = np.zeros_like(total)
    np.add.at(hits, (video, y), right)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return Separability(float(_balanced(hits.sum(axis=0), total.sum(axis=0))), _balanced(draws @ hits, draws @ total), len(y), len(names))


def separability_table(scores: Mapping[str, Sequence[Separability]], reference: str) -> pd.DataFrame:
    """In percent: a row a system and run, with what it gains on the reference's run of the same number (same split, same snippets).

    Args:
        scores: system -> one result a run.
        reference: the system that the others are compared with.
    """
    rows = []
    for system, results in scores.items():
        for run, (result, other) in enumerate(zip(results, scores[reference], strict=True)):
            row = {"system": system, "run": run, "score": result.score, "low": result.interval[0], "high": result.interval[1]}
            gain = dict(zip(("gain", "gain low", "gain high"), result.minus(other), strict=True)) if system != reference else {}
            rows.append(row | gain | {"snippets": result.num_snippets, "videos": result.num_videos})
    table = pd.DataFrame(rows)
    shares = [c for c in table if c not in ("system", "run", "snippets", "videos")]
    table[shares] *= 100
    return table


def separability_findings(scores: Mapping[str, Sequence[Separability]], system: str, reference: str) -> str:
    """The numbers in a sentence (Markdown): both systems, the first run's gain over videos, the mean gain over several runs."""
    gain, low, high = (100 * x for x in scores[system][0].minus(scores[reference][0]))
    means = {name: 100 * float(np.mean([r.score for r in results])) for name, results in scores.items()}
    text = (
        f"{means[reference]:.1f} % under *{reference}*, {means[system]:.1f} % under *{system}*. First run: a gain of {gain:+.1f} points "
        f"({low:+.1f} to {high:+.1f} over {scores[system][0].num_videos} videos)"
    )
    if len(scores[system]) > 1:
        over = paired_interval(100 * (a.score - b.score) for a, b in zip(scores[system], scores[reference], strict=True))
        text += f"; mean of {len(scores[system])} runs: {over['mean']:+.1f} points ({over['low']:+.1f} to {over['high']:+.1f} over seeds)"
    return text + "."


def _balanced(hits: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean recall over the labels that occur."""
    recall = np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
    return np.nanmean(recall, axis=-1)


def _codes(values: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.intp]]:
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    return names, codes


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
