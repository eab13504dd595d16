from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest
import torch
from helpers import TINY_TRAINING, dataset_of, labeled, tiny_dataset

from nontarget import rules
from nontarget.batches import Mixture
from nontarget.config import TrainingConfig
from nontarget.data import Annotations, Dataset, LabeledVideo, Normalization, make_clips, make_labeled_clips, split_dataset
from nontarget.detectors import build_detector, detector_settings
from nontarget.gradients import gradient_shares, mean_gradient_shares
from nontarget.rules.base import LearningRule
from nontarget.training import TrainingData, _update_average, steps_per_epoch, train_stage, training_losses

CONFIG = TrainingConfig(**TINY_TRAINING)


def prepare(dataset, ratio=0.25, seed=0, split=None, device="cpu", truth=None):
    """With ``truth``, a data set, the data hold its labels of the unlabelled videos, for oracles."""
    split = split or split_dataset(dataset, ratio, seed)
    normalization = Normalization.of([v.video for v in dataset.train])
    data = TrainingData(
        make_labeled_clips(split.labeled, dataset.protocol, normalization, dataset.num_classes),
        make_clips(split.unlabeled, dataset.protocol, normalization) if split.unlabeled else None,
    )
    if truth is not None:
        hidden = {v.video_id for v in split.unlabeled}
        videos = [v for v in truth.train if v.video.video_id in hidden]
        data = replace(data, truth=make_labeled_clips(videos, dataset.protocol, normalization, dataset.num_classes))
    return data.on_device_if_it_fits(torch.device(device))


def fresh(dataset, device="cpu", **changes):
    torch.manual_seed(3)
    settings = detector_settings("spot", "small", embed_dim=16, mask_dim=8, **changes)
    return build_detector("spot", dataset.feature_dim, dataset.num_classes, settings).to(device)


def train_both(dataset, data, rule="non-target", folder=None, **options):
    detector = fresh(dataset, data.labeled.features.device)
    learner = rules.get_rule(rule)
    if learner.teacher_temperature == "calibrated":
        learner = replace(learner, teacher_temperature=1.5)
    detector.pretext = learner.pretext_head(detector.embed_dim)
    stages = []
    for name in ("pretrain", "selftrain") if learner.self_trains else ("pretrain",):
        weights = folder / f"{name}.safetensors" if folder else None
        stages.append(train_stage(name, detector, learner, data, CONFIG, seed=5, weights=weights, **options))
    return detector, stages


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def dataset():
    return tiny_dataset()


class Interrupt(Exception):
    pass


def test_the_terms_of_the_total_loss(dataset):
    """Eq. 12: in pre-training labelled clips have a class and a mask loss; then unlabelled ones, too, weighted by alpha."""
    data, detector, rule = prepare(dataset), fresh(dataset, refinement_weight=0.1).eval(), rules.get_rule("non-target")

    def terms(pretraining=False, **settings):
        torch.manual_seed(0)
        config = replace(CONFIG, **settings)
        losses = training_losses(detector, rule, data.labeled[:4], data.unlabeled[:4], config=config, pretraining=pretraining)
        return {name: loss.item() for name, loss in losses.items()}

    assert list(terms(pretraining=True)) == ["labeled", "mask", "reconstruction", "refinement"]
    plain = terms()
    assert list(plain) == ["labeled", "mask", "unlabeled_class", "unlabeled_mask", "reconstruction", "refinement"]
    assert all(value > 0 for name, value in plain.items() if name != "refinement")  # 0 where no foreground is predicted
    for name, value in terms(unlabeled_weight=2.0).items():
        assert value == pytest.approx(plain[name] * (2 if name.startswith("unlabeled_") else 1)), name
    assert list(training_losses(detector, rule, data.labeled[:4])) == ["labeled", "mask", "reconstruction", "refinement"]


