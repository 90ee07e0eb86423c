"""The walls of the house, read from the source itself: who imports whom, who may run a Spark job, what has which size.

Nothing here starts Spark or imports a step: modules are parsed, promises are read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from medlake.grammar import errors
from medlake.grammar.contract import all_promises, data_type

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib" / "medlake"

ROOMS = (
    "sources", "privacy", "link", "clean", "gate", "imaging", "features",
    "ml", "mining", "prepare", "models", "evaluate", "explain", "report", "standards",
)  # fmt: skip
MAY_IMPORT: dict[str, set[str]] = {
    "grammar": {"grammar"},
    "doors": {"doors", "grammar", "medlake"},  # the package itself: its version
    **{room: {room, "grammar"} for room in ROOMS},
    "mining": {"mining", "ml", "grammar"},
    "prepare": {"prepare", "ml", "grammar"},  # blocks of points, models that keep tables
    "evaluate": {"evaluate", "models", "grammar"},
    "explain": {"explain", "models", "grammar"},
    "steps": {"steps", "doors", "grammar", *ROOMS},
    "commands": {"commands", "steps", "doors", "grammar"},
    "cli": {"commands", "steps", "doors", "grammar"},
    "__main__": {"cli"},
    "medlake": set(),
    "submit": {"cli"},
    "jobs": {"submit"},
}
OF_DOORS = {"mlflow", "delta", "typer", "py4j"}  # libraries that touch the world, or are about the command line

ACTIONS = {
    "collect", "toPandas", "toLocalIterator", "toArrow", "isEmpty", "foreach", "foreachPartition", "save", "saveAsTable",
    "localCheckpoint", "checkpoint", "first", "head", "take", "fit",
}  # fmt: skip
NO_FRAMES = {"F", "np", "pa", "pc"}  # F.first is a column, np.take an array
# Fitting a model runs Spark jobs by nature. Such a module says so in its docstring and stands here with what it calls.
FITTING = {
    "link/estimate.py": ({"first", "toArrow"}, "Splink: samples of bounded size"),
    "mining/fitting.py": ({"fit", "first", "localCheckpoint"}, "K-means and PCA: centres and loadings"),
    "ml/counting.py": ({"first", "localCheckpoint", "toArrow"}, "baskets: numbers, frequent items and undecided candidates"),
    "ml/itemsets.py": ({"fit", "localCheckpoint"}, "frequent itemsets, MLlib's FP-growth as a reference"),
    "ml/rules.py": ({"localCheckpoint"}, "rules of a fitted model"),
    "ml/strata.py": ({"localCheckpoint"}, "rules times levels"),
    "ml/sequences.py": ({"first", "localCheckpoint", "toArrow"}, "sequences: a number, and the candidates"),
    "ml/survey.py": ({"localCheckpoint", "first", "toArrow"}, "counts, and a sample of bounded size"),
    "ml/components.py": ({"localCheckpoint", "first"}, "one count per round"),
    "ml/dbscan.py": ({"localCheckpoint"}, "DBSCAN: what its cells found"),
    "ml/lloyd.py": ({"collect", "fit"}, "sums per centre, one row per partition"),
    "ml/kmeans.py": ({"localCheckpoint"}, "K-means: rows in blocks"),
    "ml/cf_tree.py": ({"fit"}, "scikit-learn's, on arrays"),
    "ml/birch.py": ({"toArrow"}, "at most maxSubclusters subclusters"),
    "ml/k_distance.py": ({"toArrow"}, "k distances of a bounded sample, one row per partition"),
    "ml/mixed.py": ({"first", "collect"}, "means, spreads and the shares of at most maxLevels levels"),
    "ml/choice.py": ({"localCheckpoint", "collect", "fit"}, "figures per k"),
    "prepare/imputer.py": ({"first", "localCheckpoint"}, "one value per column, and a table of those of groups"),
    "prepare/indicator.py": ({"first"}, "one count per column"),
    "prepare/knn.py": ({"first", "localCheckpoint"}, "means, and the rows of the fit in blocks"),
    "prepare/iterative.py": ({"first", "collect", "localCheckpoint"}, "sums of products, one row per partition"),
    "prepare/mcar.py": ({"first", "toArrow"}, "sums of at most maxPatterns patterns"),
    "prepare/fences.py": ({"first"}, "quantiles of each column"),
    "prepare/isolation.py": ({"first", "fit", "toArrow"}, "a sample of at most 100,000 rows for scikit-learn's forest"),
    "prepare/scalers.py": ({"first"}, "a few figures per column"),
    "prepare/binner.py": ({"first"}, "the edges of each column"),
    "prepare/encoders.py": ({"collect"}, "at most maxLevels levels per column"),
    "prepare/class_sums.py": ({"toLocalIterator"}, "sums per class and column, one row per partition and class"),
    "prepare/selector.py": ({"fit", "first", "localCheckpoint"}, "quantiles, MLlib's logistic regression and forest"),
    "privacy/synthetic.py": ({"collect"}, "made-up rows: bounded counts of values and of pairs of values"),
    "models/fitting.py": ({"fit", "collect", "localCheckpoint"}, "classifiers: parameters and one count per fold"),
    "models/linear.py": ({"first", "collect"}, "an Estimator's _fit: coefficients, or one sum per partition and step"),
    "models/preparation.py": ({"first"}, "an Estimator's _fit: one mean and one spread per feature"),
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
MAX_LINES, MAX_JOB_LINES = 320, 60

OPEN_LAYERS = ("silver", "gold", "ops", "ref")
IDENTITY = ("name", "address", "birth_date", "phone", "email", "national_id")


@dataclass(frozen=True)
class Module:
    """One Python file and its tree."""

    path: Path
    tree: ast.Module

    @property
    def area(self) -> str:
        """The folder under lib/medlake (or the module, for those beside the folders), or `jobs`."""
        if not self.path.is_relative_to(LIB):
            return "jobs"
        first = self.path.relative_to(LIB).parts[0].removesuffix(".py")
        return "medlake" if first == "__init__" else first

    @property
    def name(self) -> str:
        return self.path.relative_to(LIB if self.path.is_relative_to(LIB) else ROOT).as_posix()


def modules() -> list[Module]:
    """Every module of lib/ and jobs/, by path."""
    paths = [*sorted(LIB.rglob("*.py")), *sorted((ROOT / "jobs").glob("*.py"))]
    return [Module(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


MODULES = modules()


def imported(module: Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import, wherever it stands: at the top, in a function, for the type checker."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ("medlake", *module.path.relative_to(LIB).parts[: -node.level])
                base = ".".join([*package, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def area_of(name: str) -> str | None:
    """The area of medlake that a dotted name belongs to; None for other libraries."""
    parts = name.split(".")
    if parts[0] != "medlake":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else "medlake"


def actions(module: Module) -> Iterator[tuple[int, str]]:
    """(line, method) of every call that would run a Spark job if its object is a DataFrame."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ACTIONS:
            on = node.func.value
            if not (isinstance(on, ast.Name) and on.id in NO_FRAMES):
                yield node.lineno, node.func.attr


