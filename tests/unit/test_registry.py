"""A registry finds a kind by name, imports it only then, and lists what it knows."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any, Protocol

import pytest

from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.annotators.base import Annotator
from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params
from lyra_data.engine.registry import Registry
from lyra_data.generation.teachers import TEACHERS
from lyra_data.generation.teachers.base import Teacher
from lyra_data.models.codecs import CODECS
from lyra_data.models.codecs.base import LatentCodec
from lyra_data.models.codecs.dct import DctCodec, DctCodecParams
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.models.depth.base import DepthEstimator
from lyra_data.sources import SOURCES
from lyra_data.sources.base import Source


def test_a_component_is_built_from_its_section() -> None:
    codec = CODECS.create({"name": "dct"}, where="generate.codec")
    assert isinstance(codec, DctCodec)
    assert codec.params == DctCodecParams(name="dct")


def test_params_that_were_validated_before_are_taken_as_they_are() -> None:
    params = DctCodecParams(name="dct")
    assert CODECS.parse(params, where="generate.codec") is params
    assert isinstance(CODECS.create(params, where="generate.codec"), DctCodec)


@pytest.mark.parametrize("name", ["motorbike", "", 5, None, True, ["files"], {"a": 1}])
def test_an_unknown_kind_is_refused_and_the_known_ones_are_listed(name: Any) -> None:
    with pytest.raises(ParamsError) as caught:
        SOURCES.create({"name": name}, where="annotate.sources")
    assert caught.value.what == f"unknown source {name!r}"
    assert caught.value.where == "annotate.sources"
    assert caught.value.fix is not None and caught.value.fix.endswith(
        f"known: {', '.join(SOURCES.names())}"
    )


def test_a_misspelt_kind_gets_the_one_that_was_meant() -> None:
    with pytest.raises(ParamsError, match="did you mean 'motorcycle'"):
        SOURCES.kind("motorcycel", where="annotate.sources")


@pytest.mark.parametrize("values", [None, "dct", [], {}, {"nmae": "dct"}])
def test_a_section_without_a_name_is_told_the_names(values: Any) -> None:
    with pytest.raises(ParamsError) as caught:
        CODECS.parse(values, where="generate.codec")
    assert caught.value.what == "a codec needs a name"
    assert caught.value.fix == "add `name:` with one of dct, cosmos"


def test_a_kinds_own_unknown_key_is_named_below_the_section() -> None:
    with pytest.raises(ParamsError, match=r"unknown key generate\.codec\.quality"):
        CODECS.parse({"name": "dct", "quality": 3}, where="generate.codec")


def test_names_keep_the_order_of_the_table() -> None:
    assert Registry("thing", {"b": "m:B", "a": "m:A"}).names() == ["b", "a"]


def test_a_kind_is_imported_only_when_it_is_asked_for() -> None:
    code = (
        "import sys; from lyra_data.models.codecs import CODECS\n"
        "kind = 'lyra_data.models.codecs.dct'\n"
        "assert kind not in sys.modules; CODECS.kind('dct', where=''); assert kind in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class _Section(Params):
    codec: Annotated[Params, CODECS.field("stage.codec")]
    sources: list[Annotated[Params, SOURCES.field("stage.sources")]]


FILES = {"name": "files", "folder": "inputs/x", "scene_id": "x"}


def test_a_field_of_a_kind_reads_its_params_and_dumps_all_of_their_keys() -> None:
    section = _Section.parse({"codec": {"name": "dct"}, "sources": [FILES]}, where="stage")
    assert section.codec == DctCodecParams(name="dct")
    assert section.model_dump() == {"codec": {"name": "dct"}, "sources": [FILES]}


def test_a_field_of_a_kind_refuses_with_the_key_it_was_declared_for() -> None:
    with pytest.raises(ParamsError) as caught:
        _Section.parse({"codec": {"name": "dtc"}, "sources": []}, where="stage")
    assert caught.value.where == "stage.codec"


@pytest.mark.parametrize(
    ("registry", "promise"),
    [
        (SOURCES, Source),
        (ANNOTATORS, Annotator),
        (DEPTH_ESTIMATORS, DepthEstimator),
        (CODECS, LatentCodec),
        (TEACHERS, Teacher),
    ],
)
def test_every_kind_has_what_its_promise_names(registry: Registry[Any], promise: type) -> None:
    promised = {*promise.__annotations__, *vars(promise)} - set(vars(Protocol))
    public = {name for name in promised if not name.startswith("_")} - {"params"}
    for name in registry.names():
        lacking = public - set(dir(registry.kind(name, where="test")))
        assert not lacking, f"{registry.noun} {name!r} lacks {sorted(lacking)}"


def test_only_the_kinds_that_add_nothing_say_so() -> None:
    def of(registry: Registry[Any], attribute: str) -> set[str]:
        kinds = {name: registry.kind(name, where="test") for name in registry.names()}
        return {name for name, kind in kinds.items() if getattr(kind, attribute)}

    assert of(SOURCES, "needs_painter") == {"prompt"}
    assert of(ANNOTATORS, "solves") == {"colmap", "vipe"}
    assert of(DEPTH_ESTIMATORS, "has_model") == {"moge", "transformers"}
