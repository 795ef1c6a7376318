# shellcheck shell=bash
# For tests of several peers: one Ethernet that joins the hosts, and what the peers say of each other. Sourced after lib.sh.
#
# Host N of a test has the address 10.99.0.N and the peer name ::N. The machine's own network has no part in it.

make_network() { # a switch in a namespace of its own
    make_container net
    ip -n "$TAG-net" link add br0 type bridge
    ip -n "$TAG-net" link set br0 up
}

address_of() { echo "10.99.0.${1#host}"; } # address_of HOST
name_of() { printf '00:00:00:00:00:%02x\n' "${1#host}"; } # name_of HOST

make_mesh_host() { # make_mesh_host hostN: plugged into the network
    make_host "$1"
    ip -n "$TAG-net" link add "$1" type veth peer name eth0 netns "$TAG-$1"
    ip -n "$TAG-net" link set "$1" master br0 up
    ip -n "$TAG-$1" addr add "$(address_of "$1")/24" dev eth0
    ip -n "$TAG-$1" link set eth0 up
}
unplug() { ip -n "$TAG-net" link set "$1" down; }
plug() { ip -n "$TAG-net" link set "$1" up; }
# cut_off HOST OTHERS...: unplugged, and its connections with the others end at once on both sides, where the minute after which
# peers miss each other shows nothing more. A kernel that cannot end them takes that minute.
cut_off() {
    local host=$1 other
    shift
    unplug "$host"
    for other in "$@"; do
        on "$host" ss -K dst "$(address_of "$other")" >/dev/null
        on "$other" ss -K dst "$(address_of "$host")" >/dev/null
    done
}

launch_peer() { # launch_peer hostN ARGUMENTS...
    local host=$1
    shift
    launch "$host" --name "::$(printf %x "${host#host}")" --nickname "$host" "$@"
}

# Lines "NAME(NICKNAME)" and "NAME(NICKNAME) DIRECTION ADDRESS OTHER STATE": all that HOST knows of the mesh, in an order that does not depend
# on it.
known_by() {
    on "$1" weave status peers | awk '!/^ /{ peer = $1; print peer } /^ /{ print peer, $1, $2, $3, $4 }' | sort
}
connections() { on "$1" weave status connections; }
count_established() { connections "$1" | grep -c ' established ' || true; }

agree() { # agree HOSTS...: on everything
    local first=$1 host all
    all=$(known_by "$first")
    for host in "$@"; do [ "$(known_by "$host")" = "$all" ] || return 1; done
}
# meshed HOSTS...: they know of each other and of nobody else, are all connected, and say so alike
meshed() {
    local count=$# links
    links=$((count * (count - 1)))
    [ "$(known_by "$1" | grep -cv ' ')" = "$count" ] || return 1
    [ "$(known_by "$1" | grep -c ' established$')" = "$links" ] || return 1
    agree "$@"
}
tell_of() { # tell_of HOSTS...: for a failure
    local host
    for host in "$@"; do
        echo "[$host]"
        connections "$host" || true
        on "$host" weave status peers || true
    done
}
expect_mesh() { # expect_mesh SECONDS HOSTS...
    local seconds=$1
    shift
    eventually "$seconds" meshed "$@" || fail "$* are no mesh: $(tell_of "$@")"
}
alone() { [ "$(known_by "$1")" = "$(name_of "$1")($1)" ]; } # alone HOST: it knows of nobody
knows() { has "$(name_of "$2")" on "$1" weave status peers; } # knows HOST OTHER
forgot() { ! knows "$@"; }
targets_are() { [ "$(on "$1" weave status targets | sort | tr '\n' ' ')" = "$2" ]; } # targets_are HOST "A B "
expect_targets() { targets_are "$@" || fail "targets of $1: $(on "$1" weave status targets), want $2"; }
says_of_connections() { has "$2" connections "$1"; } # says_of_connections HOST TEXT

another_weaver() { # another_weaver HOST PID
    local now
    now=$(weaver_of "$1") && [ -n "$now" ] && [ "$now" != "$2" ] && answers "$1"
}
crash() { # crash HOST: kill -9, and waits until its supervisor has started it again
    local pid
    pid=$(weaver_of "$1")
    kill -KILL "$pid"
    eventually 30 another_weaver "$1" "$pid" || fail "the peer of $1 was not started again"
}
