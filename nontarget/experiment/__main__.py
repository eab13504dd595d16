"""One experiment as a process of its own: ``python -m nontarget.experiment '{"dataset": "hapt", "rule": "baseline"}'``."""

import argparse
from collections.abc import Sequence
from typing import get_args

from nontarget.config import from_mapping
from nontarget.experiment.execution import run, train
from nontarget.experiment.specification import Experiment
from nontarget.runtime.readers import parse_json
from nontarget.training import StageName


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m nontarget.experiment", description=__doc__)
    parser.add_argument("experiment", help="fields of nontarget.experiment.Experiment, as JSON")
    parser.add_argument("--until", choices=get_args(StageName), help="train through this stage alone, and keep its weights")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args(arguments)
    experiment = from_mapping(Experiment, parse_json(chosen.experiment, "experiment"), "experiment")
    if chosen.until:
        train(experiment, device=chosen.device, until=chosen.until)
    else:
        run(experiment, device=chosen.device)


if __name__ == "__main__":
    main()
