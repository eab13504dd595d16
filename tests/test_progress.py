"""Progress bars can be hidden, in a notebook as in a terminal."""

import os
import pty
import select
import sys
import termios
from types import SimpleNamespace

import pytest
from tqdm import tqdm as plain_tqdm
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


@pytest.fixture
def kernel(monkeypatch):
    """Makes this a kernel that was started in a terminal, whose other end is returned. To be called in the test: pytest changes stderr."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())

    def start():
        monkeypatch.setattr(sys, "stderr", SimpleNamespace(_original_stdstream_copy=theirs))
        nontarget.runtime.progress.terminal_behind_kernel.cache_clear()
        return ours

    yield start
    nontarget.runtime.progress.terminal_behind_kernel.cache_clear()
    os.close(ours)
    os.close(theirs)


def test_under_papermill_the_bar_is_drawn_in_the_terminal(kernel):
    terminal = kernel()
    bar = progress_bar(3, "working", "step")
    assert type(bar) is plain_tqdm
    bar.delay = 0
    bar.update()
    bar.refresh()
    assert select.select([terminal], [], [], 5)[0], "something was drawn"
    assert b"working:  33%" in os.read(terminal, 4096)
    bar.close()


def test_a_notebook_that_a_server_shows_has_its_own_bar(kernel, monkeypatch):
    kernel()
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    assert nontarget.runtime.progress.terminal_behind_kernel() is None
