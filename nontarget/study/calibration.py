"""Calibration of the twins: ``python -m nontarget.study.calibration thumos14-sim --set noise=0.6 distractors=0.2``.

A twin should be as hard for the *baseline* as the real data set is. So its knobs are set until the baseline has, at each label ratio and
tIoU, about the mAP that the paper's baseline has in Table 1. No other row of the table, and no other learning rule, is looked at, and the
generator's worlds are development worlds (seeds from 1000), which no page of the book shows.
SENSITIVITIES
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nontarget.config import check_choice
from nontarget.data.simulate import TWINS
from nontarget.experiment import Experiment
from nontarget.paper import reported_map
from nontarget.parallel import run_all
from nontarget.results import ResultStore
from nontarget.tables import RATIOS

FIRST_DEVELOPMENT_WORLD = 1000
MOST_OFF_ON_AVERAGE, MOST_OFF = 3.0, 6.0
"""Of mAP in percent: of the average over tIoU at each ratio, and at each tIoU."""


@dataclass(frozen=True)
class Calibration:
    """The baseline on a twin beside the paper's."""

    curve: pd.DataFrame
    """Rows (ratio, tiou, ours, paper, difference): mAP in percent; tIoU ``avg`` is the mean over all thresholds of the protocol."""

    @property
    def passed(self) -> bool:
        """Whether every average lies within 3 points of the paper's, and every tIoU within 6."""
        allowed = self.curve["tiou"].eq("avg").map({True: MOST_OFF_ON_AVERAGE, False: MOST_OFF})
        return bool((self.curve["difference"].abs() <= allowed).all())


def calibration_experiments(
    dataset: str, ratios: Sequence[float] = RATIOS, seeds: Sequence[int] = (1000, 1001), **settings: Mapping[str, Any]
) -> list[Experiment]:
    """The baseline at each ratio and seed; a seed is that of the generator's world, the split and the training.

    Args:
        dataset: a twin.
        ratios: label ratios that Table 1 has.
        seeds: from 1000, so that calibration never sees a world that the book shows.
        **settings: of :class:`nontarget.experiment.Experiment`, such as ``twin_settings`` (the knobs to try).

    Raises:
        ValueError: no twin, a seed below 1000, or a ratio that the paper does not have.
    """
    check_choice("twin", dataset, TWINS)
    if not seeds or min(seeds) < FIRST_DEVELOPMENT_WORLD:
        raise ValueError(f"seeds must be those of development worlds, from {FIRST_DEVELOPMENT_WORLD}; got {list(seeds)}")
    for ratio in ratios:
        if "Baseline" not in reported_map("table1", dataset, ratio).index:
            raise ValueError(f"label ratio must be one of Table 1, {list(RATIOS)}; got {ratio!r}")
    knobs = settings.pop("twin_settings", {})
    return [
        Experiment(dataset, "baseline", ratio, seed, twin_settings={**knobs, "seed": seed}, **settings)  # type: ignore[arg-type]
        for ratio in ratios
        for seed in seeds
    ]


def calibration_curve(
    dataset: str,
    ratios: Sequence[float] = RATIOS,
    seeds: Sequence[int] = (1000, 1001),
    twin_settings: Mapping[str, Any] | None = None,
    *,
    store: ResultStore | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> Calibration:
    """Run the baseline on development worlds of a twin and compare it with the paper's; see :func:`calibration_experiments`.

    Args:
        dataset: a twin.
        ratios: label ratios that Table 1 has.
        seeds: development worlds; the mean over them is compared.
        twin_settings: knobs that differ from the twin's preset.
        store: where results are kept; default: the store in the default folder.
        settings: other settings of the experiments, such as ``{"training_settings": {"pretrain_epochs": 16}}``.
        **options: of :func:`nontarget.parallel.run_all`.
    """
    experiments = calibration_experiments(dataset, ratios, seeds, twin_settings=twin_settings or {}, **(settings or {}))
    records = run_all(experiments, store, **options)
    scores = pd.DataFrame([record["scores"] for record in records]).mul(100)
    mean = scores.groupby([e.label_ratio for e in experiments], sort=False).mean()
    rows = [
        {"ratio": ratio, "tiou": str(tiou), "ours": float(mean.loc[ratio, tiou]), "paper": float(paper)}
        for ratio in ratios
        for tiou, paper in reported_map("table1", dataset, ratio).loc["Baseline"].dropna().items()
    ]
    curve = pd.DataFrame(rows)
    return Calibration(curve.assign(difference=curve["ours"] - curve["paper"]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.study.calibration", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("dataset", choices=TWINS)
    parser.add_argument("--set", nargs="+", default=[], metavar="KNOB=VALUE", help="knobs that differ from the preset")
    parser.add_argument("--ratios", nargs="+", type=float, default=list(RATIOS), choices=RATIOS, help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1000, 1001], help="development worlds, default: 1000 1001")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, help="processes; default: one for each CPU core")
    chosen = parser.parse_args(arguments)
    try:
        knobs = {name: float(value) for name, value in (knob.split("=") for knob in chosen.set)}
    except ValueError:
        parser.error(f"--set takes KNOB=NUMBER, got {' '.join(chosen.set)}")
    result = calibration_curve(chosen.dataset, chosen.ratios, chosen.seeds, knobs, device=chosen.device, workers=chosen.workers)
    print(result.curve.round(1).to_string(index=False))
    print("passed" if result.passed else f"not passed: averages within {MOST_OFF_ON_AVERAGE:g} points, each tIoU within {MOST_OFF:g}")


if __name__ == "__main__":
    main()
