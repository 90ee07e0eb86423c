"""Every rule of silver has a kind, a reason and a test with a text table in which it is broken. Starts no Spark."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from medlake.clean import imaging_rules
from medlake.clean.catalogue import rules_by_table
from medlake.grammar.quality import KINDS, Rule

SPEC = Path(__file__).resolve().parents[1] / "spec"
CLEAN = SPEC.parents[1] / "lib" / "medlake" / "clean"
RULES = {rule.name: rule for rules in rules_by_table().values() for rule in rules}


def tables_in(tree: ast.AST) -> list[str]:
    """The text tables of a test module: strings with bars and several lines; what an f-string fills in is left out."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
    return [text for text in found if "|" in text and text.count("\n") > 1]


TABLES = [text for path in sorted(SPEC.rglob("test_*.py")) for text in tables_in(ast.parse(path.read_text(encoding="utf-8")))]


def shown(name: str, tables: list[str]) -> bool:
    """Whether a row of some table breaks the rule: its name stands in a list."""
    pattern = re.escape(name).replace("…", r"[\w…]+")
    return any(re.search(rf"\[(?:[^\]]*[ ,])?{pattern}[,\]]", text) for text in tables)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_has_a_test_with_a_text_table(name: str) -> None:
    assert shown(name, TABLES), f"no table in tests/spec has a row that breaks {name}"


def test_a_rule_without_a_table_is_noticed() -> None:
    assert not shown("made_up_rule", TABLES)
    assert not shown("value", ["a | qc\n1 | [value_missing]\n"])
    assert shown("type_…", ["a | qc\n1 | [other, type_birth_date]\n"])


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_says_why(rule: Rule) -> None:
    assert rule.kind in KINDS
    assert rule.because.endswith(".") and len(rule.because) > 10 and rule.when


@pytest.mark.parametrize("module", sorted(imaging_rules.WHERE))
def test_rules_in_words_are_those_of_the_code(module: str) -> None:
    source = (CLEAN / f"{module}.py").read_text(encoding="utf-8")
    texts = {n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    names = {rule.name for rule in imaging_rules.WHERE[module]}
    made = {f"{kind}_ambiguous" for kind in ("visit", "procedure")} if "_ambiguous" in texts else set()
    assert names <= texts | made, "a rule that the code does not know"


def test_every_kind_has_a_rule() -> None:
    assert {rule.kind for rule in RULES.values()} == set(KINDS)
