#!/bin/bash
# Types what README.md and docs/*.md show, block by block, on hosts that are fresh for each page, and compares what is printed
# with what the page says (page.pl says how). Hosts are called host1, host2, ..., know each other by these names, and have the
# addresses 192.0.2.1, 192.0.2.2, ...; where a page types docker or podman, the host has one of its own, with an image busybox and
# nothing to pull from.
#
#   blocks.sh [PAGE...]
here=$(dirname "$(readlink -f "$0")")
root=$(cd "$here/../.." && pwd)

# What is not run is not known to be true: more than these need a better test first.
NOT_RUN_AT_MOST=8

if [ $# != 1 ]; then
    cd "$root" || exit 1
    [ $# -gt 0 ] && pages=("$@") || pages=(README.md docs/*.md)
    not_run=$("$here/page.pl" check "${pages[@]}") || exit 1
    count=$(grep -c . <<<"$not_run" || true)
    echo "blocks that are not run: $count, at most $NOT_RUN_AT_MOST"
    [ "$count" = 0 ] || printf '  %s\n' "$not_run"
    [ "$count" -le "$NOT_RUN_AT_MOST" ] || exit 1
    for page in "${pages[@]}"; do
        [ -n "$("$here/page.pl" needs "$page")" ] || continue
        status=0
        "$0" "$page" || status=$?
        [ $status = 0 ] || exit $status
    done
    exit
fi

# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$here/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$here/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$here/../support/docker_hosts.sh"

# shellcheck disable=SC2034  # read by import_image
IMAGE=busybox
add_applets() { # add_applets ROOT
    local applet
    for applet in cat hostname httpd nslookup wget; do ln -sf busybox "$1/bin/$applet"; done
}
# shellcheck disable=SC2034
IMAGE_EXTRAS=add_applets

# A machine that nobody knows: names and files that are its own, none of what the tests' machine has installed or set.
furnish() { # furnish HOST HOSTS...
    # shellcheck disable=SC2016  # for that shell
    nsenter --mount="/proc/${HOST_MOUNTS[$1]}/ns/mnt" --net="/run/netns/$TAG-$1" sh -c '
        set -e
        host=$1 dir=$2
        shift 2
        umount /etc/machine-id /etc/docker 2>/dev/null || true
        mkdir "$dir/machine"
        mount -t tmpfs machine "$dir/machine"
        mkdir "$dir/machine/upper" "$dir/machine/work" "$dir/machine/opt"
        mount -t overlay -o "lowerdir=/etc,upperdir=$dir/machine/upper,workdir=$dir/machine/work" overlay /etc
        mount --bind "$dir/machine/opt" /opt
        rm -rf /etc/docker /etc/cni /etc/sysconfig
        mkdir -p /etc/docker /etc/cni/net.d /etc/sysconfig
        cp "$dir/machine-id" /etc/machine-id
        echo "127.0.0.1 localhost" >/etc/hosts
        for other; do echo "192.0.2.${other#host} $other" >>/etc/hosts; done
        # A peer is called after these, which all hosts here would have in common.
        for id in /sys/class/dmi/id /sys/hypervisor; do [ ! -d $id ] || mount -t tmpfs none $id; done' \
        sh "$1" "$DOCKER_ROOT/$1" "${@:2}" || fail "no machine for $1"
    touch "$DOCKER_ROOT/$1/uts" # a mount, which goes with the others below there
    unshare --uts="$DOCKER_ROOT/$1/uts" hostname "$1"
}

# type HOST COMMAND: as in a shell of root there; what it prints, wherever to, and its exit status.
make_typist() { # make_typist HOSTS...
    local host
    {
        echo '#!/bin/bash'
        echo 'case $1 in'
        for host; do
            echo "$host) exec timeout 90 nsenter --net=/run/netns/$TAG-$host --uts=$DOCKER_ROOT/$host/uts --mount=/proc/${HOST_MOUNTS[$host]}/ns/mnt \\"
            echo "    env -i HOME=/root TERM=dumb PATH='$PATH' bash -c \"\$2\" </dev/null 2>&1 ;;"
        done
        echo 'esac'
    } >"$WORK/type"
    chmod +x "$WORK/type"
}

set_up_podman() { # set_up_podman HOST: with Docker's image
    # shellcheck disable=SC2016  # for that shell
    on "$1" sh -c '
        mkdir -p /etc/containers && rm -rf /etc/containers/*.conf &&
        printf "[network]\nnetwork_backend = \"cni\"\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n" \
            >/etc/containers/containers.conf &&
        printf "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers\"\ngraphroot = \"/var/lib/containers\"\n" \
            >/etc/containers/storage.conf &&
        docker save busybox | podman load && rm -f /etc/cni/net.d/*.lock' >"$WORK/podman" 2>&1 || skip "podman does not run here: $(tail -1 "$WORK/podman")"
}

declare -A PROGRAMS # host -> the programs it needs
while read -r host programs; do PROGRAMS[$host]=$programs; done < <("$here/page.pl" needs "$root/$1")
mapfile -t NAMES < <(printf '%s\n' "${!PROGRAMS[@]}" | sort)
[ ${#PROGRAMS[@]} -gt 0 ] || fail "$1 types nothing"
for host in "${NAMES[@]}"; do
    make_docker_host "$host"
    furnish "$host" "${NAMES[@]}"
    [ -n "${PROGRAMS[$host]}" ] || continue
    start_docker "$host"
    on "$host" sh -c 'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up'
    import_image "$host"
    [[ ${PROGRAMS[$host]} != *podman* ]] || set_up_podman "$host"
done
# What is there before a page begins.
case $1 in
    docs/migrating-from-weave-2.8.md) # the containers of a peer of 2.8, and what it left in its volume
        docker_on host1 run -d --name weave --restart always --stop-signal KILL busybox sleep 1d >/dev/null
        docker_on host1 create --name weavedb -v /weavedb busybox sleep 1d >/dev/null
        docker_on host1 cp "$root/test/golden/weave-2.8.db" weavedb:/weavedb/weavedata.db 2>/dev/null
        ;;
esac
make_typist "${NAMES[@]}"
disown -a # the end of this script is the end of theirs, and no news
cd "$root" || exit 1
"$here/page.pl" type "$1" "$WORK/type" || fail "$1 does not say what happens"
pass