@pytest.mark.parametrize("detector", ["spot", "actionformer"])
def test_mixup_of_whole_clips(dataset, monkeypatch, detector):
    """All of a clip itself is no mixup; all of its partner is a batch in another order; between them, losses are weighted means."""
    rule, clips = rules.get_rule("supervised only"), prepare(dataset, ratio=1.0).labeled
    clips = clips[clips.valid.all(dim=1)][:6]
    partner = torch.tensor([3, 2, 5, 4, 0, 1])
    model = build_detector(detector, dataset.feature_dim, dataset.num_classes, detector_settings(detector, "small")).eval()
    monkeypatch.setattr(model, "augmented", lambda clips: clips)

    def losses(clips, share=None):
        if share is not None:
            monkeypatch.setattr(Mixture, "drawn", lambda *_: Mixture(torch.tensor(share), partner))
        found = training_losses(model, rule, clips, config=replace(CONFIG, mixup=0.0 if share is None else 0.2))
        return {name: loss.item() for name, loss in found.items() if name != "reconstruction"}  # which hides at random

    assert losses(clips, 1.0) == pytest.approx(losses(clips))
    assert losses(clips, 0.0) == pytest.approx(losses(clips[partner]), rel=1e-4)
    mixed = replace(clips, features=0.7 * clips.features + 0.3 * clips.features[partner])
    output = model(mixed.features, mixed.valid)
    own, other = (rule.labeled_loss(model, output, model.targets(c)).item() for c in (clips, clips[partner]))
    assert losses(clips, 0.7)["labeled"] == pytest.approx(0.7 * own + 0.3 * other)
    if detector == "spot":  # cross-entropy towards the mean of both targets
        probs = [c.float() / c.sum(dim=-1, keepdim=True) for c in (model.targets(c).classes for c in (clips, clips[partner]))]
        target = 0.7 * probs[0] + 0.3 * probs[1]
        entropy = torch.nn.functional.cross_entropy(output.class_logits.flatten(0, 1), target.flatten(0, 1))
        assert losses(clips, 0.7)["labeled"] == pytest.approx(entropy.item(), rel=1e-4)


def test_mixup_of_clips_of_different_lengths(dataset):
    """Where one of the two has ended, a clip is itself, and its partner's targets do not count."""
    clips = prepare(dataset, ratio=1.0).labeled[:2]
    steps = torch.arange(clips.valid.shape[1])
    clips = replace(clips, valid=steps < torch.tensor([[4], [9]]), features=clips.features.masked_fill((steps >= 4)[:, None], torch.nan))
    clips.features[1, 4:9] = 1.0
    mixture = Mixture(torch.tensor(0.25), torch.tensor([1, 0]))
    features = mixture.features(clips)
    assert torch.equal(features[0, :4], 0.25 * clips.features[0, :4] + 0.75 * clips.features[1, :4])
    assert torch.equal(features[1, 4:9], clips.features[1, 4:9]), "what is in the padding of the other does not matter"
    output = fresh(dataset)(features.nan_to_num(), clips.valid)
    assert mixture.of_partner(output).valid.sum(dim=1).tolist() == [4, 4]


def test_mixup_draws_nothing_when_it_is_off(dataset):
    detector, data = fresh(dataset).eval(), prepare(dataset)

    def state(**settings):
        torch.manual_seed(0)
        training_losses(detector, rules.get_rule("baseline"), data.labeled[:4], data.unlabeled[:4], config=replace(CONFIG, **settings))
        return torch.get_rng_state()

    assert torch.equal(state(), state(mixup=0.0))
    assert not torch.equal(state(), state(mixup=0.2))
    with pytest.raises(ValueError, match="mixup must be a finite number >= 0, got -1"):
        TrainingConfig(mixup=-1)


@pytest.mark.parametrize("rule", ["supervised only", "baseline", "non-target"])
@pytest.mark.parametrize("interrupted_at", [1, 4, 7, 10])
def test_interrupted_training_ends_as_if_it_had_not_been(dataset, tmp_path, rule, interrupted_at):
    data = prepare(dataset)
    plain, stages = train_both(dataset, data, rule)
    steps = 0

    def stop():
        nonlocal steps
        steps += 1
        if steps == interrupted_at:
            raise Interrupt

    with pytest.raises(Interrupt):
        train_both(dataset, data, rule, tmp_path, on_step=stop)
    resumed, resumed_stages = train_both(dataset, data, rule, tmp_path)
    assert same_weights(plain, resumed)
    assert [s.curve for s in stages] == [s.curve for s in resumed_stages]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pretrain.safetensors", "selftrain.safetensors"], "no partial state is left"


