"""``python -m nontarget``: the command ``nontarget``."""

from nontarget.cli import main

if __name__ == "__main__":
    main(prog_name="nontarget")
