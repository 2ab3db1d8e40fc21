# One small image for every role: `docker run doorbuster serve order`. See docs/docker.md.
#
#   docker build -t doorbuster .
#
# The compiler is the one that Cargo.toml asks for as `rust-version`; both stages stand on the same Debian, since what
# was linked against one C library runs on that one.
ARG RUST=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /src
COPY . .
# The caches only save time: a build without them fetches and compiles everything, and comes to the same. What they keep
# of the workspace itself is not trusted, for Cargo goes by the age of files, and those of another checkout may be older:
# hence `touch`. They are no part of the image, so the program is taken out of them before the step ends. Line tables would
# make it four times as large; the names of functions stay.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --bin doorbuster \
    && strip --strip-debug -o /doorbuster target/release/doorbuster

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="doorbuster" \
      org.opencontainers.image.description="A whole shop under stress: services, shoppers, faults, and a verdict." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# Whom mail servers and brokers are trusted to be, when they are spoken to by TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY scenarios /scenarios
# A volume takes the owner of the folder that it is put on for the first time.
RUN install -d -o 10001 -g 10001 /data
COPY --from=build /doorbuster /usr/local/bin/doorbuster
# A number, for who has to see that it is not root may know no names.
USER 10001:10001
WORKDIR /data
ENV DOORBUSTER_DATA=/data
EXPOSE 8080 9080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["doorbuster", "health"]
ENTRYPOINT ["doorbuster"]
