"""Print a page with headless Chromium: ``python book/print_pdf.py PAGE.html OUT.pdf``."""

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
        page.emulate_media(media="print", color_scheme="light")
        page.pdf(path=pdf_path, format="A4", print_background=True, margin=dict.fromkeys(("top", "bottom", "left", "right"), "15mm"))
        browser.close()
    print(f"{pdf_path}: {Path(pdf_path).stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
