"""Params of publish: which repositories of the Hub, under which versions and licences."""

from __future__ import annotations

from lyra_data.engine.params import Params


class PublishedDatasetParams(Params):
    """The repository and licence of outputs/dataset.

    Attributes:
        repository: OWNER/NAME of the dataset repository; null: it is not published.
        licence: the dataset's licence, by its SPDX identifier; null: it has none yet, and is not
            published.
    """

    repository: str | None
    licence: str | None


class PublishedModelParams(Params):
    """The repository and licence of a trained phase.

    Attributes:
        repository: OWNER/NAME of the model repository; null: it is not published.
        licence: the weights' licence; null: it has none yet, and is not published.
        phase: of train.phases; null: the one that evaluate judges.
    """

    repository: str | None
    licence: str | None
    phase: str | None


class PublishedSceneParams(Params):
    """The repository and licence of a reconstructed scene.

    Attributes:
        repository: OWNER/NAME of the Space that shows the scene; null: it is not published.
        licence: the scene's licence; null: it has none yet, and is not published.
        scene_id: of outputs/scenes; null: the only one there.
    """

    repository: str | None
    licence: str | None
    scene_id: str | None


class PublishParams(Params):
    """Parameters of the publish stage.

    Attributes:
        version: the tag that readers name; it never moves: other content needs another version.
        private: whether a repository that does not exist yet is made private.
        source_licences: licence by scene or pattern of scenes, where a source states none.
        model_licences: licence by model, where it is not known.
        dataset: where the dataset goes.
        model: where a trained phase goes.
        scene: where a reconstructed scene goes.
    """

    version: str
    private: bool
    source_licences: dict[str, str]
    model_licences: dict[str, str]
    dataset: PublishedDatasetParams
    model: PublishedModelParams
    scene: PublishedSceneParams
