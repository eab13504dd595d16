"""The explorables compute what the library computes, answer to keyboard and pointer, load nothing, and can be read by everyone."""

import importlib
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY_TRAINING, TINY_TWIN

from nontarget import LabelPartition, non_target_loss, partition_label_space, soft_nms
from nontarget.config import InferenceConfig
from nontarget.detectors.spot import spot_candidates
from nontarget.experiment import Experiment
from nontarget.results import ResultStore, identity_key
from nontarget.segments import runs, tiou

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "book" / "_static" / "explorables"
NAMES = ("partition", "simplex", "postprocessing", "ratio")
PRECEDENCES = ("negative", "positive")
RATIOS = (0.0, 0.5, 0.85, 1.0, 2.0)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: test)")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        launched = playwright.chromium.launch(executable_path=chromium, args=options)
        yield launched
        launched.close()


# --- the numbers


@pytest.fixture(scope="module")
def core(browser):
    """Call a function of core.js for each of many arguments."""
    page = browser.new_page()
    page.add_script_tag(path=SCRIPTS / "core.js")

    def call(function, arguments):
        results = page.evaluate("([f, many]) => many.map((one) => window.nontargetCore[f](...one))", [function, list(arguments)])
        assert len(results) > 0
        return results

    yield call
    page.close()


def distributions():
    """Edge cases, then random ones, sure and unsure, of several sizes."""
    edges = [[1.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.3, 0.7], [0.51, 0.44, 0.05], [0.25, 0.5, 0.25], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0]]
    edges += [[1 / n] * n for n in (2, 3, 7, 21)] + [[0.2, 0.3, 0.3, 0.2], [0.32, 0.3, 0.22, 0.1, 0.06]]
    generator = np.random.default_rng(0)
    shapes = itertools.product((2, 3, 5, 21), (0.1, 1.0, 10.0), range(8))
    return edges + [generator.dirichlet([concentration] * n).tolist() for n, concentration, _ in shapes]


def settings():
    return itertools.product(distributions(), RATIOS, PRECEDENCES)


def test_partition_is_the_library_s(core):
    found = core("partition", settings())
    seen = set()
    for (probs, ratio, precedence), names in zip(settings(), found, strict=True):
        sets = partition_label_space(torch.tensor(probs, dtype=torch.float64), ratio, precedence)
        expected = [LabelPartition._fields[i] for i in torch.stack(sets).int().argmax(0).tolist()]
        assert names == expected, (probs, ratio, precedence)
        seen |= set(names)
    assert seen == set(LabelPartition._fields)


def test_softmax_is_torch_s(core):
    logits = [[0.0], [1.0, -1.0], [800.0, 0.0, -800.0], *torch.randn(20, 6, dtype=torch.float64).mul(5).tolist()]
    for z, probs in zip(logits, core("softmax", [[z] for z in logits]), strict=True):
        np.testing.assert_allclose(probs, torch.tensor(z, dtype=torch.float64).softmax(0), rtol=1e-12, atol=1e-300)


def test_losses_and_gradient_are_the_library_s(core):
    """Sets from the prediction itself and from another one; saturated logits among them."""
    generator = torch.Generator().manual_seed(0)
    logits = [
        torch.randn(n, generator=generator, dtype=torch.float64) * scale for n in (2, 3, 6, 21) for scale in (0.1, 1, 4) for _ in range(4)
    ]
    logits += [torch.tensor(z, dtype=torch.float64) for z in ([800.0, 0.0, 0.0], [0.0, 0.0], [40.0, 39.9, -40.0], [0.0, 800.0])]
    teachers = [torch.randn(len(z), generator=generator, dtype=torch.float64).softmax(0) for z in logits]
    cases = [
        (z, teacher, ratio, precedence)
        for z, other in zip(logits, teachers, strict=True)
        for teacher in (None, other)
        for ratio in (0.5, 0.85, 1.0)
        for precedence in PRECEDENCES
    ]
    arguments = [
        [z.tolist(), {"positiveRatio": ratio, "precedence": precedence} | ({} if teacher is None else {"pseudoProbs": teacher.tolist()})]
        for z, teacher, ratio, precedence in cases
    ]
    for (z, teacher, ratio, precedence), found in zip(cases, core("nonTargetLoss", arguments), strict=True):
        leaf = z.clone().requires_grad_()
        options = {"positive_ratio": ratio, "precedence": precedence}
        loss = non_target_loss(leaf, teacher, **options)
        loss.backward()
        for term, value in found["terms"].items():
            np.testing.assert_allclose(value, non_target_loss(z, teacher, terms=(term,), **options), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found["loss"], loss.detach(), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found["gradient"], leaf.grad, rtol=1e-8, atol=1e-10)


