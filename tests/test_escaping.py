"""Names that attack a page, a table, a figure or a spreadsheet are shown as what they are, and do nothing."""

import base64
import csv
import hashlib
import html
import importlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from helpers import TINY, tiny_dataset
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.cbook import is_math_text
from matplotlib.text import Text

from nontarget import plotting
from nontarget.cli import main
from nontarget.cli.runs import _plain
from nontarget.data import load_dataset, write_feature_folder
from nontarget.detection_files import read_detections, write_detections
from nontarget.experiment import Experiment
from nontarget.results import ResultStore
from nontarget.runtime.downloads import CsvLink
from nontarget.runtime.escaping import csv_cell, csv_cell_read, escaped, figure_text, html_text, inline_markdown, plain_text
from nontarget.study import released
from nontarget.study.analysis import match_video
from nontarget.study.explained import limits_findings
from nontarget.study.gates import gates, summary
from nontarget.study.pages import gates_findings
from nontarget.study.tables import compare
from nontarget.study.tabs import Tabs
from nontarget.study.texttable import TextTable

ROOT = Path(__file__).resolve().parents[1]
SCRIPT, IMAGE, BAR, FORMULA = "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a|b", '=HYPERLINK("http://x.example","y")'
MATH, LINK, END, TICKS = "$\\alpha$ and $\\frac$", "[x](javascript:alert(1))", "</script></style>--><b>", "``` `code` ```"
ROLE, TEMPLATE, LINES, EMPHASIS = "{raw}`<b>x</b>` {eval-rst}", "{{ 7 * 7 }}", "a\n\n# b\n```\n", "*a* **b** _c_ ~~d~~"
TURNED, RIGHT_TO_LEFT, ENTITY, LONG = "\u202egnp.exe", "עברית", "&lt;b&gt; &#60;", "long " * 2000
HOSTILE = [
    SCRIPT, IMAGE, BAR, FORMULA, MATH, LINK, END, TICKS, ROLE, TEMPLATE, LINES, EMPHASIS, TURNED, RIGHT_TO_LEFT, ENTITY, LONG,
    "_hidden", "$", "\\", "`", "'", '"', "@SUM(A1)", "+1+1", "-1-1", "\t=1", "\r=1", "![x](http://x.example/y.png)", "<http://x.example>",
]  # fmt: skip
FOLDER = f"=1+1 {IMAGE} {BAR} $x$ [x](javascript:alert(1)) `c` {TEMPLATE} *e*"
VIDEO = f"<img src=x onerror=alert({{}})> {BAR} $x$ `c`"


def seen(text):
    """What a reader sees of a name: controls are blanks, and those that turn the writing a replacement character."""
    return re.sub(r"[\u202a-\u202e]", "\N{REPLACEMENT CHARACTER}", " ".join(text.split()))


class Page(HTMLParser):
    """What a browser would make of HTML: its elements with their attributes, its text, and what scripts hold."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.text, self.inside = [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)
        self.text += data

    def assert_harmless(self):
        for tag, attributes in self.elements:
            assert tag not in ("iframe", "object", "embed", "meta", "base", "form", "b", "del"), tag
            assert not [name for name in attributes if name.startswith("on")], attributes
            assert tag != "img" or attributes["src"] != "x"
            for name in ("href", "src", "action"):
                assert not re.match(r"\s*(javascript|vbscript):", attributes.get(name) or ""), attributes
            assert "math" not in (attributes.get("class") or "").split(), "a name became a formula"
        assert "alert" not in "".join(self.scripts)


# --- the module


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stands_in_markdown_and_html_as_it_is(name):
    text = escaped(name)
    assert not set(text) & set("<>|$`[]{}*~\n\r\t\\")
    assert " ".join(html.unescape(text).split()) == seen(name)
    assert inline_markdown(text) == html_text(text) == text, "what is escaped stays so in tables"
    assert " ".join(plain_text(f"**{text}** *{text}*").split()) == f"{seen(name)} {seen(name)}".strip()


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_that_was_not_escaped_has_emphasis_and_code_alone(name):
    page = Page(html_text(name))
    page.assert_harmless()
    assert {tag for tag, _ in page.elements} <= {"em", "strong", "code"}
    assert not re.search(r"[<>$~{}]|\]\(|\n|(?<!\\)\|", re.sub("`[^`]*`", "", inline_markdown(name)))


def test_names_as_people_give_them_are_written_as_they_are():
    for name in ("thumos14-sim", "Clean and Jerk", "v_0001", "mAP (%)", "50Salads", "Müller", "driver's", "+2.0 [+1.0, 3.0]"):
        assert inline_markdown(name) == name
        assert html.unescape(escaped(name)) == name
    assert escaped("video_test_0000270") == "video_test_0000270"
    assert html_text("**a** *b* `c|d`") == "<strong>a</strong> <em>b</em> <code>c|d</code>"


@given(st.text())
def test_any_text_survives(text):
    assert not set(escaped(text)) & set("<>|$`[]{}*~\n\r\\")
    assert csv_cell_read(csv_cell(text)) == text
    assert not is_math_text(figure_text(text))
    Page(html_text(text)).assert_harmless()


# --- csv


def spreadsheet(text):
    """Cells; none of them is a formula."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert not [cell for row in rows for cell in row if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"[+-]?[\d.e+-]+", cell)]
    return rows


