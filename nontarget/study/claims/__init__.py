"""The paper's quantitative claims, judged by the committed results."""

from nontarget.study.claims.ledger import Ledger, ledger
from nontarget.study.claims.verdicts import RULE

__all__ = ["RULE", "Ledger", "ledger"]
