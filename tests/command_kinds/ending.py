"""What commands print and leave behind, and how they end."""

from __future__ import annotations

from textwrap import dedent

from command_kinds import (
    ALL_ALIKE,
    FUNCTION,
    GOOD,
    NOT_STARTING,
    NOT_TAKING,
    PARSE,
    REFUSING_OUTPUT,
    USUAL,
    Kind,
    trying,
)

ENDING = [
    Kind("prints_50_mb", GOOD, "for _ in range(800): print('spam ' * 13000)\n" + USUAL),
    Kind(
        "prints_50_mb_and_refuses",
        NOT_TAKING,
        "for _ in range(800): print('spam ' * 13000)\n" + REFUSING_OUTPUT,
        "refuses --metadata-out",
    ),
    Kind(
        "leaves_a_child_behind",
        GOOD,
        dedent("""
        import subprocess
        subprocess.Popen(["sleep", "600"])
        """)
        + USUAL,
    ),
    Kind(
        "leaves_a_daemon_behind",
        GOOD,
        dedent("""
        import subprocess
        subprocess.Popen(["sleep", "15"], start_new_session=True)
        """)
        + USUAL,
    ),
    Kind(
        "makes_a_pipe_of_its_output",
        GOOD,
        FUNCTION
        + PARSE
        + dedent("""
        os.mkfifo(options.metadata_out)
        main(**json.load(open(options.json)))
        """),
    ),
    Kind(
        "waits_for_an_answer",
        ALL_ALIKE,
        FUNCTION
        + PARSE
        + dedent("""
        arguments = json.load(open(options.json))
        input("Go on? ")
        """),
    ),
    Kind(
        "random_words_and_good",
        GOOD,
        dedent("""
        import secrets, time, uuid
        print(uuid.uuid4(), time.time_ns(), secrets.token_hex(), object())
        """)
        + USUAL,
    ),
    Kind(
        "random_words_and_refusing",
        NOT_TAKING,
        dedent("""
        import secrets, sys, tempfile, time, uuid
        print(uuid.uuid4(), time.time_ns(), secrets.token_hex(), object(), file=sys.stderr)
        print({"some", "words", "in", "no", "order"}, file=sys.stderr)
        """)
        + REFUSING_OUTPUT,
        "refuses --metadata-out",
    ),
    Kind(
        "random_words_and_no_gpu",
        NOT_STARTING,
        dedent("""
        import time, uuid
        print(uuid.uuid4(), time.time_ns(), object())
        raise RuntimeError(f"no GPU {uuid.uuid4()}")
        """),
        "no GPU",
    ),
    Kind(
        "wraps_every_exception",
        GOOD,
        trying("""
        except Exception:
            sys.exit("failed")
        """),
    ),
    Kind(
        "wraps_without_a_word",
        GOOD,
        trying("""
        except Exception:
            sys.exit(1)
        """),
    ),
    Kind(
        "exits_with_3",
        GOOD,
        trying("""
        except Exception as error:
            print(error)
            sys.exit(3)
        """),
    ),
    Kind(
        "kills_itself_when_wrong",
        GOOD,
        trying("""
        except Exception:
            os.abort()
        """),
    ),
]
