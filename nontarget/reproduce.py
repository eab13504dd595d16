"""Compute every result that the book shows: ``python -m nontarget.reproduce --help`` (:mod:`nontarget.study.reproduce`)."""

from nontarget.study.reproduce import main

if __name__ == "__main__":
    main()
