#!/bin/bash
# scripts/quickstart where no Docker daemon answers: the containers are network namespaces.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/quickstart.sh
. "$(dirname "$0")/../support/quickstart.sh"

check_quickstart "No Docker daemon answers" "DOCKER_HOST=unix://$WORK/nobody.sock"

step "no programs, an argument that is none"
expect 1 "no programs in $WORK" env "WEAVE_BIN=$WORK" "$QUICKSTART" --no-build
expect 1 'unknown argument "--fast"' "$QUICKSTART" --fast
pass
