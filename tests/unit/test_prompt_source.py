"""Pictures from text, by a tiny FLUX with random weights: repeatable, recorded, refused clearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from lyra_data.annotation.annotate import AnnotateParams, Annotation, annotate_sources
from lyra_data.clips.store import read_clip
from lyra_data.engine.errors import InputError, ParamsError
from lyra_data.engine.executors.base import Crew
from lyra_data.engine.hashing import sha256_of_bytes
from lyra_data.engine.placement import Placement
from lyra_data.engine.progress import silent
from lyra_data.engine.scratch import ScratchStore
from lyra_data.models.depth.transformers import TransformersDepth
from lyra_data.models.text_to_image import TextToImage, TextToImageParams
from lyra_data.scene.material import SourceMaterial
from lyra_data.sources import SOURCES
from lyra_data.sources.prompt import PromptSource, prompt_scene
from tests.tiny_models import write_depth_anything, write_depth_pro, write_flux

HEIGHT, WIDTH = 32, 48
SETTINGS: dict[str, Any] = {
    "model": "flux",
    "revision": None,
    "precision": "float32",
    "height": HEIGHT,
    "width": WIDTH,
    "num_steps": 2,
    "guidance": 3.5,
    "true_guidance": 1.0,
}
SCENE: dict[str, Any] = {
    "name": "prompt",
    "scene_id": "cat",
    "text": "a red cat",
    "negative_text": "",
    "seed": 7,
}
ANNOTATOR = {"name": "given", "height": HEIGHT, "width": WIDTH, "framing": "centred", "fps": 24}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models flux and depth_pro."""
    folder = tmp_path_factory.mktemp("project")
    write_flux(folder / "flux")
    write_depth_pro(folder / "depth_pro")
    return folder


@pytest.fixture(scope="module")
def painter(root: Path) -> TextToImage:
    return painter_of(root)


def painter_of(root: Path, **changes: Any) -> TextToImage:
    params = TextToImageParams.parse(SETTINGS | changes, where="annotate.text_to_image")
    return TextToImage(params, Placement("cpu", root=root))


def read(painter: TextToImage, **changes: Any) -> SourceMaterial:
    source = SOURCES.create(SCENE | changes, where="annotate.sources")
    assert isinstance(source, PromptSource)
    with TemporaryDirectory() as folder:  # of its own: nothing is found painted
        source.paint_with(painter, ScratchStore(Path(folder), "pictures"))
        return source.read(Path("nowhere"))


def test_a_prompt_becomes_a_picture_that_says_where_it_comes_from(painter: TextToImage) -> None:
    material = read(painter)
    assert material.scene_id == "cat"
    assert material.prompt == "a red cat"
    assert material.frames.shape == (1, 3, HEIGHT, WIDTH)
    assert float(material.frames.float().std()) > 10
    assert material.depth is None and material.cameras is None
    assert material.provenance == {
        "kind": "prompt",
        "text": "a red cat",
        "negative_text": "",
        "seed": "7",
        "model": painter.model_identity,
        "precision": "float32",
        "height": "32",
        "width": "48",
        "num_steps": "2",
        "guidance": "3.5",
        "true_guidance": "1.0",
        "image_sha256": sha256_of_bytes(material.frames[0].numpy().tobytes()),
        "licence": "see the licence of flux",
    }
    assert painter.model_identity.startswith("flux@weights-")


def test_the_same_prompt_and_seed_make_the_same_picture_in_any_order(
    root: Path, painter: TextToImage
) -> None:
    first = read(painter).frames
    read(painter, text="a blue dog", seed=3)
    assert torch.equal(read(painter).frames, first)
    assert torch.equal(read(painter, scene_id="another").frames, first)
    assert torch.equal(read(painter_of(root)).frames, first)


def test_text_seed_and_settings_each_change_the_picture(root: Path, painter: TextToImage) -> None:
    pictures = [
        read(painter),
        read(painter, text="a blue dog"),
        read(painter, seed=8),
        read(painter_of(root, guidance=1.0)),
        read(painter_of(root, num_steps=3)),
        read(painter_of(root, true_guidance=4.0)),
        read(painter_of(root, true_guidance=4.0), negative_text="grey"),
    ]
    hashes = {material.provenance["image_sha256"] for material in pictures}
    assert len(hashes) == len(pictures)


def test_a_released_painter_loads_its_model_again(root: Path) -> None:
    painter = painter_of(root)
    first = read(painter).frames
    painter.release()
    assert "_pipeline" not in vars(painter)
    assert torch.equal(read(painter).frames, first)


