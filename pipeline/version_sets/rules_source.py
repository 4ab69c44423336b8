"""What the rules are, as content: any change of what they decide or say is another version of them.

Place in the flow: part of every version set and kept in the store as its artefact `rules`, so that an auditor reads
years later what a rule was when it held. The content is the source of the rules' package without comments, docstrings,
layout and cases: only the same rules can finish what was judged under them.
"""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

from detectors import rules
from pipeline.errors import BrokenInvariant

FORMAT = 1
_NOT_DECIDING = frozenset(("cases.py",))


@cache
def rules_content() -> bytes:
    """Canonical JSON: file name → normalised source. Raises: BrokenInvariant: the package's sources are missing."""
    files = sorted(path for path in Path(rules.__file__).parent.glob("*.py") if path.name not in _NOT_DECIDING)
    if not files:
        raise BrokenInvariant("the sources of the rules are not installed: their version cannot be told")
    sources = {path.stem: normalised_source(path.read_text(encoding="utf-8")) for path in files}
    document = {"format": FORMAT, "rules": sources}
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def normalised_source(source: str) -> str:
    """The source without what decides nothing: comments, docstrings, layout, cases."""
    return ast.unparse(_WithoutCasesAndDocstrings().visit(ast.parse(source)))


class _WithoutCasesAndDocstrings(ast.NodeTransformer):
    """Drops the argument `cases` of every call and every text that stands alone."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call without its argument `cases`."""
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "cases"]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """`pass` in place of a docstring: a body must not become empty."""
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else self.generic_visit(node)
