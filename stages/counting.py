"""Counting: numbers with their nouns, for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """1 scene, 2 scenes; 1,000 scenes."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"
