"""The command line that all tasks of the package share."""

import json
import sys


def run_fractal_task(*, task_function):
    """Take the command line for pairs of a name and a value."""
    words = iter(sys.argv[1:])
    given = dict(zip(words, words))
    if set(given) != {"-j", "--metadata-out"}:
        print(f"usage: {sys.argv[0]} -j FILE --metadata-out FILE", file=sys.stderr)
        return 64
    with open(given["-j"]) as source:
        arguments = json.load(source)
    update = task_function(**arguments)
    with open(given["--metadata-out"], "w") as target:
        json.dump(update, target)
    return 0
