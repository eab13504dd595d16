"""Fig. 2: the framework as an SVG in which every box leads to its section of the method and to its code in the reference."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from nontarget.plotting.style import SUBSPACES

METHOD, REFERENCE = "../notebooks/method.html", "../api.html"
"""The two pages that boxes link to, as seen from a page in a folder of the book."""


@dataclass(frozen=True)
class Box:
    """A step: where it stands, what it is called, and where its two lines lead."""

    x: int
    y: int
    width: int
    title: str
    section: str
    """Anchor on the page of the method."""
    code: str
    """Object in the reference, without the package."""
    caption: str | None = None
    """How the second line names it; default: the object's own name."""
    colour: str | None = None
    height: int = 52

    def svg(self) -> str:
        """A rectangle and two linked lines of text."""
        middle, low = self.x + self.width / 2, self.y + (22 if self.height == 52 else 19)
        style = f' style="fill: {self.colour}; stroke: {self.colour}"' if self.colour else ""
        title = re.sub(r"\^(\w+)", r'<tspan dy="-5" font-size="10">\1</tspan><tspan dy="5">&#8203;</tspan>', escape(self.title))
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6"{style}/>'
            f'<a href="{METHOD}#{self.section}"><text x="{middle:g}" y="{low}">{title}</text></a>'
            f'<a href="{REFERENCE}#nontarget.{self.code}">'
            f'<text class="code" x="{middle:g}" y="{low + 18}">{escape(self.caption or self.code.split(".")[-1])}</text></a>'
        )


_SPLIT = "the-label-space-is-split-in-four-eqs-4-7-8-10"
_LOSSES = "the-losses-eqs-5-6-9-11"
_BRANCHES = "labelled-and-unlabelled-snippets-sec-3-6"
_DETECTOR = "the-detector"
_INFERENCE = "from-outputs-to-detections-sec-3-6"
_MEASURE = "what-is-measured-sec-4-1"
_DISTRIBUTION = "detectors.base.DetectorOutput.distribution"

BOXES = (
    # Pseudo labels
    Box(170, 42, 150, "Frozen teacher", _BRANCHES, "training.train_stage"),
    Box(350, 42, 150, "Class distribution", _BRANCHES, _DISTRIBUTION, "unlabelled snippets"),
    Box(530, 18, 300, "Label space partition", _SPLIT, "partition_label_space", height=76),
    Box(850, 42, 140, "Annotations", _DETECTOR, "segments.assign_instances"),
    # Losses of the classes
    Box(536, 142, 68, "ℓ^tgt", _LOSSES, "non_target_loss", "be this", SUBSPACES["target"]),
    Box(610, 142, 68, "ℓ^pos", _LOSSES, "non_target_loss", "pull", SUBSPACES["positive"]),
    Box(684, 142, 68, "ℓ^neg", _LOSSES, "non_target_loss", "push", SUBSPACES["negative"]),
    Box(850, 142, 140, "ℓ^tgt + ℓ^neg", _BRANCHES, "rules.non_target.NonTarget", "labelled: NonTarget"),
    # The detector
    Box(10, 242, 130, "Snippet features", _DETECTOR, "data.make_clips"),
    Box(170, 242, 150, "Embedding", _DETECTOR, "detectors.spot.SnippetEmbedding"),
    Box(350, 242, 150, "Class head", _DETECTOR, "detectors.spot.Spot"),
    Box(530, 242, 460, "Class distribution", _SPLIT, _DISTRIBUTION, "output.distribution"),
    Box(350, 324, 150, "Mask head", _DETECTOR, "detectors.spot.MaskHead"),
    Box(530, 324, 150, "Masks", _DETECTOR, "detectors.spot.SpotOutput"),
    Box(710, 324, 120, "L^mask", _DETECTOR, "detectors.spot.mask_loss"),
    Box(10, 324, 145, "L^rec", _DETECTOR, "detectors.spot.reconstruction_loss"),
    Box(170, 324, 150, "L^ref", _DETECTOR, "detectors.spot.refinement_loss"),
    # Inference
    Box(350, 424, 150, "Candidates", _INFERENCE, "inference.detect_videos"),
    Box(530, 424, 150, "Soft-NMS", _INFERENCE, "soft_nms"),
    Box(710, 424, 120, "Detections", _INFERENCE, "detect"),
    Box(850, 424, 140, "mAP", _MEASURE, "evaluate_detections"),
)

