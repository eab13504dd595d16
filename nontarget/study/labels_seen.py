"""Whether the network that made the features of results was trained with labels of their data set."""

from collections.abc import Iterable

from nontarget.data.videos import LABELS_SEEN
from nontarget.results import SEEN, Record


def labels_seen(records: Iterable[Record]) -> bool | None:
    """Whether it was, by the provenance of the records; None: none of their data sets says."""
    answers = {record["provenance"].get("labels_seen") for record in records} - {None}
    return any(answers) if answers else None


def seen_note(records: Iterable[Record]) -> str:
    """The same in words, in bold where it was (Markdown); empty where it is not known."""
    seen = labels_seen(records)
    if seen is None:
        return ""
    text = f"Labels seen: {LABELS_SEEN[seen]}."
    return f"**{text}**" if seen else text


def seen_column(records: Iterable[Record]) -> dict[str, str]:
    """The column ``labels_seen`` of a table of runs; nothing where it is not known."""
    seen = labels_seen(records)
    return {} if seen is None else {"labels_seen": SEEN[seen]}
