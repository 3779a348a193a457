"""How errors are worded."""

from __future__ import annotations

from pathlib import Path

__all__ = ["reason", "why_unreadable"]


def reason(error: Exception, path: Path) -> str:
    """What a library says about a file, in one short line and without the folders it lies in."""
    text = getattr(error, "strerror", None) or str(error).strip("'\"") or type(error).__name__
    return " ".join(text.replace(str(path), path.name).split())[:300]


def why_unreadable(error: Exception, path: Path) -> str:
    """The reason in brackets, and what to do."""
    advice = "allow reading it" if isinstance(error, PermissionError) else "fetch it again"
    return f"({reason(error, path)}); {advice}"
