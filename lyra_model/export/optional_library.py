"""Libraries of the extra "splats": imported when a file needs them, and missed in words."""

from __future__ import annotations

import importlib
from typing import Any

from lyra_data.engine.errors import InputError


def library(name: str, package: str) -> Any:
    """Import a library of the extra "splats".

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"this kind of file needs {package}, which is not installed",
            where="--to",
            fix=f"pip install 'lyra-data[splats]' (or: pip install {package})",
        ) from error
