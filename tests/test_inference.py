import numpy as np
import pandas as pd
import pytest
import torch
from helpers import as_trained, tiny_dataset, video

from nontarget import TrainedDetector, detect
from nontarget.config import InferenceConfig, Protocol
from nontarget.data import DataError, Normalization, Video
from nontarget.detectors import build_detector, detector_settings
from nontarget.detectors.base import Candidates, Detector, DetectorOutput
from nontarget.inference import COLUMNS, detect_videos
from nontarget.runtime.devices import cpu_threads

CLASSES = ("run", "jump")


class Fixed(Detector):
    """A detector whose candidates in each clip are given."""

    targets = pseudo_targets = localization_loss = None  # it is never trained

    def __init__(self, found, probs=None):
        super().__init__(num_classes=2)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.found, self.probs, self.seen = found, probs, 0

    def forward(self, features, valid):
        logits = torch.zeros(*valid.shape, 3) if self.probs is None else self.probs.expand(*valid.shape, 3).log()
        return DetectorOutput(logits, valid)

    def candidates(self, output, valid, config):
        rows = [(c - self.seen, *row) for c, row in self.found if self.seen <= c < self.seen + len(valid)]
        self.seen += len(valid)
        columns = [torch.tensor([r[i] for r in rows]) for i in range(5)]
        return Candidates(columns[0].long(), columns[1].long(), torch.stack((columns[2], columns[3]), 1).float(), columns[4].float())


def run(found, videos, protocol, batch_size=2, **config):
    return detect_videos(as_trained(Fixed(found), videos, protocol, batch_size=batch_size, **config), videos)


def test_windows_are_merged_into_video_time():
    # 20 snippets at 2 Hz in windows of 8 every 4: clips begin at 0, 2, 4, 6 s.
    videos = [video("short", snippets=6), video("long", snippets=20)]
    found = [(0, (0, 1, 3, 0.9)), (1, (1, 2, 4, 0.8)), (3, (0, 2, 6, 0.7)), (4, (1, 7, 8, 0.6))]
    frame = run(found, videos, Protocol(num_snippets=8, stride=4))
    assert list(frame.columns) == COLUMNS
    expected = [
        ("short", "run", 0.5, 1.5, 0.9),
        ("long", "jump", 1.0, 2.0, 0.8),
        ("long", "run", 5.0, 7.0, 0.7),
        ("long", "jump", 9.5, 10.0, 0.6),
    ]
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected, columns=COLUMNS), atol=1e-6)


def test_the_batch_size_has_no_effect():
    videos = [video("short", snippets=6), video("long", snippets=20)]
    found = [(i, (0, 1, 3 + i % 3, 0.9 - i / 10)) for i in range(5)]
    frames = [run(found, videos, Protocol(num_snippets=8, stride=4), batch_size=b) for b in (1, 2, 100)]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])


def test_fragments_at_inner_borders_are_left_out():
    v = [video("v", snippets=20)]
    protocol = Protocol(num_snippets=8, stride=4)
    kept = [(0, (0, 0, 2, 0.9)), (1, (0, 1, 3, 0.8)), (3, (1, 6, 8, 0.7)), (1, (1, 0, 8, 0.6))]  # video's ends; inside; longer than shared
    cut = [(0, (0, 6, 8, 0.95)), (1, (0, 0, 4, 0.94)), (2, (1, 4, 8, 0.93))]
    assert sorted(run(kept + cut, v, protocol)["score"].round(4)) == sorted(run(kept, v, protocol)["score"].round(4))
    assert len(run(cut, v, protocol)) == 0
    # A rescaled video is one clip: nothing is cut.
    whole = Protocol(windowing="rescale", num_snippets=8, stride=4)
    assert len(run([(0, (0, 0, 2, 0.9)), (0, (1, 6, 8, 0.8))], v, whole)) == 2


def test_detections_are_clipped_to_the_video_and_limited():
    v = [video("v", snippets=6)]
    protocol = Protocol(num_snippets=8, stride=4)
    frame = run([(0, (0, 4, 8, 0.9))], v, protocol)
    assert frame["end_s"].tolist() == [3.0]
    assert len(run([(0, (0, 6, 8, 0.9))], v, protocol)) == 0, "nothing is left of it"
    many = [(0, (0, i, i + 1, 0.9 - i / 10)) for i in range(5)]
    assert len(run(many, v, protocol, max_detections=2)) == 2
    assert len(run(many, v, protocol, max_candidates=3)) == 3
    assert len(run(many, v, protocol, min_score=0.75)) == 2


