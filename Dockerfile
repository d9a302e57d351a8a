# The whole of SRE-Space in one program: `serve` (control plane) and `marketplace` (the demo's user plane).
FROM rust:1.95-bookworm AS build
WORKDIR /src
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libssl-dev pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cargo build --release --locked --package sre-space --features kafka-tls

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin sre-space \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /src/target/release/sre-space /usr/local/bin/sre-space
USER 10001
WORKDIR /data
# The cloud profile listens on every address of the container; a PORT that the platform sets is taken for the monitor and the API.
ENV ENV=cloud SRE_SPACE_DATA_DIR=/data/control-plane
EXPOSE 8001 4317 4318
VOLUME ["/data"]
ENTRYPOINT ["sre-space"]
CMD ["serve"]