def test_no_csv_of_a_page_holds_a_formula():
    frame = pd.DataFrame({"=class": HOSTILE, "value": -1.5, "kind": pd.Categorical(HOSTILE), "text": "-2.5"})
    link = Page(CsvLink(frame, f'x" onclick="alert(1)>{IMAGE}.csv')._repr_html_())
    link.assert_harmless()
    assert [tag for tag, _ in link.elements] == ["p", "a"]
    rows = spreadsheet(base64.b64decode(link.elements[1][1]["href"].partition("base64,")[2]).decode())
    assert rows[0][0] == "'=class"
    assert [csv_cell_read(row[0]) for row in rows[1:]] == HOSTILE
    assert {(row[1], row[3]) for row in rows[1:]} == {("-1.5", "-2.5")}, "numbers are no formulas"
    assert frame.columns[0] == "=class", "the table itself is as it was"


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_detections_come_back_as_they_were_written(tmp_path, ending):
    names = [" ".join(name.split()) for name in HOSTILE] + ["'=1", "''=1", "'a", "-5"]
    found = pd.DataFrame({"video_id": names, "label": names, "start_s": 0.0, "end_s": 1.0, "score": 0.5})
    write_detections(tmp_path / f"x{ending}", found)
    pd.testing.assert_frame_equal(read_detections(tmp_path / f"x{ending}"), found)
    if ending == ".csv":
        spreadsheet((tmp_path / "x.csv").read_bytes().decode())


def test_the_command_writes_no_formula(tmp_path):
    labels = [FORMULA, "@SUM(A1)", SCRIPT]
    instances = [{"label": label, "segment": [i, i + 1], "score": 0.9} for i, label in enumerate(labels)]
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"=v": {"annotations": instances}}}))
    (tmp_path / "found.json").write_text(json.dumps({"results": {"=v": instances}}))
    truth, found, out = (str(tmp_path / name) for name in ("truth.json", "found.json", "o.csv"))
    done = CliRunner().invoke(main, ["evaluate", truth, found, "--out", out])
    assert done.exit_code == 0, done.output
    rows = spreadsheet((tmp_path / "o.csv").read_text())
    assert {csv_cell_read(row[1]) for row in rows} >= set(labels)


# --- from a feature folder to a page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A data set whose folder, classes and videos have hostile names; two runs on it, and what tables make of them."""
    root = tmp_path_factory.mktemp("hostile")
    plain = tiny_dataset()

    def named(videos, first):
        return tuple(replace(v, video=replace(v.video, video_id=VIDEO.format(i))) for i, v in enumerate(videos, start=first))

    videos = {"train": named(plain.train, 0), "test": named(plain.test, 500), "external_scores": None}
    data = replace(plain, classes=(SCRIPT, MATH, TICKS + BAR, FORMULA), **videos)
    write_feature_folder(root / FOLDER, data, dtype=np.float32)
    tiny = {name: value for name, value in TINY.items() if name != "twin_settings"} | {"label_ratio": 0.5}
    rules = {SCRIPT: "baseline", BAR + LINK: "non-target"}
    systems = {name: Experiment("x", rule, features=str(root / FOLDER), **tiny) for name, rule in rules.items()}
    store = ResultStore(root / "results")
    comparison = compare(systems, 1, store=store, reference=SCRIPT, device="cpu", workers=1, progress=False)
    comparison = replace(comparison, unavailable=(f"{IMAGE}: none",), partial=(f"{MATH}: 1 of 2",), helped=(LINK,))
    report = gates("x", 0.5, lookup=lambda _: None, features=str(root / FOLDER))
    report = replace(report, dataset=FOLDER)
    return load_dataset(features=root / FOLDER), replace(comparison, mark=report.mark), report


