"""Write how a published dataset is loaded, in three libraries; of a part, what the part has."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lyra_data.dataset.format.layout import MODALITIES
from lyra_data.dataset.writing.card import hub_split
from lyra_data.sharing.cards.dataset_facts import DatasetFacts
from lyra_data.sharing.cards.markdown import code_block

_FIELDS = {
    "rgb": ("frames", "frames"),
    "depth": ("depth", "depth"),
    "camera": ("cameras", "camera_to_world"),
    "latent": ("latents", "latents"),
    "mask": ("masks", "filled"),
}
"""Words for a modality, and the field that stands for it in a program."""


def describe_loading(facts: DatasetFacts) -> list[str]:
    """Return code for three libraries; where there is no repository, for the dataset's folder."""
    lines = ["## Load it", ""]
    for title, code in loading_code(facts).items():
        lines += [f"{title}:", "", *code_block(code, "python")]
    return lines


def loading_code(facts: DatasetFacts) -> dict[str, str]:
    """Return a program for each library; without a repository they run in the dataset's folder."""
    stored = facts.scenes[0].split
    split = hub_split(stored)
    repository, version = facts.repository, facts.version
    # `load_dataset` names its cache by the folder, and "." has no name.
    path = "from pathlib import Path\n\n" if repository is None else ""
    name = "str(Path.cwd())" if repository is None else f'"{repository}"'
    revision = f', revision="{version}"' if repository and version else ""
    files = "" if repository is None else f"hf://datasets/{repository}@{version or 'main'}/"
    address = "." if repository is None else f"hf://datasets/{repository}"
    has_cameras = "camera" in facts.modalities
    table, config, column = (
        ("cameras", "camera", "intrinsics") if has_cameras else ("views", "preview", "trajectory")
    )
    words = [word for name, (word, _) in _FIELDS.items() if name in facts.modalities]
    what = f"{_listed(words).capitalize()} as tensors" if words else "Texts and numbers"
    return {
        "Rows, with `datasets`": (
            f"{path}from datasets import load_dataset\n\n"
            f'views = load_dataset({name}, "preview", split="{split}"{revision})\n'
            'print(len(views), views[0]["scene_id"], views[0]["trajectory"])'
        ),
        "Tables, with `polars` (or any reader of Parquet)": (
            "import polars\n\n"
            f'{table} = polars.read_parquet("{files}data/{config}/{stored}-*.parquet")\n'
            f'print({table}.select("scene_id", "view_index", "{column}").head())'
        ),
        f"{what}, with `lyra_data`": (
            "from lyra_data import SceneDataset\n\n"
            f'dataset = SceneDataset("{address}"{revision})\n'
            f"{_reading(facts.modalities)}"
        ),
    }


def describe_frames(num_frames: int, modalities: Collection[str]) -> str:
    """Return e.g. "54 frames with poses, depth, masks and latents"; of a part, what it has."""
    names = ("camera", "depth", "mask", "latent")
    words = [_FIELDS[name][0] for name in names if name in modalities]
    words = ["poses" if word == "cameras" else word for word in words]
    frames = f"{num_frames:,} frames" + ("" if "rgb" in modalities else " (no pictures)")
    return f"{frames} with {_listed(words)}" if words else frames


def _reading(modalities: Collection[str]) -> str:
    """Return the lines that read a view of `dataset` and print what it is."""
    if set(modalities) == set(MODALITIES):
        return (
            "view = dataset.scene(dataset.scene_ids[0])[0]\n"
            "print(view.trajectory, view.frames.shape, view.depth.shape, view.latents.shape)"
        )
    fields = [field for name, (_, field) in _FIELDS.items() if name in modalities]
    names = ", ".join(f'"{field}"' for field in ("trajectory", *fields))
    printed = ['view["trajectory"]', *(f'view["{field}"].shape' for field in fields)]
    return (
        f"view = dataset.read_fields(dataset.scene_ids[0], [{names}])[0]\n"
        f"print({', '.join(printed)})"
    )


def _listed(words: Sequence[str]) -> str:
    """Return e.g. "poses, depth and masks"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