def row_udfs(module: Module) -> Iterator[int]:
    """Lines that name a plain `udf`, as a call, a decorator or an import; pandas_udf is another name."""
    for node in ast.walk(module.tree):
        named = isinstance(node, ast.Name) and node.id == "udf"
        reached = isinstance(node, ast.Attribute) and node.attr == "udf"
        taken = isinstance(node, ast.ImportFrom) and any(alias.name == "udf" for alias in node.names)
        if named or reached or taken:
            yield node.lineno


def listed(faults: list[str]) -> str:
    return "\n" + "\n".join(f"  {fault}" for fault in faults)


def test_every_folder_of_the_house_is_on_the_map() -> None:
    unknown = sorted({m.area for m in MODULES} - set(MAY_IMPORT))
    assert not unknown, f"say in MAY_IMPORT what these may import: {', '.join(unknown)}"
    assert {m.area for m in MODULES} >= set(ROOMS)


@pytest.mark.parametrize("area", sorted(MAY_IMPORT))
def test_imports_go_one_way(area: str) -> None:
    faults = [
        f"{m.name}:{line} imports {name}"
        for m in MODULES
        if m.area == area
        for line, name in imported(m)
        if area_of(name) is not None and area_of(name) not in MAY_IMPORT[area]
    ]
    assert not faults, listed(faults)


def test_rooms_and_grammar_leave_the_world_to_the_doors() -> None:
    faults = [
        f"{m.name}:{line} imports {name}"
        for m in MODULES
        if m.area in (*ROOMS, "grammar")
        for line, name in imported(m)
        if name.split(".")[0] in OF_DOORS
    ]
    assert not faults, listed(faults)


