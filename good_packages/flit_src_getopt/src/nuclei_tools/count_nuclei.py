"""Count the nuclei of a plate."""

from pathlib import Path

from nuclei_tools import cli


def count_nuclei(*, input_paths, output_path, metadata, table_name="nuclei"):
    """Count the nuclei of a plate."""
    found = len(list(Path(output_path).rglob("nuclei.json")))
    folder = Path(output_path, "tables")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{table_name}.csv").write_text(f"nuclei\n{found}\n")
    return {"nuclei": found}


if __name__ == "__main__":
    cli.main(count_nuclei)
