#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG PROCESSES [ARGS...]
# PROCESSES is the number of GPUs of each node; on a CPU, of gloo processes.
# ARGS are those of tools/train.py.  For several nodes set NNODES, NODE_RANK,
# MASTER_ADDR and PORT alike on each; PYTHON names the interpreter.
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: $0 CONFIG PROCESSES [arguments of train.py]" >&2
    exit 2
fi
config=$1
processes=$2
shift 2

exec "${PYTHON:-python3}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node-rank="${NODE_RANK:-0}" \
    --nproc-per-node="$processes" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" \
    --master-port="${PORT:-29500}" \
    "$(dirname -- "${BASH_SOURCE[0]}")/train.py" \
    "$config" --launcher pytorch "$@"
