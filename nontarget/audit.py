"""Audit of what a mAP depends on: ``python -m nontarget.audit --help`` (:mod:`nontarget.study.audit`)."""

from nontarget.study.audit import main

if __name__ == "__main__":
    main()
