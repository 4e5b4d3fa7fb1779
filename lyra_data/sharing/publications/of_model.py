"""Publish a trained phase: its weights, and a card with what it was trained on and how it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lyra_data.dataset.format.manifest import MANIFEST_PATH
from lyra_data.engine.documents import read_json_object
from lyra_data.engine.errors import InputError
from lyra_data.sharing.cards.made_by import MODEL_STAGES, read_made_by
from lyra_data.sharing.cards.model_card import model_card
from lyra_data.sharing.cards.model_facts import (
    CONFIG,
    HISTORY,
    WEIGHTS,
    TrainingData,
    read_config,
    read_model_facts,
)
from lyra_data.sharing.cards.scene_facts import MAKE_AGAIN, REPORT, VIDEO
from lyra_data.sharing.kinds import Kind
from lyra_data.sharing.params import PublishParams
from lyra_data.sharing.publications.choices import (
    hash_cache,
    project_facts,
    required_licence,
    required_repository,
    statements_of,
    with_card,
)
from lyra_data.sharing.publishing import Publication, files_of_folder, read_receipt


def publication_of_model(
    folder: Path, params: PublishParams, *, root: Path, scratch: Path
) -> Publication:
    """Return what is to be published of a phase of training.

    What it was trained on and its evaluation are the project's, where they are of these weights.

    Args:
        folder: of the phase, e.g. outputs/models/demo.
        root: the project that it was trained in.
        scratch: keeps hashes of files that are known already.

    Raises:
        ParamsError: no repository or licence is stated.
        InputError: the licence does not go with the training data, which for any other licence
            than one that grants nothing have to be there; or a link leads out of the folder.
        CorruptDataError: a file was cut or altered.
    """
    kind, wanted = Kind.model, params.model
    repository = required_repository(wanted.repository, wanted.licence, kind)
    config, data = read_config(folder), _training_data(folder, root)
    made_by = read_made_by(root, MODEL_STAGES)
    options = {
        "repository": repository,
        "version": params.version,
        "data": data,
        "evaluation": _evaluation_of(config["weights_sha256"], root),
        "made_by": made_by,
        "stated": statements_of(params, kind),
    }
    facts = read_model_facts(folder, licence=None, **options)
    licence = required_licence(wanted.licence, facts.uses, kind, is_private=params.private)
    if data.folder is None and not licence.is_private:
        raise InputError(
            "the data that it was trained on are not in outputs/dataset, so their licences are "
            "unknown",
            where=str(folder),
            fix="publish it from the project that trained it, or under all-rights-reserved in "
            "private",
        )
    scene = _scene_of(config["weights_sha256"], root)
    card = model_card(folder, licence=licence.identifier, scene=scene, **options)
    files = files_of_folder(folder, sha256_of=hash_cache(scratch).sha256)
    return Publication(
        repository,
        kind.repository_type,
        params.version,
        with_card([file for file in files if file.path in (CONFIG, HISTORY, WEIGHTS)], card),
        licence.identifier,
        f"Decoder {params.version}",
        private=params.private,
        facts={
            "weights_sha256": config["weights_sha256"],
            "dataset_hash": config.get("dataset_hash"),
            **project_facts(root, folder, made_by),
        },
    )


def _training_data(folder: Path, root: Path) -> TrainingData:
    """Return the project's dataset where it is the one that the phase was trained on, with the
    place on the Hub where it was published."""
    dataset = root / "outputs" / "dataset"
    trained_on = read_config(folder).get("dataset_hash")
    if not (dataset / MANIFEST_PATH).is_file():
        return TrainingData()
    stated = read_json_object(dataset / MANIFEST_PATH, kind="manifest", fix="package it again")
    if stated.get("dataset_hash") != trained_on:
        return TrainingData()
    data, receipt_file = TrainingData(dataset), root / "publish" / "dataset.json"
    if not receipt_file.is_file():
        return data
    receipt = read_receipt(receipt_file)
    if receipt.facts.get("dataset_hash") != trained_on:
        return data
    return replace(
        data, repository=receipt.repository, revision=receipt.commit, version=receipt.tag
    )


def _evaluation_of(weights_sha256: str, root: Path) -> Path | None:
    """Return the project's evaluation where it judged these weights."""
    path = root / "reports" / "evaluation.json"
    if not path.is_file():
        return None
    figures = read_json_object(
        path, kind="evaluation", fix="run `lyra-data evaluate` again", allow_nan=True
    )
    training = (figures.get("provenance") or {}).get("training") or {}
    return path if weights_sha256 in training.values() else None


def _scene_of(weights_sha256: str, root: Path) -> Path | None:
    """Return the folder of the project's first scene that these weights made, or None."""
    for report in sorted((root / "outputs" / "scenes").glob(f"*/{REPORT}")):
        stated = read_json_object(report, kind="report of a scene", fix=MAKE_AGAIN)
        if stated.get("decoder_sha256") == weights_sha256 and (report.parent / VIDEO).is_file():
            return report.parent
    return None
