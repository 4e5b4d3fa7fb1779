"""The documents tell the truth as far as a test can see: commands, links, paths, tables."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
import yaml

from lyra_data.engine.params import Params
from lyra_data.generation.trajectories import CAMERA_PATHS
from lyra_model.losses import LOSSES
from lyra_model.rendering import BACKENDS
from stages.cli import app
from stages.params_reference import meanings_of
from stages.reference import packaged_files, params_page, schema_page
from tests.architecture.test_structure import registries
from tests.goldens import REPOSITORY

OWN_FOLDERS = ("lyra_data", "lyra_model", "stages", "docs", "tests", "benchmarks")
WRITTEN_BY_A_RUN = ("outputs/", "reports/", ".venv")
SHELL = ("cd", "git", "source")
PLACES_ON_ONE_MACHINE = re.compile(r"(?<![\w.}])/(?:work|root|tmp|home|Users)/|\.\./shared\b")


@cache
def committed_files() -> tuple[str, ...]:
    """Files that git tracks, or would with `git add .`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return tuple(sorted(f for f in listed.stdout.splitlines() if (REPOSITORY / f).is_file()))


DOCUMENTS = [name for name in committed_files() if name.endswith(".md")]


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def commands_in(markdown: str) -> Iterator[list[str]]:
    """Every line of a bash block, and every inline `make ...`, `lyra-data ...`, `dvc ...`."""
    for block in re.findall(r"^```bash\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        yield from (shlex.split(line, comments=True) for line in block.splitlines() if line)
    inline = r"`((?:make|lyra-data|dvc|python -m) [^`\n]+)`"
    yield from (shlex.split(command) for command in re.findall(inline, markdown))


def explain_what_is_wrong(words: list[str]) -> str | None:
    """None where the command exists, with every option and target it names. Nothing is run."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    program, *arguments = words
    if program == "make":
        return wrong_with_make(arguments)
    if program == "lyra-data":
        return wrong_with_lyra_data(arguments)
    if program == "dvc":
        return wrong_with_dvc(arguments)
    if program == "python" and arguments[0] == "-m":
        found = importlib.util.find_spec(arguments[1])
        return None if found else f"there is no module {arguments[1]}"
    installed = shutil.which(program, path=str(Path(sys.executable).parent))
    return None if program in SHELL or installed else f"unknown program {program}"


def wrong_with_make(targets: list[str]) -> str | None:
    rules = re.findall(r"^([a-z-]+):(?!=)", text_of("Makefile"), re.MULTILINE)
    unknown = [target for target in targets if "=" not in target and target not in rules]
    if unknown:
        return f"the Makefile has no {unknown}"
    dry = subprocess.run(["make", "-n", *targets], cwd=REPOSITORY, capture_output=True, text=True)
    return dry.stderr if dry.returncode else None


def wrong_with_lyra_data(arguments: list[str]) -> str | None:
    group = typer.main.get_command(app)
    if arguments in (["--version"], ["--help"]):
        return None
    verb, *options = arguments
    command = getattr(group, "commands", {}).get(verb)
    if command is None:
        return f"there is no verb {verb}"
    while options and (inner := getattr(command, "commands", None)):
        verb, *options = options
        command = inner.get(verb)
        if command is None:
            return f"there is no verb {verb}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [option for option in options if option.startswith("-") and option not in known]
    return f"{verb} has no {unknown}" if unknown else None


def wrong_with_dvc(arguments: list[str]) -> str | None:
    from dvc.cli import DvcParserError, parse_args

    try:
        parse_args(arguments)
    except (SystemExit, DvcParserError) as error:
        return f"dvc refuses {arguments}: {error}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_a_document_exists(document):
    found = {
        shlex.join(words): explain_what_is_wrong(words) for words in commands_in(text_of(document))
    }
    assert not {command: wrong for command, wrong in found.items() if wrong}


@pytest.mark.parametrize(
    "command",
    [
        "make nonsense",
        "make docs-of-nothing test",
        "lyra-data anotate",
        "lyra-data train --fase demo",
        "lyra-data weights push gen3c",
        "lyra-data weights pull gen3c --fast",
        "dvc reproduce",
        "python -m stages.nowhere",
        "PYTHONPATH=. frobnicate",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(command):
    assert explain_what_is_wrong(shlex.split(command))


def test_the_two_commands_of_the_readme_are_demo_and_test():
    section = text_of("README.md").partition("\n## Two commands\n")[2]
    first_block = re.search(r"^```bash\n(.*?)^```", section, re.M | re.S)
    assert first_block and first_block[1].split("\n") == ["make demo", "make test", ""]


def test_the_first_thing_that_a_visitor_types_gives_a_scene_to_turn():
    first_block = re.search(r"^```bash\n(.*?)^```", text_of("README.md"), re.M | re.S)
    assert first_block and first_block[1].split("\n")[-2] == "lyra-data reconstruct motorcycle"


def test_every_verb_is_documented_in_the_readme():
    verbs = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [verb for verb in verbs if f"`lyra-data {verb}`" not in text_of("README.md")] == []


def test_the_readme_names_every_option_and_no_other():
    commands = getattr(typer.main.get_command(app), "commands", {}).values()
    known = {o for command in commands for parameter in command.params for o in parameter.opts}
    known = {option for option in known if option.startswith("-")}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text_of("README.md")))
    assert named == known | {"--help", "--version"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_and_headings_that_exist(document):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, heading = target.partition("#")
        file = (REPOSITORY / document).parent / path if path else REPOSITORY / document
        if not file.exists() or (heading and heading not in headings(file)):
            broken.append(target)
    assert not broken


def headings(file: Path) -> set[str]:
    """The anchors that a Markdown viewer gives to a file's headings."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_that_documents_name_exist(document):
    folders = "|".join(OWN_FOLDERS)
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", text_of(document))
    examples = {"lyra_data/teachers/mine.py"}
    assert [
        path for path in named if not (REPOSITORY / path).exists() and path not in examples
    ] == []


def test_architecture_lists_every_kind_and_no_other():
    kinds = {folder: set(registry.names()) for folder, registry in registries().items()}
    kinds |= {"lyra_model/rendering": set(BACKENDS), "lyra_model/losses": set(LOSSES)}
    row = r"^\| `(lyra_\w+(?:/\w+)+)` \|.*\| ([^|]+) \|$"
    promises = text_of("ARCHITECTURE.md").partition("\n## Promises\n")[2]
    rows = re.findall(row, promises, re.M)
    assert {folder: set(re.findall(r"`(\w+)`", listed)) for folder, listed in rows} == kinds


def test_architecture_has_a_row_for_every_package():
    rows = re.findall(r"^\| `([\w/.]+)` ", text_of("ARCHITECTURE.md"), re.M)
    for package in ("lyra_data", "lyra_model", "stages"):
        inside = [path for path in (REPOSITORY / package).iterdir() if path.is_dir()]
        names = {
            path.relative_to(REPOSITORY).as_posix() for path in inside if any(path.glob("*.py"))
        }
        assert names and names <= set(rows), sorted(names - set(rows))


def test_architecture_lists_every_camera_path():
    sentence = re.search(r"^Camera paths are .*?\n\n", text_of("ARCHITECTURE.md"), re.M | re.S)
    assert sentence and set(re.findall(r"`(\w+)`", sentence[0])) == set(CAMERA_PATHS)


def test_the_reference_of_params_is_up_to_date():
    values = yaml.safe_load(text_of("params.yaml"))
    assert text_of("docs/params.md") == params_page(values), "run `python -m stages.reference`"


def test_the_package_carries_the_repositorys_own_project():
    for path, text in packaged_files().items():
        assert path.read_text("utf-8") == text, f"{path}: run `python -m stages.reference`"


def test_a_key_that_its_docstring_does_not_explain_is_refused():
    class HalfToldParams(Params):
        """Something.

        Attributes:
            height, width: sizes in
                pixels.
        """

        height: int
        width: int
        colour: str

    with pytest.raises(AssertionError, match=r"HalfToldParams does not explain .'colour'"):
        meanings_of(HalfToldParams)


def test_the_reference_of_the_schema_is_up_to_date():
    assert text_of("docs/schema.md") == schema_page(), "run `python -m stages.reference`"


def test_no_file_names_a_place_on_one_machine():
    found = {}
    for name in committed_files():
        try:
            lines = text_of(name).splitlines()
        except UnicodeDecodeError:
            continue
        naming = [line for line in lines if PLACES_ON_ONE_MACHINE.search(line)]
        if naming:
            found[name] = naming
    assert not found


@pytest.mark.parametrize("folder", ["work", "root", "tmp", "home"])
def test_a_place_on_one_machine_is_noticed(folder):
    for before in ("cd ", "'", "(", ""):
        assert PLACES_ON_ONE_MACHINE.search(f"{before}/{folder}/here")
    assert not PLACES_ON_ONE_MACHINE.search(f"https://example.org/{folder}/here, .{folder}/here")
