"""The structure that ADR 0001 promises: names agree, kinds are registered, deps cover imports."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
import yaml

from lyra_data.engine.imports import imports_of
from lyra_data.engine.registry import Registry
from stages.cli import app
from stages.code_dependencies import with_code_dependencies
from stages.workspace import SECTIONS, STAGES
from tests.goldens import REPOSITORY
from tests.warm_processes import PRELOADED

PACKAGES = ("lyra_data", "lyra_model", "stages")
COMPONENT_FOLDERS = [
    path.parent.relative_to(REPOSITORY)
    for package in PACKAGES
    for path in sorted((REPOSITORY / package).rglob("base.py"))
]


def load_yaml(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / name).read_text())


def test_stage_modules_params_sections_dvc_stages_and_verbs_share_their_names():
    params = load_yaml("params.yaml")
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert list(params)[1:] == list(SECTIONS)
    assert list(load_yaml("dvc.yaml")["stages"]) == list(STAGES)
    assert verbs[: len(SECTIONS)] == list(SECTIONS)
    for stage in SECTIONS:
        module = importlib.import_module(f"stages.{stage}")
        assert hasattr(module, f"run_{stage}")
        assert module.SECTION.__name__ == f"{stage.capitalize()}Params"


def registries() -> dict[str, Registry]:
    found = {}
    for folder in COMPONENT_FOLDERS:
        module = importlib.import_module(".".join(folder.parts))
        for value in vars(module).values():
            if isinstance(value, Registry):
                found[folder.as_posix()] = value
    return found


def test_every_component_folder_of_lyra_data_has_a_table():
    """Executors are chosen by an option, not by params, and so have a table of another kind."""
    folders = {folder.as_posix() for folder in COMPONENT_FOLDERS if folder.parts[0] == "lyra_data"}
    assert folders - {"lyra_data/engine/executors"} == set(registries())


@pytest.mark.parametrize("folder", list(registries()))
def test_every_kind_is_registered_under_the_name_of_its_file(folder):
    registry = registries()[folder]
    kinds = {
        path.stem
        for path in (REPOSITORY / folder).glob("*.py")
        if re.search(r"^    Params = \w+$", path.read_text(), flags=re.MULTILINE)
    }
    for name, entry in registry.entries.items():
        module, _, _ = entry.partition(":")
        assert module == f"{folder.replace('/', '.')}.{name}"
        kind = registry.kind(name, where="test")
        assert kind.name == name
        assert kind.Params.model_fields["name"].annotation.__args__ == (name,)
    assert set(registry.entries) == kinds


@pytest.fixture(scope="module")
def import_graph():
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)


def file_of(module: str) -> str:
    path = REPOSITORY / Path(*module.split("."))
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found.relative_to(REPOSITORY).as_posix()


def code_of_stage(stage: str, graph) -> set[str]:
    """Every file of ours that the stage's module imports, with the packages around it.

    Kinds named in params.yaml count too: registries import them by name.
    """
    modules = {f"stages.{stage}", *graph.find_upstream_modules(f"stages.{stage}")}
    tables = registries()
    params = (REPOSITORY / "params.yaml").read_text()
    for folder, registry in tables.items():
        if folder.replace("/", ".") in modules:
            for name, entry in registry.entries.items():
                if re.search(rf"name: {name}\b", params):
                    kind = entry.partition(":")[0]
                    modules |= {kind, *graph.find_upstream_modules(kind)}
    modules |= named_in_tables(modules, graph)
    parents = {
        ".".join(module.split(".")[:depth])
        for module in modules
        for depth in range(1, module.count(".") + 1)
    }
    return {file_of(module) for module in modules | parents}


def named_in_tables(modules: set[str], graph) -> set[str]:
    """Modules that tables other than registries name as strings, and what those import."""
    registered = {
        entry for registry in registries().values() for entry in registry.entries.values()
    }
    found: set[str] = set()
    for module in modules:
        for text in re.findall(r'"((?:lyra_data|lyra_model)\.[\w.:]+)"', source_of(module)):
            name = text.partition(":")[0]
            if text not in registered and name in graph.modules:
                found |= {name, *graph.find_upstream_modules(name)}
    return found


def source_of(module: str) -> str:
    return (REPOSITORY / file_of(module)).read_text()


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_in_dvc_yaml_cover_what_the_stage_imports(stage, import_graph):
    entry = load_yaml("dvc.yaml")["stages"][stage]
    entry = entry.get("do", entry)
    deps = [re.sub(r"\$\{[^}]*\}", "*", dep) for dep in entry["deps"]]
    uncovered = sorted(
        file
        for file in code_of_stage(stage, import_graph)
        if not any(Path(file).match(dep) or file.startswith(f"{dep}/") for dep in deps)
    )
    assert not uncovered, f"add to deps of {stage} in dvc.yaml: {uncovered}"


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_out_of_params_reaches_the_shell_or_is_removed_by_dvc(stage):
    """DVC puts a value of params.yaml into a command as it is: `x; touch FILE` would be run; and it
    removes outputs before the command that refuses their names, unless they persist."""
    entry = load_yaml("dvc.yaml")["stages"][stage]
    entry = entry.get("do", entry)
    assert "${" not in entry["cmd"]
    for out in entry["outs"]:
        path, settings = next(iter(out.items())) if isinstance(out, dict) else (out, {})
        assert "${" not in path or settings == {"persist": True}, path


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_in_dvc_yaml_exist(stage):
    entry = load_yaml("dvc.yaml")["stages"][stage]
    for dep in entry.get("do", entry)["deps"]:
        if dep.startswith(PACKAGES) and "$" not in dep:
            assert (REPOSITORY / dep).exists(), dep


def test_code_deps_in_dvc_yaml_are_those_that_make_docs_writes():
    pipeline = (REPOSITORY / "dvc.yaml").read_text()
    assert pipeline == with_code_dependencies(pipeline, REPOSITORY), "run `make docs`"


def test_a_code_dep_that_no_stage_imports_is_noticed():
    pipeline = (REPOSITORY / "dvc.yaml").read_text()
    line = "      - lyra_data/__init__.py\n"
    wider = pipeline.replace(line, f"{line}      - lyra_data/cli.py\n", 1)
    assert with_code_dependencies(wider, REPOSITORY) == pipeline
    with pytest.raises(ValueError, match="5 blocks of code for 6 stages"):
        with_code_dependencies(pipeline.replace("# end of code", "", 1), REPOSITORY)


def test_imports_read_from_the_source_are_those_that_the_import_graph_has(import_graph):
    """Ours has more: packages that are only named as the place of an import, and tables."""
    for module in sorted(import_graph.modules):
        missing = import_graph.find_modules_directly_imported_by(module) - imports_of(module)
        assert not missing, f"{module} imports {missing}"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_modules_stay_thin(stage):
    lines = (REPOSITORY / "stages" / f"{stage}.py").read_text().splitlines()
    assert len(lines) <= 60


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from stages.cli import main; sys.argv = ['lyra-data', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pyarrow', 'diffusers', 'datasets', 'pydantic', 'numba'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "HEAVY []"


def circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return groups of modules that import each other, straight or through others."""
    imported = {name: graph.find_upstream_modules(name) for name in graph.modules}
    groups = {
        tuple(sorted({name, *(other for other in others if name in imported[other])}))
        for name, others in imported.items()
    }
    return sorted(list(group) for group in groups if len(group) > 1)


