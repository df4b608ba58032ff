"""The command line that all tasks of the package share."""

import json

import click


def run(task_function):
    """Make a command of `task_function`, and run it."""

    @click.command()
    @click.option("-j", "arguments", type=click.File("r"), required=True)
    @click.option("--metadata-out", type=click.Path(dir_okay=False, writable=True), required=True)
    def command(arguments, metadata_out):
        try:
            given = json.load(arguments)
        except json.JSONDecodeError as error:
            raise click.ClickException(f"the arguments are not JSON: {error}") from error
        update = task_function(**given)
        with open(metadata_out, "w") as file:
            json.dump(update, file)

    command()
