"""The quantitative claims of the paper, each written as quantities that the paper says are above 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nontarget.study.claims.quantities import Fading, Gap, LargerSpace, NoGain, Quantity, RarelyTrue, TruthShare
from nontarget.study.systems import TABLES, reported_map
from nontarget.study.tables import RATIOS
from nontarget.study.texttable import percent

SMALLER_SPACE = {"activitynet-sim": "thumos14-sim", "nips4b": "hapt"}
"""Data set -> one of the same kind (simulated, real) with fewer classes."""
SMALL_SETS = ("hapt",)
"""Data sets with few training videos and few classes."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, which holds if every quantity is above 0."""

    text: str
    quantities: tuple[Quantity, ...]

    @property
    def weak(self) -> bool:
        """Whether all that it says is "better than chance"."""
        return all(quantity.weak for quantity in self.quantities)


@dataclass(frozen=True)
class Group:
    """The claims of one passage of the paper."""

    name: str
    title: str
    quotation: str
    """The paper's words, with the section."""
    claims: tuple[Claim, ...]


def stated_claims() -> tuple[Group, ...]:
    """All groups, in the order of the paper."""
    return (
        Group(
            "table1",
            "Table 1: against the baseline and previous work",
            '"our method achieves stable performance improvements over previous works across all data splits on both datasets" (Sec. 4.3)',
            tuple(_table1()),
        ),
        Group(
            "labels",
            "Label ratio and number of classes",
            '"Especially, our method obtains remarkable performance when the number of labeled data is very limited (with only 10% or 20% '
            'labeled videos)"; "The superiority of the proposed method is more emphasized for ActivityNet v1.3, [...] a larger label '
            'space" (Sec. 4.3); "it is difficult for the proposed method to achieve significant performance gains when the training '
            'set and the label space are small" (Sec. 5)',
            tuple(_labels_and_classes()),
        ),
        Group(
            "table2",
            "Table 2: the losses of Eq. 12",
            '"Applying the proposed ℓneg consistently improves the baseline by a large margin on both benchmarks [...] the proposed ℓpos '
            'also significantly improve the performance" (Sec. 4.4)',
            (
                Claim("l_neg adds to l_tgt", (Gap("l_tgt + l_neg", "l_tgt", "table2"),)),
                Claim("l_pos adds to both", (Gap("l_tgt + l_neg + l_pos", "l_tgt + l_neg", "table2"),)),
                Claim("Both together add to l_tgt", (Gap("l_tgt + l_neg + l_pos", "l_tgt", "table2"),)),
            ),
        ),
        Group(
            "table3",
            "Table 3: another detector",
            '"the superiority of our method is feature-agnostic and model-agnostic" (Sec. 4.4)',
            (
                Claim("NPL above no unlabelled videos", (Gap("ActionFormer, NPL-style", "ActionFormer", "table3"),)),
                Claim("Non-target above NPL", (Gap("ActionFormer, non-target", "ActionFormer, NPL-style", "table3"),)),
                Claim(
                    "Non-target above NPL on both detectors",
                    (Gap("non-target", "NPL-style"), Gap("ActionFormer, non-target", "ActionFormer, NPL-style", "table3")),
                ),
            ),
        ),
        Group(
            "table4",
            "Table 4: lambda",
            '"higher λ choosing fewer positive classes may make it difficult to fully learn the informative semantics via positive '
            'learning while lower λ [...] may carry the risk of involving unreliable ambiguous classes" (Sec. 4.4)',
            (Claim("0.85 is the best of four", tuple(_best_lambda())),),
        ),
        Group(
            "table5",
            "Table 5: other ways to learn from non-target classes",
            '"verify the superiority of our method over previous semi-supervised technologies" (Table 5)',
            (
                Claim("Non-target above soft pseudo labels", (Gap("non-target", "soft pseudo label", "table5"),)),
                Claim("Non-target above complementary labels", (Gap("non-target", "complementary label", "table5"),)),
                Claim("Complementary above soft", (Gap("complementary label", "soft pseudo label", "table5"),)),
            ),
        ),
        Group(
            "figure5",
            "Fig. 5: where the truth lies",
            '"The key to performance improvement is whether positive classes contain the ground truth label while negative classes run a '
            'low risk of containing the ground truth label" (Sec. 4.4); "it is highly unlikely that the low-confidence or bottom-ranked '
            'classes contain the ground truth label" (Sec. 3.1)',
            (
                Claim("Positive classes contain the true class more often than chance", (TruthShare("positive"),)),
                Claim("Negative classes contain the true class less often than chance", (TruthShare("negative"),)),
                Claim("Negative classes contain it in less than a tenth of the snippets", (RarelyTrue(),)),
                Claim("Snippets of an action: positive classes, more often than chance", (TruthShare("positive", "action"),)),
                Claim("Snippets of an action: negative classes, less often than chance", (TruthShare("negative", "action"),)),
                Claim("Snippets of an action: negative classes, in less than a tenth", (RarelyTrue("action"),)),
            ),
        ),
    )


def _table1() -> Sequence[Claim]:
    systems = {method: system for system, method in TABLES["table1"].paper.items()}
    claims = []
    for ratio in RATIOS:
        order = reported_map("table1", "thumos14", ratio)["avg"].drop("Baseline").sort_values(ascending=False)
        ranked = [systems[str(method)] for method in order.index]
        claims += [
            Claim(f"{percent(ratio)}: non-target above the baseline", (Gap("non-target", "baseline", ratio=ratio),)),
            Claim(f"{percent(ratio)}: non-target above NPL", (Gap("non-target", "NPL-style", ratio=ratio),)),
            Claim(f"{percent(ratio)}: {' > '.join(order.index)}", tuple(Gap(a, b, ratio=ratio) for a, b in pairwise(ranked))),
        ]
    return claims


def _labels_and_classes() -> Sequence[Claim]:
    return [
        Claim("The gain over the baseline falls with more labels", (Fading("non-target", "baseline"),)),
        Claim("The gain over NPL falls with more labels", (Fading("non-target", "NPL-style"),)),
        *(
            Claim(
                f"{percent(r)}: a larger gain with more classes",
                (LargerSpace(Gap("non-target", "baseline", ratio=r), SMALLER_SPACE),),
            )
            for r in RATIOS
        ),
        Claim("10 %: no significant gain on a small set of few classes", (NoGain(Gap("non-target", "baseline"), SMALL_SETS),)),
    ]


def _best_lambda() -> Sequence[Gap]:
    table = TABLES["table4"]
    return [Gap(table.reference, other, "table4") for other in table.systems if other != table.reference]
