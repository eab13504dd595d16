"""Equations without a network: MathJax comes from a Python package and is copied into the book."""

import importlib
import shutil
from pathlib import Path


def setup(app):
    package = importlib.import_module("sphinx-mathjax-offline")
    source = Path(package.__file__).parent / "static" / "mathjax" / "tex-svg.js"  # one file, fonts included
    app.config.mathjax_path = "mathjax/tex-svg.js"

    def copy(app, exception):
        if exception is None:
            target = Path(app.outdir) / "_static" / "mathjax"
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    app.connect("build-finished", copy)
    return {"parallel_read_safe": True}
