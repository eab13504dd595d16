from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny_dataset
from scipy.stats import ks_2samp

from nontarget.data import read_annotations
from nontarget.data.simulate import TWINS, simulate_twin, twin_checksum
from nontarget.data.twin_layout import layout_samples, load_statistics, measure_statistics, shorten_background
from nontarget.study.twin_checks import ACTIVITYNET_VIDEOS_RIGHT, THUMOS14_WINDOWS_RIGHT, video_accuracy, window_accuracy

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
            assert ks_2samp(a, b, method="asymp").statistic < 0.1, f"{name} {subset}: {what}"
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


def test_labelled_instances_are_as_many_as_in_thumos14():
    config = TWINS["thumos14-sim"]["small"]
    counts = [len(v.annotations.labels) for v in simulate_twin("thumos14-sim", replace(config, seed=1000)).train]
    assert 300 <= 0.1 * np.sum(counts) <= 400


def test_another_seed_is_another_world():
    first, other = tiny_dataset(), tiny_dataset(seed=1000)
    assert first.train[0].video.features.shape[1] == other.train[0].video.features.shape[1]
    assert lengths([v.annotations for v in first.train]).sum() != lengths([v.annotations for v in other.train]).sum()


QUIET = {"noise": 1e-3, "context": 0.0, "variation": 0.0, "confusable": 0.0, "border_jitter": 0.0, "dropouts": 0.0, "distractors": 0.0}


def shown_and_annotated(**changes):
    """Of each test video: which snippets show something, and which have their centre in an annotated segment."""
    pairs = []
    for v in tiny_dataset(**(QUIET | {"border_evidence": 1.0} | changes)).test:
        centres = (np.arange(len(v.video.features)) + 0.5) / v.video.fps
        start, end = v.annotations.segments_s.T[:, :, None]
        pairs.append((np.abs(v.video.features).max(axis=1) > 0.6, ((start <= centres) & (centres < end)).any(axis=0)))
    return (np.concatenate(x) for x in zip(*pairs, strict=True))


def test_each_knob_makes_its_own_kind_of_difficulty():
    shown, annotated = shown_and_annotated()
    assert (shown == annotated).mean() > 0.9, "evidence and annotation agree but for border snippets"
    plain = (shown != annotated).mean()
    missed, extra = (annotated & ~shown).mean(), (shown & ~annotated).mean()
    shown, annotated = shown_and_annotated(border_jitter=0.5)
    assert (shown != annotated).mean() > plain + 0.02
    shown, annotated = shown_and_annotated(dropouts=0.4)
    assert (annotated & ~shown).mean() > missed + 0.02
    shown, annotated = shown_and_annotated(distractors=1.0)
    assert (shown & ~annotated).mean() > extra + 0.05


@pytest.mark.parametrize("knob", [{"confusable": 0.9}, {"noise": 6.0}, {"similarity": 0.999}])
def test_what_hides_the_class(knob):
    easy = TWINS["activitynet-sim"]["small"]
    easy = replace(easy, num_train=100, num_test=100, num_classes=10, confusable=0.0, noise=0.3, similarity=0.5)
    assert video_accuracy(simulate_twin("activitynet-sim", easy)) > 0.95
    assert video_accuracy(simulate_twin("activitynet-sim", replace(easy, **knob))) < 0.9


def test_classifiers_see_as_much_as_on_the_real_sets():
    thumos14 = simulate_twin("thumos14-sim", replace(TWINS["thumos14-sim"]["small"], seed=1000))
    share, confusions = window_accuracy(thumos14)
    low, high = THUMOS14_WINDOWS_RIGHT.values()
    assert low < share < high + 0.05
    assert confusions.loc["HammerThrow"].idxmax() == "ThrowDiscus"
    assert confusions.loc["CliffDiving", "Diving"] == 0, "annotated too, so not wrong"
    activitynet = simulate_twin("activitynet-sim", replace(TWINS["activitynet-sim"]["small"], seed=1000))
    assert video_accuracy(activitynet) == pytest.approx(ACTIVITYNET_VIDEOS_RIGHT, abs=0.04)


def test_groups_hold_every_class_once():
    statistics = load_statistics()["thumos14"]
    assert sorted(name for group in statistics["groups"] for name in group) == sorted(statistics["classes"])


def test_shortened_background_keeps_the_instances():
    segments = np.array([[10.0, 12.0], [30.0, 35.0], [90.0, 91.0]])
    duration, shorter = shorten_background((100.0, segments), 50.0, 0.1)
    assert duration == pytest.approx(50.0)
    np.testing.assert_allclose(np.diff(shorter, axis=1), np.diff(segments, axis=1))
    assert shorten_background((100.0, segments), 10.0, 0.5)[0] == pytest.approx(8 + 0.5 * 92)
    assert shorten_background((100.0, segments[:0]), 20.0, 0.1)[0] == pytest.approx(20.0)
