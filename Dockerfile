# One small image for every role: `docker run doorbuster serve order`. See docs/docker.md.
#
#   docker build -t doorbuster .
#
# The compiler is the `rust-version` of Cargo.toml. Both stages use the same Debian release, because the program needs the C
# library that it was linked against.
ARG RUST=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /src
COPY . .
# The caches only save time; a build without them gives the same result. `touch` forces the workspace's own crates to be
# compiled: Cargo compares file times, and the files of another checkout may be older than a cached result. The caches are not
# part of the image, so the program is copied out before the step ends. Stripping line tables makes it a quarter of the size;
# function names stay.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --bin doorbuster \
    && strip --strip-debug -o /doorbuster target/release/doorbuster

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="doorbuster" \
      org.opencontainers.image.description="A whole shop under stress: services, shoppers, faults, and a verdict." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# The certificate authorities for TLS connections to mail servers and brokers.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY scenarios /scenarios
# A new volume takes the owner of the directory that it is mounted on.
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /doorbuster /usr/local/bin/doorbuster
# Numeric, so that a check for a non-root user works without /etc/passwd.
USER 10001:10001
WORKDIR /data
ENV DOORBUSTER_DATA=/data
EXPOSE 8080 9080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["doorbuster", "health"]
ENTRYPOINT ["doorbuster"]
