#!/usr/bin/env bash
# Test with several processes:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [ARGS...]
# PROCESSES is the number of GPUs of each node; on a CPU, of gloo processes.
# ARGS are those of `cbnet test`; dist_run.sh explains runs on several nodes.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT PROCESSES [arguments of test.py]" >&2
    exit 2
fi
exec bash "$(dirname -- "${BASH_SOURCE[0]}")/dist_run.sh" \
    test.py "$3" "$1" "$2" "${@:4}"
