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
# # Figure 2: the framework
#
# How do the parts fit together? The first line of each box leads to its section of {doc}`the method <method>`, the second one to its
# code in the {doc}`reference <../api>`.

# %%
from IPython.display import HTML, Markdown

from nontarget.plotting.framework import BOXES, framework

# %% [markdown]
# The drawing has one parameter, its width on the page.

# %% tags=["parameters"]
width = "100%"

# %% mystnb={"figure": {"caption": "Figure 2. The framework: self-training with a partition of the label space (top), the detector and its losses (middle), inference (bottom). Every box is a link.", "name": "figure-2"}}
HTML(f'<div style="width: {width}">{framework()}</div>')

# %% [markdown]
# Read it from the left: features of labelled and unlabelled snippets enter the detector. Once an epoch it is copied, and the frozen copy,
# the *teacher*, gives a class distribution to every unlabelled snippet. The partition turns that into four sets of classes. The detector
# learns from three of them; nothing is asked of the *ambiguous* classes. Labelled snippets have annotations instead: their class is the
# target, all others are negative. The losses below the embedding and behind the masks are the detector's own, and the same for every
# rule.

# %% [markdown]
# ## What we saw

# %%
Markdown(f"{len(BOXES)} boxes, each with its function or class in the library.")

# %% [markdown]
# The limits: drawn are the paper's rule and the SPOT detector. Other rules use the same road with other losses; a drawing shows which
# parts there are, and nothing of how well they work.