def test_a_scene_of_a_prompt_is_named_by_all_that_shapes_its_picture() -> None:
    settings = TextToImageParams.parse(SETTINGS, where="t")
    other = TextToImageParams.parse(SETTINGS | {"num_steps": 3}, where="t")
    scenes = [
        prompt_scene("a/b: " + "very " * 200 + "long", settings, seed=1),
        prompt_scene("a red cat", settings, seed=1),
        prompt_scene("a red cat", settings, seed=2),
        prompt_scene("a red cat", other, seed=1),
    ]
    assert len({scene.scene_id for scene in scenes}) == 4
    assert scenes[1] == prompt_scene("a red cat", settings, seed=1)
    assert all(len(scene.scene_id) == len("prompt_") + 12 for scene in scenes)


# Annotation


def annotate(
    root: Path,
    folder: Path,
    depth: dict[str, Any],
    *,
    settings: dict[str, Any] | None = None,
    sources: list[dict[str, Any]] | None = None,
    max_failed_fraction: float = 0.0,
    **scene: Any,
) -> Annotation:
    params = AnnotateParams.parse(
        {
            "sources": sources or [SCENE | scene],
            "parts": {"shots": "refuse", "least_shot_frames": 2, "windows": None},
            "text_to_image": SETTINGS | (settings or {}),
            "depth": depth,
            "annotator": ANNOTATOR,
            "max_failed_fraction": max_failed_fraction,
        },
        where="annotate",
    )
    return annotate_sources(
        params,
        root=root,
        clips=folder / "clips",
        held_out=folder / "held_out",
        scratch=folder / "scratch",
        progress=silent,
        crew=Crew(device="cpu", root=root),
    )


DEPTH_PRO = {
    "name": "transformers",
    "model": "depth_pro",
    "revision": None,
    "field_of_view_degrees": None,
    "far_over_near": 20.0,
}


def test_a_prompt_becomes_a_clip_with_estimated_depth_and_camera(
    root: Path, tmp_path: Path
) -> None:
    annotate(root, tmp_path, DEPTH_PRO)
    clip = read_clip(tmp_path / "clips" / "cat")
    assert clip.prompt == "a red cat"
    assert clip.depth_scale == "metric"
    assert bool(clip.depth_valid.all())
    assert clip.source is not None
    assert clip.source["depth"] == clip.source["intrinsics"] == "estimated"
    assert clip.source["depth_estimator"].startswith("transformers-")
    assert clip.source["image_sha256"] == sha256_of_bytes(clip.frames[0].numpy().tobytes())


