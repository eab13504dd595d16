"""What the figures show: unlabelled snippets as a detector sees them, examples chosen by a rule, separability, subspaces, matches."""

from nontarget.study.analysis.embeddings import (
    EmbeddingStudy,
    Separability,
    draw_snippets,
    embedding_study,
    map_to_plane,
    separability,
    separability_findings,
    separability_table,
)
from nontarget.study.analysis.matching import VideoMatches, match_video, outcomes
from nontarget.study.analysis.selection import (
    MisjudgedSnippet,
    confusable_classes,
    confusion_rates,
    misjudged_snippet,
    subspace_of_classes,
    videos_by_instances,
)
from nontarget.study.analysis.snippets import Snippets, hidden_snippets, snippets_of
from nontarget.study.analysis.subspaces import committed_coverage, coverage_by_epoch, with_chance

__all__ = [
    "EmbeddingStudy",
    "MisjudgedSnippet",
    "Separability",
    "Snippets",
    "VideoMatches",
    "committed_coverage",
    "confusable_classes",
    "confusion_rates",
    "coverage_by_epoch",
    "draw_snippets",
    "embedding_study",
    "hidden_snippets",
    "map_to_plane",
    "match_video",
    "misjudged_snippet",
    "outcomes",
    "separability",
    "separability_findings",
    "separability_table",
    "snippets_of",
    "subspace_of_classes",
    "videos_by_instances",
    "with_chance",
]
