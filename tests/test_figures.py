"""What the figures of the paper show: chosen by rule, computed as said, drawn, and linked to pages that exist."""

import importlib
import inspect
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from docutils.nodes import make_id
from helpers import TINY_TRAINING, TINY_TWIN, labeled

from nontarget import plotting
from nontarget.experiment import Experiment, run, train
from nontarget.inference import COLUMNS
from nontarget.metrics import evaluate_detections, interpolated_ap
from nontarget.plotting.framework import framework, links
from nontarget.results import ResultStore, identity_key
from nontarget.study import analysis
from nontarget.study.analysis.snippets import Snippets

ROOT = Path(__file__).resolve().parents[1]
TINY = {"twin_settings": TINY_TWIN | {"noise": 0.5}, "training_settings": TINY_TRAINING, "label_ratio": 0.5}


def snippets_of(probs, labels, videos=None, positions=None):
    n = len(labels)
    return Snippets(
        np.array(videos or ["v"] * n),
        np.array(positions or range(n)),
        np.arange(n) + 0.5,
        np.array(labels),
        np.array(probs, dtype=np.float64),
        np.zeros((n, 2), dtype=np.float32),
    )


# --- Fig. 1


def test_a_misjudged_snippet_is_the_middle_one_of_those_whose_truth_is_positive():
    wrong = [[0.36, 0.34, 0.3, 0.0], [0.40, 0.38, 0.22, 0.0], [0.42, 0.40, 0.18, 0.0], [0.44, 0.42, 0.14, 0.0]]
    others = [
        [0.80, 0.10, 0.10, 0.0],  # wrong, and the truth is negative
        [0.41, 0.40, 0.19, 0.0],  # right
        [0.20, 0.39, 0.0, 0.41],  # the target is background
        [0.41, 0.40, 0.19, 0.0],  # background
    ]
    chosen = analysis.misjudged_snippet(snippets_of(wrong + others, [1, 1, 1, 1, 1, 0, 1, 3]))
    assert chosen.index == 1, "of four, the lower of the two in the middle"
    assert (chosen.num_eligible, chosen.num_wrong, chosen.num_actions, chosen.truth_rank) == (4, 5, 7, 2)
    assert chosen.truth_positive


def test_ties_go_by_video_and_snippet():
    p = [[0.40, 0.38, 0.22, 0.0]] * 3
    chosen = analysis.misjudged_snippet(snippets_of(p, [1, 1, 1], ["b", "a", "a"], [0, 7, 3]))
    assert chosen.index == 1, "a 3, a 7, b 0"


def test_without_a_positive_truth_the_best_rank_is_taken():
    p = [[0.7, 0.1, 0.15, 0.05], [0.8, 0.02, 0.15, 0.03], [0.9, 0.06, 0.03, 0.01]]
    chosen = analysis.misjudged_snippet(snippets_of(p, [1, 2, 1]))
    assert not chosen.truth_positive
    assert (chosen.index, chosen.truth_rank, chosen.num_eligible) == (1, 2, 2)
    with pytest.raises(ValueError, match="none of the 1 action snippets has another action as its target"):
        analysis.misjudged_snippet(snippets_of(p[:1], [0]))


def test_subspaces_of_one_distribution():
    assert analysis.subspace_of_classes(np.array([0.3, 0.32, 0.22, 0.1, 0.06])) == [
        "positive",
        "target",
        "ambiguous",
        "negative",
        "negative",
    ]


def test_hidden_snippets_are_those_of_unlabelled_videos_each_once(tmp_path):
    shown = {rule: train(Experiment(rule=rule, **TINY), ResultStore(tmp_path), progress=False) for rule in ("baseline", "non-target")}
    found = {rule: analysis.hidden_snippets(t, batch_size=3) for rule, t in shown.items()}
    s = found["non-target"]
    lengths = {v.video.video_id: len(v.video.features) for v in shown["non-target"].hidden}
    assert pd.Series(s.video_id).value_counts().to_dict() == lengths
    assert not pd.DataFrame({"v": s.video_id, "s": s.snippet}).duplicated().any()
    assert np.allclose(s.probs.sum(axis=1), 1)
    assert (s.labels == found["baseline"].labels).all()
    assert (s.snippet == found["baseline"].snippet).all()
    assert not np.allclose(s.embeddings, found["baseline"].embeddings)
    one = shown["non-target"].hidden[0]
    inside = s[s.video_id == one.video.video_id]
    covered = [((one.annotations.segments_s[:, 0] <= t) & (t < one.annotations.segments_s[:, 1])).any() for t in inside.time_s]
    assert (inside.labels[covered] != s.background).all()
    full = train(Experiment(rule="fully supervised", **TINY), ResultStore(tmp_path), progress=False)
    with pytest.raises(ValueError, match="no unlabelled videos with known truth"):
        analysis.hidden_snippets(full)


