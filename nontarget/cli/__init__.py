"""The command ``nontarget``. Nothing heavy is imported before a command runs, so that help and completion come at once."""

import os
import sys
import warnings
from typing import Any

import click

from nontarget.cli.book import audit, completion, reproduce, results
from nontarget.cli.detection import detect
from nontarget.cli.features import convert, inspect
from nontarget.cli.runs import table, train
from nontarget.cli.scoring import evaluate

OK, FAILED, BAD_INPUT = 0, 1, 2
"""Exit codes: done; a check failed, or a run broke off; wrong usage or bad input. An interrupt ends with 130, SIGTERM with 143."""


class BadInput(click.ClickException):
    """One message, no traceback."""

    exit_code = BAD_INPUT


class Failed(click.ClickException):
    """As :class:`BadInput`, where the input is not to blame."""

    exit_code = FAILED


class Commands(click.Group):
    """A group whose commands end on bad input with one message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):  # the first two are RuntimeErrors
            raise
        except (ValueError, OSError) as error:
            raise _shown(BadInput(_message(error)), ctx, error) from None
        except RuntimeError as error:
            raise _shown(Failed(_message(error)), ctx, error) from None
        except KeyboardInterrupt as error:
            # What is kept has been said (nontarget.runtime.interrupts); click would end every interrupt with 1.
            sys.exit(error.code if isinstance(error, SystemExit) else 130)


def _shown(short: click.ClickException, ctx: click.Context, error: Exception) -> Exception:
    """The one message, or with --traceback the error itself."""
    return error if ctx.params.get("traceback") else short


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _plain_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    return f"warning: {message}\n"


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: 0 done, 1 a check failed or a run broke off, 2 wrong usage or bad input.",
)
@click.version_option(package_name="nontarget")
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
def main(traceback: bool) -> None:
    """Semi-supervised temporal action localization by learning from non-target classes.

    \b
    From a feature release on your disk to Table 1 on it:
      nontarget inspect  path/to/release
      nontarget convert  path/to/release  my_features
      nontarget table 1  --features my_features --ratio 0.1 --preset full --out table1.ipynb

    `nontarget COMMAND --help` has examples of each.
    """
    if not sys.warnoptions and "PYTHONWARNINGS" not in os.environ:
        warnings.formatwarning = _plain_warning


for _command in (inspect, convert, table, train, detect, evaluate, reproduce, audit, results, completion):
    main.add_command(_command)
