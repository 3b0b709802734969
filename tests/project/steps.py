"""A page of steps, as somebody would follow it: its blocks of settings and its commands, in their order."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One ``## N. ...`` of a page."""

    title: str
    settings: list[str]
    """Python that goes into the settings."""
    commands: list[list[str]]
    """Words of each command line."""


def steps_of(page: str) -> list[Step]:
    sections = re.findall(r"^## \d+\. (.+?)\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL)
    return [_step(title, list(blocks_of(text))) for title, text in sections]


def blocks_of(text: str) -> Iterator[str]:
    """What is indented by four, paragraph by paragraph; empty lines within a block belong to it."""
    for block in re.findall(r"(?:^ {4}.*\n(?:[ ]*\n(?= {4}))?)+", text, flags=re.MULTILINE):
        yield textwrap.dedent(block).strip("\n")


def _step(title: str, blocks: list[str]) -> Step:
    commands = [block for block in blocks if re.match(r"(python|pip) ", block)]
    settings = [block for block in blocks if block not in commands and not block.startswith("[")]
    lines = [shlex.split(line, comments=True) for block in commands for line in block.splitlines()]
    return Step(title, settings, [line for line in lines if line])
