"""A teacher's guardrail that does not run: recorded in each view, and told once a run."""

from __future__ import annotations

from dataclasses import replace

from lyra_data.clips.store import write_clip
from lyra_data.engine.progress import silent
from lyra_data.generation.runner import generate_views
from lyra_data.generation.teachers.warp import WarpTeacher
from lyra_data.views.store import read_view, view_files
from tests.factories import make_clip
from tests.unit.test_generation import make_params


def made(tmp_path) -> dict[str, str]:
    """Return the provenance of a view by the teacher as it is now."""
    write_clip(make_clip(), tmp_path / "clips" / "scene")
    trajectories = make_params().trajectories.model_dump() | {"names": ["left"]}
    folders = {"clips": tmp_path / "clips", "views": tmp_path / "views", "scratch": tmp_path / "s"}
    generate_views(make_params(trajectories=trajectories), seed=42, progress=silent, **folders)
    (path,) = view_files(tmp_path / "views")
    return read_view(path).provenance


def test_a_guardrail_that_does_not_run_stands_in_the_view_and_is_told(
    tmp_path, monkeypatch, caplog
):
    spec = WarpTeacher.spec.fget(WarpTeacher)  # type: ignore[attr-defined]
    off = property(lambda _: replace(spec, guardrail="off"))
    monkeypatch.setattr(WarpTeacher, "spec", off)
    assert made(tmp_path)["guardrail"] == "off"
    assert caplog.text.count("is released with a guardrail, which lyra-data does not run") == 1


def test_a_teacher_without_a_guardrail_has_no_record_and_no_warning(tmp_path, caplog):
    assert "guardrail" not in made(tmp_path)
    assert "guardrail" not in caplog.text
