"""Content keys: a view and an assembled scene, each named by everything that shapes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lyra_data.engine.hashing import content_key
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.generation.jobs import Job
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.teachers import TEACHERS
from lyra_data.models.codecs import CODECS
from lyra_data.models.depth import DEPTH_ESTIMATORS

EXTENSION_FINGERPRINT = "extension_depth_fingerprint"
"""Fingerprint that a maker has only where its teacher makes a path in several segments."""


_NOT_SHAPING = {"max_failed_fraction", "quality", "store"}


class KeyMaker:
    """Gathers once what all keys of a run have in common.

    Every param counts but those named here, so that a new one cannot be forgotten: which other
    trajectories there are, what becomes of views when all are made, how many may fail, how paths
    are continued where none is, and the form that views are stored in, which has its own key.
    """

    def __init__(self, params: GenerateParams, fingerprints: Mapping[str, str]) -> None:
        shaping = params.model_dump(mode="json", exclude=_NOT_SHAPING)
        del shaping["trajectories"]["names"]
        if EXTENSION_FINGERPRINT not in fingerprints:
            del shaping["extension"]
        self._of_views: dict[str, Any] = {
            "params": shaping,
            "code": code_fingerprint(*_code_of_views(params, fingerprints)),
            **fingerprints,
        }
        self._store = params.store
        self._of_scenes = {
            "quality": params.model_dump(mode="json", include={"quality"}),
            "code": code_fingerprint("lyra_data.generation.assembly"),
        }

    def view(self, job: Job, clip_content: str) -> str:
        """Return the key of a view: its clip, job, params, models and all code that shape it.

        But not its index among the scene's views: another trajectory moves the reversed ones, and
        is no reason to make them again.
        """
        shaping = {name: value for name, value in job.as_json().items() if name != "view_index"}
        return content_key({"clip": clip_content, "job": shaping, **self._of_views})

    def stored(self, view: str) -> str:
        """Return the key of a view in the form that params choose, given the view's key.

        A lossless view's is the view's own.
        """
        if self._store == "lossless":
            return view
        code = code_fingerprint("lyra_data.generation.encoded_views")
        return content_key({"view": view, "store": self._store, "code": code})

    def scene(self, views: Mapping[int, str]) -> str:
        """Return the key of a scene: its views' keys by view_index, and what chooses among them."""
        numbered = [[index, key] for index, key in sorted(views.items())]
        return content_key({"views": numbered, **self._of_scenes})


def _code_of_views(params: GenerateParams, fingerprints: Mapping[str, str]) -> list[str]:
    """Return the modules that make a view and write it, with the kinds that params choose."""
    modules = [
        "lyra_data.generation.view_making",
        "lyra_data.clips.store",
        "lyra_data.views.store",
        TEACHERS.module_chosen_by(params.teacher),
        CODECS.module_chosen_by(params.codec),
    ]
    if EXTENSION_FINGERPRINT in fingerprints:
        modules.append(DEPTH_ESTIMATORS.module_chosen_by(params.extension.depth))
    return modules
