"""Name what a view depends on: its source, and every model that took part in making it.

All of it is read from the provenance that each row holds. Nothing is added to the format: a licence
follows from what the source stated, from the table of models, or from what the publisher states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from lyra_data.generation.keys import EXTENSION_FINGERPRINT
from lyra_data.generation.teachers.base import GUARDRAIL_KEY
from lyra_data.models.codecs.latent_spaces import NORMALISED_COSMOS
from lyra_data.sharing.licences.known import recognise_licence
from lyra_data.sharing.licences.models import COSMOS_TOKENIZER, GEN3C, T5, known_model

Role = Literal[
    "source",
    "text to image",
    "annotator",
    "depth",
    "teacher",
    "text encoder",
    "codec",
    "first weights",
    "decoder",
]
ROLES: Sequence[str] = get_args(Role)

NOT_STATED = "not stated"
_MODELS_OF_KINDS = {"gen3c": GEN3C, "cosmos": COSMOS_TOKENIZER, NORMALISED_COSMOS: COSMOS_TOKENIZER}
_HAS_PROMPT = "use_prompt True"
"""The words in the fingerprint of the teacher gen3c that say that it reads prompts, with T5."""

_ESTIMATOR = re.compile(
    r"(?:moge-v\d+-level\d+(?:-half)?(?:-reference)?|transformers-far[^-]+-view[^-]+)-(?P<model>.+)"
)
"""Fingerprints of the depth estimators; the rest is ModelFolder.identity."""

TABLE = "the table of known models"
ROW = "its row"

FACTS = frozenset(
    {
        *("source_kind", "source_licence", "source_citation", "source_url", "source_model"),
        *("source_annotator", "source_vipe_pipeline", "source_depth_estimator"),
        *("converted_from", "teacher", "teacher_fingerprint", "codec", "codec_fingerprint"),
        *(EXTENSION_FINGERPRINT, GUARDRAIL_KEY),
    }
)
"""Keys of a view's provenance that say what it depends on."""


@dataclass(frozen=True, order=True)
class Dependency:
    """Something that a view would not exist without.

    Attributes:
        name: of a source its kind; of a model OWNER/NAME, or the name of its kind.
        revision: commit or fingerprint of the model; "".
        licence: identifier in LICENCES; "" where it is unknown.
        words: what the row's own column says: of a source its licence, of a teacher its kind; "".
        known_from: where the licence was read; "" where it is unknown.
        credit: whom a source asks to name, and its address; "".
    """

    role: Role
    name: str
    revision: str = ""
    licence: str = ""
    words: str = ""
    known_from: str = ""
    credit: str = ""

    @property
    def title(self) -> str:
        """Return role and name, for messages and tables."""
        return f"{self.role} {self.name}"


def dependencies_of(provenance: Mapping[str, str]) -> tuple[Dependency, ...]:
    """Return what a view depends on, its source first."""
    named = [_source(provenance), *_annotation(provenance), *_generation(provenance)]
    return tuple(one for one in named if one is not None)


def _source(provenance: Mapping[str, str]) -> Dependency | None:
    """Return the picture, video or data set; None of a picture that was made from words alone."""
    kind = provenance.get("source_kind", "")
    if kind == "prompt":
        return None
    if not kind and provenance.get("converted_from"):
        kind = f"converted from {provenance['converted_from']}"
    words = provenance.get("source_licence", "")
    licence = recognise_licence(words)
    credit = [provenance.get("source_citation", ""), provenance.get("source_url", "")]
    return Dependency(
        "source",
        kind or NOT_STATED,
        licence=licence.identifier if licence else "",
        words=words,
        known_from=ROW if licence else "",
        credit=", ".join(filter(None, credit)),
    )


def _annotation(provenance: Mapping[str, str]) -> list[Dependency]:
    """Return the models that made the picture, its poses and its depth."""
    named = []
    if provenance.get("source_kind") == "prompt":
        named.append(model_dependency("text to image", provenance.get("source_model", NOT_STATED)))
    annotator = provenance.get("source_annotator", "")
    if annotator.startswith("colmap-") or provenance.get("source_kind") == "colmap":
        named.append(model_dependency("annotator", "colmap"))
    if annotator.startswith("vipe-") or provenance.get("source_kind") == "vipe":
        # Each of its pipelines runs other networks for depth, with licences of their own.
        named.append(
            model_dependency("annotator", "vipe", provenance.get("source_vipe_pipeline", ""))
        )
    estimators = (provenance.get("source_depth_estimator"), provenance.get(EXTENSION_FINGERPRINT))
    for fingerprint in dict.fromkeys(filter(None, estimators)):
        if fingerprint != "given":
            match = _ESTIMATOR.fullmatch(fingerprint)
            named.append(model_dependency("depth", match["model"] if match else fingerprint))
    return named


def _generation(provenance: Mapping[str, str]) -> list[Dependency]:
    """Return teacher and codec. The teacher of converted data is covered by their licence."""
    named = []
    teacher = provenance.get("teacher", NOT_STATED)
    if not (provenance.get("converted_from") and teacher == NOT_STATED):
        fingerprint = provenance.get("teacher_fingerprint", "")
        named.append(
            replace(model_dependency("teacher", teacher, _weights(fingerprint)), words=teacher)
        )
        if teacher == "gen3c" and _HAS_PROMPT in fingerprint:
            named.append(model_dependency("text encoder", T5))
    codec = provenance.get("codec", NOT_STATED)
    named.append(
        model_dependency("codec", codec, _weights(provenance.get("codec_fingerprint", "")))
    )
    return named


def model_dependency(role: Role, identity: str, revision: str = "") -> Dependency:
    """Return the dependency on a model: OWNER/NAME@COMMIT, or the name of a kind."""
    name, _, commit = identity.partition("@")
    name = _MODELS_OF_KINDS.get(name, name)
    known = known_model(name)
    return Dependency(
        role,
        name,
        revision=commit or revision,
        licence=known.licence if known else "",
        known_from=f"{TABLE}: {known.read_in}" if known else "",
    )


def _weights(fingerprint: str) -> str:
    """Return the hash of the weights that a fingerprint names; "" where it names none."""
    match = re.search(r"weights-[0-9a-f]+", fingerprint)
    return match[0] if match else ""
