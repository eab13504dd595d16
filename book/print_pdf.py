"""Print a page with headless Chromium: ``python book/print_pdf.py PAGE.html OUT.pdf``."""

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main(page_path: str, pdf_path: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("print_pdf.py: no Chromium on the PATH; install one (on Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(Path(page_path).resolve().as_uri(), wait_until="load", timeout=120_000)
        page.wait_for_function("() => !window.MathJax?.startup || window.MathJax.startup.promise.then(() => true)", timeout=120_000)
        page.wait_for_function("() => document.readyState === 'complete' && [...document.images].every(i => i.complete)", timeout=120_000)
        page.emulate_media(media="print", color_scheme="light")
        page.pdf(path=pdf_path, format="A4", print_background=True, margin=dict.fromkeys(("top", "bottom", "left", "right"), "15mm"))
        figures = page.eval_on_selector_all("img", "all => new Set(all.map(i => i.src).filter(src => !src.endsWith('.svg'))).size")
        browser.close()
    printed = len(re.findall(rb"/Subtype\s*/Image", Path(pdf_path).read_bytes()))
    if printed < figures:
        sys.exit(f"print_pdf.py: {pdf_path} is cut short: it has {printed} pictures, and the page {figures}")
    print(f"{pdf_path}: {Path(pdf_path).stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