# --- Fig. 2


def documented():
    """Every name that the reference has a place for, by what ``book/api.md`` lists."""
    names = set()
    text = (ROOT / "book" / "api.md").read_text()
    for module, options in re.findall(r"automodule:: (\S+)\n((?:   :.*\n)*)", text):
        listed = re.search(r":members: (.+)", options)
        loaded = importlib.import_module(module)
        members = listed.group(1).split(", ") if listed else [n for n in vars(loaded) if not n.startswith("_")]
        for name in members:
            value = getattr(loaded, name)
            here = listed or "imported-members" in options or getattr(value, "__module__", None) == module
            if here and inspect.getdoc(value):
                names.add(f"{module}.{name}")
                if inspect.isclass(value):
                    names |= {f"{module}.{name}.{n}" for n, v in vars(value).items() if not n.startswith("_") and inspect.getdoc(v)}
    return names


def test_every_box_leads_somewhere():
    headings = re.findall(r"^# #+ (.+)$", (ROOT / "notebooks" / "method.py").read_text(), re.MULTILINE)
    pages = {"../notebooks/method.html": {make_id(h) for h in headings}, "../api.html": documented()}
    assert len(links()) > 30
    for link in links():
        page, anchor = link.split("#")
        assert anchor in pages[page], link


def test_the_drawing_is_well_formed_and_says_what_it_shows():
    svg = ElementTree.fromstring(framework())
    space = {"s": "http://www.w3.org/2000/svg"}
    assert {a.get("href") for a in svg.iterfind(".//s:a", space)} == set(links())
    assert svg.get("viewBox").startswith("0 0 ")
    labelled_by = svg.get("aria-labelledby").split()
    assert [svg.find(f".//*[@id='{name}']").tag.split("}")[1] for name in labelled_by] == ["title", "desc"]
    words = " ".join("".join(t.itertext()) for t in svg.iterfind(".//s:text", space))
    for word in ("target", "positive", "negative", "ambiguous", "Soft-NMS", "Annotations", "Frozen teacher"):
        assert word in words
    assert (ROOT / "book" / "_static" / "framework.svg").read_text(encoding="utf-8") == framework(), "write framework() to that file"


# --- Figs. 3 and 4


def clusters(apart, videos=12, each=20, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, videos * each)
    x = rng.normal(size=(len(labels), 4))
    x[:, 0] += apart * labels
    return x, labels, np.repeat([f"v{i}" for i in range(videos)], each)


def test_separability_of_what_is_apart_and_of_noise():
    good, noise = (analysis.separability(*clusters(apart), resamples=500) for apart in (8.0, 0.0))
    assert good.score > 0.99
    assert noise.interval[0] < 0.5 < noise.interval[1]
    assert noise.interval[0] < noise.score < noise.interval[1]
    assert (good.num_snippets, good.num_videos) == (240, 12)
    gain, low, high = good.minus(noise)
    assert gain == pytest.approx(good.score - noise.score)
    assert 0.3 < low < gain < high
    assert good.minus(good) == (0, 0, 0), "paired: the same videos are drawn for both"


def test_no_video_is_in_both_parts_of_a_fold():
    """Labels that can be learnt of each video alone: known videos would be recognised, unknown ones cannot be."""
    rng = np.random.default_rng(0)
    videos = np.repeat(np.arange(40), 10)
    look = rng.normal(size=(40, 60)) * 5
    label = rng.permutation(np.repeat([0, 1], 20))
    x = look[videos] + 0.01 * rng.normal(size=(400, 60))
    assert analysis.separability(x, label[videos], videos, resamples=10).score < 0.75


def test_a_rare_label_counts_as_much_as_a_common_one():
    x, labels, videos = clusters(0.0)
    rare = np.arange(len(labels)) % 10 == 0
    result = analysis.separability(np.ones_like(x), rare, videos, resamples=10)
    assert result.score == pytest.approx(0.5), "one answer for all is right for one kind alone"
    with pytest.raises(ValueError, match=r"each in two or more videos; got \(label: videos\) \{0: 1, 1: 1\}"):
        analysis.separability(x[:20], labels[:20], videos[:20])


