"""The book is built as typed, and opens from disk without a network; the extension that runs its notebooks keeps its word."""

import importlib
import json
import re
import shutil
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import yaml

from nontarget.study.reproduce import DATASETS

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"


# --- the extension


@pytest.fixture
def extension(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))  # workers look it up by name
    return importlib.import_module("papermill_pages")


@pytest.fixture
def project(tmp_path):
    """A project with one notebook, two pages of it, and a library that the notebook's numbers depend on."""
    for folder in ("book", "notebooks", "nontarget", "results"):
        (tmp_path / folder).mkdir()
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
    parameters = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    notebook.cells = [parameters, nbformat.v4.new_code_cell("print(10 / x)")]
    nbformat.write(notebook, tmp_path / "notebooks" / "n.ipynb")
    (tmp_path / "nontarget" / "code.py").write_text("a = 1")
    write_pages(tmp_path, {"one": {"notebook": "n"}, "two": {"notebook": "n", "parameters": {"x": 2}}})
    return tmp_path


def write_pages(project, pages):
    (project / "book" / "pages.yml").write_text(yaml.safe_dump(pages))


def make(extension, project):
    extension.make_pages(SimpleNamespace(srcdir=str(project / "book")), None)
    output = project / "book" / "notebooks"
    return {p.stem: p.stat().st_mtime_ns for p in output.glob("*.ipynb")}


def printed(project, page):
    content = json.loads((project / "book" / "notebooks" / f"{page}.ipynb").read_text())
    return "".join(content["cells"][-2]["outputs"][0]["text"]).strip()  # the last cell says how the page was made


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_pages_are_run_when_what_they_depend_on_changes(extension, project):
    first = make(extension, project)
    assert {page: printed(project, page) for page in first} == {"one": "10.0", "two": "5.0"}
    assert make(extension, project) == first, "nothing changed, nothing is run"

    write_pages(project, {"one": {"notebook": "n"}, "two": {"notebook": "n", "parameters": {"x": 5}}})
    second = make(extension, project)
    assert second["one"] == first["one"]
    assert printed(project, "two") == "2.0"

    (project / "nontarget" / "code.py").write_text("a = 2")
    third = make(extension, project)
    assert all(third[p] > second[p] for p in third), "a change of the library makes every page stale"

    (project / "results" / "metrics.csv").write_text("x\n")
    fourth = make(extension, project)
    assert all(fourth[p] > third[p] for p in fourth), "and so do other results"

    write_pages(project, {"one": {"notebook": "n"}})
    assert set(make(extension, project)) == {"one"}, "a page that is gone leaves nothing behind"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_page_has_its_own_title_and_says_how_it_was_made(extension, project):
    notebook = project / "notebooks" / "n.ipynb"
    content = nbformat.read(notebook, 4)
    content.cells.insert(0, nbformat.v4.new_markdown_cell("# Plain\n\nText."))
    content.cells[-1].metadata["mystnb"] = {"figure": {"name": "a-figure", "caption": "x"}}
    content.cells.append(nbformat.v4.new_markdown_cell("See {numref}`a-figure`, not `a-figure-2`."))
    nbformat.write(content, notebook)
    parameters = {"x": 2, "name": "two words", "many": [1, 2]}
    write_pages(project, {"n": {"notebook": "n"}, "two": {"notebook": "n", "title": "Another", "parameters": parameters}})
    make(extension, project)
    one, two = (json.loads((project / "book" / "notebooks" / f"{p}.ipynb").read_text())["cells"] for p in ("n", "two"))
    assert "".join(one[0]["source"]).startswith("# Plain\n")
    assert "".join(two[0]["source"]) == "# Another\n\nText."
    command = extension.papermill_command("n.ipynb", parameters)
    assert command == "papermill notebooks/n.ipynb out.ipynb -p x 2 -p name 'two words' -y '{\"many\": [1, 2]}'"
    for part in ("papermill notebooks/n.ipynb out.ipynb", "-p x 2", "-p name 'two words'", """-y '{"many": [1, 2]}'"""):
        assert part in two[-1]["source"]
    for cells, name in ((one, "a-figure"), (two, "a-figure-two")):
        assert cells[-3]["metadata"]["mystnb"]["figure"]["name"] == name
        assert "".join(cells[-2]["source"]) == f"See {{numref}}`{name}`, not `a-figure-2`."


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_failing_notebook_fails_the_build_and_keeps_the_others(extension, project):
    write_pages(project, {"good": {"notebook": "n"}, "bad": {"notebook": "n", "parameters": {"x": 0}}})
    with pytest.raises(Exception, match=r"page bad: n.ipynb, cell \d+: ZeroDivisionError: division by zero"):
        make(extension, project)
    assert printed(project, "good") == "10.0"
    output = project / "book" / "notebooks"
    assert sorted(p.name for p in output.iterdir()) == ["good.ipynb", "good.stamp"], "nothing half done is left"


# --- the book itself


