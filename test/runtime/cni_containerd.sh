#!/bin/bash
# containerd's `ctr run --cni` on the network of the installed list, plugins and list put there by `weave setup-cni`.
# shellcheck source-path=SCRIPTDIR source=../support/private_runtime.sh
. "$(dirname "$0")/../support/private_runtime.sh"
needs_programs containerd ctr runc curl nsenter
[ -d /etc/cni ] && [ -d /opt ] || { echo "SKIPPED: no /etc/cni or /opt to mount over"; exit 77; }
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/cni_lib.sh
. "$(dirname "$0")/../system/cni_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/containerd.sh
. "$(dirname "$0")/../support/containerd.sh"

make_host host1
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
answer_for host1
mount -t tmpfs etc-cni /etc/cni
mount -t tmpfs opt /opt
mkdir /etc/cni/net.d
step "weave setup-cni"
expect 0 "" weave setup-cni
cp /usr/lib/cni/{portmap,loopback} /opt/cni/bin

step "a containerd of our own"
start_containerd 'disabled_plugins = ["io.containerd.grpc.v1.cri"]'
import_image "docker.io/library/$TAG:1" '{}'

run() { # run NAME COMMAND...: in the foreground
    local name=$1
    shift
    on_ctr run --rm --cni --snapshotter native --cgroup "" "docker.io/library/$TAG:1" "$name" "$@"
}
holds() { [ "$(holders host1 | grep -vc weave:expose)" = "$1" ]; } # holds COUNT: addresses of containers

step "two containers reach each other"
run web /bin/sleep 3600 >"$WORK/web.log" 2>&1 &
web=$!
eventually 20 holds 1 || fail "web has no address: $(cat "$WORK/web.log")"
address=$(holders host1 | grep -v weave:expose | sed 's/.* //; s,/.*,,')
run db ping -c 1 -W 10 "$address" >/dev/null 2>"$WORK/db.log" || fail "db does not reach web: $(cat "$WORK/db.log")"

step "what ends frees its address"
eventually 10 holds 1 || fail "left: $(holders host1)"
on_ctr task kill -s KILL web
wait $web || true
eventually 10 holds 0 || fail "left: $(holders host1)"
pass
