#!/bin/bash
# weave doctor on real hosts: it finds nothing where nothing is wrong, and one thing after the other that is broken. It
# never changes anything.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3 host4; do make_mesh_host "$host"; done
for name in a1 a2 b1; do make_container "$name"; done
a1=$(address_of host1)
a2=$(address_of host2)

more_clean_up() {
    [ -z "${LISTENER:-}" ] || kill -KILL "$LISTENER" 2>/dev/null
    ! umount "/var/lib/$(instance host4)" 2>/dev/null || rmdir "/var/lib/$(instance host4)"
}

# Of a Docker and its plugins on this machine it sees nothing.
doctor() {
    on "$1" unshare --mount sh -c '[ ! -d /run/docker ] || mount -t tmpfs tmpfs /run/docker; exec weave doctor "$@"' doctor "${@:2}"
}
# diagnosed HOST STATUS LINE...: the exit status, and these lines among what is printed; the output stays in $OUT
diagnosed() {
    local host=$1 status=$2 got=0 line
    OUT=$(doctor "$host" 2>&1) || got=$?
    [ "$got" = "$status" ] || return 1
    for line in "${@:3}"; do grep -qxF -- "$line" <<<"$OUT" || return 1; done
}
expect_diagnosis() { # expect_diagnosis HOST STATUS LINE...: at once
    diagnosed "$@" || fail "weave doctor on $1, want exit status $2 and \"${*:3}\": $OUT"
}
await_diagnosis() { # await_diagnosis HOST STATUS LINE...: within a minute
    eventually 60 diagnosed "$@" || fail "weave doctor on $1, want exit status $2 and \"${*:3}\": $OUT"
}
complaints() { grep -E '^(warn|fail) ' <<<"$OUT" || true; }
says_only() { # says_only TEXT: of warnings and failures all have the text
    ! complaints | grep -vF -- "$1" || fail "complaints besides \"$1\": $OUT"
}
takes_back() { expect_diagnosis "$1" 0; } # what was broken is whole again

step "what it does not understand"
for words in "--yaml" "host2" "--json x"; do
    # shellcheck disable=SC2086
    expect 2 "Usage:" on host1 weave doctor $words
done

step "without a peer it says what it can of the host, and changes nothing"
remember_state
expect_diagnosis host1 1 "fail  peer: no peer was launched on this host; type: weave launch" \
    "ok    ports: free for a peer: TCP 6783, UDP 6783, TCP 6782"
[ "$(complaints | grep -c '^fail ')" = 1 ] || fail "more fails than the peer: $OUT"
expect_state_as_before "weave doctor without a peer"

step "a port that somebody else holds is told with who it is"
start host1 perl -MIO::Socket::INET -e 'my $socket = IO::Socket::INET->new(LocalPort => 6783, Listen => 1) or die $!; sleep 600'
LISTENER=$!
disown
listens() { has "perl (pid $LISTENER)" doctor host1; }
eventually 10 listens || fail "the listener is not found: $(doctor host1)"
expect_diagnosis host1 1 \
    "fail  ports: TCP port 6783 (connections) is held by perl (pid $LISTENER): a peer cannot start; type: kill $LISTENER, or weave launch --port <another>"
kill "$LISTENER"
LISTENER=""

step "a full and a read-only store"
mkdir -p "/var/lib/$(instance host4)"
mount -t tmpfs -o size=512k tmpfs "/var/lib/$(instance host4)"
directory=/var/lib/$(instance host4)
expect_diagnosis host4 1 \
    "fail  store: the disk of $directory is full: no address can be given; type: df -h $directory; df -i $directory"
mount -o remount,ro,size=100m "$directory"
expect_diagnosis host4 1 \
    "fail  store: $(store_of host4) cannot be written, so no address can be given: $directory: Read-only file system; type: findmnt -T $directory"
umount "$directory"
echo junk >"$(store_of host4).damaged-20200102T030405Z"
expect_diagnosis host4 1 \
    "warn  store: $(store_of host4).damaged-20200102T030405Z is a damaged store that was set aside; the peer began anew without what it knew; type: rm $(store_of host4).damaged-20200102T030405Z"

cp "$(dirname "$0")/../golden/weave-2.8.db" "$(store_of host4)"
expect_diagnosis host4 1 \
    "warn  store: $(store_of host4) is of Weave Net 2.8, and not taken over yet: its addresses are kept by the first launch, with the 2.8 peer stopped; type: docker stop weave; weave launch --resume"
