#!/bin/bash
# podman runs containers on the network of the installed CNI list, in every version that podman has: they reach each other and
# the host, publish ports, and leave nothing.
# shellcheck source-path=SCRIPTDIR source=../support/private_runtime.sh
. "$(dirname "$0")/../support/private_runtime.sh"
needs_programs podman curl
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/cni_lib.sh
. "$(dirname "$0")/../system/cni_lib.sh"
more_clean_up() {
    on_podman rm -fa -t 0 >/dev/null 2>&1
    awk -v root="$WORK/" 'index($2, root) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
}

export CONTAINERS_CONF=$WORK/containers.conf
cat >"$CONTAINERS_CONF" <<CONF
[network]
network_backend = "cni"
network_config_dir = "$WORK/net.d"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
CONF
on_podman() { # not through `ip netns exec`, which hides the control groups
    nsenter --net="/run/netns/$TAG-host1" podman --root "$WORK/root" --runroot "$WORK/runroot" --tmpdir "$WORK/tmp" --storage-driver vfs "$@"
}
run() { # run NAME FLAGS...: a container that sleeps
    local name=$1
    shift
    on_podman run -d --name "$name" --network weave --cap-add NET_RAW --stop-signal KILL "$@" "$TAG" /bin/sleep 3600 >/dev/null ||
        fail "podman run $name"
}
ip_of() { on_podman exec "$1" ip -o -4 addr show eth0 | awk '{sub("/.*", "", $4); print $4}'; }
pings() { on_podman exec "$1" ping -c 1 -W 2 "$2" >/dev/null 2>&1; }
expect_reaches() { eventually 10 pings "$1" "$2" || fail "$1 does not reach $2"; }
holds() { [ "$(holders host1 | grep -vc weave:expose)" = "$1" ]; } # holds COUNT: addresses of containers

make_host host1
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
answer_for host1
make_busybox_tar "$WORK/image.tar"
install_conflist "$WORK/net.d"
on_podman import "$WORK/image.tar" "$TAG" >/dev/null 2>"$WORK/import" || skip "podman does not run here: $(tail -1 "$WORK/import")"

step "two containers and the host reach each other"
run web
run db
expect_reaches web "$(ip_of db)"
expect_reaches db "$(ip_of web)"
expect_reaches web "$(on host1 ip -o -4 addr show weave | awk '{sub("/.*", "", $4); print $4}')"
[ "$(ip_of web)" != "$(ip_of db)" ] || fail "one address twice"

step "a stopped container frees its address, a started one has one again"
on_podman stop -t 0 db >/dev/null
eventually 10 holds 1 || fail "after stop: $(holders host1)"
on_podman start db >/dev/null
expect_reaches db "$(ip_of web)"

step "a published port leads to the container, also from itself"
run server -p 8080:80
on_podman exec -d server /bin/sh -c 'while true; do echo hello | nc -l -p 80; done' >/dev/null
answers_hello() { [ "$(on host1 timeout 2 busybox nc "$1" 8080 </dev/null 2>/dev/null)" = hello ]; }
gateway=$(on host1 ip -o -4 addr show weave | awk '{sub("/.*", "", $4); print $4; exit}')
eventually 10 answers_hello "$gateway" || fail "the published port does not answer"

step "the peer is away: no container starts, those that run stay; then all is well"
on host1 weave stop
! on_podman run --rm --network weave "$TAG" /bin/sh -c true >/dev/null 2>"$WORK/err" || fail "a container started without a peer"
grep -q "does not answer" "$WORK/err" || fail "podman said: $(cat "$WORK/err")"
expect_reaches web "$(ip_of db)"
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
run again
expect_reaches again "$(ip_of web)"

step "nothing is left"
on_podman rm -fa -t 0 >/dev/null
eventually 10 holds 0 || fail "left: $(holders host1)"
! links host1 | grep -q vethwepl || fail "left: $(links host1)"

step "the list in every version that podman has"
for version in 0.3.1 0.4.0 1.0.0; do
    install_conflist "$WORK/net.d" $version
    on_podman run --rm --network weave --cap-add NET_RAW "$TAG" ping -c 1 -W 5 "$gateway" >/dev/null 2>"$WORK/err" ||
        fail "$version: $(cat "$WORK/err")"
done
eventually 10 holds 0 || fail "left: $(holders host1)"
pass
