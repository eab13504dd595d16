"""The paper's quantitative claims, judged by the committed results."""

from nontarget.claims.ledger import Ledger, ledger
from nontarget.claims.verdicts import RULE

__all__ = ["RULE", "Ledger", "ledger"]
