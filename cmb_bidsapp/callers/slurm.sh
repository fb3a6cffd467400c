#!/bin/bash
# cmb_bidsapp {{ version }}: {{ participants }} participants in {{ tasks | length }} tasks{{ ", then the group level" if group }}.
# Submit it with: bash FILE. Submitted again it does only what is missing or has changed.
#SBATCH --job-name=cmb_bidsapp
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={{ cpus }}
#SBATCH --mem={{ memory_mb }}M
#SBATCH --time={{ time }}
{% for directive in directives %}
#SBATCH {{ directive }}
{% endfor %}
set -euo pipefail

bids={{ bids_dir | quote }}
out={{ out_dir | quote }}
logs="$out/logs/slurm"
scratch={{ scratch | quote if scratch else '"${SLURM_TMPDIR:-${TMPDIR:-/tmp}}"' }}
participants=(
{% for task in tasks %}
  {{ task | quote }}
{% endfor %}
)

# The app with its share of the node, and scratch that goes when it ends.
app() {
  mkdir -p "$scratch"
  work=$(mktemp -d "$scratch/cmb_bidsapp.XXXXXX")
  trap 'rm -rf "$work"' EXIT
{% if image %}
{% if license %}
  # Nothing else of the environment enters the container.
  export {APPTAINER,SINGULARITY}ENV_FREESURFER_LICENSE="${FREESURFER_LICENSE-}"
{% endif %}
  "$(command -v apptainer || command -v singularity)" run --cleanenv --containall --no-home{{ " --nv" if gpu }} \
    --bind "$bids:$bids:ro" --bind "$out:$out" --bind "$work:$work" \
{% for bind in binds %}
    --bind {{ bind | quote }} \
{% endfor %}
    {{ image | quote }} \
{% else %}
  {{ program }} \
{% endif %}
    "$@" --nprocs {{ cpus }} --mem {{ memory_mb }} --work-dir "$work"
}

case ${1-submit} in
submit)
  mkdir -p "$logs"{% for folder in folders %} {{ folder | quote }}{% endfor %}

  array=$(sbatch --parsable --array={{ array }}{{ " --gres=gpu:1" if gpu }} \
    --output="$logs/%x-%A_%a.log" "$0" participant)
  array=${array%%;*}
  echo "job $array: {{ tasks | length }} tasks, their messages in $logs"
{% if group %}
  group=$(sbatch --parsable --dependency="afterany:$array" --output="$logs/%x-%j.log" "$0" group)
  echo "job ${group%%;*}: the group level, once they have ended"
{% endif %}
  ;;
participant)
  app "$bids" "$out" participant --participant-label "${participants[SLURM_ARRAY_TASK_ID]}" {{ participant_options }}
  ;;
{% if group %}
group)
  app "$bids" "$out" group {{ group_options }}
  ;;
{% endif %}
*)
  echo "$0 $1: unknown argument; run $0 without arguments to submit (expected participant or group only from Slurm)" >&2
  exit 2
  ;;
esac