def shown(hostile):
    """Everything that a notebook would show of it."""
    data, comparison, report = hostile
    others = [replace(comparison, dataset=name) for name in (TICKS, TEMPLATE, ROLE)]
    tabs = Tabs((comparison, *others), "table1", (f"{SCRIPT} 10 %",))
    classes = pd.DataFrame({"part": "AP", "name": list(data.classes), "tiou": "0.5", "detector": "AutoLoc", "value": 0.5})
    classes = pd.concat([classes, classes.assign(detector="A2Net")])
    decomposition = pd.DataFrame({"avg": [10.0, 20.0]}, index=["as is", "oracle classes"])
    objects = [
        comparison,
        tabs,
        tabs.summary,
        report,
        summary([report]),
        released.class_table(classes),
        TextTable(pd.DataFrame({"name": HOSTILE, SCRIPT: 0.5}), " ".join(HOSTILE[:-3]), SCRIPT),
    ]
    texts = [
        comparison.findings,
        tabs.findings,
        gates_findings([report]),
        limits_findings({FOLDER: decomposition}),
        escaped(LONG),
        escaped(EMPHASIS),
    ]
    return objects, texts


def test_notebooks_show_names_as_they_are(hostile):
    objects, _ = shown(hostile)
    for thing in objects:
        page = Page(thing._repr_html_())
        page.assert_harmless()
        assert {tag for tag, _ in page.elements} <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "code"}
    text = Page(objects[0]._repr_html_()).text
    for name in (seen(FOLDER), SCRIPT, BAR + LINK, f"{IMAGE}: none", f"{MATH}: 1 of 2"):
        assert name in text
    printed = _plain(hostile[1])
    assert seen(FOLDER) in printed
    assert "&#" not in printed


