"""One module a layout or close family; importing them registers them, special ones before general ones."""

from nontarget.data.releases.layouts import hapt, hdf5, video_features, wtalc  # noqa: I001  # the order is that of recognition
from nontarget.data.releases.layouts import tadtr, har, cmcs, hacs, bmn, actionformer, opentad, weak
from nontarget.data.releases.layouts import annotations, plain

__all__ = [
    "actionformer",
    "annotations",
    "bmn",
    "cmcs",
    "hacs",
    "hapt",
    "har",
    "hdf5",
    "opentad",
    "plain",
    "tadtr",
    "video_features",
    "weak",
    "wtalc",
]
