"""Set-up compiles every kernel: the first batch of a worker compiles nothing, nor does the 367,000th event."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
from dataclasses import replace
from numba.core.registry import CPUDispatcher
from pipeline.stages import warm_up
from tests.flows import chain, batch_of, judgement, memory, records
from tests.models import small_model

def compiled():
    found = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith(("detectors", "pipeline")):
            for word, value in vars(module).items():
                if isinstance(value, CPUDispatcher):
                    found[f"{name}.{word}"] = list(value.signatures)
    return found

warm_up.main()
before = compiled()
partition = memory()
formed = chain().form(batch_of(records(300, bad=frozenset({7}))), partition, replace(judgement(), model=small_model()))
partition.commit(formed.entry)
partition.window.rebuild()
assert len(before) > 8, sorted(before)
new = {name: signatures for name, signatures in compiled().items() if signatures != before.get(name)}
assert not new, new
print("compiled before:", sum(map(len, before.values())))
"""


def test_a_batch_compiles_nothing_that_set_up_did_not() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
