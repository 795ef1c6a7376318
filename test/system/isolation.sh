#!/bin/bash
# Who reaches whom (contract A7-14, A7-18, A2-17, A20-01, A20-02): subnets on one bridge, containers of Docker's bridge, the world
# beyond the host, and the peer's own ports.
. "$(dirname "$0")/lib.sh"

make_host host1
for container in a b c docker world; do make_container "$container"; done
on host1 sysctl -qw net.ipv4.ip_forward=1

# probe NAMESPACE tcp|udp ADDRESS PORT: prints answered, refused, or silence
probe() {
    local status=0
    # shellcheck disable=SC2016
    case $2 in
    tcp) inside "$1" timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"' probe "$3" "$4" 2>/dev/null || status=$? ;;
    udp) inside "$1" timeout 2 bash -c 'exec 3<>"/dev/udp/$1/$2"; echo >&3; sleep 0.2; echo >&3 && read -r -u 3' probe \
        "$3" "$4" 2>/dev/null || status=$? ;;
    esac
    case $status in 0) echo answered ;; 124) echo silence ;; *) echo refused ;; esac
}
expect_probe() { # expect_probe WANT NAMESPACE PROTOCOL ADDRESS PORT
    local want=$1 got
    shift
    got=$(probe "$@")
    [ "$got" = "$want" ] || fail "$1 -> $2 $3:$4: $got, want $want"
}

# Docker's bridge with a container, and the world, of which nobody here knows the way to a container's subnet.
ip -n "$TAG-host1" link add dkr0 type bridge
ip -n "$TAG-host1" addr add 172.30.0.1/24 dev dkr0
ip -n "$TAG-host1" link set dkr0 up
ip -n "$TAG-host1" link add dkr1 type veth peer name eth0 netns "$TAG-docker"
ip -n "$TAG-host1" link set dkr1 master dkr0 up
ip -n "$TAG-docker" addr add 172.30.0.2/24 dev eth0
ip -n "$TAG-docker" link set eth0 up
ip -n "$TAG-docker" route add default via 172.30.0.1
ip -n "$TAG-host1" link add up0 type veth peer name eth0 netns "$TAG-world"
ip -n "$TAG-host1" addr add 192.0.2.1/24 dev up0
ip -n "$TAG-host1" link set up0 up
ip -n "$TAG-world" addr add 192.0.2.2/24 dev eth0
ip -n "$TAG-world" link set eth0 up
on host1 iptables -P FORWARD DROP # as Docker sets it
expect_ping docker 172.30.0.1

step "before launch the host answers on its ports, if only with a refusal"
expect_probe refused docker tcp 172.30.0.1 6783
expect_probe refused docker udp 172.30.0.1 6783
expect_probe refused docker udp 172.30.0.1 6784

step "containers of one subnet talk, those of another do not"
launch host1 --name ::1 --docker-bridge dkr0
expect 0 "" on host1 weave attach 10.5.1.1/24 "$(path_of a)"
expect 0 "" on host1 weave attach 10.5.1.2/24 "$(path_of b)"
expect 0 "" on host1 weave attach 10.5.2.1/24 "$(path_of c)"
expect_ping a 10.5.1.2
expect_no_ping a 10.5.2.1
expect_no_ping c 10.5.1.1
expect 0 "" on host1 weave attach 10.5.2.2/24 "$(path_of b)" # in both
expect_ping b 10.5.2.1
expect_ping b 10.5.1.1
expect_no_ping a 10.5.2.1

