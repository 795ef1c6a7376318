#!/bin/bash
# scripts/quickstart where a Docker daemon answers: the containers are Docker's.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/quickstart.sh
. "$(dirname "$0")/../support/quickstart.sh"
more_clean_up() { stop_dockerd; }

make_host docker
start_dockerd "$TAG-docker"
check_quickstart "A Docker daemon answers" "DOCKER_HOST=$DOCKER_HOST"
pass
