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
CONTAINERD_PID=
more_clean_up() {
    [ -z "$CONTAINERD_PID" ] || kill -KILL "$CONTAINERD_PID" 2>/dev/null
    awk -v root="$WORK/" 'index($2, root) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
}
on_ctr() { nsenter --net="/run/netns/$TAG-host1" ctr --address "$WORK/sock" "$@"; }
containerd_answers() { on_ctr version >/dev/null 2>&1; }

# An image as `docker save` writes it.
make_image() { # make_image NAME FILE
    local dir=$WORK/image layer
    mkdir -p "$dir"
    make_busybox_tar "$dir/layer.tar"
    layer=$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$(dpkg --print-architecture)" "$layer" \
        >"$dir/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$1" >"$dir/manifest.json"
    tar -C "$dir" -cf "$2" manifest.json config.json layer.tar
}

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
cat >"$WORK/config.toml" <<TOML
version = 2
root = "$WORK/root"
state = "$WORK/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$WORK/sock"
TOML
nsenter --net="/run/netns/$TAG-host1" containerd --config "$WORK/config.toml" >"$WORK/containerd.log" 2>&1 &
CONTAINERD_PID=$!
disown
eventually 30 containerd_answers || skip "containerd does not run here: $(tail -1 "$WORK/containerd.log")"
make_image "docker.io/library/$TAG:1" "$WORK/image.tar"
on_ctr images import --snapshotter native "$WORK/image.tar" >/dev/null || fail "images import"

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
