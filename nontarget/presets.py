"""What the presets ``small`` and ``full`` mean, beside the twins' own presets of those names."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from nontarget.config import InferenceConfig, Protocol, TrainingConfig


@dataclass(frozen=True)
class Preset:
    """A detector's preset, and how it is trained and detected from."""

    detector: str
    training: TrainingConfig
    inference: InferenceConfig = InferenceConfig()


PRESETS = {
    # The paper's epochs, of so many steps that twice as many do not help full supervision on development data; the log of choices
    # (results/choices.csv) says what else was tried.
    "small": Preset(
        "tiny", TrainingConfig(batch_size=8, steps_per_epoch=50, pretrain_learning_rate=1e-3, learning_rate=1e-3, feature_noise=0.5)
    ),
    "full": Preset("paper", TrainingConfig()),
}
_SMALL_STEPS = {"activitynet-sim": 25, "salads50": 25, "nips4b": 100}  # of an epoch, where fewer are enough or 50 too few
# Of the preset ``small``, where it is not SPOT's.
_SMALL_CHANGES: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "actionformer": lambda t: replace(t, pretrain_learning_rate=3e-3, feature_noise=0.0)
}
_THUMOS14_LEARNING_RATE = 1e-5  # Sec. 4.2, read so: of self-training with the preset ``full`` on sliding windows


def training_of(preset: str, detector: str, dataset: str, protocol: Protocol) -> TrainingConfig:
    """The training settings of a preset for a detector, a data set and its protocol."""
    training = PRESETS[preset].training
    if preset == "small":
        steps = _SMALL_STEPS.get(dataset, training.steps_per_epoch)
        return replace(_SMALL_CHANGES[detector](training) if detector in _SMALL_CHANGES else training, steps_per_epoch=steps)
    return replace(training, learning_rate=_THUMOS14_LEARNING_RATE) if protocol.windowing == "sliding" else training
