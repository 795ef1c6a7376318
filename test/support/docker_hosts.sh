# shellcheck shell=bash
# Hosts, each with its own Docker daemon and its own /run, for scripts that have sourced dockerd.sh and lib.sh. A host's
# programs see no other host's sockets: a plugin is found by where its socket lies.
#
#   make_docker_host hostN      its network namespace, joined to the others' by a bridge, and its mount namespace
#   start_docker hostN          starts its daemon; start_docker waits for it
#   stop_docker hostN [SIGNAL]  ends it
#   docker_on hostN ARGS...     the client
# They use make_container, on and eventually of lib.sh; `on` runs commands in the host's mount namespace from here on.

declare -A HOST_MOUNTS=() DOCKER_PIDS=() # host -> pid of what holds its mount namespace; of its dockerd
DOCKER_ROOT=$WORK/docker-hosts
PATH=$(readlink -f "$BIN"):$PATH # entering mounts leaves the working directory

# As lib.sh's, in the host's own mounts.
on() {
    local host=$1
    shift
    # shellcheck disable=SC2086
    nsenter --net="/run/netns/$TAG-$host" --mount="/proc/${HOST_MOUNTS[$host]}/ns/mnt" \
        env "WEAVE_API_SOCKET=/run/weave/peer.sock" "DOCKER_HOST=unix:///run/docker.sock" "DOCKER_CONFIG=/run/docker-config" ${W_ENV:-} "$@"
}
# Each host's /run is a file system of its own: files of several have the same number.
fuser_lock() {
    local major minor inode file
    read -r major minor inode < <(stat -c '%Hd %Ld %i' "$1" 2>/dev/null) || return 1
    file=$(printf '%02x:%02x:%d' "$major" "$minor" "$inode")
    awk -v file="$file" '$2 == "POSIX" && $6 == file { print $5; exit }' /proc/locks
}
run_dir() { echo "/proc/${HOST_MOUNTS[$1]}/root/run/weave"; }
log_of() { echo "$DOCKER_ROOT/$1/log/weave/weave.log"; }
docker_on() { local host=$1; shift; on "$host" docker "$@"; }

make_docker_host() {
    local host=$1 dir=$DOCKER_ROOT/$1
    if [ ${#HOST_MOUNTS[@]} = 0 ]; then
        make_container underlay
        ip -n "$TAG-underlay" link add ul0 type bridge forward_delay 0
        ip -n "$TAG-underlay" link set ul0 up
    fi
    make_host "$host"
    ip link add eth0 netns "$TAG-$host" type veth peer name "$host" netns "$TAG-underlay"
    ip -n "$TAG-underlay" link set "$host" master ul0 up
    ip -n "$TAG-$host" addr add "192.0.2.${host#host}/24" dev eth0
    ip -n "$TAG-$host" link set eth0 up
    mkdir -p "$dir"/{log,lib,etc,data,lower,upper,work,merged}
    echo "$host" | md5sum | cut -c 1-32 >"$dir/machine-id" # a peer is called after it
    # shellcheck disable=SC2016  # for that shell
    nsenter --net="/run/netns/$TAG-$host" unshare --mount --propagation private sh -c '
        mount -t tmpfs run /run && mkdir -p /run/lock /run/docker-config
        mount --bind "$1/log" /var/log && mount --bind "$1/lib" /var/lib
        [ ! -d /etc/docker ] || mount --bind "$1/etc" /etc/docker
        [ ! -f /etc/machine-id ] || mount --bind "$1/machine-id" /etc/machine-id
        exec sleep infinity' sh "$dir" </dev/null >/dev/null 2>&1 &
    HOST_MOUNTS[$host]=$!
    eventually 10 has_mounts "$host" || fail "no mounts for $host"
}
has_mounts() { [ "$(cat "/proc/${HOST_MOUNTS[$1]}/comm" 2>/dev/null)" = sleep ]; } # all are made before that

start_docker() {
    local host=$1 dir=$DOCKER_ROOT/$1 driver=vfs
    if on "$host" mount -t overlay -o "lowerdir=$dir/lower,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/merged" 2>/dev/null; then
        on "$host" umount "$dir/merged"
        driver=overlay2
    fi
    echo '{}' >"$dir/daemon.json"
    nsenter --net="/run/netns/$TAG-$host" --mount="/proc/${HOST_MOUNTS[$host]}/ns/mnt" dockerd --config-file="$dir/daemon.json" \
        --data-root="$dir/data" --exec-root=/run/docker-exec --pidfile=/run/docker.pid --host=unix:///run/docker.sock \
        --cgroup-parent="/$TAG" --storage-driver=$driver --bridge=none --iptables=false --ip6tables=false --userland-proxy=false \
        >>"$dir/dockerd.log" 2>&1 </dev/null &
    DOCKER_PIDS[$host]=$!
    eventually 60 docker_up_or_ended "$host"
    docker_on "$host" version >/dev/null 2>&1 || skip "dockerd does not run here: $(grep -v level=info "$dir/dockerd.log" | tail -1)"
}
docker_up_or_ended() { docker_on "$1" version >/dev/null 2>&1 || ! kill -0 "${DOCKER_PIDS[$1]}" 2>/dev/null; }
stop_docker() {
    kill "-${2:-TERM}" "${DOCKER_PIDS[$1]}" 2>/dev/null || true
    eventually 30 dead "${DOCKER_PIDS[$1]}" || fail "the dockerd of $1 does not end"
    wait "${DOCKER_PIDS[$1]}" 2>/dev/null || true
}

IMAGE=weave-test # what import_image makes
import_image() { # import_image HOST: busybox as an image, with what the function $IMAGE_EXTRAS puts into its root
    local root=$WORK/image applet
    mkdir -p "$root"/{bin,proc,sys,dev,etc,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh sleep ping ip; do ln -sf busybox "$root/bin/$applet"; done
    [ -z "${IMAGE_EXTRAS:-}" ] || "$IMAGE_EXTRAS" "$root"
    tar -C "$root" -c . | docker_on "$1" import - "$IMAGE" >/dev/null || fail "docker import"
}

more_clean_up() {
    local host pid hierarchy
    for host in "${!DOCKER_PIDS[@]}"; do kill -KILL "${DOCKER_PIDS[$host]}" 2>/dev/null; done
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
        [ -d "$hierarchy/$TAG" ] || continue
        while read -r pid; do kill -KILL "$pid" 2>/dev/null; done \
            < <(find "$hierarchy/$TAG" -name cgroup.procs -exec cat {} + | sort -u)
        eventually 5 eval "find '$hierarchy/$TAG' -depth -type d -exec rmdir {} + 2>/dev/null; [ ! -d '$hierarchy/$TAG' ]"
    done
    for host in "${!HOST_MOUNTS[@]}"; do kill -KILL "${HOST_MOUNTS[$host]}" 2>/dev/null; done
    awk -v root="$DOCKER_ROOT/" 'index($2, root) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
}
