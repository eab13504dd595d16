"""Kill -9 at random moments, and go on: the tables must be those of an uninterrupted run. ``make chaos``, ``make chaos KILLS=8``.

Each scenario is a command that is begun again and again in one folder, and killed at a random moment, until it ends by itself; then its
tables are compared, and the next folder is begun. A test runs a few kills of each.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from helpers import TINY_TRAINING, TINY_TWIN

HERE = Path(__file__).resolve()
TINY = {
    "label_ratio": 0.25,
    "twin_settings": TINY_TWIN,
    "training_settings": TINY_TRAINING | {"pretrain_epochs": 6, "selftrain_epochs": 6},
    "detector_settings": {"embed_dim": 16, "mask_dim": 8},
}
CELL = """
from nontarget.experiment import Experiment, run
from nontarget.results import ResultStore
record = run(Experiment(**settings, seed=seed), device="cpu", progress=False)
ResultStore().commit([record])
print(record["scores"])
"""
COMMANDS = {"training": ["0"], "papermill": ["0"], "reproduce": ["0", "1"], "book": ["0"]}
"""Scenarios, and the processes of each that run side by side."""


# --- what is killed


def training(folder, process):
    from nontarget.experiment import Experiment, run
    from nontarget.results import ResultStore

    ResultStore().commit([run(Experiment(**TINY), device="cpu", progress=False)])


def reproduce(folder, process):
    """Two processes that share one of their runs and commit to one table."""
    from nontarget.experiment import Experiment
    from nontarget.study import reproduce

    seeds = (0, 1) if process == "0" else (1, 2)
    reproduce.part_experiments = lambda *_: [Experiment(**TINY, seed=seed) for seed in seeds]
    reproduce.main(["thumos14-sim", "--parts", "table1", "--device", "cpu"])


def papermill(folder, process):
    from papermill import execute_notebook

    execute_notebook(notebook(folder), folder / "out.ipynb", {"settings": TINY}, progress_bar=False, kernel_name="python3")


def book(folder, process):
    """A book of two pages of one notebook, by the extension that runs the book's notebooks."""
    import yaml
    from sphinx.cmd.build import build_main

    source = folder / "book"
    source.mkdir(exist_ok=True)
    (source / "conf.py").write_text("extensions = ['papermill_pages']\nexclude_patterns = ['notebooks']\n")
    (source / "index.rst").write_text("Title\n=====\n")
    pages = {f"page{seed}": {"notebook": "n", "parameters": {"settings": TINY, "seed": seed}} for seed in (0, 1)}
    (source / "pages.yml").write_text(yaml.safe_dump(json.loads(json.dumps(pages))))
    notebook(folder)
    sys.path.insert(0, str(HERE.parents[1] / "book" / "_ext"))
    os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ["PYTHONPATH"]])  # workers look the extension up by name
    raise SystemExit(build_main(["-q", str(source), str(folder / "html")]))


def notebook(folder):
    import nbformat

    path = folder / "notebooks" / "n.ipynb"
    path.parent.mkdir(exist_ok=True)
    content = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    parameters = nbformat.v4.new_code_cell("settings, seed = {}, 0", id="parameters", metadata={"tags": ["parameters"]})
    content.cells = [parameters, nbformat.v4.new_code_cell(CELL, id="run")]
    nbformat.write(content, path)
    return path


# --- who kills


def start(scenario, folder):
    folder.mkdir(exist_ok=True)
    environment = os.environ | {
        "NONTARGET_RESULTS": str(folder / "results"),
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)]),
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    with (folder / "log").open("ab") as log:
        return [
            subprocess.Popen([sys.executable, str(HERE), "--do", scenario, process, str(folder)], env=environment, stdout=log, stderr=log)
            for process in COMMANDS[scenario]
        ]


def finish(scenario, folder):
    """Seconds until the scenario ended by itself."""
    started = time.monotonic()
    for process in start(scenario, folder):
        if process.wait(600):
            raise RuntimeError(f"{scenario} failed:\n{(folder / 'log').read_text()[-4000:]}")
    return time.monotonic() - started


def outcome(scenario, folder):
    """What must not depend on kills: the committed table but for times, and what pages show."""
    from nontarget.results import ResultStore

    made = {"metrics": ResultStore(folder / "results").metrics().drop(columns=["seconds", "date"])}
    for page in sorted((folder / "book" / "notebooks").glob("*.ipynb")) if scenario == "book" else ():
        cells = json.loads(page.read_text())["cells"]
        shown = [text for cell in cells for output in cell.get("outputs", []) for text in output.get("text", "")]
        made[page.stem] = pd.DataFrame({"shown": shown})
    return made


def check_same(scenario, folder, reference):
    made = outcome(scenario, folder)
    assert made.keys() == reference.keys(), f"{scenario}: {sorted(made)} instead of {sorted(reference)}"
    for name, frame in made.items():
        assert len(frame), f"{scenario}, {name}: empty"
        pd.testing.assert_frame_equal(frame, reference[name], obj=f"{scenario}, {name}, after kills")
    aside = [p.name for p in folder.rglob("*.set-aside-*")]
    assert not aside, f"{scenario}: a kill damaged {aside}"


def chaos(kills, scenarios=tuple(COMMANDS), seed=0):
    """Kill each scenario in turn until all kills are done; how many hit work in progress, and how many tables were compared."""
    rng = random.Random(seed)
    counts = {}
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as root:
        for number, scenario in enumerate(scenarios):
            wanted = kills // len(scenarios) + (number < kills % len(scenarios))
            reference_folder = Path(root, f"{scenario}-reference")
            seconds = finish(scenario, reference_folder)
            reference = outcome(scenario, reference_folder)
            hit = compared = attempts = 0
            while hit < wanted:
                folder = Path(root, f"{scenario}-{attempts}")
                attempts += 1
                for _ in range(rng.randint(1, 3)):
                    hit += killed(scenario, folder, rng.uniform(0.2, 1) * seconds)
                    if hit == wanted:
                        break
                finish(scenario, folder)
                left = [p.name for p in folder.rglob(".*.part")]
                assert not left, f"{scenario}: killed writers left {left}"
                check_same(scenario, folder, reference)
                compared += 1
            counts[scenario] = (hit, compared)
            print(f"{scenario}: {hit} kills, {compared} tables compared with the uninterrupted run, all equal", flush=True)
    return counts


def killed(scenario, folder, after_s):
    """Whether kill -9 after so many seconds hit a process that was still at work."""
    processes = start(scenario, folder)
    time.sleep(after_s)
    at_work = any(process.poll() is None for process in processes)
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return at_work


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments; how far a process is by then depends on the machine")
    parser.add_argument("--scenarios", nargs="+", default=list(COMMANDS), choices=COMMANDS)
    parser.add_argument("--do", nargs=3, metavar=("SCENARIO", "PROCESS", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.do:
        globals()[chosen.do[0]](Path(chosen.do[2]), chosen.do[1])
    else:
        chaos(chosen.kills, chosen.scenarios, chosen.seed)