def test_a_table_keeps_its_columns(hostile):
    for thing in shown(hostile)[0]:
        for table in re.findall(r"^\| .*\n(?:\|.*\n)+", thing._repr_markdown_(), re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


@pytest.fixture(scope="module")
def built(hostile, tmp_path_factory):
    """A page with all of it, built by Sphinx under the book's own settings of Markdown, outputs and math."""
    pytest.importorskip("myst_nb")
    objects, texts = shown(hostile)
    data = hostile[0]
    cell = nbformat.v4.new_code_cell("x")
    for thing in objects:
        both = {"text/markdown": thing._repr_markdown_(), "text/html": thing._repr_html_()}
        cell.outputs.append(nbformat.v4.new_output("display_data", both))
    cell.outputs += [nbformat.v4.new_output("display_data", {"text/markdown": text}) for text in texts]
    for frame in (pd.DataFrame([data.summary()]), data.instances(data.test[:1]).set_index("label")):
        cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": frame.to_html()}))
    cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": CsvLink(pd.DataFrame({"a": HOSTILE}), "x.csv")._repr_html_()}))
    cell.outputs.append(nbformat.v4.new_output("stream", text="\n".join(HOSTILE)))
    cell.outputs.append(nbformat.v4.new_output("error", ename="DataError", evalue=FOLDER, traceback=[f"DataError: {FOLDER} {SCRIPT}"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "book" / "_ext"))
        pages = importlib.import_module("papermill_pages")
    made = pages.provenance_cell("x", "table1.ipynb", {"dataset": f"{TICKS} {SCRIPT}", "features": FOLDER}, 1.0)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title\n\nOne equation: $x^2$."), cell])
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    notebook.cells.append(nbformat.from_dict(made))
    book = tmp_path_factory.mktemp("book")
    nbformat.write(notebook, book / "index.ipynb")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    kept = {name: value for name, value in config["sphinx"]["config"].items() if name.startswith(("nb_", "myst_"))}
    kept |= {f"myst_{name.removeprefix('myst_')}": value for name, value in config["parse"].items()}
    kept |= {"extensions": ["myst_nb", "sphinx_design", "offline"], "nb_execution_mode": "off", "numfig": True}
    kept |= {"html_theme": "basic", "smartquotes": False}
    (book / "conf.py").write_text("\n".join(f"{name} = {value!r}" for name, value in kept.items()))
    # In a process of its own: Sphinx keeps the parsers of its last project.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "book" / "_ext"), *sys.path])}
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(book), str(book / "out")]
    log = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    whole = (book / "out" / "index.html").read_text(encoding="utf-8")
    return whole.partition('<div class="body"')[2].partition('<div class="clearer"')[0], log


def test_a_page_of_the_book_shows_names_as_they_are(built):
    page = Page(built[0].replace(r'<span class="math notranslate nohighlight">\(x^2\)</span>', ""))
    page.assert_harmless()
    assert "49" not in re.sub(r"\d*\.\d+|\d{3,}", "", page.text), "a template was run"
    text = seen(page.text)
    for name in (SCRIPT, IMAGE, BAR, FORMULA, MATH, LINK, END, TICKS, ROLE, TEMPLATE, EMPHASIS, RIGHT_TO_LEFT, seen(FOLDER)):
        assert text.count(seen(name)) >= 2, name
    assert built[0].count("<table") >= 12, "tables are tables"


def test_no_name_is_a_mistake_of_markup(built):
    """Such as an unknown role or reference, or two tables of one label."""
    assert not [line for line in built[1].splitlines() if "WARNING" in line and "duplicate label" not in line]


# --- figures


def test_figures_draw_names_as_they_are(hostile, tmp_path):
    data, comparison, _ = hostile
    video = next(v for v in data.test if len(v.annotations.labels))
    truth = data.instances([video])
    found = truth.assign(score=0.9)
    matches = {SCRIPT + MATH: match_video(truth, found, video.video.video_id)}
    names = [MATH, "$x$", LONG, "_$hidden"]
    points = pd.DataFrame({"system": MATH, "group": names, "x": [0.0, 1, 2, 3], "y": 0.0})
    difference = pd.DataFrame({"panel": MATH, "row": names, "mean": 1.0, "low": 0.5, "high": 1.5})
    states = pd.DataFrame(True, index=names, columns=list("abcdef"), dtype=object)
    study = importlib.import_module("nontarget.plotting.study")
    figures = [
        plotting.feature_map(data, video),
        plotting.timeline(truth, found, video.video),
        plotting.hits_and_misses({f"{MATH} (real)": (video.video.duration_s, matches)}),
        plotting.distribution_of_snippet([0.4, 0.3, 0.2, 0.1], names, ["target", *["negative"] * 3], 1),
        plotting.embedding_maps(points, {MATH: MATH}),
        plotting.distributions({MATH: {name: [1, 2, 3] for name in names[:2]}}),
        plotting.differences(difference),
        plotting.map_by_tiou(replace(comparison, dataset=MATH)),
        plotting.map_by_ratio([replace(comparison, dataset=MATH)]),
        plotting.maps_by_ratio([comparison, replace(comparison, dataset=MATH)]),
        study.gate_table(states),
        study.decomposition({MATH: pd.DataFrame({"avg": [10.0]}, index=["as is"])}),
    ]
    for figure in figures:
        figure.savefig(tmp_path / "figure.png")
        texts = [text.get_text() for text in figure.findobj(Text)]
        formulas = [text for text in texts if is_math_text(text) and r"\mathdefault" not in text]  # numbers of a logarithmic axis are
        assert not formulas
        assert max(map(len, texts)) < 1000
    assert any(MATH in html.unescape(t.get_text()).replace(r"\$", "$") for t in figures[0].findobj(Text))
    legend = [text.get_text() for text in figures[4].legends[0].get_texts()]
    assert len(legend) == len(names), "a name that begins with an underscore has its entry, too"
    assert mpl.rcParams["text.parse_math"], "the axes' own formulas are drawn"


# --- explorables, and what others made


@pytest.mark.parametrize("name", HOSTILE)
def test_data_of_an_explorable_cannot_end_their_script(monkeypatch, name):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    page = Page(importlib.import_module("explorables").block("ratio", "x", {"datasets": [{"name": name}]}))
    assert [tag for tag, _ in page.elements] == ["div", "p", "script"]
    assert json.loads("".join(page.scripts)) == {"datasets": [{"name": name}]}


def test_scripts_of_explorables_write_text_alone():
    writes_markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    scripts = [p for p in (ROOT / "book" / "_static").glob("**/*.js") if "vendor" not in p.parts]
    assert len(scripts) >= 8
    assert not [script for script in scripts if writes_markup.search(script.read_text())]


def test_vendored_files_are_those_that_were_released():
    folder = ROOT / "book" / "_static" / "vendor" / "mathjax"
    listed = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert set(listed) == there
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())
    sums = hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert sums == "c32b0fbc92159746e7490acd613de92a67cfdd0a4f98d6eee522218b89d61f73", "another version: see THIRD_PARTY.md"
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert 'VERSION="3.2.2"' in (folder / "core.js").read_text()
