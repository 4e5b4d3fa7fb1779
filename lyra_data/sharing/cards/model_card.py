"""Write the card of a decoder that is published: figures with their protocol, data, phases, use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyra_data.dataset.writing.card import counted, front_matter
from lyra_data.sharing.cards.card import (
    CARD_FOLDER,
    Card,
    require_no_secret,
    require_repository,
    require_version,
)
from lyra_data.sharing.cards.curve import training_curve_png
from lyra_data.sharing.cards.dataset_sections import describe_lock, describe_params
from lyra_data.sharing.cards.evaluation import (
    describe_figures,
    eval_results,
    model_index,
    tasks_of,
)
from lyra_data.sharing.cards.licence_section import (
    licence_files,
    licence_metadata,
    licence_section,
)
from lyra_data.sharing.cards.made_by import MadeBy
from lyra_data.sharing.cards.markdown import code_block, figure, plain, table
from lyra_data.sharing.cards.model_facts import ModelFacts, TrainingData, read_model_facts
from lyra_data.sharing.cards.scene_card import picture_of_decoded
from lyra_data.sharing.licences.conflicts import derived_licence
from lyra_data.sharing.licences.known import require_licence
from lyra_data.sharing.licences.uses import Statements

CURVE_PATH = f"{CARD_FOLDER}/training.png"
SCENE_PATH = f"{CARD_FOLDER}/scene.png"
TAGS = ("3d", "gaussian-splatting", "novel-view-synthesis", "lyra-data")
TASK = "image-to-3d"


def model_card(
    folder: Path,
    *,
    licence: str | None,
    repository: str | None,
    version: str | None,
    made_by: MadeBy,
    data: TrainingData,
    evaluation: Path | None,
    scene: Path | None = None,
    stated: Statements | None = None,
) -> Card:
    """Return the card of a phase's weights, and the files that go with it.

    Args:
        folder: of the phase, e.g. outputs/models/demo.
        licence: as params say it; None: the one with the fewest limits that goes with the training
            data, where its folder is given.
        repository, version: OWNER/NAME and tag that it is to be read from.
        data: what it was trained on.
        evaluation: reports/evaluation.json; None: it was not judged.
        scene: folder of a scene that was reconstructed with it, to show; None: none.

    Raises:
        InputError, CorruptDataError: as `read_model_facts`; the licence is not known, names are
            none, or the card would hold a token.
    """
    require_repository(repository)
    require_repository(data.repository)
    require_version(version)
    require_version(data.version)
    facts = read_model_facts(
        folder,
        licence=None if licence is None else require_licence(licence, where="publish: licence"),
        repository=repository,
        version=version,
        data=data,
        evaluation=evaluation,
        made_by=made_by,
        stated=stated,
    )
    text = model_card_text(facts, has_scene=scene is not None)
    require_no_secret(text, where="the model's card")
    curves = [(phase.name, phase.curve) for phase in facts.phases]
    files = {CURVE_PATH: training_curve_png(curves)} if _has_curve(facts) else {}
    if scene is not None:
        files[SCENE_PATH] = picture_of_decoded(scene)
    return Card(text, {**files, **eval_results(facts), **licence_files(_licence(facts))})


def model_card_text(facts: ModelFacts, *, has_scene: bool) -> str:
    """Return README.md of a decoder with these facts; the same facts, the same text.

    Args:
        has_scene: a picture of a scene that it made lies at SCENE_PATH.
    """
    lines = [
        *front_matter(model_metadata(facts)),
        f"# {_title(facts)}",
        "",
        _summary_line(facts),
        "",
    ]
    if has_scene:
        lines += [f"![A scene that it reconstructed]({SCENE_PATH})", ""]
    if _has_curve(facts):
        lines += [f"![PSNR of the training's frames, by step]({CURVE_PATH})", ""]
    lines += [
        *_describe_use(facts),
        *describe_figures(facts),
        *_describe_data(facts),
        *_describe_training(facts),
        *licence_section(_licence(facts), facts.uses, facts.guardrails, noun="model"),
        *_describe_limits(facts),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def model_metadata(facts: ModelFacts) -> dict[str, Any]:
    """Return the values of the card's YAML."""
    values: dict[str, Any] = {
        **licence_metadata(_licence(facts)),
        "library_name": "lyra-data",
        "pipeline_tag": TASK,
        "tags": list(TAGS),
    }
    if facts.data.repository is not None:
        values["datasets"] = [facts.data.repository]
    if facts.phases[0].is_released:
        values["base_model"] = "nvidia/Lyra"
    index = model_index(facts, _title(facts), TASK)
    return {**values, **({"model-index": index} if index else {})}