# Straight and bent arrows, as SVG path data.
_ARROWS = (
    "M75 242 V68 H168",  # features to the teacher
    "M320 68 H348", "M500 68 H528",
    "M570 94 V140", "M644 94 V140", "M718 94 V140",  # each subspace to its loss
    "M570 242 V196", "M644 242 V196", "M718 242 V196", "M920 242 V196", "M920 94 V140",  # the losses look at the distribution
    "M140 268 H168", "M320 268 H348", "M500 268 H528",
    "M334 268 V350 H348", "M500 350 H528", "M680 350 H708",
    "M230 294 V322", "M190 294 V308 H110 V322",  # the embedding's own losses
    "M640 376 V400 H425 V422", "M910 294 V400 H425 V422",  # both outputs make candidates
    "M500 450 H528", "M680 450 H708", "M830 450 H848",
)  # fmt: skip

_STYLE = """
.framework { width: 100%; height: auto; font: 14px system-ui, sans-serif; }
.framework text { fill: currentColor; text-anchor: middle; }
.framework text.code { font: 11.5px ui-monospace, monospace; opacity: .85; }
.framework text.note { font-size: 12px; text-anchor: start; opacity: .85; }
.framework rect { fill: currentColor; fill-opacity: .07; stroke: currentColor; stroke-opacity: .6; }
.framework rect[style] { fill-opacity: .28; stroke-opacity: 1; }
.framework a { color: inherit; text-decoration: none; }
.framework a:hover, .framework a:focus-visible { text-decoration: underline; }
.framework path { fill: none; stroke: currentColor; stroke-width: 1.3; }
.framework path.head { fill: currentColor; stroke: none; }
.framework path.copy { stroke-dasharray: 4 3; }
svg.framework:root { color: #1b1b1b; background: white; }
@media (prefers-color-scheme: dark) { svg.framework:root { color: #e6e6e6; background: #121212; } }
"""

DESCRIPTION = (
    "Unlabelled snippets go through the teacher, a frozen copy of the detector, to a class distribution. Its label space is split into "
    "target, positive, negative and ambiguous classes; the first three have a loss each on the detector's own class distribution, the "
    "ambiguous ones have none. Annotations of labelled snippets give a target and a negative loss. The detector embeds snippet features "
    "and has a class head and a mask head; masks have a loss of their own, and so has the embedding, for reconstruction and refinement. "
    "In inference, class distributions and masks make candidates, which Soft-NMS turns into detections that mAP scores."
)


def framework() -> str:
    """The drawing as SVG text, to be put into a page: its links work without a server, and it takes the page's text colour."""
    return "\n".join(_lines()) + "\n"


def links() -> list[str]:
    """Every target that the drawing links to."""
    return [link for box in BOXES for link in (f"{METHOD}#{box.section}", f"{REFERENCE}#nontarget.{box.code}")]


def _lines() -> Iterator[str]:
    yield '<svg xmlns="http://www.w3.org/2000/svg" class="framework" viewBox="0 0 1000 488"'
    yield ' role="group" aria-labelledby="fw-title fw-desc">'
    yield '<title id="fw-title">The framework of learning from non-target classes</title>'
    yield f'<desc id="fw-desc">{escape(DESCRIPTION)}</desc>'
    yield f"<style>{_STYLE}</style>"
    yield '<defs><marker id="fw-head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
    yield from (f'<path d="{arrow}" marker-end="url(#fw-head)"/>' for arrow in _ARROWS)
    yield '<path class="copy" d="M245 242 V96" marker-end="url(#fw-head)"/>'
    yield from (box.svg() for box in BOXES)
    for x, (name, colour) in zip((570, 644, 718, 792), SUBSPACES.items(), strict=True):
        chip = f"fill: {colour}; stroke: {colour}"
        yield f'<rect x="{x - 34}" y="64" width="68" height="24" rx="4" style="{chip}"/><text x="{x}" y="80" font-size="12">{name}</text>'
    yield '<text x="792" y="112" font-size="12">no loss</text>'
    for x, y, note in ((252, 172, "every epoch"), (10, 30, "Self-training"), (10, 454, "Inference"), (10, 230, "Detector")):
        yield f'<text class="note" x="{x}" y="{y}">{note}</text>'
    yield "</svg>"
