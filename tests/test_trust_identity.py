"""A data set is what it holds: a link, a copy or another name changes neither its protocol nor what its results are known by."""

import shutil
from dataclasses import fields

import numpy as np
import pytest
from test_trust_input import make_folder

from nontarget.config import InferenceConfig, Protocol, TrainingConfig
from nontarget.data import DatasetDefaults, defaults, load_dataset, register
from nontarget.experiment import Experiment
from nontarget.experiment.specification import stage_identities
from nontarget.results import identity_key
from nontarget.study.systems import seeds_of


def known(folder):
    experiment = Experiment(features=str(folder))
    identity = experiment.identity()
    weights = {name: identity_key(stage) for name, stage in stage_identities(identity, experiment.learning_rule()).items()}
    return identity_key(identity), identity["protocol"], identity["training"], weights


def test_own_folders_by_any_name(tmp_path):
    folder = make_folder(tmp_path / "mine")
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "shrec22").symlink_to(tmp_path / "copy")
    for other in ("copy", "link", "shrec22"):
        assert known(tmp_path / other) == known(folder)
    assert Experiment(features=str(tmp_path / "copy")).identity()["dataset"]["name"] == "copy", "it is shown by its name"
    other = make_folder(tmp_path / "other", lambda content, features: features.update(vid0=features["vid0"] + 1))
    assert known(other)[0] != known(folder)[0]


def test_sets_of_the_book_are_recognised_by_content(tmp_path, data_root, monkeypatch):
    monkeypatch.setenv("NONTARGET_DATA", str(data_root))
    expected = Experiment("salads50").identity()
    shutil.copytree(data_root / "salads50", tmp_path / "store" / "v7")
    monkeypatch.setenv("NONTARGET_DATA", str(tmp_path))
    for name in ("salads50", "hapt", "x"):
        (tmp_path / name).symlink_to(tmp_path / "store" / "v7")
        assert Experiment(name).identity() == Experiment(features=str(tmp_path / name)).identity() == expected
        assert load_dataset(name).name == "salads50"
        assert load_dataset(name).protocol.pool == 2


def test_a_known_name_with_another_content(tmp_path):
    folder, plain = make_folder(tmp_path / "hapt"), make_folder(tmp_path / "plain")
    with pytest.warns(UserWarning, match="has the name of a known data set and another content"):
        assert known(folder) == known(plain)
    with pytest.warns(UserWarning, match="another content"):
        assert load_dataset(features=folder).name.startswith("hapt-")


def test_registered_names(tmp_path, monkeypatch):
    monkeypatch.setattr(defaults, "_REGISTERED", {})
    folder = make_folder(tmp_path / "v7")
    (tmp_path / "kitchen").symlink_to(folder)
    register("kitchen", DatasetDefaults(protocol=Protocol(pool=2, num_snippets=64, stride=32)))
    assert load_dataset(features=tmp_path / "kitchen").protocol.pool == 2
    assert load_dataset(features=folder).protocol.pool == 1
    checksum = Experiment(features=str(folder)).identity()["dataset"]["checksum"]
    register("kitchen", DatasetDefaults(protocol=Protocol(pool=2, num_snippets=64, stride=32), checksum=checksum))
    assert load_dataset(features=folder).protocol.pool == 2


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_checksums_that_verify_nothing_are_said(tmp_path, quote):
    folder = make_folder(tmp_path / "set")
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  {quote}FEATURES.NPZ{quote}\n")
    with pytest.warns(UserWarning, match=r"SHA256SUMS: does not name annotations\.json and features\.npz.* it names FEATURES\.NPZ"):
        load_dataset(features=folder)


def test_an_empty_root():
    with pytest.raises(ValueError, match="root must be the folder of data sets"):
        load_dataset("thumos14-sim", root="")


def test_numpy_numbers_name_the_same_experiment():
    settings = {"batch_size": np.uint8(4), "learning_rate": np.float32(1e-3)}
    ours = Experiment(
        seed=np.arange(3)[1],
        label_ratio=np.array(0.2, dtype=np.float32),
        held_out=np.True_,
        rule_settings={"positive_ratio": np.float16(0.8)},
        training_settings=settings,
        protocol_settings={"num_snippets": np.int64(64), "stride": np.int8(32), "tiou_thresholds": np.array([0.3, 0.5])},
        twin_settings={"seed": np.int64(5)},
        detector_settings={"embed_dim": np.int32(16)},
    )
    python = Experiment(
        seed=1,
        label_ratio=0.2,
        held_out=True,
        rule_settings={"positive_ratio": 0.8},
        training_settings={"batch_size": 4, "learning_rate": 1e-3},
        protocol_settings={"num_snippets": 64, "stride": 32, "tiou_thresholds": [0.3, 0.5]},
        twin_settings={"seed": 5},
        detector_settings={"embed_dim": 16},
    )
    assert ours.identity() == python.identity()


@pytest.mark.parametrize("value", [np.int8(3), np.uint64(3), np.array(3)])
def test_whole_numbers_of_numpy(value):
    assert type(Protocol(num_snippets=value, stride=value, pool=value).pool) is int
    assert TrainingConfig(warmup_steps=value, pretrain_epochs=value).pretrain_epochs == 3
    assert InferenceConfig(batch_size=value, class_thresholds=np.array([0.1, 0.5])).class_thresholds == (0.1, 0.5)
    assert seeds_of("baseline", np.arange(3)) == [0, 1, 2]


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(1), "1", None])
def test_what_is_no_whole_number(value):
    with pytest.raises(ValueError, match="pool must be a whole number"):
        Protocol(pool=value)
    with pytest.raises(ValueError, match="seed must be a whole number"):
        Experiment(seed=value).identity()


def test_settings_that_came_later_name_only_what_they_change():
    """The name of a result is what it was before there was the setting; with it, the name of the weights differs too."""
    plain, mixed = Experiment().identity(), Experiment(training_settings={"mixup": 0.2}).identity()
    assert {f.name for f in fields(TrainingConfig)} - set(plain["training"]) == {"mixup"}
    assert {f.name for f in fields(InferenceConfig)} - set(plain["inference"]) == {"whole_video"}
    assert mixed["training"] == plain["training"] | {"mixup": 0.2}
    for stage in ("pretrain", "selftrain"):
        names = {identity_key(stage_identities(identity, Experiment().learning_rule())[stage]) for identity in (plain, mixed)}
        assert len(names) == 2
