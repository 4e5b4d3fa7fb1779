"""Params refuse what they do not know, and name every key in full."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from lyra_data.engine.errors import ParamsError
from lyra_data.engine.params import Params, suggestion
from stages.params import check_all, load_yaml
from stages.workspace import SECTIONS
from tests.goldens import REPOSITORY


class Inner(Params):
    radius: float = Field(gt=0)
    method: Literal["telea", "navier_stokes"]


class Outer(Params):
    size: int
    inner: Inner
    by_name: dict[str, Inner]
    listed: list[Inner]
    wanted: Inner | None
    weights: dict[str, float]

    @model_validator(mode="after")
    def _size_must_be_even(self) -> Outer:
        if self.size % 2:
            raise ValueError(f"size {self.size} is odd")
        return self


INNER = {"radius": 1.0, "method": "telea"}


def values(**changes: Any) -> dict[str, Any]:
    plain = {"size": 2, "inner": INNER, "by_name": {"a": INNER}, "listed": [INNER]}
    return plain | {"wanted": None, "weights": {"a": 1.0}} | changes


def refusal(**changes: Any) -> ParamsError:
    with pytest.raises(ParamsError) as caught:
        Outer.parse(values(**changes), where="stage.part")
    assert caught.value.where == "params.yaml"
    return caught.value


def test_a_valid_section_is_read_as_it_is() -> None:
    assert Outer.parse(values(), where="stage").by_name["a"].radius == 1.0


def test_an_unknown_key_is_named_with_the_one_that_was_meant_and_all_known_ones() -> None:
    error = refusal(siez=3)
    assert error.what == "unknown key stage.part.siez"
    assert error.fix == (
        "did you mean 'size'? known: size, inner, by_name, listed, wanted, weights"
    )


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"inner": INNER | {"radios": 1}}, "inner.radios"),
        ({"by_name": {"small": INNER | {"radios": 1}}}, "by_name.small.radios"),
        ({"listed": [INNER, INNER | {"radios": 1}]}, "listed.1.radios"),
        ({"wanted": INNER | {"radios": 1}}, "wanted.radios"),
    ],
)
def test_a_nested_key_is_named_with_its_dots_and_the_keys_known_there(
    changes: dict[str, Any], key: str
) -> None:
    error = refusal(**changes)
    assert error.what == f"unknown key stage.part.{key}"
    assert error.fix == "did you mean 'radius'? known: radius, method"


def test_a_missing_key_is_named_with_its_dots() -> None:
    error = refusal(inner={"radius": 1.0})
    assert error.what == "missing key stage.part.inner.method"
    assert error.fix == "add `method:`"


def test_a_wrong_choice_lists_the_known_ones() -> None:
    error = refusal(inner=INNER | {"method": "navier-stokes"})
    assert error.what.startswith("stage.part.inner.method = 'navier-stokes': ")
    assert error.fix == "did you mean 'navier_stokes'? known: telea, navier_stokes"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"size": "many"}, "stage.part.size = 'many': Input should be a valid integer"),
        ({"size": None}, "stage.part.size = None: "),
        ({"inner": INNER | {"radius": 0}}, "stage.part.inner.radius = 0: "),
        ({"inner": 5}, "stage.part.inner = 5: "),
        ({"weights": {"a": "x"}}, "stage.part.weights.a = 'x': "),
    ],
)
def test_a_wrong_value_is_shown_with_its_key(changes: dict[str, Any], what: str) -> None:
    error = refusal(**changes)
    assert error.what.startswith(what)
    assert error.fix == "correct the value in params.yaml"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    assert "finite number" in refusal(inner=INNER | {"radius": number}).what
    assert "finite number" in refusal(weights={"a": number}).what


def test_values_that_do_not_fit_together_are_told_without_repeating_the_section() -> None:
    assert refusal(size=3).what == "stage.part: size 3 is odd"


def test_all_faults_are_told_at_once() -> None:
    error = refusal(siez=3, inner={"radius": 1.0})
    assert "unknown key stage.part.siez" in error.what
    assert "missing key stage.part.inner.method" in error.what
    assert "'size'" in str(error) and "add `method:`" in str(error)


@pytest.mark.parametrize("section", [None, [], "x", 5])
def test_a_section_that_is_no_mapping_is_refused_with_its_keys(section: Any) -> None:
    with pytest.raises(ParamsError) as caught:
        Inner.parse(section, where="stage.inner")
    assert caught.value.where == "stage.inner"
    assert caught.value.what == f"expected a mapping, found {section!r}"
    assert caught.value.fix == "write `stage.inner:` followed by its keys: radius, method"


def test_a_key_that_is_no_word_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"stage\.1"):
        Inner.parse({**INNER, 1: 2}, where="stage")


def test_params_cannot_be_changed() -> None:
    params = Inner.parse(INNER, where="stage")
    with pytest.raises(ValidationError):
        params.radius = 2.0


def test_an_error_of_a_validator_keeps_its_own_words() -> None:
    def refuse(value: Any) -> Any:
        raise ParamsError("no", where="stage.deep", fix="yes")

    class Deep(Params):
        part: Annotated[int, BeforeValidator(refuse)]

    with pytest.raises(ParamsError) as caught:
        Deep.parse({"part": 1}, where="stage")
    assert (caught.value.what, caught.value.where) == ("no", "stage.deep")


def test_a_suggestion_is_made_only_for_what_looks_alike() -> None:
    assert suggestion("lefty", ["left", "right"]) == "did you mean 'left'? known: left, right"
    assert suggestion("le", ["up", "left"]) == "did you mean 'left'? known: up, left"
    assert suggestion("xyz", ["left", "right"]) == "known: left, right"
    assert suggestion("xyz", []) == "remove 'xyz'"


@pytest.mark.parametrize(
    "preset", sorted((REPOSITORY / "stages" / "presets").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_preset_is_a_whole_and_valid_params_file(preset) -> None:
    check_all(preset)
    assert list(load_yaml(preset)) == ["seed", *SECTIONS]


def test_a_key_that_stands_twice_is_refused_with_both_lines(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("seed: 1\nannotate:\n  sources: [a]\n  other: 2\n  sources: [b]\n")
    with pytest.raises(ParamsError, match=r"'sources' stands twice, in lines 3 and 5"):
        load_yaml(file)


def test_a_seed_that_readers_of_yaml_take_for_another_is_refused(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("seed: 042\n")
    with pytest.raises(ParamsError, match="differ over the number 042"):
        load_yaml(file)