def test_a_prompt_with_given_depth_is_refused_before_its_picture_is_made(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextToImage, "paint", lambda *_, **__: pytest.fail("was painted"))
    with pytest.raises(ParamsError, match="scene 'cat' is made from text") as caught:
        annotate(root, tmp_path, {"name": "given"})
    assert caught.value.where == "annotate.depth"
    assert not (tmp_path / "clips").exists()


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that pictures are made of, as they are made."""
    paint: Callable[..., torch.Tensor] = TextToImage.paint
    texts: list[str] = []

    def note(self: TextToImage, text: str, **options: Any) -> torch.Tensor:
        texts.append(text)
        return paint(self, text, **options)

    monkeypatch.setattr(TextToImage, "paint", note)
    return texts


def test_a_picture_is_painted_once_for_all_runs_and_for_every_depth(
    root: Path, tmp_path: Path, painted: list[str]
) -> None:
    first = annotate(root, tmp_path, DEPTH_PRO)
    clip = (tmp_path / "clips" / "cat" / "clip.json").read_bytes()
    again = annotate(root, tmp_path, DEPTH_PRO)
    assert (first.made, first.reused, again.made, again.reused) == (1, 0, 0, 1)
    assert (tmp_path / "clips" / "cat" / "clip.json").read_bytes() == clip
    other = annotate(root, tmp_path, DEPTH_PRO | {"field_of_view_degrees": 60.0})
    assert (other.made, other.reused) == (1, 0)
    annotate(root, tmp_path, DEPTH_PRO, scene_id="another")
    assert painted == ["a red cat"]


@pytest.mark.parametrize(
    "change",
    [{"text": "a blue dog"}, {"seed": 8}, {"settings": {"num_steps": 3}}],
    ids=["text", "seed", "settings"],
)
def test_a_picture_of_other_words_seed_or_settings_is_painted_anew(
    root: Path, tmp_path: Path, painted: list[str], change: dict[str, Any]
) -> None:
    annotate(root, tmp_path, DEPTH_PRO)
    assert annotate(root, tmp_path, DEPTH_PRO, **change).made == 1
    assert len(painted) == 2


def test_the_painter_is_gone_before_depth_is_estimated(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate, release = TransformersDepth.estimate, TextToImage.release
    order: list[str] = []
    monkeypatch.setattr(
        TextToImage, "release", lambda self: (release(self), order.append("released"))[0]
    )
    monkeypatch.setattr(
        TransformersDepth,
        "estimate",
        lambda self, *given: (order.append("estimated"), estimate(self, *given))[1],
    )
    sources = [SCENE, SCENE | {"scene_id": "dog", "text": "a dog"}]
    annotate(root, tmp_path, DEPTH_PRO, sources=sources)
    assert order == ["released", "estimated", "estimated"]


def test_a_picture_that_cannot_be_made_fails_its_scene_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint: Callable[..., torch.Tensor] = TextToImage.paint

    def refuse_dogs(self: TextToImage, text: str, **options: Any) -> torch.Tensor:
        if text == "a dog":
            raise InputError("no dogs")
        return paint(self, text, **options)

    monkeypatch.setattr(TextToImage, "paint", refuse_dogs)
    sources = [SCENE | {"scene_id": "dog", "text": "a dog"}, SCENE]
    told = annotate(root, tmp_path, DEPTH_PRO, sources=sources, max_failed_fraction=0.5)
    assert [scene.scene_id for scene in told.scenes] == ["cat"]
    assert [(failure.item, failure.reason) for failure in told.failures] == [("dog", "no dogs")]


def test_a_field_of_view_that_nobody_tells_is_asked_for(root: Path, tmp_path: Path) -> None:
    write_depth_anything(root / "metric", kind="metric")
    with pytest.raises(Exception, match="there are no intrinsics"):
        annotate(root, tmp_path, DEPTH_PRO | {"model": "metric"})
    annotate(root, tmp_path, DEPTH_PRO | {"model": "metric", "field_of_view_degrees": 60.0})


# What is refused


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_prompt_is_refused(text: str) -> None:
    with pytest.raises(ParamsError, match="is empty"):
        SOURCES.parse(SCENE | {"text": text}, where="annotate.sources")


@pytest.mark.parametrize("size", [0, 8, 100])
def test_a_size_that_is_no_multiple_of_sixteen_names_the_nearest(root: Path, size: int) -> None:
    near = "nearest: 96, 112" if size == 100 else "nearest: 16"
    with pytest.raises(ParamsError, match=near):
        painter_of(root, height=size)


def refused(painter: TextToImage, **scene: Any) -> ParamsError:
    with pytest.raises(ParamsError) as caught:
        read(painter, **scene)
    assert caught.value.where == "annotate.text_to_image"
    assert caught.value.fix
    return caught.value


def test_a_model_that_is_not_there_is_never_downloaded_but_named_with_its_licence_gate(
    root: Path,
) -> None:
    error = refused(painter_of(root, model="black-forest-labs/FLUX.1-dev"))
    assert "'black-forest-labs/FLUX.1-dev' is not on this machine" in error.what
    assert "`hf download black-forest-labs/FLUX.1-dev`" in str(error.fix)
    assert "https://huggingface.co/black-forest-labs/FLUX.1-dev" in str(error.fix)


def test_a_depth_model_is_refused_as_a_text_to_image_model(root: Path) -> None:
    assert (
        "cannot be used to make pictures from text"
        in refused(painter_of(root, model="depth_pro")).what
    )


def test_a_cut_model_is_refused(tmp_path: Path) -> None:
    folder = write_flux(tmp_path / "flux")
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-64])
    error = refused(painter_of(tmp_path))
    assert "cannot be used to make pictures from text" in error.what


def test_a_negative_text_that_would_change_nothing_is_refused(painter: TextToImage) -> None:
    error = refused(painter, negative_text="grey")
    assert "'grey' would change nothing at true_guidance = 1" in error.what


def test_a_picture_of_nan_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painter = painter_of(root)
    with torch.no_grad():
        painter._pipeline.vae.decoder.conv_out.bias.fill_(torch.nan)
    with pytest.raises(InputError, match="holds NaN"):
        read(painter)
