#!/usr/bin/env bash
# Sets everything up in .venv and runs the app on a dataset it makes itself.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt .
exec .venv/bin/cmb_bidsapp demo "$@"
