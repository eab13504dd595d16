"""Links between the reference and the source, where viewcode gets them wrong.

It looks for the source of a constant's type, and lists a page of ``builtins`` that it never writes. And of a module that is documented
under two names (its own, and the package's for what users import), it takes one name for all links back.
"""

import re
from functools import reduce
from importlib import import_module


def setup(app):
    app.connect("viewcode-follow-imported", where_defined)
    app.connect("html-page-context", name_links_back)
    return {"parallel_read_safe": True}


def where_defined(app, module, name):
    """The module that an object was defined in; that which lists it, if the object does not say."""
    try:
        value = reduce(getattr, name.split("."), import_module(module))
    except AttributeError:  # a field without a default
        return module
    home = getattr(value, "__module__", None) or module
    return home if home.split(".")[0] == module.split(".")[0] else module


def name_links_back(app, page, template, context, doctree):
    """In a page of source, links to what is documented under the module's own name."""
    if not page.startswith("_modules/") or "body" not in context:
        return
    module, known = page.removeprefix("_modules/").replace("/", "."), app.env.domaindata["py"]["objects"]

    def documented(match):
        parts = match[1].split(".")
        names = [match[1], *(".".join([module, *parts[i:]]) for i in range(1, len(parts)))]
        return f'#{next((name for name in names if name in known), match[1])}"'

    context["body"] = re.sub(r'#([\w.]+)"', documented, context["body"])
