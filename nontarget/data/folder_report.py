"""The text of a report on a feature folder: what it holds, where it comes from, and what has been compared with its digests."""

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nontarget.data.folder import ARCHIVE, read_feature_folder
from nontarget.data.shards import INDEX, Shards
from nontarget.data.splits import TOO_FEW, least_ratio
from nontarget.data.videos import LABELS_SEEN, Dataset
from nontarget.protocols import describe


def folder_report(folder: str | Path, verify: bool = False) -> str:
    """What a feature folder holds, a line each.

    Args:
        folder: with the features in shards or in an archive.
        verify: whether to read all features in shards, and to compare them with their digests; an archive always is.

    Raises:
        FileNotFoundError, DataError: see :func:`nontarget.data.read_feature_folder`, and :meth:`nontarget.data.shards.Shards.verify`.
    """
    folder = Path(folder)
    dataset = read_feature_folder(folder)
    parts = {"training": dataset.train, "test": dataset.test, "unlabelled": dataset.unlabeled}
    videos = [*(v.video for v in (*dataset.train, *dataset.test)), *dataset.unlabeled]
    lengths, instances = [v.num_snippets for v in videos], [len(v.annotations.labels) for v in (*dataset.train, *dataset.test)]
    counts = ", ".join(f"{len(members)} {name}" for name, members in parts.items() if members)
    kind = "simulated" if dataset.simulated else "real"
    rates = Counter(round(v.fps, 6) for v in videos)
    rates_text = ", ".join(f"{fps:g} ({count})" if len(rates) > 1 else f"{fps:g}" for fps, count in rates.most_common(4))
    lines = [
        f"{folder}",
        f"  layout     feature folder of this project: {_kept(folder)}",
        f"  contents   {len(videos)} videos ({counts}), {dataset.num_classes} classes, {sum(instances)} instances; {kind} data",
        f"  features   [T, D]: T {min(lengths)} to {max(lengths)}, median {np.median(lengths):g}; D {dataset.feature_dim}",
        f"  time       snippets per second: {rates_text}{'' if len(rates) <= 4 else ', ...'}",
        f"  protocol   {describe(dataset.protocol).removeprefix('protocol ')}",
        f"  network    {_network(dataset)}",
        *_changed(dataset.provenance),
        f"  checksum   {dataset.checksum}",
    ]
    if (folder / INDEX).exists():
        if verify:
            Shards(folder).verify()
        state = "all features are those that were written" if verify else "each video when it is first used; --verify reads all of them now"
        lines.append(f"  verified   {state}")
    lists = [dataset.class_lists[v.video.video_id] for v in dataset.train]
    ratio = least_ratio(lists, dataset.num_classes, bool(dataset.unlabeled))
    lines.append(f"  next       {TOO_FEW if ratio is None else f'nontarget table 1 --features {shlex.quote(str(folder))} --ratio {ratio}'}")
    return "\n".join(lines)


def _kept(folder: Path) -> str:
    if not (folder / INDEX).exists():
        return f"{ARCHIVE}, which is read into memory"
    shards = Shards(folder)
    size = sum(shards.sizes.values())
    return f"{shards.dtype} in {len(shards.sizes)} shard(s) of {size / 2**20:.1f} MiB in all, which are mapped"


def _network(dataset: Dataset) -> str:
    if dataset.labels_seen is None:
        return f"{dataset.provenance.get('network') or 'not stated'}; whether it has seen labels of this data set is not stated"
    return f"{dataset.provenance.get('network') or 'not named'}: {LABELS_SEEN[dataset.labels_seen]}"


def _changed(provenance: Mapping[str, Any]) -> list[str]:
    """What the conversion of a release changed."""
    lines = [f"  release    {provenance['release']}"] if provenance.get("release") else []
    changed, left_out = (provenance.get(name) for name in ("instances_changed", "videos_left_out"))
    texts = [f"{n} {reason}" for counts in (changed, left_out) if isinstance(counts, dict) for reason, n in counts.items()]
    return lines + ([f"  changed    {', '.join(texts)}"] if texts else [])
