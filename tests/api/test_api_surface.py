"""What programs may rely on: the names of ``apex_cli.api``, and that importing it costs little."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "asyncio ib_insync ib_async multiprocessing numpy pandas polars pydantic rich ssl talib textual tinydb typer yaml"
)


def test_importing_the_api_imports_nothing_heavy() -> None:
    script = "import sys, apex_cli.api; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    found = set(done.stdout.split())
    assert "apex_cli" in found
    assert found.isdisjoint(HEAVY.split())
