"""The commands that take nothing but Python, and end soon."""

from __future__ import annotations

from command_kinds.ending import ENDING
from command_kinds.options import OPTIONS
from command_kinds.reading import READING
from command_kinds.refusing import REFUSING
from command_kinds.starting import STARTING

PLAIN = [*OPTIONS, *READING, *STARTING, *ENDING, *REFUSING]
