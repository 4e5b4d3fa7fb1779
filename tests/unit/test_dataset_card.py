"""The card of a dataset: read by the Hub's and `datasets`' own parsers, its code run as it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from datasets import load_dataset
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData
from markdown_it import MarkdownIt

from lyra_data.dataset.checks import check_dataset
from lyra_data.dataset.editing.opened import OpenedDataset
from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.engine.failures import Failure
from lyra_data.engine.progress import silent
from lyra_data.scene.view import View
from lyra_data.sharing.cards.card import Card
from lyra_data.sharing.cards.dataset_card import (
    SHEET_PATH,
    dataset_card,
    dataset_card_text,
    size_category,
)
from lyra_data.sharing.cards.dataset_facts import read_dataset_facts
from lyra_data.sharing.cards.dataset_sections import describe_quality
from lyra_data.sharing.cards.made_by import MadeBy, read_made_by
from lyra_data.sharing.licences.uses import Statements
from lyra_data.sharing.pulling.choice import PartChoice
from lyra_data.sharing.pulling.dataset_part import plan_part, pull_part
from lyra_data.views.dropped import DroppedView
from tests.dataset_scenes import exact_scene

HOSTILE = "</details><script>x</script> | [a](http://b) `c`\n---\n# d\n```\n"
STATED = Statements(models={"exact": "Apache-2.0"})


def hostile(view: View) -> View:
    """Return a view whose texts try to be more than texts."""
    texts = {"source_licence": HOSTILE, "prompt": HOSTILE, "teacher": HOSTILE}
    return replace(view, provenance=view.provenance | texts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A dataset of two scenes in two splits."""
    target = tmp_path_factory.mktemp("card") / "data"
    views = [*exact_scene("a"), *exact_scene("b")]
    write_dataset(
        views,
        target,
        splits={"a": "train", "b": "validation"},
        scenes_per_shard=1,
        provenance={"engine_commit": "abc"},
    )
    return target


def card_of(folder: Path, **changes: Any) -> Card:
    options: dict[str, Any] = {"licence": "CC-BY-4.0", "repository": None, "version": None}
    options |= {"made_by": MadeBy(), "stated": STATED}
    return dataset_card(folder, **(options | changes))


def metadata_of(card: Card) -> DatasetCardData:
    return cast(DatasetCardData, DatasetCard(card.text).data)


@pytest.fixture(scope="module")
def published(folder, tmp_path_factory) -> Path:
    """The dataset with its card, as a repository holds it."""
    target = tmp_path_factory.mktemp("published") / "data"
    shutil.copytree(folder, target)
    card = card_of(folder)
    (target / "README.md").write_bytes(card.text.encode())
    for path, data in card.files.items():
        (target / path).parent.mkdir(exist_ok=True)
        (target / path).write_bytes(data)
    return target


def test_the_hub_s_own_parser_reads_licence_size_and_name(folder):
    data = metadata_of(card_of(folder, repository="you/scenes"))
    assert data.license == "cc-by-4.0"
    assert data.size_categories == ["n<1K"]
    assert data.pretty_name == "scenes"
    assert data.task_categories == ["image-to-3d", "depth-estimation"]
    assert "lyra-data" in data.tags


def test_a_licence_that_the_hub_does_not_list_has_a_name_and_a_link(folder):
    card = card_of(folder, licence="research-only")
    data = metadata_of(card).to_dict()
    assert data["license"] == "other"
    assert (data["license_name"], data["license_link"]) == ("research-only", "LICENSE")
    assert b"use for profit: no" in card.files["LICENSE"]


def test_the_parser_of_datasets_reads_configs_and_splits(folder):
    data = metadata_of(card_of(folder))
    configs = MetadataConfigs.from_dataset_card_data(data)
    assert list(configs) == list(MODALITIES)
    assert configs.get_default_config_name() == "preview"
    infos = DatasetInfosDict.from_dataset_card_data(data)
    splits: Any = infos["rgb"].splits
    sizes = {name: split.num_examples for name, split in splits.items()}
    assert sizes == {"train": 3, "validation": 3}
    assert infos["rgb"].download_size == sum(
        path.stat().st_size for path in (folder / "data" / "rgb").iterdir()
    )


