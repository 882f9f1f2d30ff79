#!/usr/bin/env bash
# Run a tool in several processes: tools/dist_run.sh SCRIPT PROCESSES [ARGS...]
# dist_train.sh and dist_test.sh call it.  For several nodes set NNODES,
# MASTER_ADDR and PORT to the same values on all of them, and NODE_RANK to the
# number of each.  PYTHON names the interpreter.
set -euo pipefail

script=$1
processes=$2
shift 2

exec "${PYTHON:-python3}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node-rank="${NODE_RANK:-0}" \
    --nproc-per-node="$processes" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" \
    --master-port="${PORT:-29500}" \
    "$(dirname -- "${BASH_SOURCE[0]}")/$script" "$@" --launcher pytorch
