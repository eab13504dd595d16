"""What the README says is true."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from nontarget.results import ResultStore
from nontarget.study.comparison import Comparison
from nontarget.study.readme import main_comparisons, rewritten

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_opens_with_what_it_does_a_picture_and_the_commands():
    picture, commands = README.index("<!-- chart -->"), README.index("jupyter-book build book")
    assert README.startswith("# nontarget\n\nA reproducible companion")
    assert picture < commands < README.index("papermill notebooks/table1.ipynb out.ipynb -p ratio 0.2")


def test_it_says_what_committed_results_say():
    """The picture and the paragraph are written from current rows of the table, never by hand."""
    store = ResultStore(ROOT / "results")
    assert rewritten(README, main_comparisons(store)) == README, "run `python -m nontarget.study.readme`"


NAMES = {"non_target": "non-target"}


def made_up(dataset, mark="", **values):
    maps = pd.DataFrame(
        {(NAMES.get(s, s.replace("_", " ")), i): {"0.5": v, "avg": v} for s, row in values.items() for i, v in enumerate(row)}
    ).T
    maps.index.names = ["system", "seed"]
    return replace(Comparison(dataset, True, 0.1, maps, ()), mark=mark)


def test_what_it_would_say():
    """Made-up results: the picture has their means; a difference is named by its interval; seeds are paired; a gate that fails is said."""
    better = made_up("thumos14-sim", baseline=[30, 32, 31], non_target=[33, 35.2, 34.1], supervised_only=[33.5, 34, 35])
    worse = made_up("hapt", "gate (a) fails", baseline=[60, 62, 61, 63], non_target=[58, 59.9, 59.2], supervised_only=[50, 51, 52])
    text = rewritten(README, [better, worse])
    assert '    x-axis ["thumos14-sim 10 %", "hapt 10 %"]\n' in text
    assert "    bar [31.0, 61.5]\n    line [34.1, 59.0]\n" in text
    assert "3 seeds" in text
    words = " ".join(text.split())
    assert "Against the pseudo-label *baseline*: better on thumos14-sim +3.1 [+2.9, +3.3]; worse on hapt -2.0 [" in words
    assert "Against *supervised only*: better on hapt" in words
    assert "not distinguishable with these seeds on thumos14-sim" in words
    assert "or a gate fails, on hapt." in words
    assert "Not computed yet: " in words
    assert rewritten(text, [better, worse]) == text
    assert rewritten(text, []) == rewritten(README, [])
    assert "not computed yet" in rewritten(text, [])
    with pytest.raises(ValueError, match=r"README.md must have the markers '<!-- chart -->' and '<!-- end of chart -->'"):
        rewritten("# nontarget", [better])


def test_its_commands_and_links_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)
    assert len(commands) >= 3
    assert set(commands) <= targets
    for link in re.findall(r"\]\(([^)]+)\)", README):
        if link.startswith("https://arxiv.org/abs/"):
            continue
        assert (ROOT / link).exists(), link


def test_continuous_integration_runs_its_test_command():
    assert "make test" in README
    assert "make test" in (ROOT / ".ci" / "run").read_text()