@pytest.mark.parametrize("modality", ["preview", "camera"])
def test_load_dataset_takes_every_row_of_every_split(published, tmp_path, modality, caplog):
    splits = load_dataset(str(published), modality, cache_dir=str(tmp_path))
    assert {name: split.num_rows for name, split in splits.items()} == {
        "train": 3,
        "validation": 3,
    }
    assert "gnoring" not in caplog.text


def test_load_dataset_streams_the_default_config(published):
    (row, *_) = load_dataset(str(published), split="validation", streaming=True)
    assert (row["scene_id"], row["trajectory"]) == ("b", "right")


def test_a_split_whose_name_begins_as_another_s_keeps_its_own_rows(tmp_path):
    write_dataset(
        [*exact_scene("a"), *exact_scene("b")[:2]],
        tmp_path / "data",
        splits={"a": "train", "b": "train-small"},
        scenes_per_shard=1,
        provenance={},
    )
    for text in ((tmp_path / "data" / "README.md").read_text(), card_of(tmp_path / "data").text):
        (tmp_path / "data" / "README.md").write_text(text)
        splits = load_dataset(str(tmp_path / "data"), "camera", cache_dir=str(tmp_path / "cache"))
        assert {name: split.num_rows for name, split in splits.items()} == {
            "train": 3,
            "train_small": 2,
        }
        shutil.rmtree(tmp_path / "cache")


def blocks(text: str) -> list[str]:
    return [token.content for token in MarkdownIt().parse(text) if token.info == "python"]


def test_the_code_of_the_card_runs_in_the_dataset_s_folder(
    published, monkeypatch, capsys, tmp_path
):
    monkeypatch.chdir(published)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    programs = blocks((published / "README.md").read_text())
    assert len(programs) == 3
    for program in programs:
        exec(program, {})
    shown = capsys.readouterr().out
    assert "3 a right" in shown
    assert "right torch.Size([9, 3, 96, 128])" in shown


@pytest.mark.parametrize(
    ("modalities", "words", "shown"),
    [
        (["preview"], " frames (no pictures), ", "right\n"),
        (["preview", "camera"], "(no pictures) with poses, ", "right torch.Size([9, 4, 4])"),
        (["preview", "rgb", "depth"], "frames with depth, ", "right torch.Size([9, 3, 96, 128]) "),
    ],
)
def test_the_card_of_a_part_shows_and_reads_what_the_part_has(
    folder, tmp_path, monkeypatch, capsys, modalities, words, shown
):
    opened = OpenedDataset(str(folder), modalities=modalities)
    part_of = {"repository": "lab/all", "revision": "0" * 40, "choice": {}}
    choice, part = PartChoice(num_scenes=2), tmp_path / "part"
    pull_part(plan_part(opened, choice, part, part_of, progress=silent), progress=silent)
    card = card_of(part)
    assert words in card.text
    has_pictures = "rgb" in modalities
    assert (SHEET_PATH in card.text, SHEET_PATH in card.files) == (has_pictures, has_pictures)
    monkeypatch.chdir(part)
    for program in blocks(card.text)[1:]:  # without `datasets`, whose turn comes above
        exec(program, {})
    assert shown in capsys.readouterr().out


def test_the_code_for_a_repository_is_the_same_code_at_another_address(folder):
    here = blocks(card_of(folder).text)
    there = blocks(card_of(folder, repository="you/scenes", version="v1.0").text)
    for program, remote in zip(here, there, strict=True):
        local = remote.replace(', revision="v1.0"', "")
        local = local.replace("hf://datasets/you/scenes@v1.0/", "")
        local = local.replace("hf://datasets/you/scenes", ".")
        program = program.removeprefix("from pathlib import Path\n\n")
        assert local.replace('"you/scenes"', "str(Path.cwd())") == program
        compile(remote, "card", "exec")
    assert all("v1.0" in program for program in there)


