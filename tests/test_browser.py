"""Every page of the book in a real browser, offline: light and dark, wide and on a phone. Screenshots go to ``_build/screenshots``."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCREENSHOTS = ROOT / "_build" / "screenshots"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
VIEWS = {"wide-light": (1280, "light"), "phone-dark": (375, "dark")}
# The theme's own: Chromium loads no font of another file from disk (its icons; nothing of the text depends on them), and a note that no
# colour mode has been chosen yet.
KNOWN_ERRORS = re.compile(
    "|".join(
        (
            "fontawesome.*blocked by CORS policy",
            "Failed to load resource: net::ERR_FAILED",
            "invalid theme mode",
        )
    )
)
# Written by the theme and by docutils (the list of citations), not by this book: what axe finds there is their own.
THEME = [
    ".bd-header",
    ".bd-header-article",
    ".bd-sidebar-primary",
    ".bd-sidebar-secondary",
    ".search-button__wrapper",
    "footer",
    ".skip-link",
    "#pst-back-to-top",
    ".citation-list",
]

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        pytest.skip("needs chromium on the PATH and the Python package playwright (extra: test)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(book):
    """Pages that a reader comes to: not the listings of source code, nor the first page's forwarding to the introduction."""
    found = [p for p in sorted(book.rglob("*.html")) if not {"_modules", "_static"} & set(p.relative_to(book).parts)]
    return [p for p in found if p != book / "index.html"]


class Visit:
    """A page, opened; what it asked for, and what it complained about."""

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.note(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.note(error.message))
        self.page.goto(path.as_uri(), wait_until="load")
        self.page.evaluate("scheme => document.documentElement.setAttribute('data-theme', scheme)", scheme)

    def note(self, complaint):
        if not KNOWN_ERRORS.search(complaint):
            self.errors.append(complaint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


# Words of a table's cells that are broken over two lines; names with a hyphen may be, and long names of code.
BROKEN = """() => {
  const broken = [];
  for (const cell of document.querySelectorAll(".bd-article :is(td, th)")) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (node.parentElement.closest("code, a")) continue;
      for (const word of node.data.matchAll(/[\\p{L}\\d.]+/gu)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].filter(r => r.width > 0).map(r => Math.round(r.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


@pytest.mark.parametrize("view", VIEWS)
def test_every_page_opens_offline_without_an_error(browser, book, pages, view):
    width, scheme = VIEWS[view]
    folder = SCREENSHOTS / view
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    problems = []
    for path in pages:
        name = path.relative_to(book).as_posix()
        with Visit(browser, path, width, scheme) as visit:
            outside = [u for u in visit.requests if not re.match(r"(file|data|blob):", u)]
            problems += [f"{name}: asked for {u}" for u in outside]
            problems += [f"{name}: {e}" for e in visit.errors]
            overflow = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if overflow > 1:
                problems.append(f"{name}: {overflow} px wider than the {width} px of the screen")
            problems += [f"{name}: a column of a table breaks the word {word!r}" for word in visit.page.evaluate(BROKEN)]
            missing = visit.page.eval_on_selector_all("img", "all => all.filter(i => !i.alt.trim()).map(i => i.src)")
            problems += [f"{name}: an image without a text, {src[:80]}" for src in missing]
            whole = visit.page.evaluate("document.documentElement.scrollHeight") < 16_000  # the reference is longer than a picture can be
            visit.page.screenshot(path=folder / f"{name.replace('/', '-').removesuffix('.html')}.png", full_page=whole, timeout=120_000)
    assert not problems, "\n".join(problems)


def test_axe_finds_no_serious_violation(browser, book, pages):
    from axe_playwright_python.sync_playwright import Axe

    problems = []
    for path in pages:
        for scheme in ("light", "dark") if path.name != "api.html" else ("light",):  # the reference is long, and all of a kind
            with Visit(browser, path, 1280, scheme) as visit:
                result = Axe().run(visit.page, context={"exclude": [[s] for s in THEME]})
                for violation in result.response["violations"]:
                    if violation["impact"] in ("serious", "critical"):
                        where = "; ".join(str(node["target"][0]) for node in violation["nodes"][:3])
                        name = path.relative_to(book)
                        problems.append(f"{name} ({scheme}): {violation['id']}, {len(violation['nodes'])} places: {where}")
    assert not problems, "\n".join(problems)


STATE = "b => b.innerHTML + [...b.querySelectorAll('input')].map(i => `${i.value} ${i.checked}`)"


def test_explorables_answer_keyboard_and_pointer(browser, book):
    with Visit(browser, book / "explore.html") as visit:
        names = visit.page.eval_on_selector_all("[data-explorable]", "all => all.map(e => e.dataset.explorable)")
        assert names == ["partition", "simplex", "postprocessing", "ratio"]
        for name in names:
            block = visit.page.locator(f"[data-explorable={name}]")
            block.scroll_into_view_if_needed()
            kind, key = ("input[type=checkbox]", "Space") if name == "ratio" else ("input[type=range], [role=slider]", "ArrowRight")
            control = block.locator(kind).first
            before = block.evaluate(STATE)
            control.press(key)
            visit.page.wait_for_timeout(200)
            pressed = block.evaluate(STATE)
            assert pressed != before, f"{name}: no answer to the keyboard"
            clicked = control if name == "ratio" else block.locator("input[type=range]").last
            clicked.click(force=True, position={"x": 3, "y": 3})
            visit.page.wait_for_timeout(200)
            assert block.evaluate(STATE) != pressed, f"{name}: no answer to the pointer"
        assert not visit.errors


def test_equations_are_drawn_and_can_be_read_aloud(browser, book):
    """On a phone, what is too wide scrolls within its own box, which the keyboard reaches."""
    with Visit(browser, book / "notebooks" / "method.html", 390) as visit:
        visit.page.evaluate("() => MathJax.startup.promise.then(() => true)")
        counts = visit.page.evaluate(
            """() => [".math", "mjx-container > svg", "mjx-assistive-mml > math", "mjx-merror, [data-mjx-error]"]
            .map(selector => document.querySelectorAll(selector).length)"""
        )
        assert counts[0] == counts[1] == counts[2] > 20
        assert counts[3] == 0
        cut = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => [getComputedStyle(e).overflowX, e.tabIndex])"
        assert {tuple(how) for how in visit.page.eval_on_selector_all("div.math", cut)} <= {("auto", 0)}


def test_search_finds_a_page(browser, book):
    with Visit(browser, book / "search.html") as visit:
        visit.page.goto((book / "search.html").as_uri() + "?q=precedence")
        visit.page.wait_for_selector("#search-results li", timeout=20_000)
        assert visit.page.locator("#search-results li").count() >= 1


def test_dark_mode_can_be_chosen(browser, book):
    with Visit(browser, book / "intro.html") as visit:
        colour = "getComputedStyle(document.body).backgroundColor"
        light = visit.page.evaluate(colour)
        visit.page.locator(".theme-switch-button").first.click()
        visit.page.evaluate("document.documentElement.setAttribute('data-theme', 'dark')")
        assert visit.page.evaluate(colour) != light


def test_the_run_button_leads_to_the_command(browser, book):
    with Visit(browser, book / "notebooks" / "table2.html") as visit:
        link = visit.page.locator("a[href='#how-table2-was-made']")
        assert link.count() == 1
        command = visit.page.locator("#how-table2-was-made .highlight").first
        assert not command.is_visible()
        link.evaluate("a => a.click()")
        command.wait_for(state="visible", timeout=5_000)
        assert "papermill notebooks/table2.ipynb" in command.inner_text()
        assert len(visit.context.pages) == 1, "on the same page"