def test_separability_in_a_table_and_a_sentence():
    scores = {name: [analysis.separability(*clusters(apart, seed=s), resamples=50) for s in (0, 1)] for name, apart in (("a", 1), ("b", 8))}
    table = analysis.separability_table(scores, reference="a")
    assert list(table["system"]) == ["a", "a", "b", "b"]
    assert table["gain"].isna().tolist() == [True, True, False, False]
    assert table["gain"].iloc[2] == pytest.approx(table["score"].iloc[2] - table["score"].iloc[0])
    text = analysis.separability_findings(scores, "b", "a")
    assert text.startswith("**")
    assert f"The first run gains {table['gain'].iloc[2]:+.1f} points" in text
    assert "the mean of 2 runs" in text
    assert "mean of" not in analysis.separability_findings({k: v[:1] for k, v in scores.items()}, "b", "a")


def test_embeddings_of_groups_are_compared_on_the_same_snippets():
    """Against the functions it is made of: groups of several classes, the same drawn snippets for both systems, the first run drawn."""

    def run(apart, seed=0):
        x, labels, videos = clusters(apart, seed=seed)
        return replace(snippets_of(np.full((len(x), 3), 1 / 3), 2 * labels, list(videos)), embeddings=x.astype(np.float32))

    runs = {"baseline": [run(1.0), run(1.0, 1)], "non-target": [run(8.0), run(8.0, 1)]}
    study = analysis.EmbeddingStudy(runs, {"action": [0, 1], "background": [2]}, each=30, shown=5)
    one = runs["non-target"][1]
    drawn = analysis.draw_snippets(one.labels, 30)
    assert study.scores["non-target"][1].score == analysis.separability(one.embeddings[drawn], one.labels[drawn], one.video_id[drawn]).score
    assert study.table.cells["gain"].isna().tolist() == [True, True, False, False]
    assert study.findings == analysis.separability_findings(study.scores, "non-target", "baseline")
    assert study.points.groupby(["system", "group"]).size().tolist() == [5] * 4
    first, second = (part.drop(columns=["x", "y", "system"]) for _, part in study.points.groupby("system"))
    pd.testing.assert_frame_equal(first, second)
    assert study.titles["non-target"] == f"non-target: {100 * study.scores['non-target'][0].score:.1f} % separable"


def test_snippets_are_drawn_with_a_seed():
    labels = np.array([0] * 50 + [1] * 5)
    drawn = analysis.draw_snippets(labels, 10, seed=1)
    assert (np.bincount(labels[drawn]) == [10, 5]).all()
    assert (np.diff(drawn) > 0).all()
    assert (drawn == analysis.draw_snippets(labels, 10, seed=1)).all()
    assert (drawn != analysis.draw_snippets(labels, 10, seed=2)).any()
    assert set(analysis.draw_snippets(labels, 4, seed=1)) <= set(drawn), "fewer are some of the same"


def test_the_map_is_the_same_every_time():
    x, labels, _ = clusters(20.0, videos=3)
    first = analysis.map_to_plane(x)
    assert first.shape == (60, 2)
    assert (first == analysis.map_to_plane(x)).all()
    centres = [first[labels == k].mean(axis=0) for k in (0, 1)]
    spread = max(first[labels == k].std() for k in (0, 1))
    assert np.linalg.norm(centres[0] - centres[1]) > spread, "what is far apart stays apart"


