from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny_dataset
from scipy.stats import ks_2samp

from nontarget.data import read_annotations
from nontarget.data.simulate import TWINS, simulate_twin, twin_checksum
from nontarget.data.twin_layout import layout_samples, load_statistics, measure_statistics

REAL = {"thumos14-sim": "thumos14/thumos14.json", "activitynet-sim": "activitynet/activitynet_v1-3.json"}
MEASURED = {"thumos14-sim": ((2, 4, 9, 19, 39, 999), "mean"), "activitynet-sim": ((1, 2, 4, 9, 99), "share")}


def lengths(annotations):
    return np.concatenate([np.diff(a.segments_s, axis=1)[:, 0] for a in annotations])


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_full_twin_follows_the_real_annotations(data_root, name):
    real = read_annotations(data_root / REAL[name], invalid="repair")
    # The features have no part in this: four dimensions save time and memory.
    twin = simulate_twin(name, replace(TWINS[name]["full"], feature_dim=4))
    for subset, videos in zip(real.subsets(), (twin.train, twin.test), strict=True):
        entries = [e for e in real.videos.values() if e.subset == subset]
        assert len(entries) == len(videos)
        pairs = {
            "instance duration": (lengths([e.annotations for e in entries]), lengths([v.annotations for v in videos])),
            "instances per video": ([len(e.annotations.labels) for e in entries], [len(v.annotations.labels) for v in videos]),
            "video duration": ([e.duration_s for e in entries], [v.video.duration_s for v in videos]),
        }
        for what, (a, b) in pairs.items():
            assert ks_2samp(a, b).statistic < 0.1, f"{name} {subset}: {what}"
        classes_per_video = [len(set(v.annotations.labels)) for v in videos]
        real_classes = [len(set(e.annotations.labels)) for e in entries]
        assert np.mean(classes_per_video) == pytest.approx(np.mean(real_classes), abs=0.1)


@pytest.mark.parametrize("name", REAL)
def test_frozen_statistics_are_those_of_the_real_annotations(data_root, name):
    real = read_annotations(data_root / REAL[name], invalid="repair")
    (max_counts, length), subsets = MEASURED[name], real.subsets()
    entries = [e for e in real.videos.values() if e.subset in subsets]
    frozen = load_statistics()[TWINS[name]["full"].statistics]
    assert frozen["classes"] == list(real.classes)
    quantities = layout_samples([(e.duration_s, e.annotations.segments_s) for e in entries])
    assert frozen["real_quantiles"] == {k: np.quantile(v, np.linspace(0, 1, 101)).round(2).tolist() for k, v in quantities.items()}
    assert {k: frozen[k] for k in ("length", "counts", "buckets")} == measure_statistics(entries, max_counts, length)


@pytest.mark.parametrize("name", REAL)
def test_small_twin(name):
    config = TWINS[name]["small"]
    twin, again = simulate_twin(name, config), simulate_twin(name, config)
    assert twin.simulated
    assert len(twin.train) == config.num_train
    assert twin.num_classes == config.num_classes
    for a, b in zip((*twin.train, *twin.test), (*again.train, *again.test), strict=True):
        np.testing.assert_array_equal(a.video.features, b.video.features)
    for v in (*twin.train, *twin.test):
        segments = v.annotations.segments_s
        assert (segments[:, 1] > segments[:, 0]).all()
        assert (segments >= 0).all()
        assert (segments <= v.video.duration_s + 1e-9).all()
        assert np.isfinite(v.video.features).all()


def test_co_annotated_classes():
    twin = simulate_twin("thumos14-sim", TWINS["thumos14-sim"]["small"])
    cliff, diving = twin.classes.index("CliffDiving"), twin.classes.index("Diving")
    for v in (*twin.train, *twin.test):
        a = v.annotations
        cliff_segments = {tuple(s) for s, c in zip(a.segments_s, a.labels, strict=True) if c == cliff}
        assert cliff_segments <= {tuple(s) for s, c in zip(a.segments_s, a.labels, strict=True) if c == diving}


def test_every_setting_reaches_the_data_or_the_checksum():
    config = TWINS["thumos14-sim"]["small"]
    assert twin_checksum(config) != twin_checksum(replace(config, seed=1))
    a, b = tiny_dataset(), tiny_dataset(seed=1)
    assert not np.array_equal(a.train[0].video.features, b.train[0].video.features)