def _licence(facts: ModelFacts) -> Any:
    """Return the chosen licence, else the one that follows from what it was trained on."""
    if facts.licence is not None or facts.data.folder is None:
        return facts.licence
    return derived_licence(facts.uses, holds_copies=False)


def _has_curve(facts: ModelFacts) -> bool:
    return any(phase.curve for phase in facts.phases)


def _title(facts: ModelFacts) -> str:
    name = facts.repository.partition("/")[2] if facts.repository else facts.name
    return plain(name)


def _summary_line(facts: ModelFacts) -> str:
    decoder: Mapping[str, Any] = facts.config.get("decoder") or {}
    kind = "moving scenes" if decoder.get("dynamic") else "still scenes"
    version = f" Version {facts.version}." if facts.version else ""
    return (
        f"A decoder of {facts.num_parameters:,} parameters: latents of views along camera paths, "
        f"with their cameras, to 3D Gaussians of {kind}. It reads latents of codec "
        f"{plain(facts.config['codec'])}.{version}"
    )


def _describe_use(facts: ModelFacts) -> list[str]:
    name = facts.repository or "OWNER/NAME"
    revision = f" --revision {facts.version}" if facts.version else ""
    shell = (
        f"hf download {name}{revision} --local-dir decoder\n"
        "lyra-data reconstruct photo.jpg --weights decoder"
    )
    python = (
        "from lyra_model import load_decoder\n\n"
        'decoder = load_decoder("decoder")\n'
        "print(decoder.params)"
    )
    lines = ["## Reconstruct with it", "", *code_block(shell, "bash")]
    return [*lines, "In Python:", "", *code_block(python, "python")]


def _describe_data(facts: ModelFacts) -> list[str]:
    data, rows = facts.data, []
    if data.repository is not None:
        address = f"https://huggingface.co/datasets/{data.repository}"
        rows.append(["dataset", f"[{plain(data.repository)}]({address})"])
    if data.version is not None:
        rows.append(["version", plain(data.version)])
    if data.revision is not None:
        rows.append(["commit of its repository", plain(data.revision)])
    rows.append(["dataset hash", f"`{plain(facts.dataset_hash)}`"])
    rows += [[f"scenes, {plain(split)}", count] for split, count in sorted(facts.splits.items())]
    fingerprint = facts.config.get("codec_fingerprint") or "not stated"
    rows.append(["codec", plain(f"{facts.config['codec']}, {fingerprint}")])
    return ["## Training data", "", *table(["fact", "value"], rows)]


def _describe_training(facts: ModelFacts) -> list[str]:
    rows = []
    for phase in facts.phases:
        stated = phase.settings
        losses = {name: value for name, value in (stated.get("losses") or {}).items() if value}
        size = f"{stated.get('width', '')}x{stated.get('height', '')}" if stated else ""
        last = [value for value in phase.curve[-20:] if value == value]
        rows.append(
            [
                plain(phase.name) + (" (released by NVIDIA)" if phase.is_released else ""),
                plain(stated.get("steps", "")),
                plain(stated.get("learning_rate", "")),
                plain(size),
                plain(stated.get("num_frames", "")),
                plain(", ".join(f"{name} {value}" for name, value in sorted(losses.items()))),
                figure(sum(last) / len(last)) if last else "",
                f"`{phase.weights_sha256[:12]}`",
                plain(phase.commit[:12]),
            ]
        )
    titles = ["phase", "steps", "learning rate", "size", "frames", "losses"]
    titles += ["PSNR of its last 20 steps, dB", "weights", "commit"]
    lines = ["## Training", "", *table(titles, rows)]
    lines += table(
        ["fact", "value"],
        [["seed", facts.config.get("seed") or "not stated"], *describe_lock(facts.made_by)],
    )
    return lines + describe_params(facts.made_by)


def _describe_limits(facts: ModelFacts) -> list[str]:
    limits = []
    stated = facts.phases[-1].settings
    if stated:
        limits.append(
            f"It was trained on {plain(stated.get('num_frames'))} frames of "
            f"{plain(stated.get('width'))}x{plain(stated.get('height'))} pixels; other sizes were "
            "not tried."
        )
    if facts.config["codec"] == "dct":
        limits.append(
            "Codec `dct` is a fixed transform that stands in for a learned one: weights for it are "
            "no good for latents of `cosmos`."
        )
    scenes = sum(facts.splits.values())
    if scenes:
        limits.append(f"Its training data hold {counted(scenes, 'scene')}.")
    if facts.figures is None:
        limits.append("It was not judged: there are no figures.")
    elif tasks_of(facts) and set(facts.figures.get("splits") or {}) == {"train"}:
        limits.append(
            "The scenes that it was judged on are those it was trained on; frames and photos were "
            "held out, scenes were not."
        )
    return ["## Limits", "", *(f"- {limit}" for limit in limits), ""]
