"""How settings were chosen: every trial is on development data, with systems that do not show how the paper's method compares."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nontarget.experiment import Experiment
from nontarget.parallel import run_all
from nontarget.results import ResultStore, default_results_folder
from nontarget.runtime.escaping import escaped
from nontarget.runtime.files import check_replaceable
from nontarget.runtime.locks import locked
from nontarget.runtime.provenance import code_version
from nontarget.runtime.tables import check_signed, read_table, write_table
from nontarget.study.systems import ExperimentFields
from nontarget.study.texttable import TextTable, percent

SYSTEMS = ("whole-video", "pre-trained only", "supervised only", "baseline", "fully supervised", "oracle")
"""The learning rules by which settings may be chosen."""
COLUMNS = [
    "question", "setting", "changes", "dataset", "label_ratio", "detector", "system", "seeds", "average_map", "std",
    "chosen", "why", "commit", "date", "device",
]  # fmt: skip
AFTER_COMPARISONS = (
    "steps of ActionFormer on the outside anchor (hapt, all labels)",
    "L_rec, other data sets",
    "steps of nips4b, again",
    "mixup of labelled clips",
    "early stopping: steps of the second stage",
)
"""The questions that were asked when the settings were frozen and comparisons of learning rules had been looked at. Their answers change
nothing: another setting would need another freeze, and every result anew."""
_TRIAL = ["question", "setting", "dataset", "label_ratio", "detector", "system"]


def try_settings(
    question: str,
    settings: Mapping[str, ExperimentFields],
    cells: Sequence[tuple[str, float, str]],
    seeds: Sequence[int],
    *,
    detector: str = "spot",
    store: ResultStore | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Run every setting on every cell of development data, and log the results in ``choices.csv``.

    Args:
        question: what is to be chosen.
        settings: the candidates by name: what each changes in an experiment.
        cells: data set, label ratio and learning rule of each run.
        seeds: seeds of the label split and of training.
        detector: the detector of all runs.
        store: where records and the log are kept; default: the store in the default folder.
        workers: number of processes; default: one per CPU core.

    Returns:
        The rows of the log.

    Raises:
        ValueError: a cell's rule is none of ``SYSTEMS``: settings are never chosen by the results of a rule under study.
    """
    store = store or ResultStore()
    check_replaceable(choices_path(store))
    check_signed(choices_path(store))
    for _, _, system in cells:
        if system not in SYSTEMS:
            raise ValueError(f"settings may be chosen by {', '.join(SYSTEMS)} alone, got {system!r}")
    for name, changes in settings.items():
        if changes.get("held_out", True) is not True or "rule" in changes:
            raise ValueError(f"setting {name!r} must leave rule and development data as they are, got {dict(changes)!r}")
    trials = {
        (name, cell): [
            replace(Experiment(dataset=cell[0], label_ratio=cell[1], rule=cell[2], detector=detector, held_out=True, seed=seed), **changes)
            for seed in seeds
        ]
        for cell in cells
        for name, changes in settings.items()
    }
    records = iter(run_all([e for group in trials.values() for e in group], store, workers=workers))
    rows = []
    for (name, (dataset, ratio, system)), group in trials.items():
        group_records = [next(records) for _ in group]
        scores = [100 * record["scores"]["avg"] for record in group_records]
        rows.append(
            {
                "question": question,
                "setting": name,
                "changes": json.dumps(dict(settings[name]), sort_keys=True, default=list),
                "dataset": dataset,
                "label_ratio": ratio,
                "detector": detector,
                "system": system,
                "seeds": " ".join(map(str, seeds)),
                "average_map": round(float(np.mean(scores)), 2),
                "std": round(float(np.std(scores, ddof=1)), 2) if len(scores) > 1 else np.nan,
                "chosen": "",
                "why": "",
                "commit": code_version(),
                "date": group_records[0]["provenance"]["date"],
                "device": group_records[0]["provenance"]["device"],
            }
        )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    log(frame, choices_path(store))
    return frame


def choose(question: str, setting: str | None, why: str, path: Path | None = None) -> None:
    """Mark a setting as the answer to a question, with the reason; None: none of those that were tried.

    Raises:
        ValueError: the log has no such trial.
    """
    path = path or choices_path()
    with locked(path):
        table = read_choices(path)
        rows = table["question"] == question
        answer = rows if setting is None else rows & (table["setting"] == setting)
        if not answer.any():
            raise ValueError(f"{path}: no trial of {setting!r} for {question!r}")
        table.loc[rows, ["chosen", "why"]] = ""
        table.loc[answer, ["chosen", "why"]] = ["" if setting is None else "yes", why]
        write_table(path, table)


def log(rows: pd.DataFrame, path: Path) -> None:
    """Add trials to the log; an older row of the same trial is replaced."""
    with locked(path):
        old = read_choices(path)
        kept = old[~old.set_index(_TRIAL).index.isin(rows.set_index(_TRIAL).index)]
        write_table(path, pd.concat([kept, rows]) if len(kept) else rows)