def test_overlapping_detections_of_a_class_decay():
    v = [video("v", snippets=8)]
    frame = run([(0, (0, 0, 4, 0.9)), (0, (0, 0, 5, 0.8)), (0, (1, 0, 5, 0.7))], v, Protocol(num_snippets=8, stride=4, nms_sigma=0.5))
    by_score = dict(zip(frame["score"].round(5), frame["label"], strict=True))
    assert by_score == {0.9: "run", 0.7: "jump", round(0.8 * np.exp(-(0.8**2) / 0.5), 5): "run"}


def test_whole_videos():
    videos = [video("a", snippets=6), video("b", snippets=20)]
    protocol = Protocol(num_snippets=8, stride=4)
    detector = Fixed([], torch.tensor([0.2, 0.5, 0.3]))
    frame = detect_videos(as_trained(detector, videos, protocol, whole_video=True), videos)
    expected = [("a", "jump", 0.0, 3.0, 0.5), ("b", "jump", 0.0, 10.0, 0.5)]
    pd.testing.assert_frame_equal(frame, pd.DataFrame(expected, columns=COLUMNS), atol=1e-6)


@pytest.fixture
def trained():
    dataset = tiny_dataset()
    settings = detector_settings("spot", "small", embed_dim=16, mask_dim=8)
    detector = build_detector("spot", dataset.feature_dim, dataset.num_classes, settings)
    normalization = Normalization.of([v.video for v in dataset.train])
    return TrainedDetector(
        detector.eval(), "spot", settings, dataset.classes, normalization, Protocol(num_snippets=16, stride=8, pool=2), InferenceConfig()
    )


def test_checkpoint_round_trip(trained, tmp_path):
    path = tmp_path / "model.safetensors"
    trained.save(path)
    again = TrainedDetector.load(path)
    features = {"x": np.random.default_rng(0).normal(size=(50, 8)), "y": np.random.default_rng(1).normal(size=(9, 8))}
    a, b, c = (detect(m, features, feature_fps=4.0) for m in (trained, again, path))
    pd.testing.assert_frame_equal(a, b)
    pd.testing.assert_frame_equal(a, c)
    assert set(a["video_id"]) == {"x", "y"}
    assert (a["end_s"] <= a["video_id"].map({"x": 12.5, "y": 2.25})).all()
    assert again.classes == trained.classes
    assert b"pickle" not in path.read_bytes()


def test_detect_takes_an_archive(trained, tmp_path):
    np.savez(tmp_path / "features.npz", x=np.zeros((20, 8), np.float16))
    with np.load(tmp_path / "features.npz") as archive:
        frame = detect(trained, archive, feature_fps=4.0, durations_s={"x": 4.5})
    assert frame["end_s"].max() <= 4.5


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"x": np.zeros((20, 7))}, r"x: the detector was trained on features \[T, 8\], got shape \(20, 7\)"),
        ({"x": np.zeros(8)}, r"got shape \(8,\)"),
        ({"x": np.zeros((0, 8))}, r"got shape \(0, 8\)"),
        ({"x": np.full((20, 8), np.inf)}, "x: features must be finite"),
    ],
)
def test_detect_bad_input(trained, features, message):
    with pytest.raises(DataError, match=message):
        detect(trained, features, feature_fps=4.0)


