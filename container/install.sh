#!/bin/sh
# Installs what pyproject.toml asks for into /opt/cmb_bidsapp: install.sh {auto,cpu,cuda}
#
# auto takes the small build of torch for the CPU where an index offers it, else the ordinary one.
# What was taken is said in /opt/cmb_bidsapp/torch.txt.
set -eu
venv=${VENV:-/opt/cmb_bidsapp}
install() {
  python3 -m pip --python $venv/bin/python install --no-cache-dir -c constraints.txt "$@"
}
stop() {
  echo "TORCH=$wanted: $*" >&2
  exit 1
}

wanted=$1
# The plain version draws gigabytes of CUDA from most indexes; one that ends in +cpu never does.
torch=$(grep '^torch==' constraints.txt)
case $wanted in
  auto)
    install "$torch+cpu" || {
      # Why it failed decides: another torch is no answer to a full disk, or to an index that is down.
      if install --dry-run --no-deps "$torch+cpu" > /dev/null 2> why; then
        stop "$torch+cpu is offered, but cannot be installed; see above"
      elif grep Retrying why >&2; then
        stop "an index does not answer, so whether it offers $torch+cpu is not known; try again"
      fi
      echo "TORCH=auto: no index offers $torch+cpu, so the ordinary build is taken: some GB more," \
        "and able to use a GPU. For the small image name an index that has the CPU build" \
        "(--build-arg PIP_EXTRA_INDEX_URL=URL --build-arg TORCH=cpu)." >&2
      install "$torch" || stop "$torch cannot be installed either; does pip reach its index?"
    } ;;
  cpu)
    install "$torch+cpu" || stop "$torch+cpu cannot be installed. Name an index that has it with" \
      "--build-arg PIP_EXTRA_INDEX_URL=URL, or choose --build-arg TORCH=auto" ;;
  cuda)
    install "$torch" || stop "$torch cannot be installed. Name an index that has it with" \
      "--build-arg PIP_EXTRA_INDEX_URL=URL"
    $venv/bin/python -c 'import torch; raise SystemExit(torch.version.cuda is None)' ||
      stop "the index has a CPU build; name another with PIP_EXTRA_INDEX_URL" ;;
  *) echo "TORCH=$wanted: auto, cpu or cuda is expected" >&2; exit 2 ;;
esac
$venv/bin/python -c 'import torch
print(torch.__version__, "for CUDA " + torch.version.cuda if torch.version.cuda else "for the CPU")
' > $venv/torch.txt
echo "TORCH=$wanted: torch $(cat $venv/torch.txt)"

python3 -c 'import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["cluster"], sep="\n")' > wanted
install -r wanted

# For compilers and for tests of the packages themselves.
cd $venv/lib/python3*/site-packages
rm -rf torch/include torch/test pandas/tests
