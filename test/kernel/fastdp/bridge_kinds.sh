#!/bin/bash
# The three kinds of bridge on a kernel with Open vSwitch: what each consists of, that it is adopted, mended and removed,
# and which kind gets to run where there is one already.
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source=../../system/cni_lib.sh
. "$(dirname "$0")/../../system/cni_lib.sh"

make_host host1
make_container web
make_container pod
links_before=$(links host1)

# link NAME TEXT...: the link is there and all the texts are in what the kernel says of it
link() {
    local name=$1 said text
    shift
    said=$(on host1 ip -d -o link show dev "$name" 2>&1) || fail "no link $name: $said"
    for text in "$@"; do [[ $said == *"$text"* ]] || fail "$name lacks \"$text\": $said"; done
}
is_port_of() { has " master $2 " on host1 ip -o link show dev "$1"; } # is_port_of PORT BRIDGE
host_end() { links host1 | grep "$1"; }
type_is() { [ "$(on host1 weave bridge-type)" = "$1" ] || fail "bridge-type is $(on host1 weave bridge-type), want $1"; }
no_link() { # no_link NAME...
    local name
    for name in "$@"; do lacks " $name" on host1 ip -o link show || fail "there is $name: $(on host1 ip link)"; done
}
# refused TEXT FLAGS...: a peer that would do nothing else than to refuse; before it takes anything
refused() { says 1 "$1" on host1 weaver "--api-socket=$WORK/other/peer.sock" "--db-prefix=$WORK/other/w" "${@:2}"; }
mismatch() { echo "Existing bridge type \"$1\" is different than requested \"$2\". Please do 'weave reset' and try again"; }
nothing_to_mend() { # as `weave doctor` sees it
    expect 0 "ok    leftovers: " on host1 weave doctor
    ! grep -E '^(warn|fail) ' <<<"$OUT" || fail "weave doctor complains: $OUT"
}
start_host() { launch host1 --name ::1 --nickname host1 --no-dns "$@"; }

step "by default a bridge, a datapath, and a veth between them"
start_host
lacks "no Open vSwitch" on host1 weave status || skip "this kernel has no Open vSwitch"
type_is bridged_fastdp
link weave "mtu 1376 " " bridge " 00:00:00:00:00:01 ",UP"
link datapath "mtu 1376 " openvswitch ",UP"
link vethwe-bridge "mtu 65535 " "@vethwe-datapath:" "master weave " ",UP"
link vethwe-datapath "mtu 65535 " "@vethwe-bridge:" "master datapath " ",UP"
lacks "Service: host" on host1 weave status || fail "status: $(on host1 weave status)"
[ "$(on host1 weave report -f '{{.Router.Interface}}')" = "datapath (via ODP)" ] || fail "$(on host1 weave report)"
has 'weave_bridge_type{type="bridged_fastdp"} 1' on host1 curl -sf http://127.0.0.1:6782/metrics || fail "no metric"
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
has "mtu 1376 " inside web ip -o link show ethwe || fail "$(inside web ip link)"
is_port_of "$(host_end vethwepl)" weave || fail "$(on host1 ip link)"
nothing_to_mend

step "what is deleted underneath is made again"
on host1 ip link del vethwe-datapath
eventually 10 is_port_of vethwe-datapath datapath || fail "$(on host1 ip link)"
expect 0 "" on host1 weave delete-datapath datapath
eventually 10 is_port_of vethwe-datapath datapath || fail "$(on host1 ip link)"
logged host1 "a part of the data path is gone" || fail "nothing in the log"
on host1 ip link del weave
eventually 10 is_port_of vethwe-bridge weave || fail "$(on host1 ip link)"
eventually 10 is_port_of "$(host_end vethwepl)" weave || fail "$(on host1 ip link)"

on host1 ip link set vethwe-bridge type bridge_slave hairpin on
eventually 5 logged host1 'Hairpin mode enabled on "vethwe-bridge"' || fail "no warning of hairpin mode"
on host1 ip link set weave down
eventually 5 logged host1 "the bridge is down" || fail "no warning of a bridge that is down"

step "stop leaves it, a start mends it"
expect 0 "" on host1 weave stop
link vethwe-datapath "master datapath "
on host1 ip link del weave
start_host
type_is bridged_fastdp
link weave "mtu 1376 " 00:00:00:00:00:01
is_port_of vethwe-bridge weave || fail "$(on host1 ip link)"
is_port_of "$(host_end vethwepl)" weave || fail "$(on host1 ip link)"
expect 0 "10.2.1.1/24" on host1 weave ps

step "another kind than the host has is refused by name"
expect 0 "" on host1 weave stop
links_now=$(on host1 ip -o link show)
refused "$(mismatch bridged_fastdp bridge)" --no-fastdp
W_ENV=WEAVE_NO_BRIDGED_FASTDP=1 says 1 "$(mismatch bridged_fastdp fastdp)" on host1 weave launch
[ "$(on host1 ip -o link show)" = "$links_now" ] || fail "refusals changed the host: $(on host1 ip -o link show)"

