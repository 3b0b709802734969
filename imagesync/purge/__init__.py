"""Use case: a finished audit -> plan -> tombstones -> delete; and restore. Never starts an audit."""

from __future__ import annotations
