"""Die Befehlszeile, die alle Aufgaben teilen."""

import json
from argparse import ArgumentParser


def run_fractal_task(*, task_function):
    """Ruft `task_function` auf; was sonst noch in der Befehlszeile steht, stört nicht."""
    parser = ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options, _ = parser.parse_known_args()
    with open(options.json, encoding="utf-8") as file:
        update = task_function(**json.load(file))
    with open(options.metadata_out, "w", encoding="utf-8") as file:
        json.dump(update, file, ensure_ascii=False)