def test_a_dataset_with_its_card_is_a_whole_dataset_of_the_same_hash(folder, published):
    checked = check_dataset(published, sample=None, progress=silent)
    assert list(checked.findings) == []
    assert (
        SceneDataset(published).manifest.dataset_hash == SceneDataset(folder).manifest.dataset_hash
    )
    assert SceneDataset(published, verify="full").scene_ids == ["a", "b"]


def test_the_same_dataset_gives_the_same_bytes(folder):
    assert card_of(folder) == card_of(folder)


def test_tables_hold_what_is_in_the_dataset(folder):
    text = card_of(folder).text
    assert "2 scenes of 2 sources, 6 views along camera paths, 54 frames" in text
    assert "| train | 1 | 3 | 27 | 1.12 |" in text
    assert "| right, reversed | 2 | 2 | 18 | 0.75 |" in text
    assert "| a | train | 3 | 9 | 128x96 |" in text and "a ball before a wall" in text
    assert "| `cache_psnr_db` (dB) | 6 |" in text
    assert (
        "| source | not stated | Creative Commons Zero 1.0 (`CC0-1.0`) | yes | its row | 6 |"
        in text
    )
    assert "stated by the publisher" in text


def test_dropped_views_and_failures_are_listed_and_counted(folder):
    many = tuple(
        DroppedView("c", number, "up", False, ("cache_psnr_db 10 < 20",)) for number in range(30)
    )
    facts = read_dataset_facts(
        folder,
        licence=None,
        repository=None,
        version=None,
        made_by=MadeBy(failures=[("annotate", Failure("d", "InputError", HOSTILE))]),
    )
    facts = replace(facts, manifest=replace(facts.manifest, dropped=many))
    text = "\n".join(describe_quality(facts))
    assert "30 views were made and are not in it" in text and "cache\\_psnr" not in text
    assert "cache_psnr_db 30" in text and "And 10 more." in text
    assert "1 item failed when it was made" in text and "<script>" not in text


def test_hostile_texts_of_rows_stay_texts(tmp_path):
    views = [hostile(view) for view in exact_scene("a")]
    write_dataset(
        views, tmp_path / "data", splits=None, scenes_per_shard=1, provenance={"x": HOSTILE}
    )
    card = card_of(tmp_path / "data", licence=None, stated=None, made_by=MadeBy(params=HOSTILE))
    data = metadata_of(card).to_dict()
    assert set(data) == {
        *("pretty_name", "task_categories", "size_categories", "tags", "configs", "dataset_info")
    }
    page = MarkdownIt("commonmark").enable("table").render(card.text.split("---\n", 2)[2])
    assert "<script" not in page and 'href="http://b"' not in page
    assert page.count("<h1>") == 1 and "<hr" not in page
    assert page.count("</details>") == 1


def test_a_card_says_what_stands_against_its_licence_and_what_is_not_known(folder):
    text = card_of(folder, stated=None).text
    assert "What stands against this licence:" in text
    assert "- teacher exact: its licence is not known" in text


def test_a_model_s_own_terms_its_notice_and_its_guardrail_are_told(tmp_path):
    made = {
        "teacher": "gen3c",
        "teacher_fingerprint": "gen3c-2 weights-00ff, use_prompt True",
        "codec": "cosmos",
        "guardrail": "off",
    }
    views = [replace(view, provenance=view.provenance | made) for view in exact_scene("a")]
    write_dataset(views, tmp_path / "data", splits=None, scenes_per_shard=1, provenance={})
    text = card_of(tmp_path / "data", stated=None).text
    assert "**Built on NVIDIA Cosmos.**" in text
    assert "3 views by gen3c: its guardrail was off" in text
    assert "| teacher | nvidia/GEN3C-Cosmos-7B at weights-00ff | NVIDIA Open Model License" in text
    assert "| text encoder | google-t5/t5-11b |" in text
    assert "What stands against" not in text