def test_runs_and_tiou_are_the_library_s(core):
    masks = [[False], [True], [True, True], [False, True, False, True], *(torch.rand(30, 25) > 0.4).tolist()]
    for mask, found in zip(masks, core("runs", [[m] for m in masks]), strict=True):
        _, start, end = runs(torch.tensor([mask]))
        assert found == torch.stack((start, end), dim=1).tolist()
    a, b = (torch.rand(50, 2, dtype=torch.float64).sort(dim=1).values for _ in range(2))
    np.testing.assert_allclose(core("tiou", zip(a.tolist(), b.tolist(), strict=True)), tiou(a, b), rtol=1e-12)


@pytest.mark.parametrize("method", ["gaussian", "linear", "hard"])
@pytest.mark.parametrize("per_class", [False, True])
def test_soft_nms_is_the_library_s(core, method, per_class):
    generator = np.random.default_rng(1)
    cases, arguments = [], []
    lowest = 1e-9 if per_class else 0.0  # several classes with scores of 0: in which order they are listed is left open
    for count in (1, 2, 20, 60):
        for sigma, threshold, min_score, limit in itertools.product((0.1, 0.5), (0.0, 0.3), (lowest, 0.001, 0.2), (None, 5)):
            segments = np.sort(generator.uniform(0, 10, (count, 2)), axis=1)
            segments[: count // 5, 1] = segments[: count // 5, 0]  # without length
            segments[count // 2 :] = segments[: count - count // 2]  # duplicates
            scores, labels = generator.uniform(0.01, 1, count), generator.integers(0, 3, count)
            cases.append((segments, scores, labels, sigma, threshold, min_score, limit))
            options = {"method": method, "sigma": sigma, "iouThreshold": threshold, "minScore": min_score, "maxDetections": limit}
            arguments.append([segments.tolist(), scores.tolist(), labels.tolist() if per_class else None, options])
    for (segments, scores, labels, sigma, threshold, min_score, limit), found in zip(cases, core("softNms", arguments), strict=True):
        indices, decayed = soft_nms(
            torch.tensor(segments),
            torch.tensor(scores),
            torch.tensor(labels) if per_class else None,
            method=method,
            sigma=sigma,
            iou_threshold=threshold,
            min_score=min_score,
            max_detections=limit,
        )
        assert found["indices"] == indices.tolist()
        np.testing.assert_allclose(found["scores"], decayed, rtol=1e-9)


def test_among_equal_scores_the_first_listed_wins(core):
    segments, scores = [[0.0, 1.0], [5.0, 6.0], [0.0, 1.0]], [0.5, 0.5, 0.5]
    (found,) = core("softNms", [[segments, scores, None, {"method": "hard"}]])
    indices, _ = soft_nms(torch.tensor(segments), torch.tensor(scores), method="hard")
    assert found["indices"] == indices.tolist() == [0, 1]


# --- the data


@pytest.fixture(scope="module")
def explorables():
    """The directive's module and that of its data."""
    pytest.importorskip("sphinx", reason="sphinx is not installed (extra: book)")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        yield importlib.import_module("explorables")


@pytest.fixture(scope="module")
def video(explorables, tmp_path_factory):
    twin, whole = TINY_TWIN | {"num_test": 40}, {"num_snippets": 256, "stride": 128}  # windows that a video with three instances fits in
    experiment = Experiment(rule="fully supervised", twin_settings=twin, training_settings=TINY_TRAINING, protocol_settings=whole)
    return explorables.explorable_data.postprocessing(experiment, ResultStore(tmp_path_factory.mktemp("results")))


def test_the_video_is_as_the_detector_sees_it(video):
    length = len(video["masks"])
    assert video["simulated"] is True
    assert len(video["classes"][0]["truth"]) >= 3, "the first class is in the video"
    assert [c["truth"] for c in video["classes"][1:]] == [[], []]
    assert all(len(row) == length for row in video["masks"])
    assert all(len(c["curve"]) == length and 0 <= min(c["curve"]) <= max(c["curve"]) <= 1 for c in video["classes"])
    assert all(0 <= start < end <= video["duration"] for start, end in video["classes"][0]["truth"])


def test_candidates_are_the_library_s(core, video):
    masks = torch.tensor(video["masks"], dtype=torch.float64)
    valid = torch.ones(1, len(masks), dtype=torch.bool)
    config = InferenceConfig(class_thresholds=(0.02, 0.1, 0.25), mask_thresholds=(0.1, 0.25, 0.45))
    total = 0
    for shown in video["classes"]:
        curve = torch.tensor(shown["curve"], dtype=torch.float64)
        probs = torch.stack((curve, 1 - curve), dim=-1)[None]
        expected = spot_candidates(probs, masks[None], valid, config)
        (found,) = core("candidates", [[shown["curve"], video["masks"], config.class_thresholds, config.mask_thresholds]])
        assert [c["segment"] for c in found] == expected.segments.tolist()
        np.testing.assert_allclose([c["score"] for c in found], expected.scores, rtol=1e-9)
        total += sum(c["fromMask"] for c in found)
    assert total > 0, "candidates of masks are among them"


def record(experiment, average, **changed):
    """A run's record without the run."""
    identity = experiment.identity() | changed
    return {
        "key": identity_key(identity),
        "identity": identity,
        "scores": {"0.5": average + 0.1, "avg": average},
        "scored": {"videos": 1, "instances": 1, "detections": 1, "labeled": 1, "unlabeled": 1},
        "occupancy": {},
        "gradient_share": {},
        "provenance": {"seconds": {"pretrain": 1.0}, "device": "cpu", "torch": "2", "commit": "c", "date": "2026-01-01"},
        "curves": {},
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Three systems at two ratios with two seeds, and rows that must not be shown."""
    made = ResultStore(tmp_path_factory.mktemp("committed"))
    plain = [
        record(Experiment(dataset, rule, ratio, seed), 0.3 + ratio / 2 + seed / 100)
        for dataset in ("thumos14-sim", "activitynet-sim")
        for rule in ("non-target", "baseline", "complementary label")
        for ratio in (0.1, 0.4)
        for seed in (0, 1)
    ]
    hidden = [
        record(Experiment("thumos14-sim", "SPOT"), 0.9, versions={"detector": 0}),  # of other code
        record(Experiment("thumos14-sim", "NPL-style", detector="actionformer"), 0.9),
        record(Experiment("thumos14-sim", "non-target", rule_settings={"positive_ratio": 0.6}), 0.9),
    ]
    made.commit([*plain, *hidden])
    return made


def test_only_current_results_of_the_plain_systems_are_shown(explorables, store):
    data = explorables.explorable_data.ratio(store)
    assert [(d["name"], d["simulated"]) for d in data["datasets"]] == [("thumos14-sim", True), ("activitynet-sim", True)]
    assert data["order"] == ["baseline", "non-target", "complementary label"], "the order of Table 1, then the others"
    for dataset in data["datasets"]:
        assert [s["name"] for s in dataset["systems"]] == data["order"]
        for system in dataset["systems"]:
            points = {(p["ratio"], p["seed"]): p["map"] for p in system["points"]}
            assert points == pytest.approx({(0.1, 0): 35.0, (0.1, 1): 36.0, (0.4, 0): 50.0, (0.4, 1): 51.0})


def test_no_results_are_no_error(explorables, tmp_path):
    assert explorables.explorable_data.ratio(ResultStore(tmp_path))["datasets"] == []


# --- the directive


@pytest.mark.filterwarnings("default")
def test_scripts_are_loaded_where_they_are_used_alone(explorables, tmp_path):
    application = importlib.import_module("sphinx.application")
    book = tmp_path / "book"
    shutil.copytree(SCRIPTS, book / "_static" / "explorables")
    (book / "index.md").write_text("# Start\n\n```{toctree}\nwith\n```\n")
    (book / "with.md").write_text("# With\n\n```{explorable} partition\n```\n\n```{explorable} partition\n```\n")
    options = {
        "extensions": ["myst_parser", "explorables"],
        "html_static_path": ["_static"],
        "html_js_files": ["explorables/core.js", "mine.js"],  # as Jupyter Book sets it
        "html_css_files": ["explorables/explorables.css"],
    }
    app = application.Sphinx(book, None, tmp_path / "html", tmp_path / "tree", "html", confoverrides=options, status=None, warning=None)
    app.build()
    assert app.statuscode == 0
    without, used = ((tmp_path / "html" / f"{page}.html").read_text() for page in ("index", "with"))
    assert "explorables/" not in without
    assert "mine.js" in without
    assert re.findall(r"explorables/(\w+\.\w+)", used) == ["explorables.css", "core.js", "ui.js", "partition.js"]
    identifiers = re.findall(r'id="(explorable-[\w-]+)"', used)
    assert len(identifiers) == len(set(identifiers)) == 2
    assert "It needs JavaScript" in used


def test_a_wrong_name_is_refused(explorables, tmp_path):
    application, errors = importlib.import_module("sphinx.application"), tmp_path / "errors"
    (tmp_path / "index.md").write_text("# Start\n\n```{explorable} partitions\n```\n")
    with errors.open("w") as warning:
        options = {"extensions": ["myst_parser", "explorables"]}
        app = application.Sphinx(
            tmp_path, None, tmp_path / "o", tmp_path / "t", "dummy", confoverrides=options, status=None, warning=warning
        )
        app.build()
    assert "unknown explorable 'partitions' (known: partition, simplex, postprocessing, ratio)" in errors.read_text()


def test_inline_data_cannot_end_the_script(explorables):
    html = explorables.block("ratio", "x", {"name": "</script><b>"})
    assert html.count("</script>") == 1
    assert json.loads(re.search(r'json">(.*)</script>', html).group(1)) == {"name": "</script><b>"}


# --- the figures in a browser

PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head><meta charset="utf-8"><title>Explorables</title><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{style}">{head}
<style>html {{ font-family: sans-serif }} html[data-theme=dark] {{ background: #121212; color: #ced6dd }}
main {{ max-width: 800px; margin: auto }}</style></head>
<body><main><h1>Explorables</h1>{body}</main></body>
</html>
"""


@pytest.fixture
def open_page(browser, explorables, video, store, tmp_path):
    """Open a page that holds what the directive writes. On leaving: nothing was asked of a network, nothing went wrong."""
    data = {"postprocessing": video, "ratio": explorables.explorable_data.ratio(store)}
    contexts, outside, problems = [], [], []

    def open_it(*names, width=1200, theme="light", data=data, **options):
        scripts = (SCRIPTS / name for name in (*explorables.SHARED, *(f"{n}.js" for n in names)))
        head = "".join(f'<script defer src="{script.as_uri()}"></script>' for script in scripts)
        body = "".join(f"<h2>{n}</h2>" + explorables.block(n, f"explorable-{n}", data.get(n)) for n in names)
        style = (SCRIPTS / "explorables.css").as_uri()
        page_file = tmp_path / "page.html"
        page_file.write_text(PAGE.format(theme=theme, style=style, head=head, body=body), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)

        def guard(route):
            if route.request.url.startswith("file://"):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        context.route("**/*", guard)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(page_file.as_uri())
        page.wait_for_function("n => document.querySelectorAll('.explorable.ex-ready .ex-status:not(:empty)').length === n", arg=len(names))
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not outside
    assert not problems


def said(page, text):
    """Wait until the status says so: it follows when the reader pauses."""
    page.wait_for_function("t => document.querySelector('.ex-status').textContent.includes(t)", arg=text, timeout=5000)


def test_partition_by_keyboard(open_page):
    page = open_page("partition")
    said(page, "Target: Putting on Shoes. Positive: Sailing. Negative: Knitting, background. Ambiguous: Surfing.")
    said(page, "Loss 1.14 + 0.17 + 1.20 = 2.51.")
    bars = page.get_by_role("slider", name="p of ")
    sailing = page.get_by_role("slider", name="p of Sailing")
    sailing.focus()
    for key in ("ArrowRight", "ArrowUp", "PageUp"):
        sailing.press(key)
    assert sailing.get_attribute("aria-valuenow") == "42"
    assert "target" in sailing.get_attribute("aria-valuetext")
    assert sum(float(bar.get_attribute("data-p")) for bar in bars.all()) == pytest.approx(1)
    sailing.press("End")
    assert sailing.get_attribute("aria-valuenow") == "99"
    sailing.press("Home")
    said(page, "Target: Putting on Shoes.")

    page.get_by_role("button", name="torn between two").press("Enter")
    said(page, "Negative: Putting on Shoes, Surfing, Knitting, background.")
    page.get_by_role("radio", name="negative first").press("ArrowRight")
    said(page, "Positive: Putting on Shoes. Negative: Surfing, Knitting, background.")
    bar = page.get_by_role("slider", name="λ")
    bar.press("End")
    said(page, "Positive: none.")


def test_partition_by_pointer_and_touch(open_page):
    page = open_page("partition", has_touch=True)
    surfing = page.get_by_role("slider", name="p of Surfing")
    box = surfing.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.1 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=3)
    page.mouse.up()
    assert float(surfing.get_attribute("data-p")) == pytest.approx(0.6, abs=0.02)
    said(page, "Target: Surfing.")
    page.touchscreen.tap(box["x"] + 0.02 * box["width"], middle)
    assert float(surfing.get_attribute("data-p")) == pytest.approx(0.02, abs=0.02)


def test_simplex_by_keyboard_and_pointer(open_page):
    page = open_page("simplex")
    said(page, "Sailing 0.44, positive; Surfing 0.46, target; Knitting 0.10, negative.")
    point = page.get_by_role("slider", name="Distribution")
    point.focus()
    for _ in range(5):
        point.press("ArrowRight")
    said(page, "Sailing 0.39, negative; Surfing 0.51, target; Knitting 0.10, negative.")
    for _ in range(3):
        point.press("ArrowLeft")
    point.press("PageUp")
    said(page, "Knitting 0.20")

    plot = page.locator(".ex-plot").bounding_box()
    page.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + 40)  # near the upper corner
    said(page, "Knitting 0.9")
    page.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] - 2)  # below the triangle: its border
    said(page, "Sailing 0.50, target; Surfing 0.50, negative; Knitting 0.00, negative. Both rules claim Surfing; negative first.")
    page.get_by_role("radio", name="positive first").check()
    said(page, "Surfing 0.50, positive")


