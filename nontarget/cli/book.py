"""Commands of the book: what it shows, computed anew; and completion of commands in a shell."""

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

    found = get_completion_class(shell)
    assert found is not None  # the three are click's own
    click.echo(found(ctx.find_root().command, {}, "nontarget", "_NONTARGET_COMPLETE").source())
