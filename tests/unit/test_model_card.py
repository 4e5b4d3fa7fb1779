"""The card of a decoder: from what training and evaluation wrote, read by the Hub's parsers."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, ModelCardData, parse_eval_result_entries
from markdown_it import MarkdownIt
from PIL import Image

import lyra_model
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import CorruptDataError, InputError
from lyra_data.sharing.cards.card import Card
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.cards.model_card import model_card
from lyra_data.sharing.cards.model_facts import TrainingData
from lyra_data.sharing.licences.uses import Statements
from lyra_model.phases.checkpoints import Checkpoint, save_checkpoint
from tests.dataset_scenes import exact_scene

STATED = Statements(models={"exact": "Apache-2.0"})
REVISION = "0123456789abcdef0123456789abcdef01234567"
SCORES = {
    "psnr_db": 20.5,
    "psnr_known_db": 21.0,
    "ssim": 0.75,
    "depth_abs_rel": 0.05,
    "depth_within_delta": None,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model_card") / "data"
    write_dataset(exact_scene("a"), folder, splits=None, scenes_per_shard=1, provenance={})
    return folder


def phase(name: str, start: str | None, dataset: Path) -> Checkpoint:
    """A phase of four steps with a network of seven numbers."""
    config: dict[str, Any] = {
        "phase_name": name,
        "decoder": {"dynamic": False},
        "codec": "dct",
        "codec_fingerprint": "dct-test",
        "dataset_hash": SceneDataset(dataset).manifest.dataset_hash,
        "started_from_weights": start,
        "held_out_frames": 2,
        "phase": {
            "steps": 4,
            "learning_rate": 0.001,
            "num_frames": 9,
            "width": 128,
            "height": 96,
            "losses": {"image": 1.0, "lpips": 0.0},
        },
        "seed": 42,
        "trained_at_commit": "abcdef0123456789",
    }
    weights = {"a": torch.full((2, 3), float(len(name))), "b": torch.zeros(1)}
    history = [{"step": float(step), "psnr": 10.0 + step, "loss": 0.1} for step in range(1, 5)]
    return Checkpoint(weights, config, history)


def sha_of(folder: Path) -> str:
    return json.loads((folder / "config.json").read_text())["weights_sha256"]


@pytest.fixture
def models(tmp_path, dataset) -> Path:
    """Two phases, the second of which began with the first, and their evaluation."""
    root = tmp_path / "models"
    save_checkpoint(phase("small", None, dataset), root / "small")
    save_checkpoint(phase("demo", sha_of(root / "small"), dataset), root / "demo")
    methods = {"decoder": SCORES, "copied": {**SCORES, "psnr_db": 12.0}}
    figures = {
        "held_out_frames": methods,
        "real_photos": {},
        "splits": {"train": {}},
        "scenes": {"a": {}},
        "provenance": {
            "training": {"demo_weights": sha_of(root / "demo")},
            "code": {"evaluated_at_commit": "fedcba"},
        },
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(figures))
    return root


def card_of(models: Path, dataset: Path | None, **changes: Any) -> Card:
    options: dict[str, Any] = {
        "licence": None,
        "repository": "you/decoder",
        "version": "v1.0",
        "made_by": MadeBy(),
        "data": TrainingData(dataset, "you/scenes", REVISION, "v2.0"),
        "evaluation": models.parent / "evaluation.json",
        "stated": STATED if dataset else None,
    }
    return model_card(models / "demo", **(options | changes))


def metadata_of(card: Card) -> ModelCardData:
    return cast(ModelCardData, ModelCard(card.text).data)


def test_the_hub_s_own_parser_reads_the_figures_with_their_protocol(models, dataset):
    data = metadata_of(card_of(models, dataset))
    assert data.model_name == "decoder"
    results = {result.metric_type: result for result in data.eval_results or []}
    psnr = results["psnr"]
    assert (psnr.metric_value, psnr.dataset_type, psnr.dataset_revision) == (
        *(20.5, "you/scenes"),
        REVISION,
    )
    assert "the last 2 frames of each view" in (psnr.dataset_args or {})["protocol"]
    assert "delta_1_25" not in results, "a figure that is not known is left out"
    assert data.datasets == ["you/scenes"]
    assert (data.pipeline_tag, data.library_name) == ("image-to-3d", "lyra-data")


def test_the_hub_s_leaderboards_get_their_file(models, dataset):
    files = card_of(models, dataset).files
    (entry,) = parse_eval_result_entries(yaml.safe_load(files[".eval_results/lyra-data.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.value) == (
        *("you/scenes", "held_out_frames"),
        20.5,
    )
    assert (entry.dataset_revision, entry.source_url) == (
        REVISION,
        "https://huggingface.co/you/decoder",
    )


def test_without_a_dataset_on_the_hub_there_is_no_entry_for_leaderboards(models, dataset):
    files = card_of(models, dataset, data=TrainingData(dataset)).files
    assert not [path for path in files if path.startswith(".eval_results")]


def test_the_licence_follows_from_the_training_data(models, dataset, tmp_path):
    assert metadata_of(card_of(models, dataset)).license == "apache-2.0"
    views = [
        replace(view, provenance=view.provenance | {"source_licence": "CC-BY-NC-4.0"})
        for view in exact_scene("a")
    ]
    write_dataset(views, tmp_path / "nc", splits=None, scenes_per_shard=1, provenance={})
    save_checkpoint(phase("small", None, tmp_path / "nc"), models / "demo")
    card = card_of(models, tmp_path / "nc", evaluation=None)
    assert metadata_of(card).license == "cc-by-nc-4.0"
    assert (
        metadata_of(card_of(models, tmp_path / "nc", evaluation=None, stated=None)).license is None
    )


def test_a_chosen_licence_that_the_data_forbid_is_told(models, dataset):
    text = card_of(models, dataset, licence="MIT", stated=None).text
    assert "What stands against this licence" in text and "teacher exact" in text


def test_phases_stand_in_their_order_with_their_settings(models, dataset):
    text = card_of(models, dataset).text
    small = text.index("| small | 4 | 0.001 | 128x96 | 9 | image 1.0 | 12.5 |")
    assert small < text.index("| demo | 4 | 0.001 |")
    assert "A decoder of 7 parameters" in text
    assert "[you/scenes](https://huggingface.co/datasets/you/scenes)" in text
    assert "| this decoder | 20.5 | 21 | 0.75 | 0.05 |  |" in text


def test_a_phase_that_began_with_weights_from_elsewhere_says_so(models, dataset):
    shutil.rmtree(models / "small")
    assert "| first weights | weights " in card_of(models, dataset).text
    released = phase("lyra_static", None, dataset)
    released.config["released_file"] = "lyra_static.pt"
    released.config["phase"] = None
    save_checkpoint(released, models / "lyra")
    save_checkpoint(phase("demo", sha_of(models / "lyra"), dataset), models / "demo")
    card = card_of(models, dataset, evaluation=None)
    assert "| first weights | nvidia/Lyra at lyra_static | NVIDIA Open Model License" in card.text
    assert metadata_of(card).base_model == "nvidia/Lyra"


def test_the_picture_shows_the_training_and_is_the_same_each_time(models, dataset):
    first, again = (card_of(models, dataset) for _ in range(2))
    assert first == again
    picture = Image.open(io.BytesIO(first.files["card/training.png"]))
    colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(0, 98, 155), (196, 78, 0)} <= colours, "a curve for each phase"


def test_the_python_of_the_card_compiles_and_names_what_there_is(models, dataset):
    text = card_of(models, dataset).text
    (program,) = [one.content for one in MarkdownIt().parse(text) if one.info == "python"]
    compile(program, "card", "exec")
    assert "load_decoder" in program and callable(lyra_model.load_decoder)


def test_what_does_not_belong_to_the_weights_is_refused(models, dataset, tmp_path):
    write_dataset(
        exact_scene("b"), tmp_path / "other", splits=None, scenes_per_shard=1, provenance={}
    )
    with pytest.raises(InputError, match="the model was trained on"):
        card_of(models, tmp_path / "other")
    save_checkpoint(phase("demonstration", None, dataset), models / "demo")
    with pytest.raises(InputError, match="it judges other weights"):
        card_of(models, dataset)
    with pytest.raises(InputError, match="there is no evaluation"):
        card_of(models, dataset, evaluation=tmp_path / "none.json")
    with pytest.raises(InputError, match=r"there is no config\.json"):
        model_card(
            tmp_path,
            licence=None,
            repository=None,
            version=None,
            made_by=MadeBy(),
            data=TrainingData(),
            evaluation=None,
        )


@pytest.mark.parametrize("damage", ["{", "[]", '{"codec": 3}'])
def test_a_damaged_configuration_is_refused(models, dataset, damage):
    (models / "demo" / "config.json").write_text(damage)
    with pytest.raises(CorruptDataError, match="config"):
        card_of(models, dataset)


def test_cut_weights_are_refused(models, dataset):
    (models / "demo" / "model.safetensors").write_bytes(b"\xff" * 12)
    with pytest.raises(CorruptDataError, match=r"model\.safetensors"):
        card_of(models, dataset)


def test_what_else_lies_beside_a_phase_is_no_phase(models, dataset):
    (models / "notes").mkdir()
    (models / "notes" / "config.json").write_text("{")
    assert "| small |" in card_of(models, dataset).text


def test_hostile_texts_of_a_configuration_stay_texts(models, dataset):
    evil = phase("demo", None, dataset)
    evil.config["codec_fingerprint"] = "<script>x</script>|[a](http://b)"
    evil.config["trained_at_commit"] = "`|<b>"
    save_checkpoint(evil, models / "demo")
    card = card_of(models, dataset, evaluation=None)
    page = MarkdownIt("commonmark").enable("table").render(card.text.split("---\n", 2)[2])
    assert "<script" not in page and "<b>" not in page and 'href="http://b"' not in page
