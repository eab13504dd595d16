"""Writing a data set as a feature folder."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from nontarget.class_names import doubtful_names
from nontarget.data.annotations import UNLABELED
from nontarget.data.feature_times import stated_times
from nontarget.data.shard_writing import NewFeatures, check_ids, write_folder
from nontarget.data.videos import Dataset, Video
from nontarget.protocols import settings_of


def write_feature_folder(folder: str | Path, dataset: Dataset, dtype: DTypeLike = np.float16) -> None:
    """Write a data set as a feature folder, with its protocol, provenance and checksums, one video after another.

    The features go into safetensors shards (:mod:`nontarget.data.shards`), and are read back and compared. Where the folder is there
    already, the files of a feature folder in it give way once the new ones are complete; other files stay.

    Args:
        folder: made if it does not exist.
        dataset: to write. Where its videos differ in rate, or begin elsewhere, each has times of its own.
        dtype: of the stored features, float16 or float32.

    Raises:
        DataError: a video is in it twice; an id holds ``/``, ``\\`` or ``..``; a file of the folder is a link out of it; or features
            do not fit ``dtype``, by video.
        OSError: the folder cannot be written.
    """
    videos = [*(v.video for v in dataset.train), *(v.video for v in dataset.test), *dataset.unlabeled]
    check_ids(Path(folder), [v.video_id for v in videos])
    external = {v: dict(zip(dataset.classes, map(float, row), strict=True)) for v, row in (dataset.external_scores or {}).items()}
    write_folder(
        Path(folder),
        _content(dataset, videos),
        [NewFeatures(v.video_id, (v.num_snippets, v.dim), lambda v=v: v.features) for v in videos],  # type: ignore[misc]
        np.dtype(dtype).name,
        external_scores=None if dataset.external_scores is None else external,
        replacing=True,
        resume=False,
    )


def _content(dataset: Dataset, videos: list[Video]) -> dict[str, Any]:
    """What ``annotations.json`` says of a data set."""
    database = dataset.ground_truth(dataset.train)["database"] | dataset.ground_truth(dataset.test)["database"]
    for subset, members in (("training", dataset.train), ("validation", dataset.test)):
        for member in members:
            database[member.video.video_id]["subset"] = subset
    database |= {v.video_id: {"subset": UNLABELED, "duration": v.duration_s, "annotations": []} for v in dataset.unlabeled}
    protocol = settings_of(dataset.protocol) | {"pool": 1}  # pooled already
    content: dict[str, Any] = {"classes": dataset.classes}
    if len({v.grid for v in videos}) == 1 and videos[0].offset_s == 0:
        content["feature_fps"] = videos[0].fps
    else:
        for v in videos:
            database[v.video_id] |= stated_times(v)
    content |= {"distinct_classes": dataset.classes} if doubtful_names(dataset.classes) else {}
    content |= {"protocol": protocol}
    content |= {"simulated": True} if dataset.simulated else {}
    content |= {"provenance": dict(dataset.provenance)} if dataset.provenance else {}
    differing = {
        v.video.video_id: [dataset.classes[c] for c in dataset.class_lists[v.video.video_id]]
        for v in (*dataset.train, *dataset.test)
        if dataset.class_lists[v.video.video_id] != v.annotations.classes
    }
    content |= {"video_classes": differing} if differing else {}
    return content | {"database": database}