step "multicast stays in its subnet"
input_rules() { inside "$1" iptables-save -t filter 2>/dev/null | grep -E '^-A INPUT'; }
[ "$(input_rules a)" = "-A INPUT -s 10.5.1.0/24 -d 224.0.0.0/4 -i ethwe -j ACCEPT
-A INPUT -d 224.0.0.0/4 -i ethwe -j DROP" ] || fail "rules in a: $(input_rules a)"
for subnet in 10.5.1.0/24 10.5.2.0/24; do
    has "-A INPUT -s $subnet -d 224.0.0.0/4 -i ethwe -j ACCEPT" input_rules b || fail "rules in b: $(input_rules b)"
done
in_background a perl -MSocket=:all -e '
    my $s;
    socket($s, PF_INET, SOCK_DGRAM, 0) && bind($s, sockaddr_in(5007, INADDR_ANY)) or die $!;
    setsockopt($s, IPPROTO_IP, IP_ADD_MEMBERSHIP, pack_ip_mreq(inet_aton("239.1.2.3"), inet_aton("10.5.1.1"))) or die $!;
    $| = 1;
    print "ready\n";
    while (1) { recv($s, my $text, 100, 0); print "$text\n" }' >"$WORK/heard" 2>&1 &
HELPERS=($!)
more_clean_up() { kill "${HELPERS[@]}" 2>/dev/null; }
heard() { grep -x "$1" "$WORK/heard" >/dev/null; }
say() { # say CONTAINER SOURCE TEXT
    inside "$1" perl -MSocket=:all -e 'my $s;
        socket($s, PF_INET, SOCK_DGRAM, 0) && bind($s, sockaddr_in(0, inet_aton($ARGV[0]))) && send($s, $ARGV[1], 0, sockaddr_in(5007, inet_aton("239.1.2.3"))) or die $!' "$2" "$3"
}
b_is_heard() { say b 10.5.1.2 from-b && heard from-b; }
eventually 5 heard ready || fail "the listener did not start: $(cat "$WORK/heard")"
for _ in 1 2 3; do say c 10.5.2.1 from-c; done
eventually 5 b_is_heard || fail "multicast of the own subnet does not arrive: $(cat "$WORK/heard")"
! heard from-c || fail "multicast of another subnet arrives"

step "a container of Docker's bridge reaches neither the peer nor a container"
expect_probe silence docker tcp 172.30.0.1 6783
expect_probe silence docker udp 172.30.0.1 6783
expect_probe silence docker udp 172.30.0.1 6784
for port in 6784 6782; do expect_probe refused docker tcp 172.30.0.1 "$port"; done
on host1 iptables -P INPUT DROP
expect_probe silence docker udp 172.30.0.1 54
for protocol in tcp udp; do expect_probe refused docker "$protocol" 172.30.0.1 53; done # let in, and nobody listens
on host1 iptables -P INPUT ACCEPT

step "the control port hears only this host, whatever the kernel routes to 127.0.0.1"
for name in host1 docker; do
    ip netns exec "$TAG-$name" sysctl -qw net.ipv4.conf.all.route_localnet=1
    ip netns exec "$TAG-$name" sysctl -qw net.ipv4.conf.all.rp_filter=0
done
ip -n "$TAG-docker" addr del 127.0.0.1/8 dev lo
ip -n "$TAG-docker" route add 127.0.0.1/32 via 172.30.0.1
expect_probe answered docker tcp 127.0.0.1 6782 # the way is open, this port is not guarded
expect_probe silence docker tcp 127.0.0.1 6784
expect 0 "Service: router" on host1 curl -sf -m 5 http://127.0.0.1:6784/status

step "expose: the world, masqueraded"
inside a ip route add default via 10.5.1.254
inside c ip route add default via 10.5.2.254
expect_no_ping a 192.0.2.2
expect 0 "10.5.1.254/24" on host1 weave expose 10.5.1.254/24
expect_ping a 192.0.2.2
expect_ping a 192.0.2.1
! inside docker ping -c 1 -W 1 10.5.1.1 >/dev/null 2>&1 || fail "Docker's container reaches an exposed subnet"
expect_no_ping world 10.5.1.1 # it knows no way

step "expose --without-masquerade: the world needs a route"
expect 0 "10.5.2.254/24" on host1 weave expose --without-masquerade 10.5.2.254/24
expect_ping c 10.5.2.254
expect_no_ping c 192.0.2.2
ip -n "$TAG-world" route add 10.5.0.0/16 via 192.0.2.1
expect_ping c 192.0.2.2
expect_ping world 10.5.2.1
expect_ping world 10.5.1.1

step "exposing with masquerade takes the place of exposing without, and the other way round"
ip -n "$TAG-world" route del 10.5.0.0/16 via 192.0.2.1
expect 0 "" on host1 weave expose 10.5.2.254/24
expect_ping c 192.0.2.2
expect 0 "" on host1 weave expose --without-masquerade 10.5.2.254/24
expect_no_ping c 192.0.2.2

# greet_in NAMESPACE PORT: who comes is told whence
greet_in() {
    in_background "$1" perl -MSocket=:all -e '
        my $s;
        socket($s, PF_INET, SOCK_STREAM, 0) && bind($s, sockaddr_in($ARGV[0], INADDR_ANY)) && listen($s, 5) or die $!;
        while (my $from = accept(my $c, $s)) {
            syswrite($c, "hello " . inet_ntoa((sockaddr_in($from))[1]) . "\n");
            close($c) }' "$2" &
    HELPERS+=($!)
}
greeting() { # greeting NAMESPACE ADDRESS PORT
    # shellcheck disable=SC2016
    inside "$1" timeout 2 bash -c 'exec 3<>"/dev/tcp/$1/$2"; read -r -u 3 line; echo "$line"' greeting "$2" "$3" 2>&1 || true
}

step "a service of a container on a port of the host"
greet_in b 80
on host1 iptables -t nat -A PREROUTING -i up0 -p tcp --dport 8080 -j DNAT --to-destination 10.5.1.2:80
# b knows no way out: it must see the bridge's address
greeted() { [ "$(greeting world 192.0.2.1 8080)" = "hello 10.5.1.254" ]; }
eventually 5 greeted || fail "the service says: $(greeting world 192.0.2.1 8080)"

step "a service of the world at an address of the weave network"
greet_in world 4433
expect 0 "10.5.1.253/24" on host1 weave expose 10.5.1.253/24
on host1 iptables -t nat -A PREROUTING -p tcp -d 10.5.1.253 --dport 8443 -j DNAT --to-destination 192.0.2.2:4433
imported() { [ "$(greeting b 10.5.1.253 8443)" = "hello 192.0.2.1" ]; } # b has no other way to the world
eventually 5 imported || fail "the service says: $(greeting b 10.5.1.253 8443)"

step "hide closes all of it"
expect 0 "10.5.1.253/24 10.5.1.254/24 10.5.2.254/24" on host1 weave hide 10.5.1.253/24 10.5.1.254/24 10.5.2.254/24
expect_no_ping a 192.0.2.2
! greeted || fail "the service answers after hide"
! imported || fail "the imported service answers after hide"
expect_ping a 10.5.1.2
pass
