"""Writes null."""

from close_calls.command import arguments_and_output


def write_null(*, input_paths, output_path, metadata):
    """Do nothing."""


if __name__ == "__main__":
    arguments, output = arguments_and_output()
    write_null(**arguments)
    output.write_text(" null\n\n")
