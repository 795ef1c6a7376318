#!/bin/bash
# weave setup-cni on a host that lies in a directory of the test's own (HOST_ROOT).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

CONFLIST=$(dirname "$0")/../../cni-conf/10-weave.conflist
HOST=$WORK/host
PLUGINS=$HOST/opt/cni/bin
CONFIG=$HOST/etc/cni/net.d
setup() { env HOST_ROOT="$HOST" "$@" weave setup-cni; }
picture() { find "$HOST" -printf '%P %y %l %s %T@ %i %m\n' | sort; }

step "without a directory for lists there are the plugins alone"
expect 0 "" setup
[ -z "$OUT" ] || fail "printed $OUT"
[ ! -e "$HOST/etc" ] || fail "made $HOST/etc"
[ "$(CNI_COMMAND=VERSION "$PLUGINS/weave-net" </dev/null)" = "$(CNI_COMMAND=VERSION weave-net </dev/null)" ] || fail "weave-net does not run"
CNI_COMMAND=VERSION "$PLUGINS/weave-ipam" </dev/null >/dev/null || fail "weave-ipam does not run"
[[ "$(readlink "$PLUGINS/weave-net")" == weave-plugin-[0-9]* ]] || fail "weave-net leads to $(readlink "$PLUGINS/weave-net")"

step "with one, the list, and the configuration of old goes; a second run changes nothing"
mkdir -p "$CONFIG"
touch "$CONFIG/10-weave.conf"
expect 0 "" setup
cmp "$CONFIG/10-weave.conflist" "$CONFLIST" || fail "the list differs from cni-conf"
[ ! -e "$CONFIG/10-weave.conf" ] || fail "10-weave.conf is still there"
before=$(picture)
expect 0 "" env HOST_ROOT="$HOST" weave setup
[ "$(picture)" = "$before" ] || fail "a second run changed: $(diff <(echo "$before") <(picture))"

step "what an administrator wrote stays; copies, dangling links and damaged programs are replaced"
echo '{"mine": true}' >"$CONFIG/10-weave.conflist"
rm "$PLUGINS/weave-net" && cp /bin/true "$PLUGINS/weave-net"
ln -sfn weave-plugin-2.8.1 "$PLUGINS/weave-ipam"
truncate -s 100 "$PLUGINS"/weave-plugin-*
expect 0 "" setup
[ "$(cat "$CONFIG/10-weave.conflist")" = '{"mine": true}' ] || fail "the administrator's list is gone"
[ "$(find "$PLUGINS" -printf '%P %y\n' | sort | xargs)" = "d weave-ipam l weave-net l $(readlink "$PLUGINS/weave-net") f" ] ||
    fail "$(find "$PLUGINS")"
for plugin in weave-net weave-ipam; do
    CNI_COMMAND=VERSION "$PLUGINS/$plugin" </dev/null >/dev/null || fail "$plugin does not run"
done

step "HAIRPIN_MODE, another directory, and what cannot be"
rm "$CONFIG/10-weave.conflist"
expect 0 "" setup HAIRPIN_MODE=false WEAVE_CNI_PLUGIN_DIR=/usr/lib/cni
[ -x "$HOST/usr/lib/cni/weave-net" ] || fail "not in WEAVE_CNI_PLUGIN_DIR"
diff "$CONFIG/10-weave.conflist" <(sed 's/"hairpinMode": true/"hairpinMode": false/' "$CONFLIST") || fail "hairpin mode"
expect 1 'HAIRPIN_MODE "maybe": want true or false' setup HAIRPIN_MODE=maybe
expect 1 "/etc/passwd" env HOST_ROOT= WEAVE_CNI_PLUGIN_DIR=/etc/passwd weave setup-cni
expect 1 "WEAVE_PLUGIN" env HOST_ROOT="$HOST" WEAVE_PLUGIN=/nosuch weave setup-cni
expect 1 "Usage:" env HOST_ROOT="$HOST" weave setup-cni now
pass
