#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG PROCESSES [ARGS...]
# PROCESSES is the number of GPUs of each node; on a CPU, of gloo processes.
# ARGS are those of `cbnet train`; dist_run.sh explains runs on several nodes.
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: $0 CONFIG PROCESSES [arguments of train.py]" >&2
    exit 2
fi
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/dist_run.sh" \
    train.py "$2" "$1" "${@:3}"
