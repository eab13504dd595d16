"""Experiments on a data set that is at hand as an object: a fold, a subject left out."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from nontarget.data import Dataset
from nontarget.experiment import Experiment


@dataclass(frozen=True)
class ExperimentOn(Experiment):
    """An experiment whose data are ``data``; ``dataset`` or ``features`` name what they were made of, and with it the budget.

    Raises:
        ValueError: there are no data.
    """

    data: Dataset | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data is None:
            raise ValueError("ExperimentOn needs data=Dataset; for a data set by name use Experiment")

    def identity(self) -> dict[str, Any]:
        data = self.load()
        about = {"name": data.name, "checksum": data.checksum, "simulated": data.simulated}
        return super().identity() | {"dataset": about, "protocol": json.loads(json.dumps(asdict(data.protocol)))}

    def load(self) -> Dataset:
        assert self.data is not None
        return self.data.with_protocol(**self.protocol_settings)
