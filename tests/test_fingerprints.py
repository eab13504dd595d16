"""A component whose numbers change must get a new version, or old results would pass for new ones.

Each component runs on a tiny case; its version and numbers are kept in fingerprints.json. After a deliberate change of numbers, raise
the version and run ``python tests/test_fingerprints.py`` to write the file anew.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

FILE = Path(__file__).with_name("fingerprints.json")


def components():
    """name -> (version, numbers)."""
    from helpers import TINY_TRAINING, tiny_dataset

    from nontarget import TrainedDetector, detectors, rules
    from nontarget.config import InferenceConfig, TrainingConfig
    from nontarget.data import Normalization, make_clips, make_labeled_clips, split_dataset
    from nontarget.data.clips import CLIPS_VERSION
    from nontarget.data.simulate import GENERATOR_VERSION, TWINS, simulate_twin
    from nontarget.detectors.base import Detector, DetectorOutput, Targets
    from nontarget.inference import INFERENCE_VERSION, detect_videos
    from nontarget.metrics import METRICS_VERSION, evaluate_detections
    from nontarget.training import TRAINING_VERSION, StageName, TrainingData, train_stage

    found = {}
    numbers = []
    for name in TWINS:
        twin = simulate_twin(name, replace(TWINS[name]["small"], num_train=20, num_test=5, feature_dim=4))
        videos = (*twin.train, *twin.test)
        numbers += [float(np.mean([np.abs(v.video.features).mean() for v in videos])), sum(v.annotations.segments_s.sum() for v in videos)]
        numbers += [sum(int(v.annotations.labels.sum()) for v in videos)]
    found["generator"] = (GENERATOR_VERSION, numbers)

    dataset = tiny_dataset()
    split = split_dataset(dataset, 0.25, 3)
    normalization = Normalization.of([v.video for v in dataset.train])
    clips = make_labeled_clips(split.labeled, dataset.protocol, normalization, dataset.num_classes)
    others = make_clips(split.unlabeled, dataset.protocol, normalization)
    ids = [int(v.video.video_id[-5:]) for v in split.labeled]
    numbers = [clips.labels, clips.segments, clips.instance_labels, clips.instance_segments, clips.features.abs(), others.valid]
    found["clips"] = (CLIPS_VERSION, [*ids, *(x.float().sum() for x in numbers)])

    def numbers_of(name, **settings):
        settings = detectors.detector_settings(name, "small", **settings)
        detector = detectors.build_detector(name, dataset.feature_dim, dataset.num_classes, settings).eval()
        output = detector(clips.features, clips.valid)
        losses = detector.localization_loss(output, detector.targets(clips))
        losses |= detector.label_free_losses(output, clips.features, clips.valid, pretraining=False)
        if type(detector).class_loss is not Detector.class_loss:
            losses["class"] = detector.class_loss(output, detector.targets(clips))
        candidates = detector.candidates(output, clips.valid, InferenceConfig(class_thresholds=(0.1, 0.2), mask_thresholds=(0.3,)))
        found[f"detector {name}"] = (detector.version, [*losses.values(), len(candidates.scores), candidates.scores.sum()])
        return detector

    torch.manual_seed(0)
    detector = numbers_of("spot", embed_dim=16, mask_dim=8)
    logits, teacher = torch.randn(2, 9, 6), torch.randn(2, 9, 6).softmax(-1)
    labels, valid = torch.randint(6, (2, 9)), torch.ones(2, 9, dtype=torch.bool)
    hidden = [v for v in dataset.train if v.video.video_id in {u.video_id for u in split.unlabeled}]
    truth = make_labeled_clips(hidden, dataset.protocol, normalization, dataset.num_classes)
    data, config = TrainingData(clips, others), TrainingConfig(**TINY_TRAINING)
    for name in rules.available():
        rule = rules.get_rule(name)
        values = [rule.labeled_loss(detector, DetectorOutput(logits, valid), Targets(labels, None))]
        with torch.random.fork_rng():
            if rule.uses_unlabeled and rule.self_trains and not rule.uses_truth:
                values.append(rule.unlabeled_loss(logits, teacher, valid))
            if rule.uses_unlabeled and name not in ("baseline", "non-target"):  # also what else a rule may do
                student = copy.deepcopy(detector)
                student.pretext = rule.pretext_head(student.embed_dim)
                if rule.teacher_temperature == "calibrated":
                    rule = replace(rule, teacher_temperature=1.5)
                told = replace(data, truth=truth) if rule.uses_truth else data
                stage: StageName = "selftrain" if rule.self_trains else "pretrain"
                values += train_stage(stage, student, rule, told, config, seed=1).curve[-1].values()
        found[f"rule {name}"] = (rule.version, values)

    settings = detectors.detector_settings("spot", "small", embed_dim=16, mask_dim=8)
    detector = detectors.build_detector("spot", dataset.feature_dim, dataset.num_classes, settings)
    stages = [train_stage(stage, detector, rules.get_rule("non-target"), data, config, seed=1) for stage in ("pretrain", "selftrain")]
    found["training"] = (TRAINING_VERSION, [value for stage in stages for value in stage.curve[-1].values()])

    test = [v.video for v in dataset.test]
    trained = TrainedDetector(detector, "spot", settings, dataset.classes, normalization, dataset.protocol, InferenceConfig())
    detections = detect_videos(trained, test)
    found["inference"] = (INFERENCE_VERSION, [len(detections), detections["score"].sum(), detections["start_s"].sum()])

    rng = np.random.default_rng(0)
    starts = rng.random((60, 2)) * 50
    frame = pd.DataFrame({"video_id": rng.choice(list("ab"), 60), "label": rng.choice(list("xy"), 60), "start_s": starts[:, 0]})
    frame["end_s"] = frame["start_s"] + 1 + starts[:, 1] / 5
    scores = evaluate_detections(frame[:25], frame[25:].assign(score=rng.random(35)), (0.1, 0.3, 0.5))
    found["metrics"] = (METRICS_VERSION, scores.mean_ap.tolist())

    torch.manual_seed(0)
    numbers_of("actionformer", embed_dim=16, path_scale=1.0)  # at the end: what comes before does not depend on it
    assert {f"detector {name}" for name in detectors.available()} <= found.keys()
    return {
        name: {"version": version, "numbers": [float(torch.as_tensor(x).detach()) for x in values]}
        for name, (version, values) in found.items()
    }


def test_numbers_change_with_versions_alone():
    expected, found = json.loads(FILE.read_text()), components()
    assert found.keys() == expected.keys(), "components were added or removed: run `python tests/test_fingerprints.py`"
    for name, component in found.items():
        message = f"{name}: raise its version if the change of numbers is meant, then run `python tests/test_fingerprints.py`"
        assert component["version"] == expected[name]["version"], message
        assert component["numbers"] == pytest.approx(expected[name]["numbers"], rel=2e-3, abs=1e-6), message


if __name__ == "__main__":
    FILE.write_text(json.dumps(components(), indent=1) + "\n")
