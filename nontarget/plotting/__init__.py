"""Figures, one call each: they take data and return a matplotlib figure."""

from nontarget.plotting.claims import differences
from nontarget.plotting.data import distributions, feature_map, timeline
from nontarget.plotting.figures import distribution_of_snippet, embedding_maps, hits_and_misses, subspaces_by_epoch, subspaces_by_ratio
from nontarget.plotting.results import difficulty, map_by_ratio, map_by_tiou, map_by_value, map_figure, maps_by_ratio, training_curves
from nontarget.plotting.style import COLOURS, HATCHES, MARKERS, STYLE, SUBSPACES

__all__ = [
    "COLOURS",
    "HATCHES",
    "MARKERS",
    "STYLE",
    "SUBSPACES",
    "differences",
    "difficulty",
    "distribution_of_snippet",
    "distributions",
    "embedding_maps",
    "feature_map",
    "hits_and_misses",
    "map_by_ratio",
    "map_by_tiou",
    "map_by_value",
    "map_figure",
    "maps_by_ratio",
    "subspaces_by_epoch",
    "subspaces_by_ratio",
    "timeline",
    "training_curves",
]
