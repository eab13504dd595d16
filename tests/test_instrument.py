"""What makes the instrument fair: no cap across classes, whole instances first, development data apart, one budget for all rules."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY, TINY_TRAINING, TINY_TWIN, as_trained, tiny_dataset, video
from safetensors.torch import load_file
from test_inference import Fixed
from test_training import CONFIG, fresh, prepare, same_weights

from nontarget import rules
from nontarget.config import InferenceConfig, Protocol
from nontarget.data import Annotations, LabeledVideo, available, load_dataset, write_feature_folder
from nontarget.data.simulate import TWINS
from nontarget.detectors.spot import spot_candidates
from nontarget.experiment import Experiment, evaluate, run, train
from nontarget.inference import detect_videos
from nontarget.parallel import run_all
from nontarget.results import ResultStore, identity_key
from nontarget.rules.pseudo_label import Baseline
from nontarget.study.choices import SYSTEMS, read_choices, try_settings
from nontarget.study.systems import FIRST_SEED, MAIN_SYSTEMS, OTHER_SEEDS, TABLES, seeds_of, table_experiments
from nontarget.study.tables import compare
from nontarget.training import train_stage


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "store")


@pytest.fixture(scope="module")
def dataset():
    return tiny_dataset()


# --- no cap counts over classes


def test_near_copies_of_a_sure_class_do_not_remove_another():
    """5,000 candidates of one class, all surer than the only one of the other: both classes are found, the other as if it were alone."""
    v = [video("v", snippets=60)]
    protocol = Protocol(num_snippets=64, stride=32)
    shift = np.random.default_rng(0).uniform(-0.5, 0.5, (5000, 2))
    sure = [(0, (0, 10 + a, 40 + b, 0.9)) for a, b in shift]
    alone = [(0, (1, 45, 50, 0.05))]
    found = detect_videos(as_trained(Fixed(sure + alone), v, protocol), v)
    assert set(found["label"]) == {"run", "jump"}
    jump = detect_videos(as_trained(Fixed(alone), v, protocol), v)
    rows = found[found["label"] == "jump"].reset_index(drop=True)
    assert rows.equals(jump)
    limited = detect_videos(as_trained(Fixed(sure + alone), v, protocol, max_candidates=1), v)
    assert limited["label"].tolist() == ["run", "jump"], "a cap of one leaves one of each class"


def test_a_cap_counts_for_each_video_by_itself():
    videos = [video("v", snippets=60), video("w", snippets=60, seed=1)]
    protocol = Protocol(num_snippets=64, stride=32)
    found = [(0, (0, i, i + 1, 0.9)) for i in range(40)] + [(1, (0, 3, 5, 0.1))]
    frame = detect_videos(as_trained(Fixed(found), videos, protocol, max_candidates=3), videos)
    assert frame["video_id"].tolist() == ["v"] * 3 + ["w"]


@pytest.mark.parametrize("name", [*TWINS, "hapt", "nips4b", "shrec21", "salads50"])
def test_doubling_a_cap_changes_nothing(name, store, request, monkeypatch):
    """On each data set, a quickly trained detector: twice the candidates, or detections, move the average mAP by less than 0.1."""
    if name not in TWINS:
        monkeypatch.setenv("NONTARGET_DATA", str(request.getfixturevalue("data_root")))
        if name not in available():
            pytest.skip(f"{name} is not at hand")
    budget = {"pretrain_epochs": 4, "selftrain_epochs": 0, "steps_per_epoch": 40}
    e = Experiment(name, "pre-trained only", label_ratio=1.0, training_settings=budget)
    training = train(e, store, device="cpu", progress=False)
    few = replace(training.dataset, test=training.dataset.test[:40])  # of the test videos: enough to have thousands of candidates
    training = replace(training, dataset=few)
    caps = InferenceConfig()
    plain, _ = evaluate(training)
    assert plain.average_mean_ap > 0.05, "or there is nothing to lose"
    for cap in ("max_candidates", "max_detections"):
        doubled = replace(training.trained, inference=replace(caps, **{cap: 2 * getattr(caps, cap)}))
        scores, _ = evaluate(replace(training, trained=doubled))
        assert abs(scores.average_mean_ap - plain.average_mean_ap) < 0.001, cap


# --- the score of a candidate


def test_a_whole_instance_ranks_before_its_fragments():
    """The middle of an instance is surer than its ends: the mean over a segment prefers the middle, contrast and agreement the whole."""
    curve = torch.full((20,), 0.05)
    curve[5:15] = torch.tensor([0.7, 0.8, 0.9, 0.95, 0.95, 0.95, 0.95, 0.9, 0.8, 0.7])
    probs = torch.stack((curve, 1 - curve), dim=-1)[None]
    mask = torch.full((20,), 0.05)
    mask[5:15] = torch.tensor([0.75, 0.85, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95, 0.85, 0.75])
    masks = mask.expand(1, 20, 20).contiguous()

    def best(**scores):
        found = spot_candidates(probs, masks, torch.ones(1, 20, dtype=torch.bool), InferenceConfig(**scores))
        assert [5.0, 15.0] in found.segments.tolist()
        return found.segments[found.scores.argmax()].tolist()

    assert best() == best(class_score="contrast", mask_score="agreement") == [5.0, 15.0]
    fragment = best(class_score="mean", mask_score="mean")
    assert fragment[0] > 5
    assert fragment[1] < 15
    assert best(class_score="contrast", mask_score="mean") == [5.0, 15.0], "each of the two does it alone"
    assert best(class_score="mean", mask_score="agreement") == [5.0, 15.0]


@pytest.mark.parametrize("class_score", ["contrast", "mean"])
@pytest.mark.parametrize("mask_score", ["agreement", "mean"])
def test_scores_by_hand(class_score, mask_score):
    """One run of four snippets, at the start of the clip, where there is nothing before it."""
    curve = torch.tensor([0.8, 0.8, 0.6, 0.6, 0.2, 0.0, 0.0, 0.0])
    probs = torch.stack((curve, 1 - curve), dim=-1)[None]
    mask = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.4, 0.0, 0.0, 0.0])
    config = InferenceConfig(class_thresholds=(0.5,), mask_thresholds=(0.5,), class_score=class_score, mask_score=mask_score)
    found = spot_candidates(probs, mask.expand(1, 8, 8).contiguous(), torch.ones(1, 8, dtype=torch.bool), config)
    assert found.segments.unique(dim=0).tolist() == [[0.0, 4.0]]
    of_class = 0.7 - (0 + 0.2) / 2 if class_score == "contrast" else 0.7
    of_mask = 3.6 / (4.0 + 4 - 3.6) if mask_score == "agreement" else 0.9
    assert found.scores.tolist() == pytest.approx([of_class * of_mask] * len(found.scores))


# --- development data


@pytest.fixture
def folder(tmp_path, dataset):
    write_feature_folder(tmp_path / "mine", dataset)
    return tmp_path / "mine"


def held_out(folder, **changes):
    return Experiment(**{**TINY, "twin_settings": {}, "label_ratio": 0.5, "features": str(folder), "held_out": True, **changes})


def ids(videos):
    return [v.video.video_id for v in videos]


def test_test_videos_are_not_in_development_data(folder, dataset):
    found = held_out(folder).load()
    assert sorted(ids(found.train) + ids(found.test)) == sorted(ids(dataset.train)), "training videos, each in one of the two parts"
    assert not set(ids(found.train) + ids(found.test)) & set(ids(dataset.test))
    assert found.unlabeled == ()
    assert found.external_scores is None
    assert len(found.test) == len(dataset.train) - len(found.train) == len(dataset.train) // 3


def test_test_annotations_have_no_effect_on_development_data(folder, tmp_path, dataset, store):
    """Randomise all that is annotated in test videos, and their features: every number is the same, to the last bit."""
    rng = np.random.default_rng(0)

    def other(v):
        n = int(rng.integers(1, 4))
        starts = np.sort(rng.random(n)) * v.video.duration_s / 2
        noise = replace(v.video, features=rng.normal(size=v.video.features.shape).astype(np.float32))
        return LabeledVideo(noise, Annotations(rng.integers(0, dataset.num_classes, n), np.stack((starts, starts + 1), axis=1)))

    changed = replace(dataset, test=tuple(map(other, dataset.test)))
    write_feature_folder(tmp_path / "randomised" / "mine", changed)
    a, b = (run(held_out(f), store, device="cpu") for f in (folder, tmp_path / "randomised" / "mine"))
    assert a["key"] != b["key"], "the folders' checksums differ"
    for part in ("scores", "scored", "curves", "occupancy"):
        assert a[part] == b[part], part
    c, d = (run(held_out(f, held_out=False), store, device="cpu") for f in (folder, tmp_path / "randomised" / "mine"))
    assert c["scores"] != d["scores"], "and this test can tell"


def test_development_data_share_no_weights_with_results(folder, store):
    """The same folder, seed and ratio: what was trained on two thirds of the training videos is not taken for all of them."""
    first = run(held_out(folder), store, device="cpu")
    weights = set(store.runs_folder.glob("weights-*"))
    after = run(held_out(folder, held_out=False), store, device="cpu")
    assert first["curves"] != after["curves"]
    assert len(set(store.runs_folder.glob("weights-*")) - weights) == 2
    assert after["curves"] == run(held_out(folder, held_out=False), ResultStore(store.folder / "alone"), device="cpu")["curves"]


def test_development_data_of_a_twin_are_another_world():
    plain, other = Experiment(**TINY), Experiment(**TINY, held_out=True)
    a, b = plain.load(), other.load()
    assert plain.identity()["dataset"]["checksum"] != other.identity()["dataset"]["checksum"]
    assert not np.array_equal(a.train[0].video.features, b.train[0].video.features)
    for x in (*a.train, *a.test):
        for y in (*b.train, *b.test):
            assert x.video.features.shape != y.video.features.shape or not np.array_equal(x.video.features, y.video.features)
    same = load_dataset("thumos14-sim", twin_settings={**TINY_TWIN, "seed": TWINS["thumos14-sim"]["small"].seed + 1000})
    assert np.array_equal(b.train[0].video.features, same.train[0].video.features), "the world of seed 1000 above"


def test_a_ratio_too_small_for_development_data_is_said_at_once(folder, store):
    """The whole training set would do, two thirds of it do not."""
    good = held_out(folder, held_out=False)
    ratios = [
        r / 100 for r in range(5, 60) if _fails(held_out(folder, label_ratio=r / 100)) and not _fails(replace(good, label_ratio=r / 100))
    ]
    bad = replace(good, label_ratio=ratios[0])
    with pytest.raises(ValueError, match="without a label"):
        run_all([bad, replace(bad, held_out=True)], store, device="cpu", workers=1)
    assert not list(store.runs_folder.glob("*"))


def _fails(experiment):
    from nontarget.data import split_dataset

    try:
        split_dataset(experiment.load(), experiment.label_ratio, experiment.seed)
    except ValueError:
        return True
    return False


# --- one budget, one first stage


@pytest.mark.parametrize("budget", [None, 1])
def test_every_rule_and_ratio_takes_as_many_steps(budget):
    dataset = tiny_dataset(num_train=12)
    config = replace(CONFIG, steps_per_epoch=budget, pretrain_epochs=1, selftrain_epochs=1, batch_size=8 if budget else 32)
    counts = {}
    for ratio in (0.4, 0.8, 1.0) if budget else (0.4, 1.0):
        data = prepare(dataset, ratio, truth=dataset if ratio < 1 else None)
        for name in rules.available():
            rule = rules.get_rule(name)
            if rule.labels_all != (ratio == 1.0):
                continue
            rule = replace(rule, teacher_temperature=1.5) if rule.teacher_temperature == "calibrated" else rule
            detector, steps = fresh(dataset), []
            detector.pretext = rule.pretext_head(detector.embed_dim)
            for stage in ("pretrain", "selftrain") if rule.self_trains else ("pretrain",):
                train_stage(stage, detector, rule, data, config, seed=5, on_step=lambda steps=steps: steps.append(1))
            counts[name, ratio] = len(steps) / (2 if rule.self_trains else 1)
    assert len(counts) > 20
    assert set(counts.values()) == {budget} if budget else len(set(counts.values())) == 1


def test_pretrained_only_is_the_first_stage_that_others_share(store):
    baseline = train(Experiment(**TINY, rule="baseline"), store, device="cpu", progress=False)
    files = set(store.runs_folder.glob("weights-*"))
    first = train(Experiment(**TINY, rule="pre-trained only"), store, device="cpu", progress=False)
    assert set(store.runs_folder.glob("weights-*")) == files, "nothing was trained for it"
    assert list(first.stages) == ["pretrain"]
    assert first.stages["pretrain"].curve == baseline.stages["pretrain"].curve
    weights = [load_file(path) for path in files]
    own = {f"model.{name}": t for name, t in first.trained.detector.state_dict().items()}
    assert sum(all(torch.equal(saved[name], t) for name, t in own.items()) for saved in weights) == 1
    assert not same_weights(first.trained.detector, baseline.trained.detector)
    record = run(Experiment(**TINY, rule="pre-trained only"), store, device="cpu")
    assert list(record["curves"]) == list(record["gradient_share"]) == ["pretrain"]
    longer = Experiment(**{**TINY, "training_settings": {**TINY_TRAINING, "selftrain_epochs": 5}}, rule="pre-trained only")
    train(longer, store, device="cpu", progress=False)
    assert set(store.runs_folder.glob("weights-*")) == files, "what concerns the second stage alone has no effect on it"


def test_noise_on_features_is_the_student_s_alone(dataset, monkeypatch):
    """Labelled and unlabelled clips of a step are noisy; what the teacher sees, and what L_rec has to rebuild, is not."""
    data, seen = prepare(dataset), {"student": [], "teacher": [], "rebuilt": []}
    clean = {tuple(clip.flatten().tolist()) for clips in (data.labeled, data.unlabeled) for clip in clips.features}
    detector = fresh(dataset)
    plain, rebuild = type(detector).forward, type(detector).label_free_losses

    def forward(self, features, valid):
        seen["student" if self.training else "teacher"].append((features.clone(), valid))
        return plain(self, features, valid)

    def label_free(self, output, features, valid, pretraining):
        seen["rebuilt"].append((features, valid))
        return rebuild(self, output, features, valid, pretraining)

    monkeypatch.setattr(type(detector), "forward", forward)
    monkeypatch.setattr(type(detector), "label_free_losses", label_free)
    config = replace(CONFIG, feature_noise=0.5, selftrain_epochs=1, steps_per_epoch=2)
    train_stage("selftrain", detector, rules.get_rule("non-target"), data, config, seed=5)
    is_clean = {who: [tuple(c.flatten().tolist()) in clean for features, _ in calls for c in features] for who, calls in seen.items()}
    assert all(is_clean["teacher"])
    assert all(is_clean["rebuilt"])
    assert len(is_clean["student"]) == 2 * 2 * CONFIG.batch_size
    assert not any(is_clean["student"])
    assert all(features[~valid].abs().max() == 0 for features, valid in seen["student"] if not valid.all()), "padding stays 0"


def test_noise_on_features_has_its_standard_deviation(dataset, monkeypatch):
    detector, data, seen = fresh(dataset), prepare(dataset), []
    zero = replace(data, labeled=replace(data.labeled, features=torch.zeros_like(data.labeled.features)), unlabeled=None)
    plain = type(detector).forward
    monkeypatch.setattr(type(detector), "forward", lambda self, x, valid: seen.append(x[valid]) or plain(self, x, valid))
    config = replace(CONFIG, feature_noise=0.5, pretrain_epochs=1, steps_per_epoch=4)
    train_stage("pretrain", detector, rules.get_rule("supervised only"), zero, config, seed=5)
    assert torch.cat(seen).std().item() == pytest.approx(0.5, rel=0.05)


def test_an_augmentation_of_the_detector_is_part_of_every_step(dataset, monkeypatch):
    """Labelled clips are shown, and their targets made, as the detector's own recipe has it; the originals stay as they are."""
    detector, data, shown = fresh(dataset), prepare(dataset), []
    before = data.labeled.features.clone()

    def doubled(self, clips):
        return replace(clips, features=2 * clips.features)

    plain = type(detector).forward
    monkeypatch.setattr(type(detector), "augmented", doubled)
    monkeypatch.setattr(type(detector), "forward", lambda self, x, valid: shown.append(x.clone()) or plain(self, x, valid))
    config = replace(CONFIG, pretrain_epochs=1, steps_per_epoch=2)
    train_stage("pretrain", detector, rules.get_rule("supervised only"), data, config, seed=5)
    twice = {tuple(clip.flatten().tolist()) for clip in 2 * before}
    assert len(shown) == 2
    assert all(tuple(clip.flatten().tolist()) in twice for batch in shown for clip in batch)
    assert torch.equal(data.labeled.features, before)


