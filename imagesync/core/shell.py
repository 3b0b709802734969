"""Words for commands that people copy: keys are chosen by strangers, and a shell takes everything literally."""

from __future__ import annotations

import shlex


def shell_word(text: str, placeholder: str = "KEY") -> str:
    """``text`` as one word of a shell command, or ``placeholder`` when it cannot be shown as it is.

    The AWS CLI reads a value that starts with file:// or fileb:// from that file.
    """
    showable = text.isprintable() and "\\" not in text and not text.startswith(("file://", "fileb://", "-"))
    return shlex.quote(text) if showable else placeholder
