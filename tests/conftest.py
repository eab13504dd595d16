"""Shapes are checked at run time; data and expected values from outside the repository are found, or their tests skipped."""

import os
import shutil
import subprocess
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

# Must come before the first import of the package.
TENSOR_MODULES = [
    "partition",
    "losses",
    "segments",
    "nms",
    "data.clips",
    "detectors",
    "rules",
    "batches",
    "calibration",
    "coverage",
    "training",
    "inference",
    "study.why",
]
jaxtyping.install_import_hook([f"nontarget.{name}" for name in TENSOR_MODULES], "shape_checks.checked")

import torch  # noqa: E402

# No test is timed: a busy machine is not a bug.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
    """No test reads or writes results of the checkout, or depends on another's threads or random state."""
    monkeypatch.setenv("NONTARGET_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def oracles():
    """Folder of expected values from public evaluators and exact arithmetic."""
    return _outside("NONTARGET_ORACLES", "oracles")


@pytest.fixture(scope="session")
def data_root():
    """Folder of real data sets."""
    return _outside("NONTARGET_DATA", "data")


@pytest.fixture(scope="session")
def book():
    """The literal command, from the repository root."""
    command = shutil.which("jupyter-book")
    if command is None:
        pytest.skip("jupyter-book is not installed (extra: book)")
    environment = {k: v for k, v in os.environ.items() if k not in ("NONTARGET_RESULTS", "TQDM_DISABLE")}
    done = subprocess.run(
        [command, "build", "book", "-W", "-n", "--keep-going"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return REPOSITORY / "_build" / "html"


@pytest.fixture
def unchecked():
    """No run-time check of shapes: functions as users call them, with the errors that they get."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _outside(variable, name):
    folder = Path(os.environ.get(variable, REPOSITORY.parent / "shared" / name))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here; set {variable} to the folder that holds it")
    return folder.resolve()


DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")])]


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param
