"""Commands of the book: what it shows, computed anew and verified; and completion of commands in a shell."""

import click

_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@click.command(context_settings=_PASSED_ON, short_help="Compute every result that the book shows.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def reproduce(arguments: tuple[str, ...]) -> None:
    """Compute every result that the book shows; as ``python -m nontarget.reproduce``, whose options it has."""
    from nontarget.study.reproduce import main

    main(arguments)


@click.command(context_settings=_PASSED_ON, short_help="Audit of what a mAP depends on.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def audit(arguments: tuple[str, ...]) -> None:
    """Score trivial detectors under the protocols of the field; as ``python -m nontarget.audit``, whose options it has."""
    from nontarget.study.audit import main

    main(arguments)


@click.group(short_help="Check the committed results.")
def results() -> None:
    """Committed results: ``results/metrics.csv``, or the table in the folder that NONTARGET_RESULTS names."""


@results.command(short_help="Compute committed results again, and compare.")
@click.option("--sample", type=click.IntRange(min=1), default=5, show_default=True, help="How many runs.")
@click.option("--cheapest", is_flag=True, help="Those that took the fewest seconds, instead of some at random.")
@click.option("--seed", type=int, help="Of the choice at random. Default: others each time.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Largest difference of a mAP, in [0, 1], to let pass: on a processor of another kind sums are rounded in another order.",
)
@click.pass_context
def verify(ctx: click.Context, sample: int, cheapest: bool, seed: int | None, tolerance: float) -> None:
    """Compute some committed runs again, on a CPU, and compare them with the table: every cell, to its last digit.

    Only runs of this code and this version of torch, on data that are at hand, are taken. What differs is named, and the exit code is 1.

    \b
    Examples:
      nontarget results verify --sample 5
      nontarget results verify --sample 3 --cheapest --tolerance 0.003
    """
    import random
    from itertools import islice

    from nontarget.results import ResultStore
    from nontarget.verification import differences, repeatable_runs

    store = ResultStore()
    order = None if cheapest else random.randrange(2**32) if seed is None else seed
    same = []
    for committed in islice(repeatable_runs(store, order), sample):
        deviations = differences(committed, tolerance)
        same.append(not deviations)
        click.echo(f"{'DIFFERS' if deviations else 'same'}: {committed.title}")
        for difference in deviations:
            click.echo(f"  {difference}")
    if not same:
        raise ValueError(f"{store.metrics_path}: no committed run is of this code and this version of torch, on data that are at hand")
    click.echo(f"{sum(same)} of {len(same)} runs are the same")
    if not all(same):
        ctx.exit(1)


@click.command(short_help="Print what makes a shell complete this command.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and file names.

    \b
    Examples:
      eval "$(nontarget completion bash)"                      # in ~/.bashrc
      eval "$(nontarget completion zsh)"                       # in ~/.zshrc
      nontarget completion fish > ~/.config/fish/completions/nontarget.fish
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None  # the three are click's own
    click.echo(completion_class(ctx.find_root().command, {}, "nontarget", "_NONTARGET_COMPLETE").source())
