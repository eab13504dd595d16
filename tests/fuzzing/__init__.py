"""Mutated inputs for every reader of the library: ``python -m fuzzing --help``, with ``tests`` on the path."""
