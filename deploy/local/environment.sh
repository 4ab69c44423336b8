#!/usr/bin/env bash
# Makes the virtual environment from the locked versions: with uv where it is installed, else with venv and pip.
# Called by `make env`. Prints how long it took.
set -euo pipefail
venv=$1
python=${PYTHON:-python3}
start=$(date +%s)
"$python" - <<'PY' || { echo "accesstrail needs Python 3.11 or newer (set PYTHON=/path/to/python3.x)" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
if command -v uv >/dev/null 2>&1; then
  UV_PROJECT_ENVIRONMENT="$venv" uv sync --quiet --frozen --python "$python"
else
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "python's venv module is missing: install it (on Debian: the package python3-venv)" >&2; exit 1; }
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
fi
# Compiled kernels are cached beside their sources; doing it here keeps the first event fast.
"$venv/bin/python" -m pipeline.stages.warm_up
echo "environment ready in $(( $(date +%s) - start )) s"
