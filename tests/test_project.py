"""The repository keeps its promises to itself: layout, imports, dependencies, notebooks."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import jupytext
import pytest
import yaml
from jupytext.compare import compare_notebooks

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PACKAGE = sorted((ROOT / "nontarget").rglob("*.py"))

# Who may import whom: a module may import from lower layers and from its own.
LAYERS = [
    {"class_names", "config", "nms", "runtime", "segments", "value_checks"},
    {"partition", "scoring_input"},
    {"protocols"},
    {"losses", "metrics", "results"},
    {"data", "diagnose", "statistics"},
    {"detection_files", "detectors"},
    {"calibration", "coverage", "gradients", "rules", "trained"},
    {"batches", "inference"},
    {"teacher"},
    {"training"},
    {"experiment"},
    {"parallel", "verification"},
    {"study"},  # the library never imports it
    {"plotting"},  # draws what library and study compute
    {"cli"},  # commands import what they run, when they run
]
COMMANDS = {"reproduce": "study", "audit": "study", "__main__": "cli"}  # entry points of the study that lie where their users call them


def imports_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nontarget"):
            names = [node.module] if node.module != "nontarget" else [f"nontarget.{a.name}" for a in node.names]
            yield from (COMMANDS.get(n.split(".")[1], n.split(".")[1]) for n in names if "." in n)
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[0] for a in node.names)


def module_of(path):
    module = path.relative_to(ROOT / "nontarget").with_suffix("").parts[0]
    return COMMANDS.get(module, module)


def test_imports_point_one_way():
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    modules = {module_of(p) for p in PACKAGE} - {"__init__"}
    assert modules == set(level), "every module has its layer"
    for path in PACKAGE:
        module = module_of(path)
        if module == "__init__":
            continue
        for imported in imports_of(path):
            if imported in level and imported != module:
                assert level[imported] < level[module], f"{path.name} imports {imported}: a back arrow"


def test_what_stands_alone():
    """Partition, losses and Soft-NMS are usable in any loop; metrics know segments and protocols alone."""
    allowed = {
        "partition": {"value_checks"},
        "losses": {"partition", "value_checks"},
        "segments": set(),
        "nms": set(),
        "metrics": {"config", "protocols", "scoring_input", "segments"},
    }
    for path in PACKAGE:
        if module_of(path) in allowed and path.parent.name == "nontarget":
            inside = {m for m in imports_of(path) if (ROOT / "nontarget" / f"{m}.py").exists() or (ROOT / "nontarget" / m).is_dir()}
            assert inside <= allowed[module_of(path)], path.name
    drawing = {module_of(p) for p in PACKAGE if "matplotlib" in set(imports_of(p))}
    assert drawing == {"plotting"}


def test_modules_stay_small():
    for path in PACKAGE:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{path.relative_to(ROOT)} has {lines} lines"


def test_importing_does_no_work():
    script = "import sys, nontarget; print('matplotlib' in sys.modules, 'pandas.plotting' in sys.modules)"
    out = subprocess.run(["python", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == "False", "drawing is loaded only by who draws"


def test_one_list_of_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    extras = re.search(r"\.\[(.*)\]", " ".join(pip)).group(1).split(",")
    assert set(extras) == {"book", "test", "sweep"}
    assert set(extras) <= set(project["optional-dependencies"])
    assert "--constraint constraints.txt" in pip
    python = next(d for d in environment["dependencies"] if isinstance(d, str) and d.startswith("python"))
    assert python.removeprefix("python").strip() == project["requires-python"]
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    wanted = project["dependencies"] + [d for extra in extras for d in project["optional-dependencies"][extra]]
    for dependency in wanted:
        name = re.split(r"[<>=!~]", dependency)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} is not in constraints.txt"


def test_the_user_s_packages_are_dependencies():
    text = (ROOT / "pyproject.toml").read_text()
    for name in ("torch", "jupyter-book", "jupytext", "papermill", "matplotlib", "pandas", "numpy", "nbval"):
        assert f'"{name}' in text


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_pairs(script):
    notebook = script.with_suffix(".ipynb")
    assert notebook.exists(), f"run `jupytext --to ipynb --update {script.relative_to(ROOT)}`"
    # The text representation alone is compared: jupytext's command exits 0 on a difference.
    compare_notebooks(jupytext.read(notebook), jupytext.read(script), fmt="py:percent")
    content = json.loads(notebook.read_text())
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in content["cells"]), "no outputs"
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    tagged = [cell for cell in content["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1, "exactly one cell of parameters"


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_form(script):
    """Title and question, imports, parameters, body, findings and limits; short cells, no function bodies, alt text."""
    cells = jupytext.read(script).cells
    text = [c for c in cells if c.cell_type == "markdown"]
    code = [c for c in cells if c.cell_type == "code"]
    assert text[0].source.startswith("# ")
    assert "?" in text[0].source, "the question that it answers"
    assert "import" in code[0].source
    assert "parameters" in code[1].metadata.get("tags", [])
    assert any(c.source.startswith("## Findings") for c in text)
    assert "limits" in text[-1].source.lower()
    for cell in code:
        tutorial = "tutorial" in cell.metadata.get("tags", [])  # code that a reader is meant to write
        assert len(cell.source.splitlines()) <= (20 if tutorial else 15)
        assert tutorial or not re.search(r"^\s*(def|class) ", cell.source, re.MULTILINE)
        if re.search(r"^(map_by|training_curves|timeline|distributions|difficulty|feature_map)", cell.source, re.MULTILINE):
            assert cell.metadata["mystnb"]["image"]["alt"]


def test_the_notebooks_of_tables_share_their_code():
    """They differ in prose, in the default parameters, and in what one of them adds."""

    def code(name):
        cells = jupytext.read(ROOT / "notebooks" / f"{name}.py").cells
        sources = [c.source for c in cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])][1:]
        return [source for source in sources if not source.startswith("check_parameters(")]

    for name in ("table3", "table5"):
        assert code(name) == code("table2"), name
    for name in ("table4", "tables"):
        assert set(code("table2")) < set(code(name)), name


def test_pages_and_notebooks_agree():
    pages = yaml.safe_load((ROOT / "book" / "pages.yml").read_text())
    for name, page in pages.items():
        source = (ROOT / "notebooks" / f"{page['notebook']}.py").read_text()
        block = source.split('tags=["parameters"]')[1].split("# %%")[0]
        for parameter in page.get("parameters") or {}:
            assert re.search(rf"^{parameter} = ", block, re.MULTILINE), f"{name}: {parameter}"
    toc = (ROOT / "book" / "_toc.yml").read_text()
    assert set(re.findall(r"notebooks/([\w-]+)", toc)) == set(pages)


def test_nothing_generated_is_committed():
    try:
        files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for file in files:
        assert not file.startswith(("_build", "book/notebooks", "results/runs")), file
        assert not file.endswith((".npz", ".safetensors", ".pkl", ".pt")), file
    tables = {f"results/{name}.csv" for name in ("anchor", "audit", "choices", "decomposition", "detections", "map", "metrics", "why")}
    assert {f for f in files if f.startswith("results/")} <= tables
