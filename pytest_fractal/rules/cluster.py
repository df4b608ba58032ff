"""FR903: what a SLURM cluster says of `meta`. Only judged with --fractal-executor=slurm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from pytest_fractal.facts import ClusterAnswer
from pytest_fractal.json_text import shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding

_ASK_FOR_LESS: Final = (
    "ask for what this cluster has (`sinfo --format='%P %l %c %m %G %f'` lists it); or if the "
    "package is for another cluster, judge it there"
)
_NAME: Final = "choose a name that a script of `sbatch` can hold: without quotation marks"


@rule(
    "FR903",
    "cluster-accepts-meta",
    needs=("FR106",),
    cite=(Source.META, Source.SERVER_1, Source.SERVER_2, Source.SBATCH),
    fix="Ask in `meta` for what a node of the cluster has, in units that the server reads.",
    example='"meta": {"mem": "1T"} where no node has that much memory.',
)
def cluster_accepts_meta(answer: ClusterAnswer) -> Iterator[Finding]:
    """The cluster takes the job that the server makes of `meta`, for each command.

    The server writes the script of a job from `meta` and from the cluster's own settings
    (--fractal-slurm-config). What SLURM refuses there never runs: the whole workflow fails when it
    comes to the task. It is asked by `sbatch --test-only`, with the lines that the server would
    write.
    """
    task, way = answer.part.task, answer.part.keys.meta
    for fault in answer.faults:
        yield task.finding(
            way, *fault.keys, expected=fault.expected, found=fault.found, hint=fault.fix
        )
    for refusal in answer.refusals:
        about = f", of {', '.join(refusal.lines)}" if refusal.lines else ""
        value = shown(answer.value(refusal))
        yield task.finding(
            *(("name",) if refusal.keys is None else (way, *refusal.keys)),
            expected="a value with which this cluster takes the job",
            found=f"{value}: sbatch says {json.dumps(refusal.words)}{about}",
            hint=_NAME if refusal.keys is None else _ASK_FOR_LESS,
        )
