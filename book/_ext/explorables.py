"""The directive ``explorable``: a place for one of the interactive figures of ``_static/explorables``.

    ```{explorable} partition
    ```

The page holds a sentence for readers without JavaScript, and the data inline; scripts and style are loaded on such pages alone.
"""

import json
from pathlib import Path

import explorable_data
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

FOLDER = "explorables"
SHARED = ("core.js", "ui.js")
DATA = {"postprocessing": explorable_data.postprocessing, "ratio": explorable_data.ratio}
WITHOUT_SCRIPTS = {
    "partition": "The bars of a class distribution can be dragged; each class's subspace, the losses and the pull on each logit follow.",
    "simplex": "A triangle of all distributions over three classes, coloured by the subspace that one of them falls in.",
    "postprocessing": "The class curve of one video, the candidates that thresholds cut from it, and what Soft-NMS makes of their scores.",
    "ratio": "Average mAP against the share of labelled videos, a point for each seed. The tables of this book have the same numbers.",
}


def setup(app):
    app.add_directive("explorable", Explorable)
    app.connect("config-inited", keep_off_other_pages)
    app.connect("html-page-context", load_scripts)
    return {"version": "1", "parallel_read_safe": True}


class Explorable(SphinxDirective):
    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        if name not in WITHOUT_SCRIPTS:
            raise self.error(f"unknown explorable {name!r} (known: {', '.join(WITHOUT_SCRIPTS)})")
        if name in DATA:
            self.note_what_data_depend_on()
        identifier = f"explorable-{name}-{self.env.new_serialno('explorable') + 1}"
        return [nodes.raw("", block(name, identifier, DATA[name]() if name in DATA else None), format="html", explorable=name)]

    def note_what_data_depend_on(self):
        """A change of the library or of the committed results writes the page anew."""
        root = Path(self.env.srcdir).parent
        for path in (*root.glob("nontarget/**/*.py"), *root.glob("results/*.csv"), Path(explorable_data.__file__)):
            self.env.note_dependency(str(path))


def block(name, identifier, data):
    """The HTML of one explorable; its script replaces what is inside."""
    inline = ""
    if data is not None:
        text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # no tag can end the script
        inline = f'<script type="application/json">{text}</script>'
    fallback = f"<p>Interactive figure: {WITHOUT_SCRIPTS[name]} It needs JavaScript.</p>"
    return f'<div class="explorable" id="{identifier}" data-explorable="{name}">{fallback}{inline}</div>'


def keep_off_other_pages(app, config):
    """Jupyter Book loads whatever lies in ``_static`` on every page."""
    for option in ("html_js_files", "html_css_files"):
        setattr(config, option, [f for f in getattr(config, option) if not str(f).startswith(f"{FOLDER}/")])


def load_scripts(app, page, template, context, doctree):
    if doctree is None:
        return
    used = {node["explorable"] for node in doctree.findall(nodes.raw) if "explorable" in node}
    if used:
        app.add_css_file(f"{FOLDER}/explorables.css")
        for script in (*SHARED, *(f"{name}.js" for name in WITHOUT_SCRIPTS if name in used)):
            app.add_js_file(f"{FOLDER}/{script}", loading_method="defer")
