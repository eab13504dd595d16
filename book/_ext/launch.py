"""A button on every page that a notebook makes: how to run it here, and in the cloud where the repository is published.

The theme's own launch buttons point at the page's source, which is generated; these point at the notebook in the repository.
"""

import os
import re
from pathlib import Path
from urllib.parse import quote

import yaml
from papermill_pages import anchor


def setup(app):
    app.add_config_value("launch_repository", "", "html", types=[str])  # https://github.com/OWNER/NAME
    app.connect("builder-inited", read_pages)
    app.connect("html-page-context", add_buttons, priority=600)  # after the theme has made its own
    return {"parallel_read_safe": True}


def read_pages(app):
    app.notebook_of_page = {
        f"notebooks/{name}": page["notebook"] for name, page in yaml.safe_load((Path(app.srcdir) / "pages.yml").read_text()).items()
    }


def add_buttons(app, page, template, context, doctree):
    notebook = app.notebook_of_page.get(page)
    if notebook is None or "header_buttons" not in context:
        return
    buttons = [button(f"#{anchor(Path(page).name)}", "Run here", "The command that makes this page", "fas fa-terminal")]
    for title, url in hosted(os.environ.get("LAUNCH_REPOSITORY") or app.config.launch_repository, notebook).items():
        buttons.append(button(url, title, f"Open this notebook on {title}", "fas fa-cloud"))
    group = {"type": "group", "buttons": buttons, "icon": "fas fa-rocket", "tooltip": "Run this page", "label": "launch-buttons"}
    context["header_buttons"].insert(0, group)


def hosted(repository, notebook):
    """Where a notebook of a published repository can be opened; nothing for a repository that is not published.

    Raises:
        ValueError: the repository is not the address of one on GitHub.
    """
    if not repository:
        return {}
    match = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(\.git)?/?", repository)
    if match is None:
        raise ValueError(f"launch_repository must be https://github.com/OWNER/NAME, got {repository!r}")
    owner, name = match[1], match[2]
    path = f"notebooks/{notebook}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{owner}/{name}/HEAD?urlpath=lab/tree/{quote(path, safe='')}",
        "Colab": f"https://colab.research.google.com/github/{owner}/{name}/blob/HEAD/{path}",
    }


def button(url, text, tooltip, icon):
    return {"type": "link", "url": url, "text": text, "tooltip": tooltip, "icon": icon, "label": f"launch-{text.lower().replace(' ', '-')}"}
