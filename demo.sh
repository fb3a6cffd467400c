#!/usr/bin/env bash
# Sets everything up in .venv and runs the app on a dataset it makes itself.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/bin/python ] || python3 -m venv .venv
echo "installing into .venv: 2.3 GB, some minutes the first time"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt .
echo "the demo takes some 10 minutes; afterwards 'source .venv/bin/activate' makes cmb_bidsapp a command here"
exec .venv/bin/cmb_bidsapp demo "$@"
