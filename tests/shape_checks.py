"""The type checker that jaxtyping applies to the tensor code in tests."""

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

CONFIG = BeartypeConf(is_pep484_tower=True)  # an int will do for a float


def checked(function):
    """beartype, except for methods that return ``Self``, which it can check on whole classes only."""
    try:
        return beartype(function, conf=CONFIG)
    except BeartypeDecorHintPep673Exception:
        return function