def test_weights_on_disk_are_read_instead_of_trained(dataset, tmp_path):
    data = prepare(dataset)
    first, stages = train_both(dataset, data, folder=tmp_path)
    calls = []
    second, again = train_both(dataset, data, folder=tmp_path, on_step=lambda: calls.append(1))
    assert not calls
    assert same_weights(first, second)
    assert [s.curve for s in stages] == [s.curve for s in again]


def test_unlabelled_truth_has_no_effect(dataset):
    """Corrupt everything that is known of the unlabelled videos: training is the same to the last bit."""
    split = split_dataset(dataset, 0.25, 0)
    hidden = {v.video_id for v in split.unlabeled}
    rng = np.random.default_rng(0)

    def corrupted(v):
        if v.video.video_id not in hidden:
            return v
        n = int(rng.integers(0, 5))
        starts = rng.random(n) * v.video.duration_s / 2
        return LabeledVideo(v.video, Annotations(rng.integers(0, dataset.num_classes, n), np.stack((starts, starts + 1), axis=1)))

    wrong = Dataset(
        dataset.name,
        dataset.classes,
        tuple(map(corrupted, dataset.train)),
        dataset.test,
        dataset.protocol,
        dataset.checksum,
        simulated=True,
    )
    labeled_ids = {v.video.video_id for v in split.labeled}
    wrong_split = type(split)(
        tuple(v for v in wrong.train if v.video.video_id in labeled_ids), tuple(v.video for v in wrong.train if v.video.video_id in hidden)
    )
    for rule in rules.available():
        plain = rules.get_rule(rule)
        if plain.labels_all:
            continue
        a, _ = train_both(dataset, prepare(dataset, split=split, truth=dataset), rule)
        b, _ = train_both(wrong, prepare(wrong, split=wrong_split, truth=wrong), rule)
        assert same_weights(a, b) != plain.uses_truth, f"{rule}: an oracle, and it alone, learns from the hidden truth"


def test_supervised_only_does_not_see_unlabelled_videos(dataset):
    data = prepare(dataset)
    a, _ = train_both(dataset, data, "supervised only")
    scrambled = TrainingData(data.labeled, type(data.unlabeled)(**{**vars(data.unlabeled), "features": data.unlabeled.features * -3}))
    b, _ = train_both(dataset, scrambled, "supervised only")
    assert same_weights(a, b)
    c, _ = train_both(dataset, data, "baseline")
    d, _ = train_both(dataset, scrambled, "baseline")
    assert not same_weights(c, d), "and this test can tell"


def test_every_rule_and_ratio_takes_the_same_number_of_steps(dataset, monkeypatch):
    """Also where the number of clips decides."""
    monkeypatch.setattr("test_training.CONFIG", replace(CONFIG, steps_per_epoch=None))
    counts = set()
    for ratio in (0.25, 0.5, 1.0):
        for rule in ("supervised only", "non-target"):
            if ratio == 1.0 and rule == "non-target":
                continue
            steps = []
            data = prepare(dataset, ratio)
            train_both(dataset, data, rule, on_step=lambda steps=steps: steps.append(1))
            counts.add(len(steps))
            assert steps_per_epoch(data, CONFIG) * 4 == len(steps)
    assert len(counts) == 1


def test_seed_and_global_random_state(dataset):
    data = prepare(dataset)
    before = torch.get_rng_state()
    a = fresh(dataset)
    state = torch.get_rng_state()
    train_stage("pretrain", a, rules.get_rule("non-target"), data, CONFIG, seed=1)
    assert torch.equal(torch.get_rng_state(), state), "training leaves the global random state alone"
    torch.manual_seed(99)
    b = fresh(dataset)
    torch.manual_seed(1234)
    train_stage("pretrain", b, rules.get_rule("non-target"), data, CONFIG, seed=1)
    assert same_weights(a, b), "and does not depend on it"
    c = fresh(dataset)
    train_stage("pretrain", c, rules.get_rule("non-target"), data, CONFIG, seed=2)
    assert not same_weights(a, c)
    torch.set_rng_state(before)