def test_no_modules_import_each_other_in_a_circle():
    """The files of packages and imports for type checkers count: a reader must follow those too."""
    assert circles(grimp.build_graph(*PACKAGES, cache_dir=None)) == []


def test_a_circle_of_three_modules_is_seen():
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph) == [["a", "b", "c"]]


RESTRICTED_READERS = {
    "lyra_data/models/gen3c/pickled_array.py",
    "lyra_data/models/weights/torchscript_archive.py",
}
"""Files with an Unpickler of their own, whose `find_class` allows a list of names."""


BETWEEN_OWN_PROCESSES = "lyra_model/batches/shared_values.py"
"""Hands values to a process that this one started, as multiprocessing does, which pickles too."""


def test_no_pickle_is_read_or_written_unsafely():
    """Naming the error that torch's own restricted reader raises is safe."""
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            name = path.relative_to(REPOSITORY).as_posix()
            is_reader = name in {*RESTRICTED_READERS, BETWEEN_OWN_PROCESSES}
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = [alias.name for alias in node.names] + [getattr(node, "module", "")]
                    is_error = ast.unparse(node) == "from pickle import UnpicklingError"
                    assert "pickle" not in names or is_error or is_reader, path
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                    assert "weights_only=True" in ast.unparse(node), path


@pytest.mark.parametrize("file", sorted(RESTRICTED_READERS))
def test_a_restricted_reader_unpickles_only_through_its_own_find_class(file):
    tree = ast.parse((REPOSITORY / file).read_text())
    readers = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(ast.unparse, node.bases)
    ]
    assert readers
    for reader in readers:
        functions = {node.name for node in reader.body if isinstance(node, ast.FunctionDef)}
        assert "find_class" in functions
    used = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"
    ]
    assert used.count("pickle.Unpickler") == len(readers)
    assert set(used) <= {"pickle.Unpickler", "pickle.UnpicklingError"}


