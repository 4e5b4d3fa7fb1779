"""Count which rows of a dataset depend on what, with the licences that its publisher states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.engine.documents import parse_json
from lyra_data.engine.errors import InputError
from lyra_data.sharing.licences.dependencies import FACTS, ROLES, Dependency, dependencies_of
from lyra_data.sharing.licences.known import require_licence

MOST_NAMED = 5
"""Views that a message names; the rest is counted."""

SOURCES_KEY, MODELS_KEY = "publish.source_licences", "publish.model_licences"
STATED = "stated by the publisher"


@dataclass(frozen=True)
class ViewRow:
    """The part of a row that says what its view was made of."""

    scene_id: str
    view_index: int
    provenance: Mapping[str, str]


@dataclass(frozen=True)
class Statements:
    """Licences that the publisher states, where rows and the table do not, or otherwise.

    Attributes:
        sources: licence by scene, or by a pattern of scenes ("holiday*"); the first that fits.
        models: licence by the name of a model, as conflicts name it ("vipe", "OWNER/NAME").
        must_fit: which of the two may hold nothing that fits none of the rows. What a project
            states is of its dataset, its models and its scenes: of one of them some fits nothing.
    """

    sources: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    must_fit: tuple[str, ...] = (SOURCES_KEY, MODELS_KEY)


@dataclass(frozen=True)
class Use:
    """A dependency, and the rows that have it.

    Attributes:
        scene_ids: all of them, in the dataset's order.
        first_views: "SCENE/VIEW" of the first MOST_NAMED rows.
    """

    dependency: Dependency
    scene_ids: tuple[str, ...]
    num_views: int
    first_views: tuple[str, ...]


def read_view_rows(dataset: SceneDataset) -> Iterator[ViewRow]:
    """Read what every view was made of, scene by scene.

    Raises:
        CorruptDataError: bytes have changed.
    """
    keeper = FactsKeeper()
    for entry in dataset.scenes:
        for row in dataset[entry.scene_id].stored.rows("preview", ["provenance"]):
            facts = keeper.facts_of(row["provenance"])
            yield ViewRow(entry.scene_id, row["view_index"], facts)


class FactsKeeper:
    """Keeps the facts of rows that matter here once for all rows that have the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}

    def facts_of(self, provenance: str) -> Mapping[str, str]:
        """Return those FACTS that the provenance of a row, as it is stored, states."""
        stated = parse_json(provenance)
        facts = {name: stated[name] for name in sorted(FACTS & stated.keys())}
        return self._kept.setdefault(tuple(facts.items()), facts)


def count_uses(
    rows: Iterable[ViewRow],
    stated: Statements | None = None,
    besides: Sequence[Dependency] = (),
) -> tuple[Use, ...]:
    """Return every dependency of the rows with the rows that have it, sources first.

    Args:
        besides: dependencies that no row names: of a model, the weights that it began with.

    Raises:
        InputError: a licence that is stated is not known here, or fits no scene or no model.
    """
    stated = stated or Statements()
    licences = _required(stated)
    scenes: dict[Dependency, dict[str, None]] = {}
    views: dict[Dependency, list[str]] = {}
    counts: dict[Dependency, int] = {}
    used: set[tuple[str, str]] = set()

    def licensed(dependency: Dependency, scene_id: str) -> Dependency:
        key = _statement(dependency, scene_id, stated)
        if key is None:
            return dependency
        used.add(key)
        return replace(dependency, licence=licences[key], known_from=STATED)

    for dependency in besides:
        scenes[licensed(dependency, "")] = {}
    for row in rows:
        for needed in dependencies_of(row.provenance):
            dependency = licensed(needed, row.scene_id)
            scenes.setdefault(dependency, {})[row.scene_id] = None
            counts[dependency] = counts.get(dependency, 0) + 1
            named = views.setdefault(dependency, [])
            if len(named) < MOST_NAMED:
                named.append(f"{row.scene_id}/{row.view_index}")
    for section, name in sorted(licences.keys() - used):
        if section not in stated.must_fit:
            continue
        noun = "scene" if section == SOURCES_KEY else "model that took part"
        raise InputError(
            f"a licence is stated for {name!r}, which fits no {noun}",
            where=section,
            fix="correct the name, or leave the line out",
        )
    return tuple(
        Use(one, tuple(scenes[one]), counts.get(one, 0), tuple(views.get(one, ())))
        for one in _ordered(scenes)
    )


def _required(stated: Statements) -> dict[tuple[str, str], str]:
    """Return the identifier of every licence that is stated, by section and name."""
    sections = ((SOURCES_KEY, stated.sources), (MODELS_KEY, stated.models))
    return {
        (section, name): require_licence(words, where=f"{section}: {name}").identifier
        for section, licences in sections
        for name, words in licences.items()
    }


def _statement(dependency: Dependency, scene_id: str, stated: Statements) -> tuple[str, str] | None:
    """Return section and name of the statement that is about a dependency of a scene."""
    if dependency.role == "source":
        fitting = (name for name in stated.sources if fnmatchcase(scene_id, name))
        section = SOURCES_KEY
    else:
        spelt = dependency.name.lower()
        fitting = (name for name in stated.models if name.lower() == spelt)
        section = MODELS_KEY
    name = next(fitting, None)
    return None if name is None else (section, name)


def _ordered(dependencies: Iterable[Dependency]) -> list[Dependency]:
    return sorted(dependencies, key=lambda one: (ROLES.index(one.role), one))
