"""Every parameter of every notebook is checked before anything is computed."""

import re
from pathlib import Path

import jupytext
import pytest
import yaml

from nontarget.study.parameters import check_parameters

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PAGES = yaml.safe_load((ROOT / "book" / "pages.yml").read_text())


def parameters_and_check(notebook):
    """The cell of parameters, as a namespace with the imports before it; and the next cell of code."""
    code = [c for c in jupytext.read(notebook).cells if c.cell_type == "code"]
    place = next(i for i, c in enumerate(code) if "parameters" in c.metadata.get("tags", []))
    names = re.findall(r"^(\w+) = ", code[place].source, re.MULTILINE)
    constants = [line for line in code[0].source.splitlines() if "report" in line or "reproduce" in line]  # of which defaults are made
    return "\n".join([*constants, code[place].source]), names, code[place + 1].source


@pytest.fixture(autouse=True)
def _committed(monkeypatch):
    monkeypatch.setenv("NONTARGET_RESULTS", str(ROOT / "results"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_checks_all_of_its_parameters(notebook):
    _, names, check = parameters_and_check(notebook)
    assert check.startswith("check_parameters(")
    assert re.findall(r"=(\w+)", check) == names


@pytest.mark.parametrize("page", PAGES)
def test_parameters_of_pages_are_accepted(page):
    cell, _, check = parameters_and_check(ROOT / "notebooks" / f"{PAGES[page]['notebook']}.py")
    given = {"check_parameters": check_parameters}
    if "DATASETS" in cell or "GATE_RATIOS" in cell:
        exec("from nontarget.study.reproduce import *", given)  # of which defaults are made
    exec(cell.split("# %%")[-1], given)
    exec(check, given | (PAGES[page].get("parameters") or {}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"systems": "Ours", "table": "table1"}, "unknown system 'Ours'"),
        ({"systems": "mian", "table": "table1"}, "did you mean 'main'"),
        ({"systems": [], "table": "table1"}, "systems must be"),
        ({"systems": None, "table": "table1"}, "systems must be"),
        ({"table": "Table1"}, "did you mean 'table1'"),
        ({"dataset": "thumos14_sim"}, "did you mean 'thumos14-sim'"),
        ({"twin": "hapt"}, "unknown twin 'hapt'"),
        ({"datasets": "hapt"}, "datasets must be a list"),
        ({"datasets": ["hap"]}, "did you mean 'hapt'"),
        ({"datasets": []}, "datasets must be a list of at least one"),
        ({"ratio": 10}, r"ratio must be a share of labelled videos in \(0, 1\], got 10"),
        ({"ratio": "0.1"}, "ratio must be"),
        ({"ratios": 0.1}, "ratios must be a list"),
        ({"seeds": "3"}, "seeds must be"),
        ({"seeds": 0}, "seeds must be"),
        ({"seeds": True}, "seeds must be"),
        ({"seeds": [1, 1]}, "seeds must name each once"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"preset": "Small"}, "did you mean 'small'"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"source": "comitted"}, "did you mean 'committed'"),
        ({"rule": "non-targt"}, "did you mean 'non-target'"),
        ({"features": ""}, "features must be the path of a folder"),
        ({"data": " "}, "data must be the path of a folder"),
        ({"checkpoint": ""}, "checkpoint must be a name"),
        ({"fine": "False"}, "fine must be True or False"),
        ({"folds": 1}, "folds must be a whole number of at least 2"),
        ({"min_tiou": 50}, r"min_tiou must be in \(0, 1\]"),
        ({"each": 0}, "each must be a whole number of at least 1"),
        ({"shown": "10"}, "shown must be a whole number"),
        ({"threshold": 50}, r"threshold must be in \[0, 1\]"),
        ({"width": "wide"}, "width must be a width of CSS"),
        ({"num_classes": 7}, "num_classes must be even"),
        ({"probs": [30, 70], "classes": ["a", "b"]}, r"entry of probs must be in \[0, 1\]"),
        ({"probs": [0.5, 0.4], "classes": ["a", "b"]}, "probs must sum to 1"),
        ({"probs": [0.5, 0.5], "classes": ["a"]}, "probs must be one for each of the 1 classes"),
        ({"questions": "loss"}, "questions must be a list"),
        ({"questions": ["nope"]}, "unknown entry of questions 'nope'"),
        ({"positive_ratio": -1}, "positive_ratio must be a number of at least 0"),
        ({"spread": 0}, "spread must be a number above 0"),
        ({"sede": 1}, "unknown parameter 'sede'; did you mean 'seed'"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        check_parameters(**wrong)


def test_a_folder_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="features: '/no/such' does not exist"):
        check_parameters(features="/no/such")