def test_simplex_colours_every_pixel_by_the_partition(open_page):
    """A class's own corner is target; another's is negative; outside there is nothing. Fine screens get fine pixels."""
    page = open_page("simplex", device_scale_factor=2)
    page.wait_for_function("() => { const c = document.querySelector('canvas'); return c.width === Math.round(2 * c.clientWidth); }")
    pixels = "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    width, height = page.evaluate("[document.querySelector('canvas').width, document.querySelector('canvas').height]")
    corner_own, corner_other, nothing = [width // 5, int(0.9 * height)], [width // 2, height // 4], [5, 5]
    assert page.evaluate(pixels, nothing)[3] == 0
    blue, orange = page.evaluate(pixels, corner_own), page.evaluate(pixels, corner_other)
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    page.get_by_role("radio", name="Knitting").check()
    page.wait_for_function(f"() => {{ const p = ({pixels})({corner_other}); return p[2] > p[0]; }}")


def test_postprocessing_by_keyboard(open_page, video):
    page = open_page("postprocessing", data={"postprocessing": video})
    ticked = page.get_by_role("checkbox", checked=True)
    while ticked.count():
        ticked.first.press("Space")
    said(page, "no candidates")
    lowest = page.get_by_role("group", name="Class thresholds").get_by_role("checkbox", name="0.02")
    lowest.focus()
    lowest.press("Space")
    said(page, "candidates,")
    count = re.search(r"(\d+) candidates", page.locator(".ex-status").text_content())
    assert page.locator("rect.ex-cand").count() == int(count.group(1)) > 0
    before = page.locator(".ex-plot-wide").text_content()
    strength = page.get_by_role("slider")
    page.get_by_role("group", name="Mask thresholds").get_by_role("checkbox", name="0.1").press("Space")
    assert page.locator("rect.ex-cand-mask").count() > 0
    assert page.locator(".ex-plot-wide").text_content() != before
    wide = page.locator(".ex-plot-wide").text_content()
    strength.press("Home")
    assert page.locator(".ex-plot-wide").text_content() != wide, "a narrow decay leaves other scores"
    page.get_by_role("radio", name="gaussian").press("ArrowRight")
    assert "tIoU from which scores decay" in page.locator(".ex-range").text_content()
    assert "simulated data" in page.locator(".ex-caption").text_content()


def test_ratio_by_keyboard_and_pointer(open_page):
    page = open_page("ratio")
    said(
        page,
        "thumos14-sim (simulated data), mean over seeds of the average mAP: baseline 35.5 at 10 %, 50.5 at 40 %; non-target 35.5 at 10 %",
    )
    assert page.locator("path.ex-dot").count() == 2 * 2 * 2, "a point for each seed"
    page.get_by_role("checkbox", name="complementary label").press("Space")
    assert page.locator("path.ex-dot").count() == 3 * 2 * 2
    page.get_by_label("Data set").select_option(label="activitynet-sim (simulated)")
    said(page, "activitynet-sim")
    assert page.locator("path.ex-dot").count() == 3 * 2 * 2, "the choice of systems is kept"
    page.locator("label", has_text="baseline").click()
    assert page.locator("path.ex-dot").count() == 2 * 2 * 2
    page.get_by_text("The points as a table").click()
    assert page.locator("tbody tr").count() == 4


def test_without_results_the_figure_says_so(open_page, explorables, tmp_path):
    page = open_page("ratio", data={"ratio": explorables.explorable_data.ratio(ResultStore(tmp_path / "none"))})
    said(page, "No committed result is current")


def test_without_scripts_there_is_a_sentence(open_page, browser, explorables, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(explorables.block("simplex", "x", None))
    assert "It needs JavaScript" in page.locator(".explorable").text_content()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_readable_by_everyone(open_page, theme, width):
    """axe finds nothing serious, contrast included; nothing is wider than a phone; what has the focus shows it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed (extra: test)")
    page = open_page(*NAMES, width=width, theme=theme)
    page.keyboard.press("Tab")
    focused = page.get_by_role("button", name="Figure 1")
    assert focused.evaluate("e => e === document.activeElement && getComputedStyle(e).outlineStyle") == "solid"
    page.locator("summary").click()
    violations = axe.Axe().run(page, options={"preload": False}).response["violations"]  # it would fetch the style sheet
    serious = {v["id"]: [n["html"][:200] for n in v["nodes"]] for v in violations if v["impact"] in ("serious", "critical")}
    assert not serious
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_motion_is_reduced_where_asked(open_page):
    for motion, seconds in (("reduce", "0s"), ("no-preference", "0.15s")):
        page = open_page("partition", reduced_motion=motion)
        assert page.locator("button").first.evaluate("e => getComputedStyle(e).transitionDuration") == seconds