cmp "$(dirname "$0")/../golden/weave-2.8.db" "$(store_of host4)" || fail "the file of 2.8 was changed"

step "two peers with containers: nothing fails, for people and for programs"
launch_peer host1 --ipalloc-init consensus=2
launch_peer host2 --ipalloc-init consensus=2 "$a1"
expect_mesh 30 host1 host2
A1=$(on host1 weave attach "$(path_of a1)")
on host1 weave attach "$(path_of a2)" >/dev/null
on host2 weave attach "$(path_of b1)" >/dev/null
for host in host1 host2; do
    pid=$(weaver_of "$host")
    await_diagnosis "$host" 0 "ok    peer: $(name_of "$host")($host) runs (pid $pid, version $(on "$host" weave version | sed -n 's/^weave \([0-9].*\)/\1/p'))" \
        "ok    connections: 1 established" "ok    peers: all 2 are heard" \
        "ok    firewall: nothing that the peer or containers need is dropped" \
        "ok    mtu: all ways to peers take packets of 1500 bytes or more"
    says_only "kernel" # this one may have no Open vSwitch
done
remember_state
expect 0 '"healthy": true' doctor host1 --json
perl -MJSON::PP -e 'local $/; my $r = decode_json(<STDIN>); exit !(@{$r->{findings}} >= 11 && $r->{findings}[0]{check} eq "peer")' <<<"$OUT" ||
    fail "no JSON: $OUT"
expect_state_as_before "weave doctor"

step "a rule that drops what peers send, and a table of nftables that knows nothing of us"
on host1 iptables -I INPUT -p tcp --dport 6783 -j DROP
backend=$(on host1 iptables --version | sed -n 's/.*(\(nf_tables\|legacy\)).*/\1/p')
program=iptables-nft
[ "$backend" = nf_tables ] || program=iptables-legacy
expect_diagnosis host1 1 \
    "fail  firewall: TCP port 6783 from $a2 is dropped by $program: INPUT -p tcp -m tcp --dport 6783 -j DROP; type: $program -I INPUT -p tcp --dport 6783 -j ACCEPT"
says_of_firewall() { has "$2" doctor "$1"; }
on host1 iptables -D INPUT -p tcp --dport 6783 -j DROP
takes_back host1
if command -v nft >/dev/null && on host1 nft add table inet guard; then
    on host1 nft add chain inet guard input '{ type filter hook input priority 10; policy drop; }'
    on host1 nft add rule inet guard input tcp dport 6783 accept
    on host1 nft add rule inet guard input iifname lo accept
    on host1 nft add rule inet guard input ct state established,related accept
    expect_diagnosis host1 1 \
        "fail  firewall: UDP port 6783 from $a2 is dropped by nft: the policy of inet guard input; type: nft insert rule inet guard input udp dport 6783 accept"
    ! grep -F "TCP port 6783" <<<"$(complaints)" || fail "an accepted port: $OUT"
    on host1 nft insert rule inet guard input udp dport 6783 accept # as it was told to
    on host1 nft insert rule inet guard input udp dport 6784 accept
    takes_back host1
    on host1 nft delete table inet guard
fi

step "a way that has become narrow is a warning"
ip -n "$TAG-host1" link set eth0 mtu 1000
expect_diagnosis host1 0 \
    "warn  mtu: the way to $(name_of host2)(host2) at $a2 through eth0 takes packets of 1000 bytes: what containers send above 938 bytes goes in pieces or is refused; type: ip link set eth0 mtu 1500"
ip -n "$TAG-host1" link set eth0 mtu 1500

step "exposed on a host that does not forward"
on host1 weave expose >"$WORK/exposed"
on host1 sysctl -qw net.ipv4.ip_forward=0
expect_diagnosis host1 1 \
    "fail  firewall: net.ipv4.ip_forward is 0: $(cat "$WORK/exposed") is exposed, but this host forwards nothing between the network and the world; type: sysctl -w net.ipv4.ip_forward=1"
on host1 weave hide >/dev/null
takes_back host1

step "what a killed attach leaves in the host's namespace, and a container whose interface is out of the bridge"
ip -n "$TAG-host1" link add vethweplxyz type veth peer name vethwepgxyz
expect_diagnosis host1 0 \
    "warn  leftovers: interface vethwepgxyz belongs into a container and is in this host's namespace: left by an attach that was killed; type: ip link del vethwepgxyz"