def test_confusable_classes():
    """0 and 3 are confused most, then 4 with these, then 1 with any of them; background does not count."""
    rates = np.zeros((5, 6))
    rates[0, 3], rates[3, 0], rates[4, 0], rates[1, 4], rates[2, 5] = 0.5, 0.2, 0.4, 0.3, 0.9
    np.fill_diagonal(rates, 0.1)
    assert analysis.confusable_classes(rates) == [0, 3, 4, 1]
    with pytest.raises(ValueError, match=r"count must be from 2 to the number of actions \(5\), got 6"):
        analysis.confusable_classes(rates, 6)
    s = snippets_of(np.eye(3)[[0, 1, 1, 2, 0]], [0, 0, 1, 0, 2])
    assert analysis.confusion_rates(s).tolist() == [[1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]


# --- Fig. 5


def test_coverage_by_epoch_ends_as_the_record_does(tmp_path):
    experiment = Experiment(**TINY)
    epochs = analysis.coverage_by_epoch(experiment, ResultStore(tmp_path), progress=False)
    assert list(epochs["stage"]) == ["pretrain"] * 2 + ["selftrain"] * 2
    assert list(epochs["epoch"]) == [1, 2, 3, 4]
    record = run(experiment, ResultStore(tmp_path), progress=False)
    for name, value in record["occupancy"].items():
        assert epochs[name].iloc[-1] == pytest.approx(value), name
    with pytest.raises(ValueError, match="hides no labels"):
        analysis.coverage_by_epoch(replace(experiment, rule="fully supervised"), ResultStore(tmp_path), progress=False)


def test_chance_is_the_size_of_a_set():
    rows = pd.DataFrame([{"size_positive": 0.5, "size_negative": 15.5, "size_ambiguous": 3.0, "truth_target": 0.7}])
    chance = analysis.with_chance(rows).filter(like="chance_").iloc[0]
    assert chance.to_dict() == {"chance_target": 0.05, "chance_positive": 0.025, "chance_negative": 0.775, "chance_ambiguous": 0.15}
    assert analysis.with_chance(rows.iloc[:0]).empty


def test_only_current_rows_of_plain_runs_are_read(tmp_path):
    """A record of this code counts; one of older code does not, nor one with a changed setting, another rule or no hidden labels."""
    store = ResultStore(tmp_path)
    plain = run(Experiment(**TINY), store, progress=False)
    records = []
    for experiment in (
        Experiment(),
        Experiment(seed=1),
        Experiment(rule="baseline"),
        Experiment(rule="SPOT"),
        Experiment(rule_settings={"positive_ratio": 0.5}),
    ):
        identity = experiment.identity()
        if experiment.seed == 1:
            identity = identity | {"versions": identity["versions"] | {"training": -1}}
        records.append(plain | {"identity": identity, "key": identity_key(identity)})
    store.commit(records)
    rows, stale = analysis.committed_coverage(store)
    assert sorted(rows["rule"]) == ["baseline", "non-target"]
    assert list(rows["seed"]) == [0, 0]
    assert stale == 1
    assert rows["truth_target"].iloc[0] == pytest.approx(plain["occupancy"]["truth_target"], abs=1e-5)
    empty, stale = analysis.committed_coverage(ResultStore(tmp_path / "empty"))
    assert (len(empty), stale) == (0, 0)


# --- Fig. 6


def test_hits_misses_and_false_positives_of_a_video():
    truth = pd.DataFrame([("v", "a", 0, 10), ("v", "a", 20, 30), ("v", "b", 40, 50), ("w", "a", 0, 10)], columns=COLUMNS[:4])
    rows = [
        ("v", "a", 1, 10, 0.9),  # finds the first
        ("v", "a", 0, 10, 0.8),  # a better fit, but it is taken
        ("v", "a", 40, 50, 0.7),  # right place, wrong class
        ("v", "b", 40, 50, 0.1),  # right, but not among the best three
        ("w", "a", 0, 10, 1.0),  # another video
    ]
    m = analysis.match_video(truth, pd.DataFrame(rows, columns=COLUMNS), "v")
    assert list(m.instances["found"]) == [True, False, False]
    assert list(m.detections["right"]) == [True, False, False]
    assert m.counts() == {"instances": 3, "found": 1, "missed": 2, "false positives": 2, "found at any score": 2}
    assert analysis.match_video(truth, pd.DataFrame(rows, columns=COLUMNS), "v", keep=4).counts()["found"] == 2
    table = analysis.outcomes({"v": {"non-target": m}})
    assert table["outcome"].value_counts().to_dict() == {"false": 2, "missed": 2, "found": 1}
    none = analysis.match_video(truth, pd.DataFrame([], columns=COLUMNS).astype(dict.fromkeys(COLUMNS[2:], float)), "v")
    assert none.counts() == {"instances": 3, "found": 0, "missed": 3, "false positives": 0, "found at any score": 0}


@pytest.mark.parametrize("seed", range(20))
def test_matches_are_the_evaluators(seed):
    """The AP that follows from these matches is the evaluator's, ties in score and tIoU included."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 12, (30, 1))
    spans = np.concatenate([starts, starts + rng.integers(1, 6, (30, 1))], axis=1).astype(float)
    truth = pd.DataFrame(spans[:8], columns=COLUMNS[2:4]).assign(video_id="v", label="a")
    found = pd.DataFrame(spans[8:], columns=COLUMNS[2:4]).assign(video_id="v", label="a", score=rng.integers(1, 6, 22) / 5)
    m = analysis.match_video(truth, found, "v", 0.5, keep=len(found))
    hits = m.detections["right"].to_numpy()[:, None]
    assert interpolated_ap(hits, len(truth))[0] == pytest.approx(evaluate_detections(truth, found, [0.5]).mean_ap[0], abs=1e-12)
    assert m.found_by_any == hits.sum() == m.instances["found"].sum()


def test_videos_are_chosen_by_their_number_of_instances():
    counts = {"e": 3, "d": 3, "c": 3, "b": 1, "a": 9, "z": 0}
    videos = [labeled(name, [(0, i, i + 0.5) for i in range(n)], snippets=30) for name, n in counts.items()]
    chosen = analysis.videos_by_instances(videos, quantile=0.5)
    assert [v.video.video_id for v in chosen] == ["c", "d"], "ties by id; a video without instances does not count"
    assert [v.video.video_id for v in analysis.videos_by_instances(videos, 1, quantile=1.0)] == ["a"]
    with pytest.raises(ValueError, match=r"with an instance \(5\), got 6"):
        analysis.videos_by_instances(videos, 6)


# --- Drawings


def test_the_drawings_show_all_of_it(tmp_path):
    p = np.array([0.3, 0.32, 0.22, 0.1, 0.06])
    kinds = analysis.subspace_of_classes(p)
    bars = plotting.distribution_of_snippet(p, list("abcde"), kinds, truth=0)
    few = plotting.distribution_of_snippet(p, list("abcde"), kinds, truth=0, most=2)
    assert len(bars.axes[0].patches) == 5
    assert [t.get_text() for t in few.axes[0].get_yticklabels()] == ["b", "a", "3 more classes"]
    assert "truth" in few.axes[0].texts[1].get_text()

    points = pd.DataFrame(
        [(system, group, 0.0, 1.0) for system in ("baseline", "non-target") for group in "xyxx"], columns=["system", "group", "x", "y"]
    )
    plane = plotting.embedding_maps(points, {"baseline": "1", "non-target": "2"})
    assert [sum(len(line.get_xdata()) for line in axes.lines) for axes in plane.axes] == [4, 4]

    subspaces = ("target", "positive", "negative", "ambiguous")
    shares = {f"{kind}_{name}": 0.25 for kind in ("truth", "action", "chance") for name in subspaces}
    epochs = pd.DataFrame([{"stage": s, "epoch": i, **shares} for i, s in enumerate(("pretrain", "pretrain", "selftrain"), 1)])
    runs = pd.DataFrame([{"dataset": "toy", "rule": r, "label_ratio": x, **shares} for r in ("non-target", "baseline") for x in (0.1, 0.2)])
    by_ratio = plotting.subspaces_by_ratio(runs)
    assert len(by_ratio.axes) == 2
    assert len(by_ratio.axes[0].containers) == 8, "four subspaces under two rules"

    truth = pd.DataFrame([("v", "a", 0, 10), ("v", "b", 20, 30)], columns=COLUMNS[:4])
    found = pd.DataFrame([("v", "a", 1, 10, 0.9), ("v", "c", 1, 9, 0.8)], columns=COLUMNS)
    lines = plotting.hits_and_misses({"v": (30.0, {"non-target": analysis.match_video(truth, found, "v")})})
    assert len(lines.axes[0].patches) == 2 + 1 + 1 + 1, "truth, found, missed, false"
    assert [t.get_text() for t in lines.axes[0].get_yticklabels()] == ["truth", "non-target: found 1", "missed 1", "false 1"]

    drawn = [bars, few, plane, plotting.subspaces_by_epoch(epochs), by_ratio, plotting.subspaces_by_ratio(runs.iloc[:0]), lines]
    for i, figure in enumerate(drawn):
        figure.savefig(tmp_path / f"{i}.png")
        assert figure.get_facecolor() == (1, 1, 1, 1), "readable on a dark page"
        assert all(axes.get_facecolor() == (1, 1, 1, 1) for axes in figure.axes)
