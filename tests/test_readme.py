"""What the README says is true."""

import re
from pathlib import Path

from nontarget.results import ResultStore
from nontarget.study.readme import CHART, main_comparisons, rewritten

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_opens_with_what_it_does_a_picture_and_the_commands():
    picture, commands = README.index(CHART[0]), README.index("jupyter-book build book")
    assert README.startswith("# nontarget\n\nA reproducible companion")
    assert picture < commands < README.index("papermill notebooks/table1.ipynb out.ipynb -p ratio 0.2")


def test_picture_and_paragraph_say_what_the_committed_results_say():
    assert rewritten(README, main_comparisons(ResultStore(ROOT / "results"))) == README, "run python -m nontarget.study.readme"


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
