"""Learning rules by name, one file per family. A new rule is one class, decorated with :func:`register`."""

import warnings
from typing import Any

from nontarget.config import check_choice, from_mapping
from nontarget.rules.base import LearningRule
from nontarget.rules.consistency import Ssp, Sstap
from nontarget.rules.non_target import CandidateLabels, MeanTeacherNonTarget, NonTarget, NonTargetAmbiguous
from nontarget.rules.oracle import Oracle, OracleTruthNotNegative, OracleTruthPositive
from nontarget.rules.pseudo_label import Baseline, ComplementaryLabel, FixMatch, FlexMatch, NoisyPseudoLabels, SoftPseudoLabel, SpotRule
from nontarget.rules.supervised import FullySupervised, PreTrainedOnly, SupervisedOnly, WholeVideo
from nontarget.rules.variants import NonTargetVariant

_RULES: list[type[LearningRule]] = [
    WholeVideo,
    PreTrainedOnly,
    SupervisedOnly,
    Ssp,
    Sstap,
    SpotRule,
    NoisyPseudoLabels,
    Baseline,
    NonTarget,
    FullySupervised,
    # Table 5
    SoftPseudoLabel,
    ComplementaryLabel,
    # Beyond the paper
    NonTargetAmbiguous,
    MeanTeacherNonTarget,
    FixMatch,
    FlexMatch,
    NonTargetVariant,
    CandidateLabels,
    # Told the truth, to measure the instrument
    Oracle,
    OracleTruthNotNegative,
    OracleTruthPositive,
]


PAPER_NAMES = {"ours": "non-target"}
"""What the paper's tables call its method; understood, with a warning."""


def available() -> tuple[str, ...]:
    """Names of all learning rules."""
    return tuple(rule.name for rule in _RULES)


def register(rule: type[LearningRule]) -> type[LearningRule]:
    """Make a rule of your own known by its name, for this process; a class decorator. One of the same name is replaced.

    Raises:
        TypeError: it is no class that a rule can be.
        ValueError: the name is that of a rule of this library.
    """
    _check_rule(rule)
    for existing in _RULES:
        if existing.name == rule.name and existing.__module__.startswith(f"{__name__}."):
            raise ValueError(
                f"there is a learning rule {rule.name!r} already, {existing.__module__}.{existing.__qualname__}; choose another name"
            )
    _RULES[:] = [existing for existing in _RULES if existing.name != rule.name] + [rule]
    return rule


def _check_rule(rule: Any) -> None:
    if not (isinstance(rule, type) and issubclass(rule, LearningRule)):
        lacks = "that is no such class"
    elif not isinstance(getattr(rule, "name", None), str):
        lacks = "it has no name"
    elif rule.__abstractmethods__:
        lacks = f"it does not define {', '.join(sorted(rule.__abstractmethods__))}"
    elif bare := [c.__name__ for c in rule.__mro__ if issubclass(c, LearningRule) and "__dataclass_fields__" not in vars(c)]:
        lacks = f"{bare[0]} is not decorated with @dataclass, and a result's name would not hold its settings"
    elif rule.uses_truth and not rule.name.startswith("oracle"):
        lacks = f"it uses the truth, so its name must begin with 'oracle', got {rule.name!r}"
    else:
        return
    raise TypeError(
        "a learning rule is a subclass of LearningRule with a name (a string) and unlabeled_loss, decorated with @rules.register and, "
        f"below it, @dataclass(frozen=True, kw_only=True); got {getattr(rule, '__qualname__', repr(rule))}: {lacks}"
    )


def get_rule(name: str, **settings: Any) -> LearningRule:
    """A learning rule with its settings.

    Raises:
        ValueError: no such rule or setting; the message names the nearest known one.
    """
    if name in PAPER_NAMES:
        warnings.warn(f"learning rule {name!r} is {PAPER_NAMES[name]!r} here; use that name", stacklevel=2)
        name = PAPER_NAMES[name]
    check_choice("learning rule", name, available())
    rule = next(rule for rule in _RULES if rule.name == name)
    return from_mapping(rule, settings, f"learning rule {name!r}")
