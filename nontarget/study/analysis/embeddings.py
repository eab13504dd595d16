"""How well snippet embeddings separate groups of classes (Figs. 3 and 4): a map to look at, and a number with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from nontarget.experiment import Experiment, train
from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped
from nontarget.statistics import draw_counts, percentile_interval, t_interval
from nontarget.study.analysis.snippets import Snippets, hidden_snippets
from nontarget.study.texttable import TextTable


@dataclass(frozen=True)
class EmbeddingStudy:
    """Embeddings of the same unlabelled snippets under several systems, by group of classes; the first system is the reference."""

    runs: Mapping[str, Sequence[Snippets]]
    """System -> a run per seed, with the snippets of the groups only."""
    groups: Mapping[str, Sequence[int]]
    """Name of a group -> its classes."""
    each: int
    """Snippets of each group that are scored."""
    shown: int
    """Snippets of each group that are drawn."""

    @cached_property
    def scores(self) -> dict[str, list["Separability"]]:
        """System -> separability of the groups, a value per run; every system on the same snippets."""
        drawn = [draw_snippets(self._codes_of(run), self.each) for run in self._last]
        return {
            system: [
                separability(run.embeddings[index], self._codes_of(run)[index], run.video_id[index])
                for run, index in zip(runs, drawn, strict=True)
            ]
            for system, runs in self.runs.items()
        }

    @property
    def table(self) -> TextTable:
        """The scores with their intervals, a row per system and run."""
        caption = f"Balanced accuracy in percent of {' against '.join(map(escaped, self.groups))}, by system and run."
        return TextTable(separability_table(self.scores, next(iter(self.runs))), caption)

    @property
    def titles(self) -> dict[str, str]:
        """System -> its separability in the first run, as text."""
        return {system: f"{system}: {100 * runs[0].score:.1f} % separable" for system, runs in self.scores.items()}

    @cached_property
    def points(self) -> pd.DataFrame:
        """The first run in the plane: columns system, video_id, snippet, group, x and y."""
        sample = self._last[0]
        index = draw_snippets(self._codes_of(sample), self.shown)
        names = np.array(list(self.groups))[self._codes_of(sample)[index]]
        about = {"video_id": sample.video_id[index], "snippet": sample.snippet[index], "group": names}
        planes = {system: map_to_plane(runs[0].embeddings[index]) for system, runs in self.runs.items()}
        return pd.concat([pd.DataFrame({"system": name, **about, "x": xy[:, 0], "y": xy[:, 1]}) for name, xy in planes.items()])

    @property
    def findings(self) -> str:
        """How separable the groups are under the last system, against the reference, in a bold sentence (Markdown)."""
        reference, *_, system = self.runs
        return separability_findings(self.scores, system, reference)

    @property
    def _last(self) -> Sequence[Snippets]:
        return list(self.runs.values())[-1]

    def _codes_of(self, snippets: Snippets) -> NDArray[np.int64]:
        """Position of each snippet's group."""
        return np.select([np.isin(snippets.labels, list(classes)) for classes in self.groups.values()], list(range(len(self.groups))))


def embedding_study(
    experiments: Mapping[str, Experiment],
    groups: Mapping[str, Sequence[int]],
    *,
    each: int,
    shown: int,
    seeds: int = 1,
    store: ResultStore | None = None,
    device: str = "auto",
) -> EmbeddingStudy:
    """Train each experiment with the seeds 0, 1, ..., and take the embeddings of the snippets whose labels were hidden.

    Args:
        experiments: system -> its experiment, the reference first; all on the same data set, label ratio and preset.
        groups: name of a group -> its classes, disjoint, with background as the last class; other snippets are left out.
        each: snippets of each group that are scored.
        shown: snippets of each group that are drawn.
        seeds: number of runs per system.
        store: see :func:`nontarget.experiment.train`, as for ``device``.
        device: where training runs.
    """
    store = store or ResultStore()
    chosen = [c for classes in groups.values() for c in classes]
    runs: dict[str, list[Snippets]] = {}
    for system, experiment in experiments.items():
        snippets = [hidden_snippets(train(replace(experiment, seed=seed), store, device=device)) for seed in range(seeds)]
        runs[system] = [s[np.isin(s.labels, chosen)] for s in snippets]
    return EmbeddingStudy(runs, groups, each, shown)


def draw_snippets(labels: ArrayLike, each: int, seed: int = 0) -> NDArray[np.int64]:
    """Positions, in order, of ``each`` randomly drawn snippets of every label that occurs (all of them, where there are fewer)."""
    values, rng = np.asarray(labels), np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(values == label))[:each] for label in np.unique(values)]
    return np.sort(np.concatenate(drawn))


