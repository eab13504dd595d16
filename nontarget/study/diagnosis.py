"""Will the paper's rule help on my data? An answer from the labelled videos alone, before any self-training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from nontarget.config import is_finite_number
from nontarget.data import Dataset, LabeledVideo, balanced_order, split_dataset
from nontarget.experiment import Experiment, train
from nontarget.results import ResultStore
from nontarget.runtime.escaping import escaped, plain_text
from nontarget.statistics import draw_counts
from nontarget.study.analysis.snippets import Snippets, snippets_of
from nontarget.study.given import ExperimentOn
from nontarget.study.report import current_map
from nontarget.study.shares import ErrorShares, best_temperature, error_counts
from nontarget.study.texttable import TextTable, interval_text, percent
from nontarget.study.when import GainMap

_SHOWN = {
    "errors": "snippets whose target class is wrong",
    "positive": "P(truth in positives | target wrong)",
    "negative": "P(truth in negatives | target wrong)",
    "ambiguous": "P(truth ambiguous | target wrong)",
    "sure": "snippets with p_max of 1/2 or more",
}
_AS_IT_IS, _CALIBRATED = "as it is", "calibrated"


@dataclass(frozen=True)
class Diagnosis:
    """What the labelled videos of a data set say about learning from non-target classes."""

    dataset: str
    simulated: bool
    num_videos: int
    num_snippets: int
    num_unseen: int
    """Snippets that were left out, since no video of the other folds shows their class."""
    folds: int
    temperature: float
    """Of the lowest log loss on the held-out folds; above 1 the teacher is too sure."""
    shares: pd.DataFrame
    """Rows (teacher, quantity): teacher ``as it is`` or ``calibrated``, quantities of :class:`nontarget.study.shares.ErrorShares`; columns
    estimate, low, high (95 %, bootstrap over videos)."""
    predicted: pd.DataFrame | None
    """Gain of the paper's rule over the baseline, in points of average mAP: a row a teacher, columns mean, low, high, inside.
    None: no map is at hand."""

    @property
    def positive(self) -> float:
        """P(truth in positives | target wrong), with the teacher as it is."""
        return float(self.shares.loc[(_AS_IT_IS, "positive"), "estimate"])

    @property
    def negative(self) -> float:
        """P(truth in negatives | target wrong), with the teacher as it is."""
        return float(self.shares.loc[(_AS_IT_IS, "negative"), "estimate"])

    @property
    def table(self) -> TextTable:
        """Every estimate, a row a quantity."""
        rows = [
            {"Quantity": text}
            | {f"Teacher {t}": _share_text(*self.shares.loc[(t, name), ["estimate", "low", "high"]]) for t in (_AS_IT_IS, _CALIBRATED)}
            for name, text in _SHOWN.items()
        ]
        if self.predicted is not None:
            gains = {f"Teacher {t}": interval_text(row["mean"], row["low"], row["high"]) for t, row in self.predicted.iterrows()}
            rows.append({"Quantity": "predicted gain over the baseline (points of average mAP)"} | gains)
        caption = (
            f"{escaped(self.dataset)} ({'simulated' if self.simulated else 'real'}): {self.num_snippets} snippets of {self.num_videos} "
            f"labelled videos, each predicted by a teacher that was pre-trained on the other {self.folds - 1} of {self.folds} folds; "
            f"{self.num_unseen} snippets of classes that these folds do not show are left out; "
            f"95 % intervals, bootstrap over videos. Calibrated: at temperature {self.temperature:.2f}."
        )
        return TextTable(pd.DataFrame(rows), caption)

    @property
    def findings(self) -> str:
        """What follows, in sentences."""
        text = (
            f"Where the teacher errs, the truth is positive in {percent(round(self.positive, 2))} and negative in "
            f"{percent(round(self.negative, 2))} of the snippets. "
        )
        if np.isnan(self.positive):
            text = "The teacher made no error on the held-out folds, so there is nothing to estimate. "
        elif self.predicted is None:
            text += "No map of the gain is at hand, so nothing is predicted. "
        else:
            row = self.predicted.loc[_AS_IT_IS]
            prediction = "no gain that can be told from 0" if row["low"] <= 0 <= row["high"] else "a gain" if row["mean"] > 0 else "a loss"
            text += f"The map of simulated twins predicts {prediction}: {interval_text(row['mean'], row['low'], row['high'])} points. "
            if not row["inside"]:
                text += "These shares lie outside of what was simulated: the prediction is an extrapolation. "
        return text + f"The teachers had {self.folds - 1} of {self.folds} parts of the labels, so the real one should err less often."

    def __repr__(self) -> str:
        rows = [" | ".join(map(str, row)) for row in self.table.cells.itertuples(index=False)]
        return plain_text("\n".join([self.table.caption, *rows, self.findings]))

    def _repr_markdown_(self) -> str:
        return f"{self.table._repr_markdown_()}\n\n{self.findings}"


def diagnose_rule(
    dataset_or_features: str | Path | Experiment,
    label_ratio: float = 1.0,
    seed: int = 0,
    *,
    folds: int = 5,
    gain_map: GainMap | None = None,
    num_bootstrap: int = 1000,
    store: ResultStore | None = None,
    device: str = "auto",
    progress: bool = True,
    **settings: Any,
) -> Diagnosis:
    """Estimate where the truth lies among a teacher's errors, by cross-validation over the labelled videos alone.

    For each fold a detector is pre-trained with the labels of the other folds (and the features of all videos, as pre-training does),
    and predicts the fold. Snippets of a class that the other folds do not show are left out, since such a teacher cannot name them,
    as the teacher of all labelled videos can. Annotations of unlabelled videos and of test videos are never read.

    Args:
        dataset_or_features: name of a data set, the path of a feature folder, or an experiment (whose other fields are kept).
        label_ratio: share of the training videos that count as labelled; 1: all that have annotations, as in a user's own data. Below
            1 the split is stratified by the classes of all training videos, as everywhere here; only labelled ones are used after it.
        seed: of the split, of the folds and of training.
        folds: how many; each is as balanced over the classes as the videos allow.
        gain_map: default: the committed one, if there is one.
        num_bootstrap: samples for the intervals.
        store: keeps the weights of the folds; default: nothing is kept.
        device: see :func:`nontarget.experiment.run`.
        progress: show bars.
        **settings: fields of :class:`nontarget.experiment.Experiment`: ``preset``, ``training_settings``, ...

    Raises:
        ValueError: fewer labelled videos than folds, no class in two of them, or an argument is out of range.
        DataError, FileNotFoundError: as for :func:`nontarget.data.load_dataset`.
    """
    plain = _experiment(dataset_or_features, label_ratio, seed, settings)
    whole = plain.load()
    split = split_dataset(whole, plain.label_ratio, plain.seed)
    labeled = split.labeled
    if not (isinstance(folds, int) and 2 <= folds <= len(labeled)):
        raise ValueError(f"folds must be a whole number from 2 to the number of labelled videos ({len(labeled)}), got {folds!r}")
    if not (is_finite_number(num_bootstrap) and num_bootstrap >= 1):
        raise ValueError(f"num_bootstrap must be a whole number of at least 1, got {num_bootstrap!r}")
    order = balanced_order([v.annotations for v in labeled], whole.num_classes, plain.seed)
    parts, num_unseen = [], 0
    with TemporaryDirectory() as scratch:
        for fold in range(folds):
            chosen = set(order[fold::folds].tolist())
            held_out = tuple(v for i, v in enumerate(labeled) if i in chosen)
            others = tuple(v for i, v in enumerate(labeled) if i not in chosen)
            data = _fold(whole, others, held_out, split.unlabeled, fold)
            changes = {"rule": "pre-trained only", "rule_settings": {}, "label_ratio": 1.0, "held_out": False, "data": data}
            teacher = ExperimentOn(**(vars(plain) | changes))
            training = train(teacher, store or ResultStore(scratch), device=device, progress=progress)
            part = snippets_of(training.trained, held_out)
            seen = {whole.num_classes, *(label for v in others for label in v.annotations.labels)}
            parts.append(part[np.isin(part.labels, list(seen))])
            num_unseen += len(part) - len(parts[-1])
    snippets = Snippets(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})
    if not len(snippets):
        raise ValueError(f"no class has labelled videos in two of {folds} folds; label more videos of a class")
    temperature = best_temperature(snippets.probs, snippets.labels)
    shares = pd.concat(
        {name: _with_intervals(snippets, at, num_bootstrap, plain.seed) for name, at in ((_AS_IT_IS, 1.0), (_CALIBRATED, temperature))},
        names=["teacher", "quantity"],
    )
    gain_map = gain_map or current_map()
    return Diagnosis(
        whole.name,
        whole.simulated,
        len(labeled),
        len(snippets),
        num_unseen,
        folds,
        temperature,
        shares,
        None if gain_map is None or shares["estimate"].isna().any() else _predicted(gain_map, shares),
    )


def _experiment(source: str | Path | Experiment, label_ratio: float, seed: int, settings: dict[str, Any]) -> Experiment:
    if isinstance(source, Experiment):
        return replace(source, **settings)
    fields = {"rule": "pre-trained only", **settings, "label_ratio": label_ratio, "seed": seed}
    if isinstance(source, Path) or "/" in source:
        return Experiment(**fields, dataset=Path(source).name, features=str(source))
    return Experiment(**fields, dataset=source)


def _fold(
    whole: Dataset, others: tuple[LabeledVideo, ...], held_out: tuple[LabeledVideo, ...], unlabeled: Sequence[Any], fold: int
) -> Dataset:
    """Labelled: the other folds. The held-out fold is among the unlabelled videos, by its features; test videos are left out."""
    members = ",".join(v.video.video_id for v in others)
    return replace(
        whole,
        train=others,
        test=(),
        unlabeled=(*(v.video for v in held_out), *unlabeled),
        external_scores=None,
        checksum=hashlib.sha256(f"{whole.checksum} fold {fold}: {members}".encode()).hexdigest(),
    )


def _with_intervals(snippets: Snippets, temperature: float, num_bootstrap: int, seed: int) -> pd.DataFrame:
    """Estimates with the 95 % interval of a bootstrap over videos."""
    counts = pd.DataFrame(error_counts(snippets.probs, snippets.labels, temperature)).groupby(snippets.video_id).sum().to_numpy()
    weights = draw_counts(len(counts), num_bootstrap, np.random.default_rng(seed))
    samples = pd.DataFrame([vars(ErrorShares.of(row)) for row in weights @ counts])
    low, high = samples.quantile(0.025), samples.quantile(0.975)
    return pd.DataFrame({"estimate": pd.Series(vars(ErrorShares.of(counts.sum(axis=0)))), "low": low, "high": high})


def _predicted(gain_map: GainMap, shares: pd.DataFrame) -> pd.DataFrame:
    """The gain at the estimated shares; its interval is widened by what their own intervals would move it."""
    rows = {}
    for teacher in (_AS_IT_IS, _CALIBRATED):
        x, y = (shares.loc[(teacher, name)] for name in ("positive", "negative"))
        centre = gain_map.predict(x["estimate"], y["estimate"]).iloc[0]
        corners = gain_map.predict([x["low"], x["high"], x["estimate"], x["estimate"]], [y["estimate"], y["estimate"], y["low"], y["high"]])
        swing = float((corners["mean"] - centre["mean"]).abs().groupby([0, 0, 1, 1]).max().pow(2).sum() ** 0.5)
        reach = float(np.hypot(centre["high"] - centre["mean"], swing))
        rows[teacher] = {"mean": centre["mean"], "low": centre["mean"] - reach, "high": centre["mean"] + reach, "inside": centre["inside"]}
    return pd.DataFrame.from_dict(rows, orient="index")


def _share_text(estimate: float, low: float, high: float) -> str:
    return "none" if np.isnan(estimate) else f"{100 * estimate:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
