"""Where the requirements are written down: what rules cite."""

from __future__ import annotations

from typing import Final


class Source:
    """Where the source of a rule is written down."""

    PAGE: Final = "https://fractal-analytics-platform.github.io/fractal-tasks-core/custom_task/"
    METADATA: Final = f"specification page, Task metadata <{PAGE}#task-metadata>"
    COMMAND_LINE: Final = (
        f"specification page, Command-line interface <{PAGE}#command-line-interface>"
    )
    META: Final = f"specification page, Task meta-parameters <{PAGE}#task-meta-parameters>"
    ARGUMENTS: Final = f"specification page, Task input parameters <{PAGE}#task-input-parameters>"
    OUTPUT: Final = f"specification page, Task output <{PAGE}#task-output>"
    PACKAGE: Final = f"specification page, Task package: Requirements <{PAGE}#requirements>"
    SERVER_1: Final = "fractal-server 1.4.10, as observed"
    SERVER_2: Final = "fractal-server 2.18.5 and 2.24.2, as observed"
    TOOLS: Final = "fractal-task-tools 0.5.1"
    SBATCH: Final = "sbatch <https://slurm.schedmd.com/sbatch.html>"
    TASKS: Final = "tasks page <https://fractal-analytics-platform.github.io/tasks_spec/>"
    PACKAGING: Final = (
        "binary distribution format <https://packaging.python.org/en/latest/"
        "specifications/binary-distribution-format/>"
    )
