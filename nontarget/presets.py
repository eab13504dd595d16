"""What the presets ``small`` and ``full`` mean, beside the twins' own presets of those names."""

from dataclasses import dataclass, replace

from nontarget.config import InferenceConfig, Protocol, TrainingConfig


@dataclass(frozen=True)
class Preset:
    """A detector's preset, and how it is trained and detected from."""

    detector: str
    training: TrainingConfig
    inference: InferenceConfig = InferenceConfig()


PRESETS = {
    # The rate was chosen with `supervised only` and `baseline` alone, on training videos.
    # Two thirds of the paper's epochs: the book has hundreds of runs.
    "small": Preset("tiny", TrainingConfig(pretrain_epochs=8, selftrain_epochs=10, pretrain_learning_rate=2e-3)),
    "full": Preset("paper", TrainingConfig()),
}
# Of self-training, where it is not SPOT's; chosen with `supervised only` alone, on training videos whose labels were hidden.
# ActionFormer goes on from an average of weights, which is not where pre-training ended.
_SMALL_LEARNING_RATE = {"actionformer": 1e-3}
_THUMOS14_LEARNING_RATE = 1e-5  # Sec. 4.2, read so: of the preset `full` on sliding windows


def training_of(preset: str, detector: str, protocol: Protocol) -> TrainingConfig:
    """The training settings of a preset for a detector and a protocol."""
    training = PRESETS[preset].training
    if preset == "small":
        return replace(training, learning_rate=_SMALL_LEARNING_RATE.get(detector, training.learning_rate))
    return replace(training, learning_rate=_THUMOS14_LEARNING_RATE) if protocol.windowing == "sliding" else training
