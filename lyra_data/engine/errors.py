"""Every error that a user can cause and mend.

    LyraError                   what happened, where, and how to mend it; the CLI exits with 2
    ├── InputError              a source file or folder given by the user is unusable
    ├── ParamsError             params.yaml holds an unknown key, a misspelt choice, a bad value
    ├── StageOrderError         a stage ran before the one whose result it reads
    ├── CorruptDataError        a file written by lyra-data is cut, altered or of another version
    ├── StorageError            the disk is full, read-only or not permitted
    ├── MemoryShortageError     the machine has less memory than the sizes in params need
    ├── ExecutorError           workers cannot start or go on: no such executor, cluster or device
    ├── BusyError               another process does the same work in the same project
    ├── DownloadError           the Hub refuses, or is not reached (hub/errors.py)
    ├── UploadError             the Hub does not take what is published (hub/errors.py)
    └── ScenesFailedError       more scenes failed than params allow; each reason is recorded

Programming errors stay ordinary Python exceptions with a traceback.
"""

from __future__ import annotations


class LyraError(Exception):
    """A problem outside the program, told in three parts.

    Args:
        what: what is wrong, with the offending value.
        where: the file, params key or stage it was found in.
        fix: what the user can do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.fix:
            parts.append(f"How to mend it: {self.fix}")
        return "\n".join(parts)

    def __reduce__(self):  # keyword-only arguments do not survive pickling by default
        return (_rebuild, (type(self), self.what, self.where, self.fix))


def _rebuild(kind: type[LyraError], what: str, where: str | None, fix: str | None) -> LyraError:
    return kind(what, where=where, fix=fix)


class InputError(LyraError):
    """A source file or folder given by the user is missing, unreadable or impossible."""


class ParamsError(LyraError):
    """params.yaml is not what the stages declare."""


class StageOrderError(LyraError):
    """A stage was run before the one whose result it needs."""


class CorruptDataError(LyraError):
    """A file written by lyra-data is cut, altered, or of a version this release cannot read."""


class StorageError(LyraError):
    """Writing failed for a reason outside the program: no space, read-only, no permission."""


class MemoryShortageError(LyraError):
    """The machine refused memory."""


class ExecutorError(LyraError):
    """Workers cannot start, or cannot go on: an unknown or missing executor or device, no cluster,
    too few cores, a GPU that failed."""


class BusyError(LyraError):
    """Another process does this work in this project now."""


class ScenesFailedError(LyraError):
    """More scenes failed than params allow."""
