"""Table of what came of mutated inputs: ``make fuzz``."""

import argparse
import sys
import time

from fuzzing.runs import HEADER, run
from fuzzing.subjects import subjects

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="inputs of each reader")
    parser.add_argument("--reader", help="one reader alone, by the beginning of its name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", action="store_true", help="show an input of each kind of foreign error")
    arguments = parser.parse_args()
    print(HEADER, flush=True)
    bad = 0
    for subject in subjects():
        if arguments.reader and not subject.name.startswith(arguments.reader):
            continue
        started = time.perf_counter()
        counts = run(subject, arguments.count, arguments.seed)
        print(f"{counts.row()}  [{time.perf_counter() - started:.0f} s]", flush=True)
        for kind, example in counts.examples.items() if arguments.examples else ():
            print(f"--- {kind}:", *example, sep="\n")
        bad += counts.foreign.total() + counts.unnamed + counts.slow
    sys.exit(bad > 0)
