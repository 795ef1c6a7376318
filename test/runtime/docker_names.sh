#!/bin/bash
# Containers of Docker that look names up as programs do: by the resolvers of glibc and of musl, unqualified, A and AAAA at
# once, with the arguments that `weave dns-args` prints, on three hosts; while containers end, and peers and plugins die.
# shellcheck source-path=SCRIPTDIR source=../support/dockerd.sh
. "$(dirname "$0")/../support/dockerd.sh"
# shellcheck source-path=SCRIPTDIR source=../system/lib.sh
. "$(dirname "$0")/../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../system/mesh_lib.sh
. "$(dirname "$0")/../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=../support/docker_hosts.sh
. "$(dirname "$0")/../support/docker_hosts.sh"
command -v musl-gcc >/dev/null || skip "needs musl-gcc (musl-tools)"

# An image with both: getent and what it loads, and the same question in a program of musl.
add_resolvers() { # add_resolvers ROOT
    local file
    printf '%s\n' '#include <arpa/inet.h>' '#include <netdb.h>' '#include <netinet/in.h>' '#include <stdio.h>' \
        'int main(int argc, char** argv) {' \
        '  struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;' \
        '  char text[64];' \
        '  if (argc != 2 || getaddrinfo(argv[1], 0, &hints, &found) != 0) return 2;' \
        '  for (; found != 0; found = found->ai_next) {' \
        '    void* address = found->ai_family == AF_INET ? (void*)&((struct sockaddr_in*)found->ai_addr)->sin_addr' \
        '                                                : (void*)&((struct sockaddr_in6*)found->ai_addr)->sin6_addr;' \
        '    puts(inet_ntop(found->ai_family, address, text, sizeof text));' \
        '  }' \
        '}' >"$WORK/ask.c"
    musl-gcc -static -o "$1/bin/musl-ask" "$WORK/ask.c" || fail "musl-gcc"
    for file in "$(command -v getent)" $(ldd "$(command -v getent)" | grep -o '/[^ ]*') /lib/*/libnss_{dns,files}.so.2 /lib/*/libresolv.so.2; do
        mkdir -p "$1${file%/*}"
        cp -L "$file" "$1$file"
    done
    echo "hosts: files dns" >"$1/etc/nsswitch.conf"
}
IMAGE_EXTRAS=add_resolvers

run() { # run HOST NAME FLAGS...: a container that sleeps, with what dns-args says
    local host=$1 name=$2
    shift 2
    # shellcheck disable=SC2046  # words
    docker_on "$host" run -d --name "$name" --net=weave --stop-signal KILL $(on "$host" weave dns-args) "$@" "$IMAGE" /bin/sleep 3600 >/dev/null ||
        fail "docker run $name on $host"
}
address_in() { docker_on "$1" inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$2"; }
# What the two resolvers of the container `ask` make of a name: addresses, sorted.
glibc() { docker_on "$1" exec ask getent ahosts "$2" | awk '$2 == "STREAM" {print $1}' | sort | xargs; }
musl() { docker_on "$1" exec ask musl-ask "$2" | sort | xargs; }
finds() { [ "$(glibc "$1" "$2")" = "$3" ] && [ "$(musl "$1" "$2")" = "$3" ]; } # finds HOST NAME ADDRESSES
expect_found() { # expect_found SECONDS NAME ADDRESSES: on every host
    local host
    for host in host1 host2 host3; do
        eventually "$1" finds $host "$2" "$3" ||
            fail "on $host $2 is \"$(glibc $host "$2")\" to glibc and \"$(musl $host "$2")\" to musl, want \"$3\""
    done
}
plugin_of() { fuser_lock "$(run_dir "$1")/plugin.lock"; }

step "three hosts with Docker's bridge, where names are served"
for n in 1 2 3; do make_docker_host host$n; done
for n in 1 2 3; do start_docker host$n; done
for n in 1 2 3; do
    on host$n sh -c 'ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up'
    import_image host$n
    launch host$n --name ::$n --nickname host$n 192.0.2.$((n % 3 + 1))
done
[ "$(on host2 weave dns-args)" = "--dns=172.17.0.1 --dns-search=weave.local." ] || fail "dns-args: $(on host2 weave dns-args)"
for n in 1 2 3; do run host$n ask --hostname ask$n.weave.local; done
[ "$(docker_on host1 inspect -f '{{.HostConfig.Dns}} {{.HostConfig.DnsSearch}}' ask)" = "[172.17.0.1] [weave.local]" ] || fail "$(docker_on host1 inspect ask)"

step "glibc and musl find a name by the search domain on every host, with all its addresses, asking for AAAA as well"
for n in 1 2 3; do run host$n web --hostname shop.weave.local; done
all=$(for n in 1 2 3; do address_in host$n web; done | sort | xargs)
expect_found 10 shop "$all"
expect_found 1 ask3.weave.local "$(address_in host3 ask)" # Docker itself answers for what is on its own host
for host in host1 host2 host3; do
    [ -z "$(glibc $host nosuch)$(musl $host nosuch)" ] || fail "nosuch is found on $host"
done

step "a container that ends is found no more within 2 s, nowhere"
gone=$(address_in host2 web)
docker_on host2 rm -f web >/dev/null
expect_found 2 shop "$(tr ' ' '\n' <<<"$all" | grep -vxF "$gone" | xargs)"

step "a peer and a plugin are killed: names stay, and new ones come"
plugin=$(plugin_of host1)
kill -KILL "$plugin"
crash host1
run_again() { docker_on host1 run -d --name late --net=weave --hostname late.weave.local --stop-signal KILL "$IMAGE" /bin/sleep 3600 >/dev/null 2>&1 || { docker_on host1 rm -f late >/dev/null 2>&1; false; }; }
eventually 20 run_again || fail "no container after the restart"
expect_found 10 late "$(address_in host1 late)"
expect_found 10 shop "$(tr ' ' '\n' <<<"$all" | grep -vxF "$gone" | xargs)"
pass
