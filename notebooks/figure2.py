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
# How do the parts fit together? The first line of each box links to its section of {doc}`the method <method>`, the second line to its
# code in the {doc}`reference <../api>`.

# %%
from IPython.display import HTML, Markdown

from nontarget.plotting.framework import BOXES, framework
from nontarget.study.parameters import check_parameters

# %% [markdown]
# The only parameter is the width of the drawing on the page.

# %% tags=["parameters"]
width = "100%"

# %%
check_parameters(width=width)

# %% mystnb={"figure": {"caption": "Figure 2. The framework: self-training with a partition of the label space (top), the detector and its losses (middle), inference (bottom). Every box is a link.", "name": "figure-2"}}
HTML(f'<div style="width: {width}">{framework()}</div>')

# %% [markdown]
# Read it from the left. Features of labelled and unlabelled snippets enter the detector. A frozen copy of the detector, the *teacher*,
# gives a class distribution to every unlabelled snippet. The partition splits its classes into four sets. The detector learns from three
# of them; the *ambiguous* classes have no loss. A labelled snippet has an annotation instead: its class is the target, and all others are
# negative. The losses on the embedding and on the masks belong to the detector and are the same for every learning rule.

# %% [markdown]
# ## Findings

# %%
Markdown(f"**Each of the {len(BOXES)} boxes is one function or class of the library.**")

# %% [markdown]
# The limits: the drawing shows the paper's method on the SPOT detector. Other rules follow the same path with other losses. A drawing
# shows which parts there are, not how well they work.