def map_to_plane(embeddings: ArrayLike, seed: int = 0, perplexity: float = 30.0) -> NDArray[np.float32]:
    """t-SNE of standardised embeddings [n, dim] to [n, 2], initialised with their first two principal components.

    Args:
        embeddings: four or more.
        seed: seed of the optimisation.
        perplexity: lowered to a third of n where there are few embeddings.
    """
    x = StandardScaler().fit_transform(np.asarray(embeddings, dtype=np.float64))
    # With several threads on a busy machine, they wait for each other for minutes.
    with threadpool_limits(1):
        return TSNE(init="pca", random_state=seed, perplexity=min(perplexity, (len(x) - 1) / 3)).fit_transform(x)


@dataclass(frozen=True)
class Separability:
    """Balanced accuracy of a linear classifier on videos that it was not trained on."""

    score: float
    """Recall of each label, averaged over the labels, in [0, 1]; chance is 1 / number of labels."""
    resampled: NDArray[np.float64]
    """The same on bootstrap samples of the videos, a value per sample."""
    num_snippets: int
    num_videos: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval by the bootstrap over videos."""
        return percentile_interval(self.resampled)

    def minus(self, other: "Separability") -> tuple[float, float, float]:
        """Difference from another result on the same snippets with its 95 % interval; both use the same bootstrap samples."""
        return (self.score - other.score, *percentile_interval(self.resampled - other.resampled))


def separability(
    embeddings: ArrayLike, labels: ArrayLike, videos: ArrayLike, *, folds: int = 5, seed: int = 0, resamples: int = 2000
) -> Separability:
    """How well a logistic regression on embeddings separates labels, cross-validated so that no video is in both parts of a fold.

    The interval covers the choice of videos, not the randomness of training the detector.

    Args:
        embeddings: [n, dim]; they are standardised within each fold.
        labels: [n], two or more different ones, which have equal weight.
        videos: [n], the video of each snippet.
        folds: number of folds; fewer if a label occurs in fewer videos.
        seed: seed of the folds and of the bootstrap.
        resamples: number of bootstrap samples.

    Raises:
        ValueError: fewer than two labels, or one that occurs in a single video.
    """
    x, (kinds, y), (names, video) = np.asarray(embeddings), _codes(labels), _codes(videos)
    total = np.zeros((len(names), len(kinds)))
    np.add.at(total, (video, y), 1)
    shown_in = (total > 0).sum(axis=0)
    if len(kinds) < 2 or shown_in.min() < 2:
        video_counts = dict(zip(kinds.tolist(), shown_in.tolist(), strict=True))
        raise ValueError(f"labels must be two or more kinds, each in two or more videos; got (label: videos) {video_counts}")
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    split = StratifiedGroupKFold(min(folds, int(shown_in.min())), shuffle=True, random_state=seed)
    with threadpool_limits(1):
        right = cross_val_predict(classifier, x, y, groups=video, cv=split) == y
    hits = np.zeros_like(total)
    np.add.at(hits, (video, y), right)
    draws = draw_counts(len(names), resamples, np.random.default_rng(seed))
    return Separability(float(_balanced(hits.sum(axis=0), total.sum(axis=0))), _balanced(draws @ hits, draws @ total), len(y), len(names))


def separability_table(scores: Mapping[str, Sequence[Separability]], reference: str) -> pd.DataFrame:
    """Scores in percent: a row per system and run, with the gain over the reference's run on the same split and snippets.

    Args:
        scores: system -> a result per run.
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
    """Both systems in a bold sentence, the gain of the first run and the mean gain over several runs (Markdown)."""
    gain, low, high = (100 * x for x in scores[system][0].minus(scores[reference][0]))
    means = {name: 100 * float(np.mean([r.score for r in results])) for name, results in scores.items()}
    text = (
        f"**{means[reference]:.1f} % separable under *{escaped(reference)}*, {means[system]:.1f} % under *{escaped(system)}*.** The "
        f"first run gains {gain:+.1f} points ({low:+.1f} to {high:+.1f} over {scores[system][0].num_videos} videos)"
    )
    if len(scores[system]) > 1:
        over = t_interval(100 * (a.score - b.score) for a, b in zip(scores[system], scores[reference], strict=True))
        text += f"; the mean of {len(scores[system])} runs is {over.mean:+.1f} ({over.low:+.1f} to {over.high:+.1f} over seeds)"
    return f"{text}."


def _balanced(hits: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean recall over the labels that occur."""
    recall = np.divide(hits, total, out=np.full(hits.shape, np.nan), where=total > 0)
    return np.nanmean(recall, axis=-1)


def _codes(values: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.intp]]:
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    return names, codes
