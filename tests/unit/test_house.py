"""The house rules that no linter knows."""

import ast
import re
import subprocess
from functools import cache
from pathlib import PurePosixPath

import pytest
import typer.main
import yaml

from pacs import __version__
from pacs.cli import app
from pacs.settings import KNOWN_VARIABLES
from tests.data import PROJECT

TOP_LEVEL = {
    *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"),
    *("storage", "pacs", "viewer_api", "tests", "docker"),
    *(".ci", ".github", ".gitignore", ".pre-commit-config.yaml"),
}
LARGEST_FILE_BYTES = 1_000_000
CLAIMED_TEST = re.compile(r"tests/[\w/]+\.py(?:::\w+)+")


def read(path):
    return (PROJECT / path).read_text("utf-8")


@cache
def tracked_files():
    # In CI the checkout may belong to another user than the one who runs the tests.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    paths = [PROJECT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


def code_in(markdown):
    """Code of a Markdown text: fenced and indented blocks, and spans between backticks."""
    fenced = re.findall(r"^```.*?\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^(?: {4}|\t)(.*)$", markdown, re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", markdown)
    return "\n".join(fenced + indented + spans)


def commands():
    return set(typer.main.get_command(app).commands)


def make_targets():
    return set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))


def tables_in(markdown):
    """Tables of a Markdown text, each a list of rows, each a list of cells."""
    for block in re.findall(r"(?:^\|.*\n)+", markdown + "\n", re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        yield [row for row in rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]


def claims_of_conformance():
    """Rows of those tables whose last column is headed Test."""
    for header, *rows in tables_in(read("pacs/CONFORMANCE.md")):
        if header[-1].casefold() in ("test", "tests"):
            yield from rows


@cache
def functions_in(path):
    """Names of the test functions of a file, those of classes as ``Class::name``."""
    if not (PROJECT / path).is_file():
        return set()
    tree = ast.parse(read(path))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    pairs = [("", node) for node in tree.body] + [
        (f"{one.name}::", node) for one in classes for node in one.body
    ]
    return {
        prefix + node.name
        for prefix, node in pairs
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_setting_is_documented():
    text = read("README.md")
    assert [name for name in sorted(KNOWN_VARIABLES) if not re.search(rf"\b{name}\b", text)] == []


def test_every_command_is_documented():
    code = code_in(read("README.md"))
    assert [name for name in sorted(commands()) if not re.search(rf"\bfilmless {name}\b", code)] == []


@pytest.mark.parametrize("document", ["README.md", "docker/README.md"])
def test_every_name_that_a_document_gives_exists(document):
    code = code_in(read(document))
    assert set(re.findall(r"(?:^|[ /])filmless ([a-z]+(?:-[a-z]+)*)", code, re.MULTILINE)) <= commands()
    assert set(re.findall(r"^\s*make ([a-z]+)", code, re.MULTILINE)) <= make_targets()
    assert set(re.findall(r"\bFILMLESS_[A-Z0-9_]+", code)) <= KNOWN_VARIABLES | {"FILMLESS_REQUIRE_ALL"}


def test_the_top_level_has_the_names_that_were_agreed():
    assert {path.relative_to(PROJECT).parts[0] for path in tracked_files()} - TOP_LEVEL == set()


def test_the_changelog_speaks_of_this_version():
    headings = re.findall(r"^## \[?([^\]\s]+)", read("CHANGELOG.md"), re.MULTILINE)
    assert {"Unreleased", __version__} & set(headings)


def test_every_claim_of_conformance_names_a_test():
    claims = list(claims_of_conformance())
    assert claims
    assert [row for row in claims if not CLAIMED_TEST.search(row[-1])] == []


def test_every_test_that_a_claim_names_exists():
    named = set(CLAIMED_TEST.findall(read("pacs/CONFORMANCE.md")))
    assert named
    missing = [
        name for name in sorted(named) if name.partition("::")[2] not in functions_in(name.partition("::")[0])
    ]
    assert missing == []


def test_no_dicom_file_is_tracked():
    # A preamble of 128 bytes, then DICM (PS3.10 7.1).
    def is_dicom(path):
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"

    assert [path for path in tracked_files() if path.suffix == ".dcm" or is_dicom(path)] == []


def test_no_large_file_is_tracked():
    assert [path for path in tracked_files() if path.stat().st_size > LARGEST_FILE_BYTES] == []


def test_nothing_unfinished_is_left_in_the_packages():
    marks = re.compile(r"\bTODO\b|\bFIXME\b|NotImplementedError|pragma: no cover")
    sources = [
        path for path in tracked_files() if path.suffix in (".py", ".js") and "tests" not in path.parts
    ]
    assert [path for path in sources if marks.search(path.read_text("utf-8"))] == []


def test_modules_are_named_for_what_they_hold():
    vague = {
        "manager",
        "helper",
        "helpers",
        "util",
        "utils",
        "common",
        "service",
        "processor",
        "info",
        "misc",
    }
    modules = [path for path in tracked_files() if path.suffix in (".py", ".js")]
    assert [path for path in modules if set(re.split(r"[_-]", path.stem)) & vague] == []


def test_the_workflow_does_what_developers_do():
    (job,) = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert {"check", "test"} <= set(re.findall(r"^make_with_python ([a-z]+)", read(".ci/run"), re.MULTILINE))


def test_ci_run_can_be_run():
    assert (PROJECT / ".ci" / "run").stat().st_mode & 0o111
    subprocess.run(["bash", "-n", PROJECT / ".ci" / "run"], check=True)


def test_every_check_is_a_hook_before_a_commit():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", read("Makefile"), re.MULTILINE)[1]
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert [one["repo"] for one in hooks] == ["local"]
    entries = [hook["entry"] for hook in hooks[0]["hooks"]]
    for tool in re.findall(r"\$\(BIN\)/([\w-]+(?: (?:check|format))?)", recipe):
        assert any(f"{entry} ".startswith(f".venv/bin/{tool} ") for entry in entries), tool


def test_paths_of_tests_mirror_the_packages():
    packages = {"storage", "pacs", "viewer_api"}
    for path in tracked_files():
        name = PurePosixPath(path.relative_to(PROJECT))
        if name.parts[:2] == ("tests", "unit") and len(name.parts) > 3:
            assert name.parts[2] in packages
            assert (PROJECT.joinpath(*name.parts[2:-1])).is_dir(), name