def test_no_action_in_a_room() -> None:
    faults = [
        f"{m.name}:{line} calls .{method}("
        for m in MODULES
        if m.area in ROOMS
        for line, method in actions(m)
        if method not in FITTING.get(m.name, (set(), ""))[0]
    ]
    assert not faults, listed(faults)


@pytest.mark.parametrize("name", sorted(FITTING))
def test_a_module_that_fits_says_so_and_calls_what_it_was_allowed(name: str) -> None:
    module = next(m for m in MODULES if m.name == name)
    assert "Spark job" in (ast.get_docstring(module.tree) or ""), "its docstring must say that it runs Spark jobs"
    allowed, _ = FITTING[name]
    assert {method for _, method in actions(module)} == allowed, "an allowance that is no longer used must go"


def test_no_row_udf() -> None:
    faults = [f"{m.name}:{line}" for m in MODULES for line in row_udfs(m)]
    assert not faults, listed(faults)


def test_no_module_has_a_vague_name() -> None:
    faults = [m.name for m in MODULES if VAGUE & set(m.name.removesuffix(".py").split("/"))]
    assert not faults, listed(faults)


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_stay_small() -> None:
    sizes = {m.name: lines_of(m.path) for m in MODULES if m.area != "jobs"}
    faults = [f"{name} has {n} lines, at most {MAX_LINES}" for name, n in sizes.items() if n > MAX_LINES]
    assert not faults, listed(faults)


def test_jobs_are_thin() -> None:
    sizes = {m.name: lines_of(m.path) for m in MODULES if m.area == "jobs"}
    assert sizes, "there are no jobs"
    faults = [f"{name} has {n} lines, at most {MAX_JOB_LINES}" for name, n in sizes.items() if n > MAX_JOB_LINES]
    assert not faults, listed(faults)


PROMISES = [
    f"{path.parent.name}.{path.stem}" for path in sorted((ROOT / "schemas").glob("*/*.toml"))
]  # from the folder itself: a promise in an unknown layer must not be passed over


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_parses_and_its_types_are_known(name: str) -> None:
    assert name in all_promises(), "its layer is not one of contract.LAYERS"
    said = all_promises()[name]
    assert said.about.startswith("One "), "`about` tells the grain: One …"
    assert said.key, "a table without a key cannot be written twice"
    for column in said.columns.values():
        data_type(column.type)
        assert column.null.strip(), f"{column.name}: say what a null means, or never"


@pytest.mark.parametrize("name", [n for n in PROMISES if n.partition(".")[0] in OPEN_LAYERS])
def test_the_open_zone_promises_no_identity(name: str) -> None:
    leaking = all_promises()[name].of_class(*IDENTITY)
    assert not leaking, f"{name}: {', '.join(leaking)} belong into vault.identity"


@pytest.mark.parametrize("name", [n for n in PROMISES if n.partition(".")[0] in ("silver", "gold")])
def test_silver_and_gold_have_types_that_every_reader_knows(name: str) -> None:
    odd = [c.name for c in all_promises()[name].columns.values() if "map<" in c.type or "variant" in c.type]
    assert not odd, f"{name}: {', '.join(odd)}"


def error_classes() -> dict[str, int]:
    """The error classes that state an exit code of their own."""
    known = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MedlakeError)]
    return {kind.__name__: kind.exit_code for kind in known if "exit_code" in vars(kind)}


def test_each_exit_code_stands_for_one_class() -> None:
    codes = error_classes()
    owners = {code: sorted(name for name, c in codes.items() if c == code) for code in sorted(set(codes.values()))}
    faults = [f"exit code {code} is shared by {', '.join(names)}" for code, names in owners.items() if len(names) > 1]
    assert not faults, listed(faults)


def test_each_exit_code_is_documented_once() -> None:
    assert set(error_classes().values()) | {0} == set(errors.EXIT_CODES)
    meanings = list(errors.EXIT_CODES.values())
    assert len(meanings) == len(set(meanings))


BAD_ROOM = """
from medlake.doors.lake import Lake
from ..steps import runner
import mlflow
def f(df):
    n = df.groupBy("a").agg(F.first("b")).collect()
    return udf(len)(n)
"""


def test_the_search_finds_what_is_forbidden() -> None:
    bad = Module(LIB / "clean" / "bad.py", ast.parse(BAD_ROOM))
    assert {area_of(name) for _, name in imported(bad)} == {"doors", "steps", None}
    assert [method for _, method in actions(bad)] == ["collect"]
    assert list(row_udfs(bad)) == [7]
