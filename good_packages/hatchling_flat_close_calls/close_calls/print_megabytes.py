"""Prints megabytes to both streams, and writes no output."""

import sys

from close_calls.command import arguments_and_output


def print_megabytes(*, input_paths, output_path, component, metadata, lines=40000):
    """Print many lines."""
    for number in range(lines):
        print(f"{component}: line {number} of a very long story that nobody will ever read")
        print(f"{component}: warning {number}, which nobody will read either", file=sys.stderr)


if __name__ == "__main__":
    arguments, _ = arguments_and_output()
    print_megabytes(**arguments)