def test_online_pseudo_labels_differ_from_frozen(dataset):
    data = prepare(dataset)
    results = {}
    for teacher in ("generations", "epochs", "online", "average"):
        results[teacher] = fresh(dataset)
        train_stage("selftrain", results[teacher], rules.get_rule("non-target", teacher=teacher), data, CONFIG, seed=5)
    for one, other in combinations(results.values(), 2):
        assert not same_weights(one, other)


def test_a_generation_starts_from_the_last_one(dataset):
    """Two generations are two runs of self-training, the second from the weights of the first; the teacher is frozen in each."""
    data, rule, two = prepare(dataset), rules.get_rule("baseline"), replace(CONFIG, generations=2)
    epochs = CONFIG.selftrain_epochs
    whole = fresh(dataset)
    stage = train_stage("selftrain", whole, rule, data, two, seed=5)
    assert stage.epoch == 2 * epochs
    rates = [entry["learning_rate"] for entry in stage.curve]
    assert rates[:epochs] == rates[epochs:], "the cosine starts anew"
    renewed = fresh(dataset)
    train_stage("selftrain", renewed, replace(rule, teacher="epochs"), data, two, seed=5)
    assert not same_weights(whole, renewed)


@pytest.mark.parametrize("name", ["spot", "actionformer"])
@pytest.mark.parametrize("interrupted_at", [5, 7, 11])
def test_interrupted_generations_end_as_if_they_had_not_been(dataset, tmp_path, name, interrupted_at):
    """In the first, at the first step of the second, and inside it; also where the running average is the result."""
    data, config, rule, steps = prepare(dataset), replace(CONFIG, generations=2), rules.get_rule("baseline"), []

    def train(weights=None, on_step=lambda: None):
        torch.manual_seed(3)
        settings = detector_settings(name, "small", embed_dim=16, **({"mask_dim": 8} if name == "spot" else {"num_heads": 2}))
        detector = build_detector(name, dataset.feature_dim, dataset.num_classes, settings)
        return detector, train_stage("selftrain", detector, rule, data, config, seed=5, weights=weights, on_step=on_step)

    def stop():
        steps.append(1)
        if len(steps) == interrupted_at:
            raise Interrupt

    plain, stage = train()
    with pytest.raises(Interrupt):
        train(tmp_path / "w.safetensors", stop)
    resumed, again = train(tmp_path / "w.safetensors")
    assert same_weights(plain, resumed)
    assert stage.curve == again.curve


