"""A scene from words: a text-to-image model makes its picture; depth and camera are estimated."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from lyra_data.engine.hashing import content_key, sha256_of_bytes
from lyra_data.engine.params import Params
from lyra_data.engine.provenance import code_fingerprint
from lyra_data.engine.scratch import ScratchStore
from lyra_data.media.images import read_photo, write_png
from lyra_data.models.text_to_image import TextToImage, TextToImageParams
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources.base import SceneId, SceneSource

PICTURE_FILE = "picture.png"
"""Name of a picture in its scratch item."""


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; say what the picture is to show")
    return text


class PromptParams(Params):
    """One scene from text; `annotate.text_to_image` says how its picture is made.

    Attributes:
        scene_id: letters, digits, "_" and "-"; names the scene in all results.
        text: what the picture shows.
        negative_text: what it is to keep away from, or "".
        seed: another seed gives another picture.
    """

    name: Literal["prompt"]
    scene_id: SceneId
    text: Annotated[str, AfterValidator(_not_empty)]
    negative_text: str
    seed: Annotated[int, Field(ge=0)]


class PromptSource(SceneSource[PromptParams]):
    """See the module's docstring."""

    Params = PromptParams
    name: ClassVar[str] = "prompt"
    needs_painter: ClassVar[bool] = True

    def __init__(self, params: PromptParams) -> None:
        super().__init__(params)
        self._painter: TextToImage | None = None
        self._pictures: ScratchStore | None = None

    def paint_with(self, painter: TextToImage, pictures: ScratchStore) -> None:
        """Take the model that makes pictures and the store that keeps them."""
        self._painter, self._pictures = painter, pictures

    def paint(self) -> bool:
        """Make the picture, unless it is kept from before, and return whether it was made now.

        Raises:
            ParamsError: as TextToImage.paint.
            InputError: as TextToImage.paint.
            StorageError: the disk is full, read-only or not permitted.
        """
        painter, pictures, params = *self._tools(), self.params
        key = self._key(painter)
        if pictures.get(key) is not None:
            return False
        picture = painter.paint(params.text, negative_text=params.negative_text, seed=params.seed)
        with pictures.put(key) as item:
            write_png(picture, item / PICTURE_FILE)
        return True

    def read(self, root: Path = Path()) -> SourceMaterial:  # noqa: ARG002 - reads no files of root
        """Return the picture as a scene, made now where it is not kept.

        Raises:
            ParamsError, InputError, StorageError: as `paint`.
        """
        self.paint()
        painter, pictures, params = *self._tools(), self.params
        picture = read_photo(pictures.folder / self._key(painter) / PICTURE_FILE)
        settings = painter.params.model_dump(mode="json", exclude={"model", "revision"})
        return SourceMaterial(
            scene_id=self.scene_id,
            frames=picture[None],
            prompt=params.text,
            provenance={
                "kind": self.name,
                "text": params.text,
                "negative_text": params.negative_text,
                "seed": str(params.seed),
                "model": painter.model_identity,
                **{key: str(value) for key, value in settings.items()},
                "image_sha256": sha256_of_bytes(picture.numpy().tobytes()),
                "licence": f"see the licence of {painter.params.model}",
            },
        )

    def _key(self, painter: TextToImage) -> str:
        """Return the content key of the picture: its words, settings, weights and code.

        Its scene's name and the device do not shape it.
        """
        return content_key(
            {
                "scene": self.params.model_dump(mode="json", exclude={"scene_id"}),
                "settings": painter.params.model_dump(mode="json", exclude={"model", "revision"}),
                "model": painter.model_identity,
                "code": code_fingerprint(__name__),
                "diffusers": version("diffusers"),
            }
        )

    def _tools(self) -> tuple[TextToImage, ScratchStore]:
        assert self._painter is not None and self._pictures is not None, "paint_with was not called"
        return self._painter, self._pictures


def prompt_scene(text: str, settings: TextToImageParams, *, seed: int) -> PromptParams:
    """Make a scene of a text, named by a hash of all that its picture depends on.

    (The reference makes the text itself a file name, so long texts and ones with a slash fail.)
    """
    values = {"text": text, "negative_text": "", "seed": seed}
    key = content_key({**values, **settings.model_dump(mode="json")})
    return PromptParams.parse(
        {"name": "prompt", "scene_id": f"prompt_{key[:12]}", **values}, where="prompt"
    )