ip -n "$TAG-host1" link del vethwepgxyz
port=$(ip -n "$TAG-host1" -o link show master weave | sed -n 's/^[0-9]*: \(vethwepl[^@:]*\).*/\1/p' | head -1)
ip -n "$TAG-host1" link set "$port" nomaster
expect_diagnosis host1 1 \
    "fail  leftovers: interface $port is not in the bridge weave: its container is cut off; type: ip link set $port master weave"
ip -n "$TAG-host1" link set "$port" master weave
takes_back host1

step "an address twice on one host, one that the peer does not know, and one that is another's to give"
inside a2 ip addr add "$A1" dev ethwe
expect_diagnosis host1 1
[[ $OUT == *"fail  addresses: ${A1%/*} is given twice on this host: to the container at "* ]] || fail "no duplicate: $OUT"
inside a2 ip addr del "$A1" dev ethwe
takes_back host1
B1=$(on host2 weave ps | awk '$1 !~ /expose/ { print $3 }')
inside a2 ip addr add "$B1" dev ethwe
expect_diagnosis host1 1
[[ $OUT == *"fail  addresses: ${B1%/*} is on the container at "*", but it is $(name_of host2)'s to give, who may give it to another; type: weave detach $B1 "* ]] ||
    fail "no word of an address of host2's: $OUT"
inside a2 ip addr del "$B1" dev ethwe
takes_back host1

step "an address that was given by hand on two hosts, one of which has a name for it"
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of a1)"
expect 0 "" on host2 weave attach 10.2.1.1/24 "$(path_of b1)"
expect 0 "" on host2 weave dns-add 10.2.1.1 "$(path_of b1)" -h dup.weave.local
hears_of_two() {
    diagnosed host1 1
    [[ $OUT == *"fail  addresses: 10.2.1.1 is given twice: to the container at "*" and, by the name dup.weave.local., to a container of $(name_of host2)(host2); type: weave detach 10.2.1.1/24 "* ]]
}
eventually 60 hears_of_two || fail "no word of the other container: $OUT"
expect 0 "" on host2 weave detach 10.2.1.1/24 "$(path_of b1)"
await_diagnosis host1 0

step "a route into the range"
ip -n "$TAG-host1" route add 10.33.0.0/16 dev eth0
expect_diagnosis host1 1 \
    "fail  addresses: the range and a route of this host overlap: 10.32.0.0/12 and 10.33.0.0/16 dev eth0; what is sent there goes one way or the other; type: weave reset && weave launch --ipalloc-range <another, on all hosts>"
ip -n "$TAG-host1" route del 10.33.0.0/16 dev eth0

step "peers that do not come together: another password, nobody there"
launch_peer host3 --password wrong "$a1" 10.99.0.4
refused() { [[ $(doctor host3) =~ "fail  connections: to $a1:6783: "[^$'\n']*"password"[^$'\n']*"; type" ]]; }
eventually 60 refused || fail "no word of the password: $(doctor host3)"
await_diagnosis host3 1 \
    "fail  connections: to 10.99.0.4:6783: connection refused (the host answers, but nobody listens there: its peer does not run, or has another port); type on 10.99.0.4: weave launch"
expect 0 "" on host3 weave stop

step "a peer that is gone and owns addresses"
share=$(on host1 weave status ipam | sed -nE "s/^$(name_of host2)\(host2\) +([0-9]+) IPs .*/\1/p")
expect 0 "" on host2 weave stop
await_diagnosis host1 1 \
    "fail  peers: $(name_of host2)(host2) owns $share addresses (50% of 10.32.0.0/12) and is not heard: they are given to nobody until it is back, or is removed because it will never be; type: weave rmpeer $(name_of host2)"
launch_peer host2 --resume
expect_mesh 60 host1 host2
await_diagnosis host1 0

step "a peer that hangs, one that was killed, one that was stopped"
pid=$(weaver_of host1)
kill -STOP "$pid"
expect_diagnosis host1 1
[[ $OUT == *"fail  peer: the peer (pid $pid) does not answer: "*"; type: weave stop && weave launch --resume"* ]] || fail "a peer that hangs: $OUT"
kill -CONT "$pid"
supervisor=$(supervisor_of host1)
kill -KILL "$supervisor"
kill -KILL "$pid"
eventually 10 dead "$pid" || fail "the peer of host1 lives"
expect_diagnosis host1 1 \
    "fail  peer: the peer was launched but does not run; $(log_of host1) says how it ended; type: weave launch --resume" \
    "warn  leftovers: $(run_dir host1)/peer.sock is the socket of a peer that was killed; type: weave launch --resume"
launch_peer host1 --resume
expect_mesh 60 host1 host2
await_diagnosis host1 0
pass
