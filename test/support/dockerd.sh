# shellcheck shell=bash
# A Docker daemon of the test's own, for scripts that source this file before anything else: the script starts again as
# the first process of a pid and a mount namespace, so that whatever dockerd, containerd and their containers start or
# mount ends with it. The machine's network, packet filter and own Docker daemon are not touched.
#
#   start_dockerd NETNS [FLAGS...]
#                           starts it in that network namespace; sets DOCKERD_PID and exports DOCKER_HOST
#   make_busybox_image NAME an image with the applets the tests need; nothing is pulled
#   stop_dockerd            ends it and removes what it wrote
# They use skip, fail and eventually of test/system/lib.sh, and its $WORK and $TAG.
set -euo pipefail

if [ -z "${WEAVE_TEST_TAG:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "SKIPPED: needs root"; exit 77; }
    for program in dockerd docker containerd runc unshare nsenter busybox; do
        command -v $program >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
    done
    unshare --mount --pid --fork --mount-proc true || { echo "SKIPPED: no new mount and pid namespaces here"; exit 77; }
    export WEAVE_TEST_TAG=wt$$
    exec unshare --mount --pid --fork --mount-proc --kill-child -- "$0" "$@"
fi

DOCKERD_PID=

start_dockerd() {
    local driver=vfs
    DOCKER_DIR=$WORK/docker
    mkdir -p "$DOCKER_DIR"/{lower,upper,work,merged,config}
    # Docker's data may not lie on an overlay itself: then its plainest storage has to do.
    if mount -t overlay -o "lowerdir=$DOCKER_DIR/lower,upperdir=$DOCKER_DIR/upper,workdir=$DOCKER_DIR/work" \
        overlay "$DOCKER_DIR/merged" 2>/dev/null; then
        umount "$DOCKER_DIR/merged"
        driver=overlay2
    fi
    # Neither the machine's daemon.json nor the user's contexts and plugins.
    echo '{}' >"$DOCKER_DIR/daemon.json"
    [ ! -d /etc/docker ] || mount -t tmpfs etc-docker /etc/docker # dockerd writes a key there
    export DOCKER_CONFIG=$DOCKER_DIR/config DOCKER_HOST=unix://$DOCKER_DIR/docker.sock
    # Not through `ip netns exec`: it hides the control groups.
    nsenter --net="/run/netns/$1" dockerd --config-file="$DOCKER_DIR/daemon.json" --data-root="$DOCKER_DIR/data" \
        --exec-root="$DOCKER_DIR/exec" --pidfile="$DOCKER_DIR/pid" --host="$DOCKER_HOST" --cgroup-parent="/$TAG" \
        --storage-driver=$driver --bridge=none --iptables=false --ip6tables=false "${@:2}" \
        >"$DOCKER_DIR/log" 2>&1 </dev/null &
    DOCKERD_PID=$!
    eventually 60 dockerd_answers_or_ended
    docker_answers || skip "dockerd does not run here: $(grep -v level=info "$DOCKER_DIR/log" | tail -1)"
}
docker_answers() { timeout 5 docker version >/dev/null 2>&1; }
dockerd_answers_or_ended() { docker_answers || ! kill -0 "$DOCKERD_PID" 2>/dev/null; }

make_busybox_image() {
    local root=$WORK/image applet
    mkdir -p "$root"/{bin,proc,sys,dev,etc,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh sleep ping ip; do ln -s busybox "$root/bin/$applet"; done
    tar -C "$root" -c . | docker import - "$1" >/dev/null || fail "docker import"
    rm -rf "$root"
}

stop_dockerd() {
    local pid hierarchy
    [ -n "$DOCKERD_PID" ] || return 0
    kill -CONT "$DOCKERD_PID" 2>/dev/null
    kill -TERM "$DOCKERD_PID" 2>/dev/null
    eventually 20 eval "! kill -0 $DOCKERD_PID 2>/dev/null" || kill -KILL "$DOCKERD_PID" 2>/dev/null
    wait "$DOCKERD_PID" 2>/dev/null
    # In the control group that only our containers are in: what outlived a dockerd that was killed.
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
        [ -d "$hierarchy/$TAG" ] || continue
        while read -r pid; do kill -KILL "$pid" 2>/dev/null; done \
            < <(find "$hierarchy/$TAG" -name cgroup.procs -exec cat {} + | sort -u)
        eventually 5 eval "find '$hierarchy/$TAG' -depth -type d -exec rmdir {} + 2>/dev/null; [ ! -d '$hierarchy/$TAG' ]"
    done
    # containerd outlives a killed dockerd, and a shim holds its own mounts: all are in our mount namespace.
    awk -v root="$DOCKER_DIR/" 'index($2, root) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
    rm -rf "$DOCKER_DIR"
    DOCKERD_PID=
}