@pytest.mark.usefixtures("unchecked")
def test_detect_wrong_arguments(trained):
    features = {"x": np.zeros((20, 8))}
    for fps in (0, -5, float("nan")):
        with pytest.raises(ValueError, match="feature_fps must be a positive number"):
            detect(trained, features, feature_fps=fps)
    for durations in ({}, {"x": -1}):
        with pytest.raises(DataError, match="x: durations_s must give it a positive number of seconds"):
            detect(trained, features, 4.0, durations)
    with pytest.raises(ValueError, match="feature_fps must be a positive number of feature steps per second, got '5'"):
        detect(trained, features, "5")
    with pytest.raises(DataError, match="x: durations_s must give it a positive number of seconds, got '5'"):
        detect(trained, features, 4.0, {"x": "5"})
    for durations in ("5", [5.0]):
        with pytest.raises(TypeError, match="durations_s must be a mapping of video id -> seconds, or None, got (str|list)"):
            detect(trained, features, 4.0, durations)
    for wrong in (np.zeros((20, 8)), [np.zeros((20, 8))], []):
        with pytest.raises(TypeError, match=r"features must be a mapping of video id -> array \[T, D\], got (ndarray|list)"):
            detect(trained, wrong, 4.0)
    with pytest.raises(TypeError, match="inference must be an InferenceConfig, or None for that of training, got dict"):
        detect(trained, features, 4.0, inference={"min_score": 0.1})
    with pytest.raises(FileNotFoundError, match=r"nothing\.safetensors: no such checkpoint"):
        detect("nothing.safetensors", {}, 4.0)
    with pytest.raises(TypeError, match="expected a TrainedDetector or the path of one, got dict"):
        detect({}, features, 4.0)
    empty = detect(trained, {}, 4.0)
    assert list(empty.columns) == ["video_id", "label", "start_s", "end_s", "score"]
    assert not len(empty)


def test_detect_uses_one_thread_unless_told_otherwise(trained):
    used = []
    trained.detector.register_forward_pre_hook(lambda *_: used.append(torch.get_num_threads()))
    features = {"v": np.zeros((20, 8), dtype=np.float32)}
    with cpu_threads(3):
        detect(trained, features, 5.0)
        detect(trained, features, 5.0, threads=2)
        detect_videos(trained, [Video("v", features["v"], 5.0, 4.0)])
        assert torch.get_num_threads() == 3
    assert used == [1, 2, 3]
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        detect(trained, features, 5.0, threads=0)


@pytest.mark.usefixtures("unchecked")
def test_detect_takes_durations_as_numpy_and_pandas_have_them(trained):
    features = {"x": np.zeros((20, 8))}
    plain = detect(trained, features, 4.0, {"x": 4.5})
    for durations in ({"x": np.float32(4.5)}, {"x": np.array(4.5)}, pd.Series({"x": 4.5})):
        pd.testing.assert_frame_equal(detect(trained, features, np.float32(4), durations), plain)


def test_bad_checkpoints(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        TrainedDetector.load(tmp_path / "nothing.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    with pytest.raises(DataError, match="cut.safetensors: not a readable safetensors file"):
        TrainedDetector.load(tmp_path / "cut.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="expected the format 'nontarget detector 1', got None"):
        TrainedDetector.load(tmp_path / "other.safetensors")


def test_external_scores_multiply_before_soft_nms():
    videos = [video("v", snippets=8), video("w", snippets=8)]
    protocol = Protocol(num_snippets=8, stride=4)
    found = [(0, (0, 1, 3, 0.5)), (0, (1, 1, 3, 0.8)), (1, (0, 2, 6, 0.4))]
    external = {"v": [1.0, 0.25], "w": [0.5, 1.0]}
    frame = detect_videos(as_trained(Fixed(found), videos, protocol, external_scores=True), videos, external)
    assert frame[["video_id", "label", "score"]].values.tolist() == [
        ["v", "run", pytest.approx(0.5)],
        ["v", "jump", pytest.approx(0.2)],
        ["w", "run", pytest.approx(0.2)],
    ]
    off = detect_videos(as_trained(Fixed(found), videos, protocol), videos, external)
    assert off["score"].tolist() == pytest.approx([0.8, 0.5, 0.4])

    probs = torch.tensor([0.3, 0.6, 0.1])
    trained = as_trained(Fixed(found, probs), videos, protocol, external_scores=True, whole_video=True)
    whole = detect_videos(trained, videos, external)
    assert whole[["label", "score"]].values.tolist() == [["run", pytest.approx(0.3)], ["jump", pytest.approx(0.6)]]


def test_external_scores_that_are_not_there():
    videos = [video("v", snippets=8)]
    trained = as_trained(Fixed([]), videos, Protocol(num_snippets=8, stride=4), external_scores=True)
    with pytest.raises(ValueError, match="the data set has no external video scores"):
        detect_videos(trained, videos)
    with pytest.raises(ValueError, match="1 videos have none: v"):
        detect_videos(trained, videos, {"w": [1.0, 1.0]})
    with pytest.raises(ValueError, match="one number for each of 2 classes"):
        detect_videos(trained, videos, {"v": [1.0]})
