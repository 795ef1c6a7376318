# Weave Net from Debian packages only. `docker build -t weave-net .` in a clone; run it with
#   docker run -d --name weave --network host --pid host --privileged -v /run/weave:/run/weave -v /var/lib/weave:/var/lib/weave \
#     -v /etc/machine-id:/etc/machine-id:ro -v /var/run/docker.sock:/var/run/docker.sock weave-net
# and `docker exec weave weave status`. Arguments behind the image's name take the place of those in CMD.
ARG DEBIAN=debian:12

FROM ${DEBIAN} AS packages
COPY scripts/packages scripts/install-packages /src/scripts/
RUN /src/scripts/install-packages build

# The programs as a .deb, the same that `cpack` makes on a host.
FROM packages AS build
WORKDIR /src
COPY . .
RUN cmake --preset release && cmake --build --preset release && cpack -G DEB --config build/release/CPackConfig.cmake -B /package

FROM ${DEBIAN} AS runtime
COPY --from=build /package/*.deb /tmp/
RUN apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends /tmp/*.deb \
    && rm -rf /tmp/*.deb /var/lib/apt/lists/*
# A container ends with its first process, and Docker starts it again: no supervisor inside.
ENTRYPOINT ["/usr/sbin/weaver"]
CMD ["--db-prefix=/var/lib/weave/weave", "--http-addr=127.0.0.1:6784", "--status-addr=127.0.0.1:6782", \
     "--ipalloc-range=10.32.0.0/12"]