step "what 2.8 left is taken away by reset, as is what nobody remembers"
rm -rf "$(run_dir host1)" "/var/lib/$(instance host1)"
on host1 ip link add vethwedu type veth peer name vethwepgdead
expect 0 "" on host1 weave reset
[ "$(links host1)" = "$links_before" ] || fail "links stay: $(links host1)"
! inside web ip link show ethwe >/dev/null 2>&1 || fail "a container keeps ethwe after reset"

step "the datapath alone, with containers as its ports, under a name of our choice"
W_ENV=WEAVE_NO_BRIDGED_FASTDP=1 start_host --mtu=1300 --weave-bridge=w0 --datapath=w0
type_is fastdp
link w0 "mtu 1300 " openvswitch ",UP"
no_link datapath weave vethwe
[ "$(on host1 weave report -f '{{.Router.Interface}}')" = "w0 (via ODP)" ] || fail "$(on host1 weave report)"
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
has "mtu 1300 " inside web ip -o link show ethwe || fail "$(inside web ip link)"
nothing_to_mend
expect 0 "10.2.1.254/24" on host1 weave expose 10.2.1.254/24
web_end=$(host_end vethwepl)
is_port_of "$web_end" w0 || fail "$(on host1 ip link)"
cni host1 ADD pod-container pod eth0 "$(config 0.3.0 ', "bridge": "w0"')" >"$WORK/added" || fail "$(cat "$WORK/added")"
is_port_of "$(host_end vethweplpod)" w0 || fail "$(on host1 ip link)"
has "mtu 1300 " inside pod ip -o link show eth0 || fail "$(inside pod ip link)"
for ((i = 1; i <= 2; i++)); do # with a port of that name left, the datapath would not take the second
    cni host1 DEL pod-container pod eth0 "$(config 0.3.0 ', "bridge": "w0"')" >"$WORK/deleted" || fail "$(cat "$WORK/deleted")"
    no_link vethweplpod
    ! inside pod ip link show eth0 >/dev/null 2>&1 || fail "the container keeps eth0 after DEL"
    cni host1 ADD pod-container pod eth0 "$(config 0.3.0 ', "bridge": "w0"')" >"$WORK/added" || fail "$(cat "$WORK/added")"
    is_port_of "$(host_end vethweplpod)" w0 || fail "$(on host1 ip link)"
done

step "Docker's plugin makes its interfaces ports of it, too"
ask() { on host1 curl -sf -m 10 --unix-socket "$WORK/mesh.sock" --data-binary "$2" "http://plugin/NetworkDriver.$1"; }
start host1 weave-plugin --docker-api= --weave-bridge=w0 --state-file="$WORK/networks" --plugin-socket= \
    --plugin-mesh-socket="$WORK/mesh.sock"
plugin=$!
eventually 10 test -S "$WORK/mesh.sock" || fail "no socket of the plugin"
ask CreateEndpoint '{"EndpointID": "0123456789ab", "Interface": {}}' >/dev/null || fail "no endpoint"
link vethwl012345678 "mtu 1300 " "master w0 "
ask DeleteEndpoint '{"EndpointID": "0123456789ab"}' >/dev/null || fail "the endpoint is not deleted"
no_link vethwl
kill "$plugin"

step "it survives a restart, and comes back with its ports when it is deleted"
expect 0 "" on host1 weave stop
link w0 openvswitch
is_port_of "$web_end" w0 || fail "$(on host1 ip link)"
refused "$(mismatch fastdp bridge)" --no-fastdp --weave-bridge=w0 --datapath=w0
# The kernel picks the MAC of a datapath; nobody is called by it.
lacks "$(on host1 cat /sys/class/net/w0/address)" on host1 weaver print-peer-name --weave-bridge=w0 ||
    fail "the peer would take the name of its datapath"
W_ENV=WEAVE_NO_BRIDGED_FASTDP=1 start_host --mtu=1300 --weave-bridge=w0 --datapath=w0
expect 0 "10.2.1.1/24" on host1 weave ps
expect 0 "" on host1 weave delete-datapath w0
eventually 10 is_port_of "$web_end" w0 || fail "$(on host1 ip link)"
eventually 10 has 10.2.1.254/24 on host1 ip -o addr show dev w0 || fail "the address is not back"
expect 0 "" on host1 weave reset
[ "$(links host1)" = "$links_before" ] || fail "links stay: $(links host1)"

step "the plain bridge"
W_ENV=WEAVE_NO_FASTDP=1 start_host
type_is bridge
link weave "mtu 65535 " 00:00:00:00:00:01
link vethwe-pcap "@vethwe-bridge:"
no_link datapath
nothing_to_mend
refused "$(mismatch bridge fastdp)" --no-bridged-fastdp
expect 0 "" on host1 weave reset
[ "$(links host1)" = "$links_before" ] || fail "links stay: $(links host1)"
pass
