"""Progress bars can be hidden, in a notebook as in a terminal."""

import pytest
from tqdm.notebook import tqdm as notebook_tqdm

import nontarget.runtime.progress
from nontarget.runtime.progress import progress_bar


@pytest.mark.parametrize(("value", "show", "hidden"), [("1", True, True), ("0", True, False), ("", True, False), ("0", False, True)])
def test_a_bar_is_hidden_when_asked(monkeypatch, value, show, hidden):
    monkeypatch.setenv("TQDM_DISABLE", value)
    with progress_bar(3, "working", "step", show) as bar:
        assert bar.disable == hidden
        bar.update()


def test_a_hidden_bar_leaves_no_widget_in_a_notebook(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(nontarget.runtime.progress, "tqdm", notebook_tqdm)
    bar = progress_bar([1, 2, 3], "working", "step")
    assert list(bar) == [1, 2, 3]
    assert not hasattr(bar, "container"), "a widget makes the page load code from the network"
