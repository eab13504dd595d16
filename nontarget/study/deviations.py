"""Where the library departs from the paper or from released code, collected from its docstrings; and what the preset ``small`` changes."""

import ast
import dataclasses
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from nontarget.config import TRAINING_PRESETS
from nontarget.detectors import detector_class
from nontarget.runtime.escaping import escaped
from nontarget.study.texttable import TextTable

PACKAGE = Path(__file__).resolve().parents[1]
MARK = "Deviation:"
"""Starts the sentences of a docstring or comment that say what is done otherwise, and why; they end with the paragraph."""
_STUDY = PACKAGE / "study"


def deviations() -> pd.DataFrame:
    """Every deviation that the library states: columns where (dotted name, below the package) and deviation."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if _STUDY not in path.parents)
    rows = [row for path in files for row in _stated(path.read_text(encoding="utf-8"), _module(path))]
    return pd.DataFrame(rows, columns=["where", "deviation"])


def deviations_table() -> TextTable:
    """:func:`deviations` as a table."""
    cells = deviations().map(lambda text: escaped(re.sub(r":\w+:`([^`]*)`|``", r"\1", text)))
    cells["where"] = cells["where"].map(lambda name: f"`{name}`")
    cells.columns = ["Where", "Deviation"]
    return TextTable(cells, "Deviations from the paper and from released code, as the docstrings state them.", "deviations")


def presets_table(detector: str = "spot") -> TextTable:
    """Settings of training and of a detector whose presets ``small`` and ``full`` differ."""
    network = detector_class(detector).presets
    rows = [
        {"Setting": f"`{field.name}`", "small": str(values["small"]), "full": str(values["full"])}
        for presets in (TRAINING_PRESETS, network)
        for field in dataclasses.fields(presets["full"])
        if len(set((values := {name: getattr(presets[name], field.name) for name in ("small", "full")}).values())) > 1
    ]
    caption = (
        f"What the preset `small` of training and of {escaped(detector)} changes; `full` has the paper's settings where it gives them. A "
        "data set may have its own number of steps, and the learning rate of self-training is 1e-5 with `full` on sliding windows."
    )
    return TextTable(pd.DataFrame(rows), caption, f"presets-{detector}")


def _module(path: Path) -> str:
    return ".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__")


def _stated(source: str, module: str) -> Iterator[tuple[str, str]]:
    for name, text in (*_docstrings(ast.parse(source), module), *_comments(source, module)):
        for part in re.split(r"\n\s*\n", text):
            if MARK in part:
                yield name, " ".join(part.split(MARK, 1)[1].split())


def _docstrings(tree: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    """Docstrings of a module, its classes and functions, and the strings below fields and constants."""
    body = getattr(tree, "body", [])
    if isinstance(tree, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(tree)):
        yield name, text
    for before, node in zip([None, *body], body, strict=False):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield from _docstrings(node, f"{name}.{node.name}")
        elif isinstance(before, (ast.AnnAssign, ast.Assign)) and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            target = before.target if isinstance(before, ast.AnnAssign) else before.targets[0]
            yield f"{name}.{ast.unparse(target)}", str(node.value.value)


def _comments(source: str, module: str) -> Iterator[tuple[str, str]]:
    """Comments of several lines as one text each."""
    lines: list[str] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield module, "\n".join(lines)
            lines = []
        lines.append(token.string.lstrip("# "))
        last = token.start[0]
    yield module, "\n".join(lines)