def test_a_frozen_teacher_says_the_same_from_memory(dataset, monkeypatch):
    data, results = prepare(dataset), []
    for limit in (2**30, 0):
        monkeypatch.setattr("nontarget.teacher._CACHE_BYTES", limit)
        results.append(fresh(dataset))
        train_stage("selftrain", results[-1], rules.get_rule("baseline"), data, CONFIG, seed=5)
    for a, b in zip(results[0].parameters(), results[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_shares_of_the_gradient_add_up_to_one(dataset):
    _, stages = train_both(dataset, prepare(dataset))
    for stage in stages:
        shares = mean_gradient_shares(stage.curve)
        assert set(shares) == {name for name in stage.curve[0] if name != "learning_rate" and not name.startswith("share of ")}
        assert sum(shares.values()) == pytest.approx(1)
        assert all(share > 0 for share in shares.values())


def test_gradient_share_of_a_known_case():
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    shares = gradient_shares({"a": (w * torch.tensor([3.0, 4.0])).sum(), "b": 15 * w[0], "none": torch.zeros(())}, [w])
    assert shares == pytest.approx({"a": 0.25, "b": 0.75, "none": 0.0})


def test_running_average_forgets_where_it_began(dataset):
    """After 100 steps a thousandth of the initial weights is left; a momentum fixed at 0.999 keeps nine tenths."""
    average, moved = fresh(dataset), fresh(dataset)
    with torch.no_grad():
        for a, b in zip(average.parameters(), moved.parameters(), strict=True):
            a.fill_(1.0)
            b.zero_()
    for step in range(100):
        _update_average(average, moved, step)
    assert all(p.max() < 1e-3 for p in average.parameters())


@pytest.mark.parametrize("literal", [False, True])
def test_losses_are_those_of_equation_12(dataset, literal):
    """L_ref is off by default; to the letter, it has weight 1."""
    data, curves = prepare(dataset), []
    detector = fresh(dataset, **({"refinement_weight": 1.0} if literal else {}))
    for stage in ("pretrain", "selftrain"):
        curves.append(train_stage(stage, detector, rules.get_rule("non-target"), data, CONFIG, seed=5).curve)
    expected = {"learning_rate", "labeled", "mask", "reconstruction"} | ({"refinement"} if literal else set())
    assert {name for name in curves[0][0] if not name.startswith("share of ")} == expected
    expected |= {"unlabeled_class", "unlabeled_mask"}
    assert {name for name in curves[1][0] if not name.startswith("share of ")} == expected
    assert curves[0][-1]["learning_rate"] < curves[0][0]["learning_rate"], "cosine decay"


def test_training_learns():
    """Two classes that differ plainly: the labelled loss falls, and snippets are told apart."""

    def make(i):
        v = labeled(f"v{i}", [(i % 2, 1.0, 4.0)], snippets=16, fps=2.0, seed=i, dim=4)
        v.video.features[2:8, i % 2] += 6
        return v

    toy = dataset_of([make(i) for i in range(16)])
    detector = fresh(toy)
    data = prepare(toy, ratio=0.5)
    config = TrainingConfig(pretrain_epochs=15, selftrain_epochs=1, batch_size=8, pretrain_learning_rate=5e-3)
    stage = train_stage("pretrain", detector, rules.get_rule("baseline"), data, config, seed=0)
    assert stage.curve[-1]["labeled"] < 0.3 * stage.curve[0]["labeled"]
    detector.eval()
    with torch.no_grad():
        predicted = detector(data.labeled.features, data.labeled.valid).class_logits.argmax(-1)
    assert (predicted == data.labeled.labels)[data.labeled.valid].float().mean() > 0.9


def test_a_loss_that_is_not_finite_stops_training(dataset):
    data = prepare(dataset)
    data.labeled.features[0, 0, 0] = torch.inf
    with pytest.raises(FloatingPointError, match="pretrain, epoch 0: a loss is not finite"):
        train_both(dataset, data)


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (lambda logits: logits.mean(dim=(1, 2)), r"a tensor of shape \(8,\)"),
        (lambda logits: 0.5, "0.5"),
        (lambda logits: None, "None"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_rule_that_returns_no_scalar_is_named(dataset, returned, got):
    @dataclass(frozen=True, kw_only=True)
    class Own(LearningRule):
        name = "own"

        def unlabeled_loss(self, logits, pseudo_probs, valid, activation="softmax"):
            return returned(logits)

    with pytest.raises(TypeError, match=rf"^learning rule 'own' must return a scalar tensor as its unlabelled loss 'class', got {got}$"):
        train_stage("selftrain", fresh(dataset), Own(), prepare(dataset), CONFIG, seed=0)


def test_online_training_that_diverges_says_so(dataset):
    """And not that pseudo labels, which are the student's own, are wrong."""
    detector = fresh(dataset)
    next(detector.parameters()).data.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="selftrain, epoch 0: a loss is not finite"):
        train_stage("selftrain", detector, rules.get_rule("non-target", teacher="online"), prepare(dataset), CONFIG, seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_on_a_gpu(dataset, tmp_path):
    data = prepare(dataset, device="cuda")
    _, stages = train_both(dataset, data, folder=tmp_path)
    assert stages[1].curve[-1]["unlabeled_class"] > 0