def third_party_imports() -> dict[str, str]:
    """Every package that a file of the repository imports from elsewhere, with one such file."""
    ours = {*PACKAGES, "tests", "benchmarks", "experiments"}
    found: dict[str, str] = {}
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for name in tracked.stdout.split():
        for node in ast.walk(ast.parse((REPOSITORY / name).read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = [node.module]
            for module in modules:
                found.setdefault(module.partition(".")[0], name)
    return {
        name: file
        for name, file in found.items()
        if name not in ours and name not in sys.stdlib_module_names
    }


BROUGHT_BY = {"dvc_data": "dvc", "llvmlite": "numba", "tokenizers": "transformers"}
"""Packages that come with a declared one, whose version must fit them."""


LOOKED_FOR = {"causal_conv1d", "mamba_ssm"}
"""Packages that are used where someone has installed them, and never needed."""


def test_every_imported_package_is_declared_and_pinned():
    """A package that happens to be installed hides a missing line until someone else installs."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    declared = {normalised(re.split(r"[\[<>=!~ ]", line)[0]) for line in lines}
    pins = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {normalised(line.partition("==")[0]) for line in pins}
    distributions = packages_distributions()
    for package, file in third_party_imports().items():
        if package in LOOKED_FOR:
            continue
        owner = BROUGHT_BY.get(package, package)
        names = {normalised(name) for name in distributions.get(owner, [owner])}
        assert names & declared, f"{file} imports {package}: add it to pyproject.toml"
        assert names & pinned, f"{file} imports {package}: pin it in constraints.txt"


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


FRAGMENT = re.compile(r"(What|How|Of|In|Where|Whether|Those|As|By|For|With|On|At|From) ")


def test_docstrings_are_sentences_that_do_not_begin_as_fragments():
    """Also those of constants: a string that follows an assignment."""
    fragments = []
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                body = getattr(node, "body", None)
                for statement in body if isinstance(body, list) else ():
                    value = statement.value if isinstance(statement, ast.Expr) else None
                    text = value.value if isinstance(value, ast.Constant) else None
                    if isinstance(text, str) and FRAGMENT.match(text):
                        fragments.append(f"{path.relative_to(REPOSITORY)}: {text.splitlines()[0]}")
    assert not fragments


def test_warm_processes_import_modules_that_exist():
    for name in PRELOADED:
        assert importlib.util.find_spec(name) is not None, name
