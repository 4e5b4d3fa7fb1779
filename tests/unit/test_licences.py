"""Licences: recognised from words, found in rows, combined, told with what would settle them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from lyra_data.dataset.reading.reader import SceneDataset
from lyra_data.dataset.writing.writer import write_dataset
from lyra_data.engine.errors import InputError
from lyra_data.generation.teachers.gen3c import Gen3CTeacher, Gen3CTeacherParams
from lyra_data.models.weights.catalogue import CATALOGUE
from lyra_data.sharing.licences.conflicts import (
    Rule,
    conflicts,
    conflicts_of,
    derived_licence,
    describe_conflicts,
)
from lyra_data.sharing.licences.dependencies import dependencies_of, model_dependency
from lyra_data.sharing.licences.guardrail import guardrail_states
from lyra_data.sharing.licences.known import (
    LICENCES,
    recognise_licence,
    require_licence,
)
from lyra_data.sharing.licences.licence import Licence
from lyra_data.sharing.licences.models import MODELS, known_model
from lyra_data.sharing.licences.uses import Statements, ViewRow, count_uses, read_view_rows
from lyra_data.sources.motorcycle import LICENCE as MOTORCYCLE_WORDS
from stages.cli import app
from tests.dataset_scenes import exact_scene

FREE = LICENCES["CC-BY-4.0"]
WARP = {"teacher": "warp", "teacher_fingerprint": "warp-1", "codec": "dct"}
PHOTO = {"source_kind": "picture", "source_licence": "CC-BY-4.0", **WARP}
DEPTH_PRO = {"source_depth_estimator": "transformers-far20-viewown-apple/DepthPro-hf@5426e4f"}
LARGE = "transformers-far20-view60-depth-anything/Depth-Anything-V2-Large-hf@abc"
PAINTED = {
    "source_kind": "prompt",
    "source_model": "black-forest-labs/FLUX.1-dev@3de623f",
    "source_licence": "see the licence of black-forest-labs/FLUX.1-dev",
    **WARP,
}


def identifier_of(licence: Licence | None) -> str:
    return "unknown" if licence is None else licence.identifier


def rows(*provenances: dict[str, str]) -> list[ViewRow]:
    """One scene of two views for every provenance."""
    return [
        ViewRow(f"scene{number}", view, provenance)
        for number, provenance in enumerate(provenances)
        for view in range(2)
    ]


@pytest.mark.parametrize(
    ("words", "identifier"),
    [
        ("CC0", "CC0-1.0"),
        ("cc by 4.0", "CC-BY-4.0"),
        ("apache-2.0", "Apache-2.0"),
        ("NVIDIA Open Model License", "nvidia-open-model"),
        ("FLUX.1 [dev] Non-Commercial License", "flux-1-dev-non-commercial"),
        (MOTORCYCLE_WORDS, "middlebury-stereo"),
    ],
)
def test_a_licence_is_recognised_by_its_usual_spellings(words, identifier):
    assert identifier_of(recognise_licence(words)) == identifier


@pytest.mark.parametrize("words", ["", "not stated", "CC-BY", "free", "see the licence of flux"])
def test_what_names_no_licence_exactly_stays_unknown(words):
    assert recognise_licence(words) is None


def test_a_chosen_licence_that_is_not_known_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"'CC-BY-4' is not known") as error:
        require_licence("CC-BY-4", where="publish.licence")
    assert "CC-BY-4.0" in str(error.value)


def test_every_model_of_the_tables_has_a_known_licence_and_the_text_it_was_read_in():
    assert all(model.licence in LICENCES and model.read_in for model in MODELS.values())
    assert all(licence.read_in for licence in LICENCES.values())


def test_the_table_of_models_agrees_with_the_catalogue_of_weights():
    stated = {
        release.repository: recognise_licence(release.licence.partition(" (")[0])
        for release in CATALOGUE.values()
    }
    free: set[Any] = {
        "MIT",
        "Apache-2.0",
    }  # MoGe's code, and the page of its weights
    for repository, licence in stated.items():
        model = known_model(repository)
        if licence is not None and model is not None:
            assert (
                model.licence == licence.identifier or {model.licence, licence.identifier} == free
            )


def test_a_row_names_all_that_took_part_in_it():
    provenance = {
        "source_kind": "picture",
        "source_licence": "CC0",
        "source_depth_estimator": "moge-v1-level9-half-reference-Ruicheng/moge-vitl@979e84d",
        "extension_depth_fingerprint": "moge-v1-level9-my-depth@weights-0123",
        "teacher": "gen3c",
        "teacher_fingerprint": "gen3c-2 weights-00ff, diffusers 1, use_prompt True",
        "codec": "cosmos",
        "codec_fingerprint": "cosmos-1 weights-11aa",
    }
    named = {(one.role, one.name, one.revision, one.licence) for one in dependencies_of(provenance)}
    assert named == {
        ("source", "picture", "", "CC0-1.0"),
        ("depth", "Ruicheng/moge-vitl", "979e84d", "Apache-2.0"),
        ("depth", "my-depth", "weights-0123", ""),
        ("teacher", "nvidia/GEN3C-Cosmos-7B", "weights-00ff", "nvidia-open-model"),
        ("text encoder", "google-t5/t5-11b", "", "Apache-2.0"),
        ("codec", "nvidia/Cosmos-Tokenize1-CV8x8x8-720p", "weights-11aa", "nvidia-open-model"),
    }


def test_given_depth_is_no_model_and_a_solver_is_one():
    given = dependencies_of({**PHOTO, "source_depth_estimator": "given"})
    assert [one.role for one in given] == ["source", "teacher", "codec"]
    solved = dependencies_of({**PHOTO, "source_annotator": "colmap-4-sift"})
    assert ("annotator", "colmap", "BSD-3-Clause") in {
        (one.role, one.name, one.licence) for one in solved
    }


def test_free_sources_and_models_are_no_conflict():
    assert conflicts(rows(PHOTO), FREE) == ()
    assert conflicts(rows({**PHOTO, "source_licence": MOTORCYCLE_WORDS}), FREE) == ()


@pytest.mark.parametrize(
    ("provenance", "rule", "allowed"),
    [
        ({**PHOTO, **DEPTH_PRO}, "research-only", "research-only"),
        ({**PHOTO, "source_depth_estimator": LARGE}, "non-commercial", "CC-BY-NC-4.0"),
        (PAINTED, "non-commercial", "CC-BY-NC-4.0"),
        ({**PHOTO, "source_licence": "CC-BY-NC-4.0"}, "non-commercial", "CC-BY-NC-4.0"),
        ({**PHOTO, "source_licence": "CC-BY-SA-3.0"}, "share-alike", "CC-BY-SA-4.0"),
        ({**PHOTO, "source_licence": "not stated"}, "unknown", "all-rights-reserved"),
        ({**PHOTO, "teacher": "mine"}, "unknown", "all-rights-reserved"),
        ({**PHOTO, "source_licence": "CC-BY-ND-4.0"}, "no-adaptations", "all-rights-reserved"),
    ],
)
def test_a_conflict_names_its_rule_and_goes_with_a_narrower_licence(provenance, rule, allowed):
    (found,) = conflicts(rows(PHOTO, provenance), FREE)
    assert found.rule == rule
    assert found.use.first_views == ("scene1/0", "scene1/1")
    assert conflicts(rows(PHOTO, provenance), LICENCES[allowed]) == ()


def test_a_research_only_teacher_does_not_go_with_a_licence_that_only_forbids_profit():
    (found,) = conflicts(rows({**PHOTO, **DEPTH_PRO}), LICENCES["CC-BY-NC-4.0"])
    assert found.rule == "research-only"


def test_credit_that_a_source_asks_for_is_not_dropped():
    (found,) = conflicts(rows(PHOTO), LICENCES["CC0-1.0"])
    assert found.rule == "attribution"


def test_a_conflict_says_which_rows_and_what_would_settle_it():
    text = str(conflicts(rows(*[{**PHOTO, "source_licence": "not stated"}] * 9, PHOTO), FREE)[0])
    assert "18 views of 9 scenes: scene0/0, scene0/1, scene1/0, scene1/1, scene2/0, ..." in text
    assert """lyra-data filter DATASET OUT --where 'licence != '"'"'not stated'"'"''""" in text
    assert "publish.source_licences: {scene0: LICENCE, ...}" in text

    text = str(conflicts(rows(PHOTO, {**PHOTO, **DEPTH_PRO}), FREE)[0])
    assert "publish under another licence: research-only" in text
    assert "names of the other 1 scene, one a line" in text
    assert "publish.model_licences: {apple/DepthPro-hf: permission}" in text


def test_leaving_out_what_the_message_names_settles_it(tmp_path):
    unclear = [
        replace(view, provenance=view.provenance | {"source_licence": "it's mine"})
        for view in exact_scene("b")
    ]
    views = [*exact_scene("a"), *unclear]
    write_dataset(views, tmp_path / "data", splits=None, scenes_per_shard=1, provenance={})
    stated = Statements(models={"exact": "Apache-2.0"})
    dataset = SceneDataset(tmp_path / "data")
    (found,) = conflicts(read_view_rows(dataset), FREE, stated)
    assert found.use.scene_ids == ("b",)
    command = next(line for line in found.remedies if "lyra-data filter" in line)
    words = shlex.split(command.partition("lyra-data ")[2])
    words[1:3] = [str(tmp_path / "data"), str(tmp_path / "kept")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert conflicts(read_view_rows(SceneDataset(tmp_path / "kept")), FREE, stated) == ()


def test_what_the_publisher_states_settles_a_conflict_and_says_so():
    filmed = {"source_licence": "not stated", "source_annotator": "vipe-1-default"}
    data = rows(PHOTO, {**PHOTO, **filmed})
    assert {one.use.dependency.name for one in conflicts(data, FREE)} == {"picture", "vipe"}
    stated = Statements({"scene1*": "CC-BY-4.0"}, {"ViPE": "permission"})
    assert conflicts(data, FREE, stated) == ()
    told = {use.dependency.known_from for use in count_uses(data, stated)}
    assert "stated by the publisher" in told


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        (Statements({"nowhere": "CC-BY-4.0"}), "'nowhere', which fits no scene"),
        (Statements({}, {"warpp": "MIT"}), "'warpp', which fits no model"),
        (Statements({"scene0": "mine"}), "'mine' is not known here"),
    ],
)
def test_a_statement_that_fits_nothing_is_refused(stated, message):
    with pytest.raises(InputError, match=message):
        count_uses(rows(PHOTO), stated)


def test_the_licence_that_follows_from_all_rows_has_the_fewest_limits():
    assert identifier_of(derived_licence(count_uses(rows(PHOTO)))) == "CC-BY-4.0"
    assert identifier_of(derived_licence(count_uses(rows(PHOTO, PAINTED)))) == "CC-BY-NC-4.0"
    assert (
        identifier_of(derived_licence(count_uses(rows({**PHOTO, **DEPTH_PRO})))) == "research-only"
    )
    assert derived_licence(count_uses(rows({**PHOTO, "source_licence": ""}))) is None


def test_converted_data_are_licensed_as_a_whole_and_their_teacher_needs_no_other():
    converted = {"converted_from": "lyra-1", "teacher": "not stated", "codec": "dct"}
    (found,) = conflicts(rows(converted), FREE)
    assert found.use.dependency.name == "converted from lyra-1"
    assert conflicts(rows(converted), FREE, Statements({"*": "CC-BY-4.0"})) == ()


def test_a_message_describes_the_first_conflicts_and_counts_the_others():
    many = rows(*({**PHOTO, "source_licence": f"mine {number}"} for number in range(30)))
    found = conflicts(many, FREE)
    text = describe_conflicts(found)
    assert len(found) == 30
    assert text.count("its licence is not known") == 10 and "and 20 more like these" in text


def test_a_model_is_no_copy_of_what_it_was_trained_on_but_shares_its_limits():
    alike = count_uses(rows({**PHOTO, "source_licence": "CC-BY-SA-4.0"}))
    assert conflicts_of(alike, LICENCES["MIT"]) != ()
    assert conflicts_of(alike, LICENCES["MIT"], holds_copies=False) == ()
    assert identifier_of(derived_licence(alike, holds_copies=False)) == "Apache-2.0"
    limited = count_uses(rows({**PHOTO, "source_licence": "CC-BY-NC-SA-4.0"}))
    assert identifier_of(derived_licence(limited, holds_copies=False)) == "CC-BY-NC-4.0"


def test_what_was_made_with_weights_that_no_row_names_depends_on_them_too():
    weights = model_dependency("first weights", "weights 0123")
    (found,) = conflicts_of(count_uses(rows(PHOTO), None, [weights]), FREE)
    assert "all of it" in str(found) and "make it without" in str(found)
    stated = Statements(models={"weights 0123": "MIT"})
    assert conflicts_of(count_uses(rows(PHOTO), stated, [weights]), FREE) == ()


def test_uses_of_a_thousand_scenes_name_the_first_and_count_all():
    (found,) = conflicts(rows(*[PAINTED] * 1000), FREE)
    assert (len(found.use.scene_ids), found.use.num_views) == (1000, 2000)
    assert len(str(found)) < 700


def test_a_guardrail_that_did_not_run_is_told_also_of_views_made_before_it_was_recorded():
    recorded = {**PHOTO, "teacher": "gen3c", "guardrail": "off"}
    states = guardrail_states(rows(PHOTO, recorded, {**PHOTO, "teacher": "gen3c"}))
    assert [(state.state, state.num_views) for state in states] == [("not recorded", 2), ("off", 2)]
    assert "its guardrail was off" in str(states[1])
    assert guardrail_states(rows(PHOTO)) == ()


def test_the_teacher_that_is_released_with_a_guardrail_states_that_it_is_off():
    params = Gen3CTeacherParams.parse(
        json.loads(
            '{"name": "gen3c", "weights": "w", "num_steps": 1, "guidance": 1, "augment_sigma": 0,'
            '"input_frames_guidance": false, "segment_frames": 9, "use_prompt": false,'
            '"negative_prompt": "", "network_dtype": "float32", "layerwise_casting": false}'
        ),
        where="test",
    )
    assert Gen3CTeacher(params).spec.guardrail == "off"


def test_nothing_stands_against_an_empty_list_of_uses():
    assert conflicts_of((), FREE) == ()


def test_the_page_lists_every_licence_and_model_of_the_tables_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "licences.md").read_text(encoding="utf-8")
    named = [
        f"| `{one.identifier}` | {one.title} | {one.redistribution} | {one.commercial} | "
        f"{'yes' if one.research_only else 'no'} | {one.attribution} |"
        for one in LICENCES.values()
        if not one.is_spdx
    ]
    models = [f"| `{name}` | {one.licence} | {one.read_in} |" for name, one in MODELS.items()]
    tables = page.partition("## Licences that are known")[2]
    lines = [line for line in tables.splitlines() if line.startswith("| `")]
    assert lines == [*named, *models]
    for one in LICENCES.values():
        assert (one.identifier if not one.is_spdx else one.family) in page
    assert all(f"`{rule}`" in page for rule in get_args(Rule))
