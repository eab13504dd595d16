"""Run the book's notebooks with papermill before anything is read.

``book/pages.yml`` lists pages: a notebook, its parameters, a title where it is not the notebook's own, and whether its code is folded.
A page is run when its stamp differs from the hash of everything that it depends on: the notebook, the parameters, the package and the
committed results. Pages run side by side; each is put in place and stamped by its own worker, so that an interrupted build keeps every
finished page. A notebook that fails fails the build. Workers and their kernels end with the build, whatever ends it.
"""

import hashlib
import json
import os
import re
import shlex
import time
from concurrent.futures import as_completed
from pathlib import Path

import yaml
from sphinx.errors import ExtensionError
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app):
    # Before the table of contents is parsed: it lists the pages that are made here.
    app.connect("config-inited", make_pages, priority=1)
    return {"parallel_read_safe": True}


def make_pages(app, config):
    book = Path(app.srcdir)
    pages = yaml.safe_load((book / "pages.yml").read_text(encoding="utf-8"))
    output = book / "notebooks"
    output.mkdir(exist_ok=True)
    for old in output.iterdir():
        if old.stem not in pages:
            old.unlink()
    stale = {}
    for name, page in pages.items():
        notebook = book.parent / "notebooks" / f"{page['notebook']}.ipynb"
        parameters, form = page.get("parameters") or {}, {"title": page.get("title"), "fold": page.get("fold", False)}
        stamp = fingerprint(book.parent, notebook, [parameters, form])
        made = output / f"{name}.stamp"
        if not (output / f"{name}.ipynb").exists() or not made.exists() or made.read_text() != stamp:
            stale[name] = (notebook, parameters, output / f"{name}.ipynb", stamp, form)
    if not stale:
        return
    logger.info(f"running {len(stale)} notebooks: {', '.join(stale)}")
    failures = []
    from nontarget.runtime.workers import worker_pool

    with worker_pool(jobs_at_once()) as pool:
        futures = {pool.submit(run_page, *page): name for name, page in stale.items()}
        for future in as_completed(futures):
            try:
                future.result()
            except Exception as error:
                failures.append(f"page {futures[future]}: {error}")
    if failures:
        raise ExtensionError("a notebook failed\n" + "\n".join(failures))


def run_page(notebook, parameters, target, stamp, form):
    """Execute one notebook, say on it how it was made, put it in place, stamp it."""
    started = time.monotonic()
    os.environ.update(TQDM_DISABLE="1", PYDEVD_DISABLE_FILE_VALIDATION="1")
    import papermill

    unfinished = target.with_suffix(f".{os.getpid()}.part.ipynb")
    try:
        papermill.execute_notebook(
            notebook,
            unfinished,
            parameters,
            cwd=notebook.parents[1],
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            extra_arguments=["--log-level=ERROR"],  # else each kernel warns that its socket, on this machine alone, is not encrypted
        )
        content = json.loads(unfinished.read_text(encoding="utf-8"))
        if form["title"]:
            retitle(content, form["title"])
        if target.stem != notebook.stem:
            rename_figures(content, target.stem)
        if form["fold"]:
            fold_code(content)
        content["cells"].append(provenance_cell(target.stem, notebook.name, parameters, time.monotonic() - started))
        unfinished.write_text(json.dumps(content), encoding="utf-8")
        os.replace(unfinished, target)
    except papermill.PapermillExecutionError as error:
        raise RuntimeError(f"{notebook.name}, cell {error.cell_index}: {error.ename}: {error.evalue}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    target.with_suffix(".stamp").write_text(stamp)


def retitle(content, title):
    """Give a page its own title: several pages can come from one notebook."""
    first = next(c for c in content["cells"] if c["cell_type"] == "markdown")
    first["source"] = re.sub(r"\A# .*", lambda _: f"# {title}", "".join(first["source"]))


def rename_figures(content, page):
    """Give a page's figures names of their own, in its references to them too: a name belongs to one page of the book."""
    figures = [f for c in content["cells"] if (f := c["metadata"].get("mystnb", {}).get("figure")) and "name" in f]
    for figure in figures:
        old, figure["name"] = figure["name"], f"{figure['name']}-{page}"
        for cell in content["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = re.sub(rf"`{re.escape(old)}`", f"`{figure['name']}`", "".join(cell["source"]))


def provenance_cell(page, notebook, parameters, seconds):
    """How a page was made, folded away at its end."""
    import torch

    from nontarget.runtime.provenance import provenance

    about = provenance(torch.device("cuda" if torch.cuda.is_available() else "cpu"), 1)
    command = papermill_command(notebook, parameters)
    inner = "`" * max([3, *(1 + len(ticks) for ticks in re.findall("`+", command))])  # no parameter can end the block
    text = f"""{inner}`{{dropdown}} How this page was made
:name: {anchor(page)}
:class-container: provenance
{inner}bash
{command}
{inner}
Code {about["commit"]}, {about["date"]}, torch {about["torch"]}, {about["device"].split(",")[0]}, in {seconds:.0f} s. Results that the
page reads carry their own code version, device and date. Unless a caption names another protocol, each data set is cut and scored by its
own, which the page *Data* gives: every test video and every instance counts.
{inner}`"""
    return {"cell_type": "markdown", "id": "provenance", "metadata": {}, "source": text}


def fold_code(content):
    """Show results first: code is one click away."""
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]


def anchor(page):
    """Where a page says how it was made; unlike any other page's."""
    return f"how-{page}-was-made".replace("_", "-")


def papermill_command(notebook, parameters):
    """What to type to run a page's notebook as the page did."""
    options = [f"-p {name} {shlex.quote(str(value))}" for name, value in parameters.items() if not isinstance(value, (list, dict))]
    structured = {name: value for name, value in parameters.items() if isinstance(value, (list, dict))}
    if structured:
        options.append(f"-y {shlex.quote(json.dumps(structured))}")
    return " ".join(["papermill", f"notebooks/{notebook}", "out.ipynb", *options])


def fingerprint(root, notebook, parameters):
    """Hash of what a page's numbers depend on."""
    cells = [(c["cell_type"], c["source"], c["metadata"]) for c in json.loads(notebook.read_text(encoding="utf-8"))["cells"]]
    digest = hashlib.sha256(json.dumps([cells, parameters], sort_keys=True).encode())
    for path in sorted([*root.glob("nontarget/**/*.*"), *root.glob("results/*.csv")]):
        if path.suffix in (".py", ".json", ".csv"):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def jobs_at_once():
    """One notebook a core, but one at a time on an accelerator."""
    import torch

    from nontarget.runtime.devices import cpu_count

    return 1 if torch.cuda.is_available() else cpu_count()
