"""A scratch key hashes every module that does the work: whatever runs is in its fingerprint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lyra_data.clips.store import write_clip
from lyra_data.views.store import write_view
from tests.factories import make_clip, make_view
from tests.goldens import REPOSITORY
from tests.pipeline.project import write_source

RECORD = """
import json, sys
from pathlib import Path
from lyra_data.engine import imports, provenance
import yaml
hashed = set()
def code_fingerprint(*modules):
    hashed.update(imports.modules_run_by(*modules))
    return "code"
provenance.code_fingerprint = code_fingerprint
params = yaml.safe_load(Path(sys.argv[1]).read_text())
folder = Path(sys.argv[2])
"""

MAKE_A_VIEW = """
from lyra_data.clips.store import read_clip
from lyra_data.engine.placement import Placement
from lyra_data.generation.jobs import plan_jobs
from lyra_data.generation.keys import KeyMaker
from lyra_data.generation.params import GenerateParams
from lyra_data.generation.view_making import ViewMaker
from lyra_data.views.store import write_view
params = GenerateParams.parse({**params["generate"], "num_frames": 9}, where="generate")
maker = ViewMaker(params, Placement("cpu"))
keys = KeyMaker(params, maker.fingerprints)
clip = read_clip(folder / "clip")
job = plan_jobs(clip, params.trajectories, seed=1)[0]
write_view(folder / "view.parquet", maker.make(clip, job))
"""

KEEP_A_VIEW_ENCODED = (
    'params["generate"]["store"] = "compat"'
    + MAKE_A_VIEW
    + """
from lyra_data.generation.encoded_views import write_encoded
from lyra_data.packing.blob_store import BlobStore
from lyra_data.packing.encoding import encoding_of_store
from lyra_data.views.store import read_row
keys.stored(keys.view(job, "content"))
row = read_row(folder / "view.parquet")
write_encoded(folder, "encoded.parquet", row, encoding_of_store("compat"), BlobStore(folder))
"""
)

ANNOTATE_A_SCENE = """
from lyra_data.annotation.annotators import ANNOTATORS
from lyra_data.annotation.scene_maker import SceneMaker
from lyra_data.models.depth import DEPTH_ESTIMATORS
from lyra_data.sources import SOURCES
values = params["annotate"]
source = {"name": "files", "folder": "wall", "scene_id": "wall"}
annotator = {**values["annotator"], "height": 32, "width": 48}
maker = SceneMaker(
    folder,
    ANNOTATORS.create(annotator, where=""),
    DEPTH_ESTIMATORS.create(values["depth"], where=""),
    DEPTH_ESTIMATORS.parse(values["depth"], where=""),
    folder / "scratch",
)
assert maker.finish(SOURCES.create(source, where=""))[1]
"""

PACKAGE_A_VIEW = """
from lyra_data.packing.encoding import Encoding
from lyra_data.dataset.packaging.worker import PackagingSetup, ViewTask, code_of_encoding
from lyra_data.engine.placement import Placement
setup = PackagingSetup(Encoding(), folder / "scratch", code_of_encoding())
work = setup.build(Placement("cpu"))
assert work.do(ViewTask(0, folder / "scene" / "000_right.parquet")).state == "done"
"""

REPORT = """
ran = [name for name in sys.modules if name.startswith(("lyra_data", "lyra_model", "stages"))]
print(json.dumps([sorted(hashed), sorted(ran)]))
"""

READS_THE_SOURCE = {
    "lyra_data.engine.documents",
    "lyra_data.engine.foreign_files",
    "lyra_data.sources.files",
    "lyra_data.sources.picture_reading",
    "lyra_data.media.camera_files",
    "lyra_data.media.depth_files",
}
"""What it read counts by its content, so that the code that read it need not."""

NOT_ASKED = {"lyra_data.models.depth.given"}
"""A depth estimator is created for every run, and asked only where depth is missing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_clip(make_clip(height=32, width=48), tmp_path / "clip")
    write_source(tmp_path / "wall")
    write_view(tmp_path / "scene" / "000_right.parquet", make_view("scene"))
    return tmp_path


@pytest.mark.parametrize(
    ("work", "besides"),
    [
        (MAKE_A_VIEW, NOT_ASKED),
        (KEEP_A_VIEW_ENCODED, NOT_ASKED),
        (ANNOTATE_A_SCENE, NOT_ASKED | READS_THE_SOURCE),
        (PACKAGE_A_VIEW, set()),
    ],
    ids=["a view", "a view kept encoded", "a clip", "an encoded view"],
)
def test_every_module_that_does_the_work_is_in_the_fingerprint(work, besides, folder):
    code = RECORD + work + REPORT
    command = [sys.executable, "-c", code, str(REPOSITORY / "params.yaml"), str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    hashed, ran = (set(names) for names in json.loads(done.stdout.splitlines()[-1]))
    assert ran - hashed - besides == set()
    assert len(hashed) < len(list((REPOSITORY / "lyra_data").rglob("*.py"))) / 3