def read_choices(path: Path | None = None) -> pd.DataFrame:
    """The log; empty if there is none."""
    path = path or choices_path()
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    text = dict.fromkeys(("question", "setting", "seeds"), str)
    return read_table(path, COLUMNS, dtype=text, keep_default_na=False, na_values={"average_map": [""], "std": [""]})


def choices_path(store: ResultStore | None = None) -> Path:
    """The path of the log, which lies beside the committed results."""
    return (store.folder if store else default_results_folder()) / "choices.csv"


_LISTED = 4
"""Settings of a question that its summary names; more are only counted."""


def summary(table: pd.DataFrame) -> TextTable:
    """A row per question: what was tried, on which data, what was chosen, and why."""
    rows = []
    for question, part in table.groupby("question", sort=False):
        chosen, settings = part[part["chosen"] == "yes"], part["setting"].unique()
        cells = part[["dataset", "label_ratio", "system"]].drop_duplicates()
        on = [f"{row.dataset} {percent(float(row.label_ratio))} ({row.system})" for row in cells.itertuples()]
        rows.append(
            {
                "Question": str(question),
                "Tried": "; ".join(settings) if len(settings) <= _LISTED else f"{len(settings)} settings, listed below",
                "On": "; ".join(on),
                "Chosen": _by_dataset(chosen, "setting") or "none of these",
                "Why": _by_dataset(chosen if len(chosen) else part, "why"),
            }
        )
    columns = ["Question", "Tried", "On", "Chosen", "Why"]
    return TextTable(pd.DataFrame(rows, columns=columns), "What was tried on development data, and what was chosen.", "choices")


def _by_dataset(rows: pd.DataFrame, column: str) -> str:
    """The different values of a column; where there are several, with the data sets of each."""
    values = {str(value): ", ".join(part["dataset"].unique()) for value, part in rows.groupby(column, sort=False) if value}
    return "; ".join(values if len(values) < 2 else [f"{datasets}: {value}" for value, datasets in values.items()])


def trials(table: pd.DataFrame, question: str) -> TextTable:
    """All trials of a question, a row per setting and a column per cell: average mAP in percent ± standard deviation over seeds.

    What was chosen is bold, in the columns of the data sets that it was chosen for.
    """
    part = table[table["question"] == question]
    cell = [f"{row.dataset} {percent(float(row.label_ratio))}, {row.system}" for row in part.itertuples()]
    text = [f"{row.average_map:.1f}" + ("" if np.isnan(row.std) else f" ± {row.std:.1f}") for row in part.itertuples()]
    text = [f"**{number}**" if chosen == "yes" else number for number, chosen in zip(text, part["chosen"], strict=True)]
    wide = part.assign(cell=cell, text=text).pivot_table(index="setting", columns="cell", values="text", aggfunc="first", sort=False)
    wide.index = pd.Index(map(str, wide.index), name="Setting")
    seeds = "; ".join(part["seeds"].unique())
    bold = " Bold: chosen." if (part["chosen"] == "yes").any() else ""
    caption = f"{question}: average mAP (%) on development data, seeds {seeds}.{bold}"
    return TextTable(wide.fillna("").reset_index(), caption)


def choices_findings(table: pd.DataFrame) -> str:
    """How many trials answered how many questions, in a sentence (Markdown)."""
    if not len(table):
        return "**No trial is committed yet.**"
    decided = table.loc[table["chosen"] == "yes", "question"].nunique()
    settings = len(table[["question", "setting"]].drop_duplicates())
    where = ", ".join(sorted(table["dataset"].unique()))
    return (
        f"**{settings} settings were tried for {table['question'].nunique()} questions, of which {decided} were decided by these trials**, "
        f"on development data of {escaped(where)}. The systems that ran: {', '.join(sorted(table['system'].unique()))}."
    )


def late_questions(table: pd.DataFrame) -> str:
    """Which questions of the log came after the first comparisons of learning rules (Markdown)."""
    late = [f"*{escaped(question)}*" for question in AFTER_COMPARISONS if question in set(table["question"])]
    return (
        f"Asked after the freeze, when comparisons of learning rules had been looked at: {'; '.join(late) or 'none'}. "
        "Whatever these trials show, the frozen settings stay: a change would need a new freeze, and every result anew."
    )


def narrow_questions(table: pd.DataFrame) -> str:
    """Which settings were chosen on a single data set, by data set (Markdown)."""
    decided = table[table["question"].isin(table.loc[table["chosen"] == "yes", "question"])]
    datasets = decided.groupby("question", sort=False)["dataset"].unique()
    alone = datasets[datasets.map(len) == 1].map(lambda names: str(names[0]))
    named = [
        f"on `{dataset}` {', '.join(f'*{escaped(str(question))}*' for question in part.index)}"
        for dataset, part in alone.groupby(alone, sort=False)
    ]
    return f"Trials on a single data set decided: {'; '.join(named)}." if named else "Trials on several data sets decided every question."