class Page(HTMLParser):
    """What a page loads, links to, and shows."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.ids, self.without_alt, self.text = [], [], set(), [], ""
        self.code, self.in_code = [], False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if "id" in a:
            self.ids.add(a["id"])
        self.in_code = tag in ("script", "style")
        self.code += [value for name, value in attributes if value and (name == "style" or name.startswith("on"))]
        self.loads += [a[name] for name in ("src", "srcset", "poster", "data", "action", "formaction") if a.get(name)]
        if tag == "link" and a.get("href") and a.get("rel") not in ("canonical", "next", "prev", "index", "search", "author"):
            self.loads.append(a["href"])
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if tag == "img" and not (a.get("alt") or "").strip():
            self.without_alt.append(a.get("src"))

    def handle_endtag(self, tag):
        self.in_code = False

    def handle_data(self, data):
        self.text += data
        if self.in_code:
            self.code.append(data)


def pages(book):
    return {p: Page(p) for p in sorted(book.rglob("*.html")) if "_static" not in p.parts}


@pytest.mark.slow
def test_the_book_is_there(book):
    assert (book / "index.html").exists()
    listed = re.findall(r"file: (\S+)", (ROOT / "book" / "_toc.yml").read_text())
    for page in listed:
        assert (book / f"{page}.html").exists(), page


@pytest.mark.slow
def test_nothing_is_loaded_from_the_network(book):
    for path, page in pages(book).items():
        outside = [u for u in page.loads if re.match(r"(https?:)?//", u)]
        assert not outside, f"{path.relative_to(book)} loads {outside}"
        for url in page.loads:
            if not url.startswith("data:"):
                assert (path.parent / url.split("?")[0].split("#")[0]).exists(), f"{path.relative_to(book)}: {url}"


REMOTE = re.compile(r"""(?:["'`]|url\()\s*((?:https?:|wss?:)?//(?!www\.w3\.org/)[\w-]+(?:\.[\w-]+)+[^"'`)\s]*)""")
"""A string that is an address on another host; names of XML's own namespaces are none that a browser looks up."""


@pytest.mark.slow
def test_no_script_or_style_names_another_host(book):
    """Not even as a fallback, or for when a reader presses a button."""
    scripts = {p: p.read_text(encoding="utf-8") for p in sorted(book.rglob("*")) if p.suffix in (".js", ".css")}
    scripts |= {path: "\n".join(page.code) for path, page in pages(book).items()}
    named = [f"{path.relative_to(book)}: {url}" for path, text in scripts.items() for url in REMOTE.findall(text)]
    assert not named, "\n".join(named)
    assert any("MathJax" in text for path, text in scripts.items() if path.suffix == ".html"), "inline scripts were looked at"


@pytest.mark.slow
def test_links_lead_somewhere_and_images_have_text(book):
    known = pages(book)
    by_path = {p.resolve(): page for p, page in known.items()}
    for path, page in known.items():
        if path.name in ("search.html", "genindex.html"):
            continue
        assert not page.without_alt, f"{path.relative_to(book)}: {page.without_alt}"
        for link in page.links:
            if re.match(r"[a-z]+:", link) or link in ("#", ""):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / target).resolve() if target else path.resolve()
            assert file.exists(), f"{path.relative_to(book)} -> {link}"
            if anchor and file in by_path:
                assert anchor in by_path[file].ids, f"{path.relative_to(book)} -> {link}"


@pytest.mark.slow
def test_pages_show_results_and_where_they_come_from(book):
    everything = Page(book / "notebooks" / "table1-all.html").text
    rows = pd.read_csv(ROOT / "results" / "metrics.csv", keep_default_na=False)
    plain = rows[(rows["settings"] == "{}") & (rows["detector"] == "spot")]
    not_computed = everything.partition("Not computed yet: ")[2]
    for dataset in DATASETS:
        for ratio in (0.1, 0.2, 0.4, 0.6):
            there = {"baseline", "non-target"} <= set(plain.loc[(plain["dataset"] == dataset) & (plain["label_ratio"] == ratio), "rule"])
            if there:
                assert f"{dataset}, {100 * ratio:g} %" in everything
            else:
                named = re.search(rf"{dataset} ([\d, ]+) %", not_computed)
                assert named, f"{dataset}: neither shown nor said to be missing"
                assert f"{100 * ratio:g}" in named[1].split(", "), f"{dataset}, {ratio}: neither shown nor said to be missing"
    assert "no current committed result" not in everything, "committed results are those of this code"
    for table in ("table2", "table3", "table4", "table5"):
        text = Page(book / "notebooks" / f"{table}.html").text
        assert "95 % interval" in text or "Not computed yet: " in text, table
    live = Page(book / "notebooks" / "table1.html").text
    for text in (everything, live):
        assert "simulated data" in text
        assert "no external video scores" in text
        assert "95 % interval" in text
    assert "Traceback" not in "".join(p.text for p in pages(book).values())


@pytest.mark.slow
def test_an_unchanged_book_is_built_quickly(book):
    """No notebook is run and no page written again."""
    before = {p: p.stat().st_mtime_ns for p in (ROOT / "book" / "notebooks").iterdir()}
    started = time.perf_counter()
    subprocess.run([shutil.which("jupyter-book"), "build", "book"], cwd=ROOT, check=True, capture_output=True)
    print(f"unchanged rebuild: {time.perf_counter() - started:.1f} s")
    assert {p: p.stat().st_mtime_ns for p in (ROOT / "book" / "notebooks").iterdir()} == before
