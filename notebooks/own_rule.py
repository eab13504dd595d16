# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write your own learning rule in 20 lines
#
# How well would another idea about unlabelled snippets work? A learning rule is one class with one method, which returns a loss given the
# student's logits and the teacher's probabilities. The library does everything else, from splits to the table with intervals.

# %%
# %matplotlib inline
from dataclasses import dataclass

from IPython.display import Markdown

from nontarget import rules
from nontarget.experiment import Experiment
from nontarget.losses import non_target_loss
from nontarget.plotting import map_by_tiou
from nontarget.rules.base import LearningRule
from nontarget.study.parameters import check_parameters
from nontarget.study.tables import compare

# %% [markdown]
# The parameters are the problem, the epochs of each training stage, and the one setting of the new rule. Two epochs per stage are enough to
# see that it runs; meaningful numbers need those of the preset (`-p epochs 10` or more).

# %% tags=["parameters"]
dataset = "thumos14-sim"
ratio = 0.1
seeds = 2
epochs = 2
threshold = 0.5

# %%
check_parameters(
    dataset=dataset, ratio=ratio, seeds=seeds, epochs=epochs, threshold=threshold
)

# %% [markdown]
# ## The rule
#
# The idea is to trust the target class where the teacher is confident, and elsewhere to learn from the negative classes only. The fields of
# the dataclass are the rule's settings; they are part of the identity of a result, so that results of different settings are kept apart.


# %% tags=["tutorial"]
@rules.register
@dataclass(frozen=True, kw_only=True)
class SureTargets(LearningRule):
    """Learn the target class of confident snippets, and the negative classes of all snippets."""

    name = "sure targets"
    threshold: float = 0.5

    def unlabeled_loss(self, logits, pseudo_probs, valid, activation="softmax"):
        sure = valid & (pseudo_probs.amax(dim=-1) >= self.threshold)
        target = non_target_loss(
            logits, pseudo_probs, valid=sure, terms=("target",), activation=activation
        )
        negative = non_target_loss(
            logits, pseudo_probs, valid=valid, terms=("negative",), activation=activation
        )
        return target + negative


# %% [markdown]
# `logits` and `pseudo_probs` are `[clips, snippets, classes]` with background last; `valid` marks the snippets that are not padding, over
# which losses are averaged. A rule that augments clips, weights snippets or averages the model's weights overrides one more method of
# {py:class}`nontarget.rules.base.LearningRule`; the rules of the paper's comparison have examples of each.
#
# ## Against the others
#
# All rules have the same splits, seeds and budget. A rule that is defined in a notebook runs in the notebook's process (`workers=1`); moved to
# a file in `nontarget/rules/` and registered there, it runs in parallel like the others.

# %%
short = {"training_settings": {"pretrain_epochs": epochs, "selftrain_epochs": epochs}}
plain = {"dataset": dataset, "label_ratio": ratio, **short}
systems = {
    name: Experiment(rule=name, **plain)
    for name in ("supervised only", "baseline", "non-target")
}
systems["sure targets"] = Experiment(
    rule="sure targets", rule_settings={"threshold": threshold}, **plain
)
comparison = compare(systems, seeds, workers=1)
comparison

# %% [markdown]
# {py:mod}`nontarget.statistics` has the tests behind these intervals, and others, for results of your own. A rule that names classes better
# lifts the whole curve.

# %% mystnb={"image": {"alt": "Mean AP against tIoU for three rules of the library and the one written here."}}
map_by_tiou(comparison)

# %% [markdown]
# ## Findings

# %%
Markdown(comparison.findings)

# %% [markdown]
# The limits: there are few epochs and seeds, so this page shows how to add a rule, not which rule is better. When you change what a rule
# computes, raise its `version`, so that earlier results are not reused.