def test_a_card_of_many_sources_lists_the_first_and_counts_the_others(folder):
    options: dict[str, Any] = {"licence": None, "repository": None, "version": None}
    facts = read_dataset_facts(folder, made_by=MadeBy(), **options)
    uses = tuple(
        replace(use, dependency=replace(use.dependency, credit=f"credit {number}"))
        for number in range(70)
        for use in facts.uses[:1]
    )
    scenes = facts.scenes[:1] * 70
    text = dataset_card_text(replace(facts, uses=uses, scenes=scenes))
    assert text.count("credit 4") == 11, "4 and 40 to 49"
    assert text.count("And 20 more.") == 2 and "And 20 more: the config" in text


def test_converted_data_do_not_state_what_their_teacher_invented(tmp_path):
    converted = {"converted_from": "lyra-1", "teacher": "not stated"}
    views = [replace(view, provenance=view.provenance | converted) for view in exact_scene("a")]
    write_dataset(views, tmp_path / "data", splits=None, scenes_per_shard=1, provenance={})
    text = card_of(tmp_path / "data", stated=Statements({"a": "CC-BY-4.0"})).text
    assert "| 128x96 | not stated |" in text
    assert "Creative Commons Attribution 4.0 (`CC-BY-4.0`) | yes | stated by the publisher" in text


def test_a_token_in_a_prompt_keeps_a_card_from_being_written(tmp_path):
    views = [
        replace(view, provenance=view.provenance | {"prompt": "hf_" + "x" * 34})
        for view in exact_scene("a")
    ]
    write_dataset(views, tmp_path / "data", splits=None, scenes_per_shard=1, provenance={})
    with pytest.raises(InputError, match="looks like a token"):
        card_of(tmp_path / "data")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licence": "CC-BY"}, "'CC-BY' is not known here"),
        ({"repository": "scenes"}, "is not OWNER/NAME"),
        ({"repository": "you/scenes", "version": "v 1"}, "is no name of a tag"),
    ],
)
def test_what_cannot_stand_in_a_card_is_refused(folder, changes, message):
    with pytest.raises(InputError, match=message):
        card_of(folder, **changes)


def test_params_are_those_of_the_dataset_s_stages_without_the_folders_of_a_machine(tmp_path):
    params = "seed: 1  # all\n\nannotate:\n  path: /data/of/mine/a.jpg\n\ntrain:\n  steps: 3\n"
    (tmp_path / "params.yaml").write_text(params)
    stage = "    cmd: x\n    outs:\n    - path: {}\n      hash: md5\n      md5: {}\n      size: 1\n"
    lock = (
        "schema: '2.0'\nstages:\n  package:\n"
        + stage.format("outputs/dataset", "0a.dir")
        + "  train@demo:\n"
    )
    (tmp_path / "dvc.lock").write_text(lock + stage.format("outputs/models/demo", "1b.dir"))
    made_by = read_made_by(tmp_path)
    assert made_by.params == "seed: 1  # all\n\nannotate:\n  path: .../a.jpg"
    assert made_by.outs == {"outputs/dataset": "0a.dir"}
    (tmp_path / "dvc.lock").write_text(lock + stage.format("outputs/models/demo", "2c.dir"))
    assert read_made_by(tmp_path) == made_by
    (tmp_path / "dvc.lock").write_text("schema: [")
    with pytest.raises(InputError, match=r"dvc\.lock"):
        read_made_by(tmp_path)


def test_sizes_have_the_hub_s_names():
    assert [size_category(number) for number in (999, 1000, 10**6, 10**8)] == [
        *("n<1K", "1K<n<10K", "1M<n<10M", "n>10M")
    ]
