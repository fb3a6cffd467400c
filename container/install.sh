#!/bin/sh
# Installs what pyproject.toml asks for into /opt/cmb_bidsapp: install.sh {cpu,cuda}
set -eu
venv=/opt/cmb_bidsapp
install() {
  python3 -m pip --python $venv/bin/python install --no-cache-dir -c constraints.txt "$@"
}

# The plain version draws gigabytes of CUDA from most indexes; one that ends in +cpu never does.
torch=$(grep '^torch==' constraints.txt)
case $1 in
  cpu) torch=$torch+cpu ;;
  cuda) ;;
  *) echo "TORCH=$1: cpu or cuda is expected" >&2; exit 2 ;;
esac
install "$torch" || {
  echo "TORCH=$1: $torch cannot be installed. Name an index that has it with" \
    "--build-arg PIP_EXTRA_INDEX_URL=URL, or choose --build-arg TORCH=cuda" >&2
  exit 1
}
if [ "$1" = cuda ]; then
  $venv/bin/python -c 'import torch; raise SystemExit(torch.version.cuda is None)' || {
    echo "TORCH=cuda: the index has a CPU build; name another with PIP_EXTRA_INDEX_URL" >&2
    exit 1
  }
fi

python3 -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > wanted
install -r wanted

# For compilers and for tests of the packages themselves.
cd $venv/lib/python3*/site-packages
rm -rf torch/include torch/test pandas/tests