# --- which seeds, which runs


def test_seeds_of_results():
    assert seeds_of("baseline", 10) == list(range(100, 110))
    assert seeds_of("non-target", 3) == [100, 101, 102]
    assert seeds_of("SPOT", 10) == list(range(100, 105)), "five at most of what is not in the main comparison"
    assert seeds_of("SPOT", 2) == [100, 101]
    assert seeds_of("SPOT", [0, 1, 2, 3, 4, 5, 6]) == [0, 1, 2, 3, 4, 5, 6], "a list is taken as it is"
    assert seeds_of("non-target", np.int64(2)) == [100, 101]
    assert (FIRST_SEED, OTHER_SEEDS) == (100, 5)
    for wrong in (0, [], "3", 2.5, None, [0.5]):
        with pytest.raises(ValueError, match="seeds"):
            seeds_of("non-target", wrong)


def test_seeds_of_a_table():
    found = table_experiments("table1", Experiment(), 10)
    count = {rule: [e.seed for e in found if e.rule == rule] for rule in {e.rule for e in found}}
    assert count.keys() == TABLES["table1"].systems.keys()
    for rule, seeds in count.items():
        assert seeds == list(range(100, 110 if rule in MAIN_SYSTEMS else 105)), rule


def test_settings_are_not_chosen_by_a_rule_under_study(store, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("nothing may be run")

    monkeypatch.setattr("nontarget.study.choices.run_all", refuse)
    for rule in set(rules.available()) - set(SYSTEMS):
        with pytest.raises(ValueError, match="settings may be chosen by .* alone, got"):
            try_settings("q", {"a": {}}, [("thumos14-sim", 0.1, "baseline"), ("thumos14-sim", 0.1, rule)], [0], store=store)
    assert {"non-target", "SPOT", "NPL-style"}.isdisjoint(SYSTEMS)
    for changes in ({"rule": "baseline"}, {"held_out": False}):
        with pytest.raises(ValueError, match="must leave rule and development data as they are"):
            try_settings("q", {"a": changes}, [("thumos14-sim", 0.1, "baseline")], [0], store=store)
    assert not len(read_choices(store.folder / "choices.csv"))


def test_trials_are_run_on_development_data_and_logged(store):
    plain = {"twin_settings": TINY_TWIN, "detector_settings": TINY["detector_settings"]}
    settings = {
        "few": {**plain, "training_settings": TINY_TRAINING},
        "one": {**plain, "training_settings": {**TINY_TRAINING, "selftrain_epochs": 1}},
    }
    rows = try_settings("epochs", settings, [("thumos14-sim", 0.25, "supervised only")], [0, 1], store=store, workers=1)
    assert rows["setting"].tolist() == ["few", "one"]
    records = list(store.records())
    assert len(records) == 4
    assert all(r["identity"]["changed"]["held_out"] is True for r in records)
    few = [100 * r["scores"]["avg"] for r in records if r["identity"]["training"]["selftrain_epochs"] == 2]
    assert rows["average_map"][0] == pytest.approx(np.mean(few), abs=0.006)
    assert read_choices(store.folder / "choices.csv")["setting"].tolist() == ["few", "one"]


def test_another_pool_takes_effect(folder, store):
    """As a setting of the protocol: fewer snippets, each the mean of two, and other numbers. A twin's features are what they are."""
    for e in (held_out(folder), held_out(folder, held_out=False)):
        pooled = replace(e, protocol_settings={"pool": 2})
        a, b = e.load().train[0].video, pooled.load().train[0].video
        assert b.fps == a.fps / 2
        assert len(b.features) == -(-len(a.features) // 2)
        np.testing.assert_allclose(b.features[0], a.features[:2].mean(axis=0), rtol=1e-5, atol=1e-6)
        assert identity_key(e.identity()) != identity_key(pooled.identity())
    assert run(e, store, device="cpu")["scores"] != run(pooled, store, device="cpu")["scores"]
    with pytest.raises(ValueError, match="pool is 1 in the features of thumos14-sim already, and cannot become 2"):
        Experiment(**TINY, protocol_settings={"pool": 2}).load()


def test_shares_of_the_gradient_go_through_the_committed_table(store):
    record = run(Experiment(**TINY), store, device="cpu")
    assert set(record["gradient_share"]) == {"pretrain", "selftrain"}
    for shares in record["gradient_share"].values():
        assert sum(shares.values()) == pytest.approx(1)
    store.commit([record])
    found = store.committed(record["identity"]).record["gradient_share"]
    assert {s: set(v) for s, v in found.items()} == {s: set(v) for s, v in record["gradient_share"].items()}
    for stage, shares in record["gradient_share"].items():
        assert found[stage] == pytest.approx(shares, abs=6e-4)
    metrics = store.metrics()
    assert (metrics.loc[metrics["tiou"] != "avg", "gradient_share"] == "").all(), "once a run"


def test_auto_takes_committed_rows_and_runs_the_rest(store, monkeypatch):
    systems = {name: Experiment(**TINY, rule=name) for name in ("supervised only", "baseline")}
    committed = run(replace(systems["baseline"], seed=100), store, device="cpu")
    store.commit([{**committed, "scores": {**committed["scores"], "avg": 0.123}}])  # a value that no run would give
    fresh_store = ResultStore(store.folder / "other")
    fresh_store.prepare()
    fresh_store.metrics_path.write_bytes(store.metrics_path.read_bytes())
    computed = []
    monkeypatch.setattr("nontarget.study.tables.run_all", lambda todo, *a, **o: computed.extend(todo) or run_all(todo, *a, **o))
    options = {"device": "cpu", "workers": 1, "progress": False}
    found = compare(systems, 1, source="auto", store=fresh_store, **options)
    assert [(e.rule, e.seed) for e in computed] == [("supervised only", 100)]
    assert found.maps.loc[("baseline", 100), "avg"] == pytest.approx(12.3)
    assert not found.unavailable
    # A row of other code is not current: it is run.
    monkeypatch.setattr(Baseline, "version", Baseline.version + 1)
    again = compare(systems, 1, source="auto", store=fresh_store, **options)
    assert [(e.rule, e.seed) for e in computed] == [("supervised only", 100), ("supervised only", 100), ("baseline", 100)]
    assert again.maps.loc[("baseline", 100), "avg"] == pytest.approx(100 * committed["scores"]["avg"])
