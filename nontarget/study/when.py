"""When the paper's rule helps: its gain over the baseline as a function of where the truth lies among the teacher's errors.

A family of twins varies how confusable classes are, and a temperature how sure the teacher is. Each of them gives P(truth in positives)
and P(truth in negatives) among the teacher's errors, and a gain that is paired by seed; a smooth surface through these points predicts
the gain elsewhere, with its uncertainty.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial import Delaunay, QhullError
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression

from nontarget.experiment import Experiment, Settings, train
from nontarget.results import Record, ResultStore, identity_key
from nontarget.study.analysis.snippets import Snippets, hidden_snippets
from nontarget.study.shares import ErrorShares, shares_among_errors
from nontarget.study.systems import FurtherFields

TWINS: tuple[Mapping[str, float], ...] = tuple(
    {"similarity": similarity, "confusable": confusable}
    for similarity, confusable in ((0.4, 0.0), (0.6, 0.0), (0.6, 0.4), (0.9, 0.0), (0.9, 0.4), (0.9, 0.8))
)
"""Changed settings of the twins: from classes that differ to classes that are nearly alike within their group, and from instances that
look like their class to instances of which many look in part like another one."""
TEMPERATURES = (0.25, 1.0, 2.0, 4.0)
FEWEST_FOR_SURFACE = 12
"""Cells that a Gaussian process is fitted to; fewer cannot tell its length scales from noise, and a plane is fitted."""
FEWEST_CELLS = 4
"""Of a map."""
AXES = ["positive", "negative"]
POINT_COLUMNS = ["twin", "temperature", "seed", *AXES, "ambiguous", "errors", "baseline", "non_target", "gain", "key"]
"""Of :func:`map_points`."""

SharesOf = Callable[[Experiment, float], ErrorShares]
"""Of the teacher that an experiment trains, at a temperature."""


@dataclass(frozen=True)
class Cell:
    """One twin and one temperature: what has to be run, for any seed."""

    twin: Settings
    temperature: float
    teacher: Experiment
    baseline: Experiment
    """At any temperature: its argmax does not change."""
    non_target: Experiment

    def at(self, seed: int) -> Self:
        """The same with a seed."""
        return replace(self, **{name: replace(getattr(self, name), seed=seed) for name in ("teacher", "baseline", "non_target")})


def map_cells(
    dataset: str = "thumos14-sim",
    label_ratio: float = 0.1,
    twins: Sequence[Settings] = TWINS,
    temperatures: Sequence[float] = TEMPERATURES,
    rule: str = "non-target",
    **settings: Unpack[FurtherFields],
) -> list[Cell]:
    """The family of twins by temperatures.

    Args:
        dataset: the twin that is varied.
        label_ratio: share of labelled training videos.
        twins: changed settings of the twin, see :class:`nontarget.data.simulate.TwinConfig`.
        temperatures: of the teacher; 1 leaves it as it is.
        rule: whose gain over the baseline is mapped.
        **settings: further fields of :class:`nontarget.experiment.Experiment`.
    """
    plain = Experiment(dataset=dataset, label_ratio=label_ratio, **settings)
    cells = []
    for twin in twins:
        world = replace(plain, twin_settings={**plain.twin_settings, **twin})
        for temperature in temperatures:
            sharpness = {} if temperature == 1 else {"teacher_temperature": temperature}
            non_target = replace(world, rule=rule, rule_settings={**plain.rule_settings, **sharpness})
            cells.append(Cell(twin, temperature, replace(world, rule="pre-trained only"), replace(world, rule="baseline"), non_target))
    return cells


def map_experiments(cells: Iterable[Cell], seeds: Sequence[int]) -> list[Experiment]:
    """Every run behind the cells, each once."""
    runs: dict[str, Experiment] = {}
    for cell in cells:
        for seed in seeds:
            for experiment in (cell.at(seed).teacher, cell.at(seed).baseline, cell.at(seed).non_target):
                runs.setdefault(json.dumps(asdict(experiment), sort_keys=True, default=list), experiment)
    return list(runs.values())


def map_points(
    cells: Iterable[Cell], seeds: Sequence[int], lookup: Callable[[Experiment], Record | None], shares_of: SharesOf
) -> pd.DataFrame:
    """One row a cell and seed whose two records are there, with the teacher's shares and the gain in points of average mAP.

    Args:
        cells: see :func:`map_cells`.
        seeds: which.
        lookup: of records, see :func:`nontarget.study.gates.records_in`.
        shares_of: see :func:`teacher_shares`.

    Returns:
        Columns :data:`POINT_COLUMNS`; ``key`` is that of the record of the rule.
    """
    rows = []
    for cell in cells:
        for seed in seeds:
            run = cell.at(seed)
            baseline, non_target = lookup(run.baseline), lookup(run.non_target)
            if baseline is None or non_target is None:
                continue
            shares = shares_of(run.teacher, cell.temperature)
            maps = {name: 100 * record["scores"]["avg"] for name, record in (("baseline", baseline), ("non_target", non_target))}
            about = {"twin": json.dumps(dict(cell.twin), sort_keys=True), "temperature": cell.temperature, "seed": seed}
            rows.append(about | asdict(shares) | maps | {"gain": maps["non_target"] - maps["baseline"], "key": non_target["key"]})
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def teacher_shares(store: ResultStore | None = None, *, device: str = "auto", progress: bool = True) -> SharesOf:
    """Shares among the errors of a trained teacher on the unlabelled videos; its weights are read from the store, or trained.

    The truth of the unlabelled videos is looked up here and nowhere else: it describes a run, and trains nothing.

    Args:
        store: where weights are.
        device: see :func:`nontarget.experiment.train`, as for ``progress``.
        progress: whether to show a bar.
    """
    seen: dict[str, Snippets] = {}

    def shares_of(teacher: Experiment, temperature: float) -> ErrorShares:
        key = identity_key(teacher.identity())
        if key not in seen:
            seen.clear()  # cells come by twin: one teacher at a time is enough
            seen[key] = hidden_snippets(train(teacher, store, device=device, progress=progress))
        return shares_among_errors(seen[key].probs, seen[key].labels, temperature)

    return shares_of


@dataclass(frozen=True)
class GainMap:
    """The gain as a function of P(truth in positives) and P(truth in negatives).

    A Gaussian process (anisotropic squared-exponential kernel, constant mean) through the means of the cells, where each has the
    sampling variance of its seeds and all have a common variance that the two shares do not explain. It bends only as far as the points
    ask for, and its interval grows away from them, where a polynomial would be sure of itself. With fewer than
    :data:`FEWEST_FOR_SURFACE` cells: a plane with the intervals of linear regression.
    """

    cells: pd.DataFrame
    """A row a cell: positive, negative, gain (means over seeds), variance (of the mean gain), twin, temperature."""
    kind: str
    """``surface`` or ``plane``."""
    left_out_error: float
    """Root mean squared error, in points, of the gain of each twin as predicted by the others; NaN if there is one twin."""
    constant_error: float
    """The same where the mean gain of the other twins is the prediction: what the shares must beat to say anything."""

    @classmethod
    def fit(cls, points: pd.DataFrame) -> Self:
        """Through the rows of :func:`map_points`.

        Raises:
            ValueError: fewer than four cells.
        """
        points = points.dropna(subset=[*AXES, "gain"])  # a teacher without errors is nowhere on the map
        groups = points.groupby(["twin", "temperature"], sort=False)
        cells = groups[[*AXES, "gain"]].mean().assign(variance=groups["gain"].var(), seeds=groups.size()).reset_index()
        if len(cells) < FEWEST_CELLS:
            raise ValueError(f"a map needs at least {FEWEST_CELLS} cells of a twin and a temperature, got {len(cells)}")
        pooled = cells["variance"].mean()  # of a few seeds each: one variance for all is steadier
        cells["variance"] = (0.0 if np.isnan(pooled) else pooled) / cells["seeds"]
        kind = "surface" if len(cells) >= FEWEST_FOR_SURFACE else "plane"
        errors, constant = [], []
        for twin in cells["twin"].unique():
            others = cells[cells["twin"] != twin]
            if len(others) >= FEWEST_CELLS:
                left = cells[cells["twin"] == twin]
                errors.append(_model(others)(left[AXES].to_numpy())[0] - left["gain"].to_numpy())
                constant.append(others["gain"].mean() - left["gain"].to_numpy())
        left_out, mean_alone = (float(np.sqrt(np.square(np.concatenate(e)).mean())) if e else float("nan") for e in (errors, constant))
        return cls(cells, kind, left_out, mean_alone)

    def predict(self, positive: ArrayLike, negative: ArrayLike) -> pd.DataFrame:
        """Gain at some shares: columns positive, negative, mean, low, high (95 %, of a further twin's true gain), inside.

        ``inside`` says whether a point lies within the hull of the cells; outside, the prediction is an extrapolation.
        """
        positive, negative = np.broadcast_arrays(np.atleast_1d(positive), np.atleast_1d(negative))
        x = np.stack((positive.ravel(), negative.ravel()), axis=1).astype(np.float64)
        mean, std, quantile = _model(self.cells)(x)
        frame = pd.DataFrame(x, columns=AXES)
        return frame.assign(mean=mean, low=mean - quantile * std, high=mean + quantile * std, inside=self._inside(x))

    def _inside(self, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        try:
            return Delaunay(self.cells[AXES].to_numpy()).find_simplex(x, tol=1e-9) >= 0
        except QhullError:  # the cells lie on a line
            return np.zeros(len(x), dtype=bool)


def place(gain_map: GainMap, sets: pd.DataFrame) -> pd.DataFrame:
    """Data sets on the map: what it predicts for each.

    Args:
        gain_map: fitted to twins.
        sets: a row a data set, with columns positive and negative (P(truth in them | target wrong)).
    """
    predicted = gain_map.predict(sets["positive"], sets["negative"]).set_axis(sets.index)
    return sets.join(predicted[["mean", "low", "high", "inside"]])


_Model = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64], float]]
"""From shares [n, 2] to mean and standard deviation [n] of the gain, and the quantile that makes an interval of 95 %."""


def _model(cells: pd.DataFrame) -> _Model:
    return _surface(cells) if len(cells) >= FEWEST_FOR_SURFACE else _plane(cells)


def _surface(cells: pd.DataFrame) -> _Model:
    x, y = cells[AXES].to_numpy(), cells["gain"].to_numpy()
    centre, scale = y.mean(), max(float(y.std()), 1e-6)
    # Shares lie in [0, 1]: a surface that bends within less than a twentieth of that would follow noise.
    smooth = ConstantKernel(1.0, (1e-2, 1e2)) * RBF([0.5, 0.5], (0.05, 10.0))
    process = GaussianProcessRegressor(
        smooth + WhiteKernel(0.1, (1e-4, 10.0)),
        alpha=cells["variance"].to_numpy() / scale**2 + 1e-8,
        n_restarts_optimizer=3,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound: flat in that direction
        process.fit(x, (y - centre) / scale)

    def predict(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        mean, std = process.predict(at, return_std=True)
        return centre + scale * mean, scale * std, float(stats.norm.ppf(0.975))

    return predict


def _plane(cells: pd.DataFrame) -> _Model:
    x, y = cells[AXES].to_numpy(), cells["gain"].to_numpy()
    regression = LinearRegression().fit(x, y)
    design = np.column_stack((np.ones(len(x)), x))
    free = len(x) - design.shape[1]
    variance = float(np.square(y - regression.predict(x)).sum()) / free
    inverse = np.linalg.pinv(design.T @ design)

    def predict(at: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        rows = np.column_stack((np.ones(len(at)), at))
        leverage = ((rows @ inverse) * rows).sum(axis=1)
        return regression.predict(at), np.sqrt(variance * (1 + leverage)), float(stats.t.ppf(0.975, free))

    return predict
