# shellcheck shell=bash
# A containerd of a test's own on host1. Sourced after lib.sh, in a script that began with private_runtime.sh.
#
#   start_containerd TOML     its socket is $WORK/sock; TOML is added to its configuration
#   stop_containerd           by SIGTERM; what it started goes on
#   on_ctr ARGUMENT...        ctr on host1
#   import_image NAME CONFIG  busybox under that name; CONFIG is the image's, as JSON; into CONTAINERD_NAMESPACE
CONTAINERD_PID=
more_clean_up() {
    [ -z "$CONTAINERD_PID" ] || kill -KILL "$CONTAINERD_PID" 2>/dev/null
    awk -v root="$WORK/" 'index($2, root) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null
}
on_ctr() { nsenter --net="/run/netns/$TAG-host1" ctr --address "$WORK/sock" "$@"; }
containerd_answers() { on_ctr version >/dev/null 2>&1; }

start_containerd() {
    cat >"$WORK/config.toml" <<TOML
version = 2
root = "$WORK/root"
state = "$WORK/state"
$1
[grpc]
  address = "$WORK/sock"
TOML
    nsenter --net="/run/netns/$TAG-host1" containerd --config "$WORK/config.toml" >>"$WORK/containerd.log" 2>&1 &
    CONTAINERD_PID=$!
    disown
    eventually 30 containerd_answers || skip "containerd does not run here: $(tail -1 "$WORK/containerd.log")"
}

stop_containerd() {
    kill "$CONTAINERD_PID"
    eventually 20 dead "$CONTAINERD_PID" || fail "containerd does not end"
    CONTAINERD_PID=
}

# As `docker save` writes it.
import_image() {
    local dir=$WORK/image layer config=$2
    mkdir -p "$dir"
    make_busybox_tar "$dir/layer.tar"
    layer=$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$(dpkg --print-architecture)" \
        "$config" "$layer" >"$dir/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$1" >"$dir/manifest.json"
    tar -C "$dir" -cf "$WORK/image.tar" manifest.json config.json layer.tar
    on_ctr images import --snapshotter native "$WORK/image.tar" >/dev/null || fail "images import"
}
