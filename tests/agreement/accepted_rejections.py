"""Why a rule fails what the server takes: by the rule and the kind of candidate.

A rejection that is not here breaks the law. Each entry was reviewed by hand: it cites the words
that forbid such a candidate, or the harm that was seen. No rule is excused as a whole: an
entry names the kinds that it is about, by a pattern for `what: how`, as `docs/agreement.md` has
them. To let another one in, say why, in such words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class AcceptedRejection:
    """One reason for one rule."""

    code: str
    kinds: str
    """Matches the whole of `what: how`, such as `the list of tasks: with null`."""
    why: str
    """The words of a specification, or the harm that was seen."""


def why_accepted(code: str, kind: str) -> str:
    """Why `code` may fail a candidate of this kind that the server takes; empty if it may not."""
    for accepted in ACCEPTED:
        if accepted.code == code and re.fullmatch(accepted.kinds, kind, re.DOTALL):
            return accepted.why
    return ""


_PAGE: Final = "specification page"
_SCHEMAS: Final = f'{_PAGE}, Requirements: "Include JSON Schemas"'
_ROOT: Final = (
    f'{_PAGE}, Requirements: "The __FRACTAL_MANIFEST__.json file is bundled in '
    "the package, in its "
    'root folder"'
)
_TASK: Final = r"(?:(?:non-)?parallel|(?:converter-)?compound) task's"
_SCHEMA: Final = rf"{_TASK} args_schema(?:_non_parallel|_parallel)?"
_NO_SCHEMA: Final = (
    r"null|true|false|0|7|1\.5|an empty text|blanks|a tab and a line feed|a text"
    r"|text with a NUL|a text of 5000 characters|an empty list|a list of (?:texts|pairs|nulls)"
    r"|an empty object|an object|an object with an empty key|10 to the 30th"
    r"|\w+ for its own|Parallel|converter"
)
"""Values that a keyword of JSON Schema may not have; which of them, its meta-schema says."""

ACCEPTED: Final = (
    AcceptedRejection(
        "FR101",
        "the manifest's place: (?:another suffix|a folder of that name)",
        f"{_ROOT}: a file that is called otherwise is not that file.",
    ),
    AcceptedRejection(
        "FR102",
        "the manifest's place: (?:a subfolder|beside the package|another package"
        "|the dist-info folder)|bad package: FR102_.*",
        f"{_ROOT}.",
    ),
    AcceptedRejection(
        "FR103",
        "the manifest's place: a copy .*|bad package: FR103_.*",
        "1.4.10 reads the first in the archive; the order of a wheel is the build backend's, and "
        "with the other order the server reads the copy, seen with a copy that is cut.",
    ),
    AcceptedRejection(
        "FR104",
        "(?:the manifest's|a task's) key .*: twice, .*|bad package: FR104_key_twice",
        "RFC 8259, section 4: what readers make of a name that is given twice is unpredictable. "
        "Seen: one of the two values is lost, without a word.",
    ),
    AcceptedRejection(
        "FR104",
        "the manifest's text: (?:with a BOM|in UTF-.*)|bad package: FR104_byte_order_mark",
        'RFC 8259, section 8.1: JSON text "MUST be encoded using UTF-8", and "MUST NOT add a byte '
        'order mark". 2.18.5 refuses it.',
    ),
    AcceptedRejection(
        "FR104",
        "(?:args_schema_version|.* (?:name|input_type|output_type|docs_info)): NaN"
        "|the manifest's text: a number above all floats",
        "RFC 8259, section 6: numbers such as NaN and Infinity are not permitted; JSON.parse of "
        "the web client refuses the text. 2.18.5 freezes on it.",
    ),
    AcceptedRejection(
        "FR104",
        "the depth of (?:meta|a schema): 900 levels",
        "RFC 8259, section 9: readers may limit the depth of nesting. 2.18.5 refuses to list "
        "tasks with more than 255 levels.",
    ),
    AcceptedRejection(
        "FR106",
        rf"{_SCHEMA}: (?:an empty text|an empty list|a list of pairs)",
        f"{_SCHEMAS}, which is an object; pydantic 1 makes one of what `dict()` takes, an empty "
        "one of an empty text.",
    ),
    AcceptedRejection(
        "FR108",
        "task_list: an empty list|bad package: FR108_no_tasks",
        'harm: the server answers "OK", and the package has no task.',
    ),
    AcceptedRejection(
        "FR109",
        "the list of tasks: two names that differ by a .* (?:behind|before)"
        "|bad package: FR109_differs_by_a_blank",
        "harm: the server strips the names after it has compared them, and lists two tasks of the "
        "same name that no user can tell apart.",
    ),
    AcceptedRejection(
        "FR110",
        "an executable: (?:with the folder and .. before|an absolute path that is there"
        "|in the dist-info folder)|bad package: FR110_leads_out",
        f"{_PAGE}, Task package: the package's tasks are part of it; on another machine that path "
        "holds another file, or none.",
    ),
    AcceptedRejection(
        "FR110",
        "an executable: a folder with __main__.py|bad package: FR110_folder",
        f"{_PAGE}, Command-line interface: the task is an executable; Python runs a folder by its "
        "`__main__.py` as an accident of how the server calls it.",
    ),
    AcceptedRejection(
        "FR110",
        "an executable: with a (?:line feed|blank) behind",
        "harm: 2.x takes it for it splits its script's output at blanks; 1.4.10 and a shell "
        "run another path.",
    ),
    AcceptedRejection(
        "FR111",
        rf"{_TASK} meta: (?:an empty text|an empty list|a list of pairs)|bad package: FR111_list",
        f"{_PAGE}, Task metadata: `meta` is an object; pydantic 1 makes one of "
        "what `dict()` takes.",
    ),
    AcceptedRejection(
        "FR111",
        rf"{_TASK} meta/parallelization_level: (?:null|false|0|an empty text|an empty list"
        "|an empty object)|bad package: FR111_level_is_blank",
        f'{_PAGE}, Task meta-parameters: "If the parallelization_level key is '
        "missing, the task is "
        'considered as non-parallel"; the server takes the empty value for a missing key, so that '
        "the task never gets a component.",
    ),
    AcceptedRejection(
        "FR111",
        rf"{_TASK} meta/parallelization_level: (?:blanks|a tab and a line feed)",
        "harm: the task fails with every dataset, unless that lists components under a key of "
        "blanks, as the suite's own does.",
    ),
    AcceptedRejection(
        "FR111",
        "parallel task's parallel_tasks_per_job: -1|bad package: FR111_nothing_at_a_time",
        'harm: the job of 1.4.10 ends "done", and nothing has run.',
    ),
    AcceptedRejection(
        "FR111",
        rf"{_TASK} mem: true",
        "harm: the local runner of 2.18.5 does not look at it; its SLURM runner, and those of "
        "2.11 to 2.22.11, refuse it, and the job fails.",
    ),
    AcceptedRejection(
        "FR115",
        rf"{_TASK} type: (?:converter_)?compound for its own",
        "harm: for each unit the server runs the command None, which is not there; only an init "
        "part that lists no unit ends well.",
    ),
    AcceptedRejection(
        "FR116",
        rf"(?:args_schema_version|{_TASK} .*): (?:text with a NUL|with a NUL behind)"
        "|bad package: FR116_.*",
        "PostgreSQL, the database that fractal-server is meant to run with, "
        "stores no NUL in texts: "
        "there the collection freezes; the suite's SQLite stores it.",
    ),
    AcceptedRejection(
        "FR201",
        "has_args_schemas: (?:dropped|false|0)"
        "|the manifest's key has_args_schemas: (?:misspelt|in upper case|with a blank behind)"
        "|bad package: FR201_flag_false",
        f"{_SCHEMAS}; the server drops those of a package that says it has none.",
    ),
    AcceptedRejection(
        "FR202",
        rf"{_SCHEMA}/(?:type|required|additionalProperties|\$schema|definitions"
        rf"|properties|properties/\w+): (?:{_NO_SCHEMA})|bad package: FR202_.*",
        f"{_SCHEMAS}: what the meta-schema of its own dialect refuses is none.",
    ),
    AcceptedRejection(
        "FR203",
        rf"{_SCHEMA}: (?:an empty object|an object|an object with an empty key)"
        rf"|{_SCHEMA}/(?:type|properties): (?:dropped|{_NO_SCHEMA})"
        rf"|{_SCHEMA}/properties/\w+: (?!true|false)(?:{_NO_SCHEMA})"
        "|bad package: FR203_(?:no_properties|type_array)",
        "fractal-web draws the form from `properties`, an object of objects, and "
        "shows none, or an "
        "error, without.",
    ),
    AcceptedRejection(
        "FR204",
        rf"{_SCHEMA}/definitions: (?:dropped|an empty object)|bad package: FR204_.*",
        f"{_SCHEMAS}: JSON Schema, section 8.2.3: a reference that cannot be "
        "resolved is an error; "
        "fractal-web shows no form.",
    ),
    AcceptedRejection(
        "FR205",
        rf"{_SCHEMA}/properties: an empty object|{_SCHEMA}/properties/(?:metadata|zarr_urls?): "
        rf"dropped|{_TASK} default: (?:null )?for (?:component|zarr_urls?|zarr_dir)"
        "|bad package: FR205_.*",
        f"{_PAGE}, Task input parameters: these arguments are always among the input, "
        "and no others of Fractal's are; "
        "fractal-task-tools refuses to make such a schema.",
    ),
    AcceptedRejection(
        "FR206",
        rf"{_SCHEMA}/(?:properties: an empty object"
        "|required: (?:dropped|an empty list|a list of (?:texts|pairs|nulls))"
        r"|properties/of_its_own: (?:true|false|an empty object|an object"
        "|an object with an empty key))"
        "|bad package: FR206_.*",
        f"{_SCHEMAS}, for the input parameters of each task: a form made from it "
        "asks for arguments "
        "that the task refuses, or hides those that it needs.",
    ),
    AcceptedRejection(
        "FR207",
        rf"{_TASK} default: for (?:input_paths|output_path|metadata|component)"
        "|bad package: FR207_default_for_what_fractal_supplies",
        "harm: 1.4.10 drops all arguments that a user fills in, without a word; the job of a task "
        "that can do without ends well, on other arguments.",
    ),
    AcceptedRejection(
        "FR206",
        rf"{_TASK} default: (?:(?:null )?for (?:component|zarr_urls?|zarr_dir|init_args)"
        "|null for an argument"
        "|for a name that the function does not know"
        "|a list for an argument|an object for an argument|a member that the enum lost)",
        f"{_SCHEMAS}, for the input parameters of each task: the function has no such parameter, "
        "or another default.",
    ),
    AcceptedRejection(
        "FR207",
        rf"{_TASK} default: (?:a list for an argument|an object for an argument"
        "|a member that the enum lost|of a wrong type, beside \\$ref)"
        "|bad package: FR207_(?:not_in_enum|wrong_type)",
        "harm: 1.4.10 hands the task a default that its schema refuses, where the user gives "
        "nothing; only a task that does not look at it ends well.",
    ),
    AcceptedRejection(
        "FR208",
        rf"{_SCHEMA}/.*|bad package: FR208_.*",
        "fractal-web checks the arguments by the schema before it sends them: the author's own "
        "sample cannot be run there.",
    ),
    AcceptedRejection(
        "FR209",
        rf"args_schema_version: fractal_schema_v1|{_SCHEMA}/definitions: an empty object"
        rf"|{_SCHEMA}/properties/\w+: (?:{_NO_SCHEMA})"
        rf"|{_TASK} default: a member that the enum lost|bad package: FR209_.*",
        "fractal-task-tools, which makes the schemas of that version, refuses to make this one "
        "(E01-E22).",
    ),
    AcceptedRejection(
        "FR303",
        "bad package: FR303_.*|an executable's file: empty|an executable: __init__.py",
        f"{_PAGE}, Command-line interface: the command takes its arguments from this file; harm: "
        "the task ignores what its users fill in.",
    ),
    AcceptedRejection(
        "FR117",
        "METADATA: (?:a key that begins with Version before it|the name without a blank)",
        "harm: 1.4.10 takes the last word of that line for the version or the name, and stores it "
        "in the `source` of each task: seen `pip_local:close_calls:all`, "
        "`pip_local:name:fractal_stitch:1.2.0`.",
    ),
    *(
        AcceptedRejection(
            code,
            rf"{_TASK} type: \w+ for its own",
            "the package's own sample gives arguments to a command that a task of that type does "
            "not have: this tool reads that file, and cannot use it.",
        )
        for code in ("FR208", "FR401")
    ),
    AcceptedRejection(
        "FR400",
        "bad package: FR400_.*",
        "no server gets the author's samples: this tool reads that file, and cannot use it.",
    ),
    AcceptedRejection(
        "FR401",
        "components that a non-parallel task names: (?:a text for a list|numbers|null among them"
        "|one twice|two that collide in file names)|bad package: FR401_components_.*",
        "harm: the server runs the task once a letter, on what is no text, or "
        "twice at once as one "
        "component, and another never.",
    ),
    AcceptedRejection(
        "FR402",
        "a non-parallel task's output: (?:status 0 and nothing written"
        "|a link to nothing for the output)|bad package: FR402_.*",
        f'{_PAGE}, Task output: "each task must always write any output to disk, before ending"; '
        "harm: a later parallel task has no components.",
    ),
    AcceptedRejection(
        "FR403",
        "a non-parallel task's output: (?:an empty list|a list of texts of two letters"
        "|a list of pairs|an empty text)",
        f"{_PAGE}, Task output: a metadata update, which is an object; the server "
        "makes one of it by "
        "`dict()`: of the text B3 the key B.",
    ),
    AcceptedRejection(
        "FR403",
        "an init part's units: init_args with half a surrogate pair",
        "RFC 8259, section 8.2: software that gets such text behaves unpredictably.",
    ),
    AcceptedRejection(
        "FR405",
        "bad package: FR405_.*",
        f'{_PAGE}, Task output: "each task must always write any output to disk, before ending"; '
        "harm: the next task reads what is not there yet, or half of it.",
    ),
    AcceptedRejection(
        "FR409",
        "bad package: FR409_.*",
        "harm: a server installs a package once for all its users: the next job, or one that runs "
        "at the same time, runs on what this one has changed.",
    ),
    AcceptedRejection(
        "FR406",
        "bad package: FR406_.*",
        "the package's author expects the refusal, in a sample of his own.",
    ),
)
"""All of them."""
