# shellcheck shell=bash
# For tests of container runtimes other than Docker; a script sources this file before anything else. It starts again as the
# first process of a pid and a mount namespace in which /run and /var/lib are empty: whatever a runtime starts, mounts or
# writes there ends with it. The CNI plugins of Debian and ours are in /usr/lib/cni there, as from packages.
#
#   needs_programs NAME...    skips the test without them
#   make_busybox_tar FILE     a root file system with the applets that the tests need
#   answer_for HOST           makes that host's peer the one that plugins find without being told
#   install_conflist DIR [VERSION]   cni-conf/10-weave.conflist, perhaps of another version of CNI
set -euo pipefail

needs_programs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "SKIPPED: $program is not installed"; exit 77; }
    done
}

if [ -z "${WEAVE_TEST_TAG:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "SKIPPED: needs root"; exit 77; }
    needs_programs unshare busybox jq
    unshare --mount --pid --fork --mount-proc true || { echo "SKIPPED: no new mount and pid namespaces here"; exit 77; }
    export WEAVE_TEST_TAG=wt$$
    exec unshare --mount --pid --fork --mount-proc --kill-child -- "$0" "$@"
fi
[ -x /usr/lib/cni/portmap ] || { echo "SKIPPED: containernetworking-plugins is not installed"; exit 77; }
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock /run/cni
mount -t tmpfs var-lib /var/lib
cp /usr/lib/cni/{portmap,loopback,host-local} /run/cni
ln -s "$WEAVE_BIN/weave-plugin" /run/cni/weave-net
ln -s "$WEAVE_BIN/weave-plugin" /run/cni/weave-ipam
mount --bind /run/cni /usr/lib/cni

answer_for() { ln -sfn "$(run_dir "$1")" /run/weave; }

make_busybox_tar() {
    local root applet
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,proc,sys,dev,etc,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    for applet in sh sleep ping ip nc cat; do ln -s busybox "$root/bin/$applet"; done
    tar -C "$root" -cf "$1" .
    rm -rf "$root"
}

install_conflist() {
    mkdir -p "$1"
    jq --arg version "${2:-0.3.0}" '.cniVersion = $version' "$(dirname "$0")/../../cni-conf/10-weave.conflist" >"$1/10-weave.conflist"
}
