# shellcheck shell=bash
# For tests of a uniform dynamic cluster: its hosts in ALL, the same command on every one, and hosts that lose power. Sourced
# after mesh_lib.sh.

# /etc/sysconfig/weave, the same on every peer.
SEED_PEERS="::1,::2,::3"
PEERS="host1 host2 host3"
BOOT_FLAGS=()

make_cluster_hosts() { # of ALL, on one network
    local host other
    make_network
    for host in "${ALL[@]}"; do
        make_mesh_host "$host"
        # Peers are given as host names; `ip netns exec` puts this file in the place of /etc/hosts.
        mkdir -p "/etc/netns/$TAG-$host"
        for other in "${ALL[@]}"; do echo "$(address_of "$other") $other"; done >"/etc/netns/$TAG-$host/hosts"
    done
}
remove_host_files() { rm -rf "/etc/netns/$TAG-"*; }

boot() { # boot hostN: what systemd does
    # shellcheck disable=SC2086
    expect 0 "" on "$1" weave launch --no-restart --name "::${1#host}" --nickname "$1" --ipalloc-init "seed=$SEED_PEERS" \
        "${BOOT_FLAGS[@]}" $PEERS
}
burn() { # burn HOST: all of its processes at once, and what a reboot would empty
    # shellcheck disable=SC2046
    kill -KILL $(ip netns pids "$TAG-$1")
    rm -rf "$(run_dir "$1")"
}
