"""Pages that need no network: MathJax is part of the repository (``THIRD_PARTY.md``), and nothing that it reads can load more.

Its menu, which names a content delivery network, is none of the components; nor are TeX's ``require``, ``autoload`` and ``href``.
"""

VENDOR = "vendor"


def setup(app):
    app.config.mathjax_path = f"{VENDOR}/mathjax/startup.js"
    app.config.mathjax3_config = {
        "loader": {"load": ["input/tex", "output/svg", "a11y/assistive-mml"]},
        "tex": {"packages": ["base", "ams", "newcommand", "noundefined"]},
        "options": {"ignoreHtmlClass": ".*"},  # all but the elements of processHtmlClass, which MyST sets
    }
    app.config.myst_mathjax_classes = "math"  # what MyST and Sphinx made of an equation: text and outputs are never searched for TeX
    app.connect("config-inited", keep_off_pages)
    return {"parallel_read_safe": True}


def keep_off_pages(app, config):
    """Jupyter Book loads whatever lies in ``_static`` on every page."""
    config.html_js_files = [f for f in config.html_js_files if not str(f).startswith(f"{VENDOR}/")]
