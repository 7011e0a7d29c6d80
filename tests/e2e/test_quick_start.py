"""The Python example of the quick start, in the README and in the docs, works as written except for the port."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.processes import up
from tests.support.template import ROOT

PASTED = re.compile(r"^\.venv/bin/python - <<'EOF'\n(.*?)^EOF$", re.DOTALL | re.MULTILINE)
EXPORTED = re.compile(r"^export (CONVOKE_ACCOUNT_SID)=(\S+) (CONVOKE_AUTH_TOKEN)=(\S+)$", re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_quick_start_works_as_pasted(page: str) -> None:
    text = (ROOT / page).read_text()
    (program,) = PASTED.findall(text)
    ((sid_name, sid, token_name, token),) = EXPORTED.findall(text)
    with up("--data", ":memory:", environ={sid_name: sid, token_name: token}) as instance:
        pasted = program.replace("http://127.0.0.1:8000", instance.ready["url"])
        command = [sys.executable, "-"]
        result = subprocess.run(command, input=pasted, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stderr
        sid, first, *later = result.stdout.split()
        assert (sid[:2], first) == ("CH", "initializing")
        assert set(later) <= {"active"}
