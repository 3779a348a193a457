#!/usr/bin/env bash
# A slice of a run on a machine that is lent for minutes and has no network (docs/gpu.md#runs-in-slices).
#
#   bash study/slice.sh here SLICE OPTIONS                    wheels, code and inputs become SLICE/inputs; OPTIONS are
#                                                             those of `dainet pack`, such as --source and --weights
#   bash study/slice.sh there SLICE SECONDS WORK [OPTIONS]    all packs in SLICE are laid out, and WORK runs: a plan such
#                                                             as study/plans/near-paper.yaml, dino-course, or tests;
#                                                             its results become back/, with PACK_OPTIONS=--states
#                                                             the states of interrupted trainings, too
set -euo pipefail

# What a machine lacks that has torch, torchvision, timm, typer, pandas and pytest; the last row comes as source.
wheels=(annotated-types monai nibabel pydantic pydantic-core segmentation-models-pytorch typing-inspection)
sources=(dynamic-network-architectures medpy)

here() {
    local slice=$1
    python3 -m pip download -q --no-deps --only-binary=:all: --python-version "${PYTHON_THERE:-3.12}" \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 -d "$slice/wheels" -c constraints.txt "${wheels[@]}"
    python3 -m pip wheel -q --no-deps -w "$slice/wheels" -c constraints.txt "${sources[@]}"
    python3 -m dainet pack "$slice/inputs" --code --wheels "$slice/wheels" "${@:2}"
}

# Three trainings at once take 0.75 times the time with this service, and longer without it (docs/gpu.md).
share_card() {
    command -v nvidia-cuda-mps-control > /dev/null || return 0
    export CUDA_MPS_PIPE_DIRECTORY=$PWD/mps CUDA_MPS_LOG_DIRECTORY=$PWD/mps
    mkdir -p mps
    nvidia-cuda-mps-control -d || true  # it runs already, after an earlier slice that was cut off
    if echo get_server_list | nvidia-cuda-mps-control > /dev/null; then
        plan_options+=(--processes 3)
    else
        unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    fi
}

there() {
    local slice=$1 seconds=$2 work=$3 options=(--device cuda) status=0 room plan_options figures=${DAINET_FIGURES:-figures}
    [ -d wheels ] || cat "$slice"/inputs/pack.tar.* | tar -x wheels
    [ -d site ] || python3 -m pip install -q --no-index --no-deps --target site wheels/*.whl
    export PYTHONPATH=$PWD/site
    room=$(df --output=avail /dev/shm 2> /dev/null | tail -n 1 || true)  # KiB; docs/gpu.md says why
    if [ "${room:-0}" -gt 16000000 ] || [ -d /dev/shm/dainet-runs ]; then
        export DAINET_RUNS=${DAINET_RUNS:-/dev/shm/dainet-runs}
    fi
    for pack in "$slice"/*/pack.json; do python3 -m dainet unpack "${pack%/*}"; done
    [ ! -d data ] || options+=(--source data/*)
    [ ! -d weights ] || options+=(--weights weights/*)
    options+=("${@:4}")
    plan_options=(--seconds $((seconds * 5 / 6)))
    case $work in
        tests) exec timeout "$seconds" python3 -m pytest -m gpu tests/gpu ;;
        dino-course) command=(python3 -m study dino-course "${options[@]}") ;;
        *)
            share_card
            command=(python3 -m dainet compare run "$work" "${plan_options[@]}" "${options[@]}")
            ;;
    esac
    timeout --signal=INT "$seconds" "${command[@]}" || status=$?
    [ "${CUDA_MPS_PIPE_DIRECTORY:-}" != "$PWD/mps" ] || echo quit | nvidia-cuda-mps-control || true
    rm -rf back  # what an earlier call has packed is packed again
    mkdir -p "$figures"  # a slice that has finished no training leaves none
    python3 -m dainet pack back --results "$figures" --part-mib 15 ${PACK_OPTIONS:-}  # without quotes: several options
    return $status
}

"$@"
