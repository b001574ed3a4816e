# The image holds one binary. Built with TLS, so that it can talk to any cluster.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --features tls && strip target/release/tributary

FROM debian:bookworm-slim
RUN useradd --system --uid 65532 --home-dir /var/lib/tributary --create-home tributary \
 && apt-get update -q && apt-get install -q -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/tributary /usr/local/bin/tributary
USER 65532
WORKDIR /var/lib/tributary
ENV TRIBUTARY_API__LISTEN=0.0.0.0:8080 \
    TRIBUTARY_REGISTRY__LISTEN=0.0.0.0:8081 \
    TRIBUTARY_METRICS__LISTEN=0.0.0.0:9464 \
    TRIBUTARY_DATA_DIR=/var/lib/tributary/data
EXPOSE 8080 8081 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["tributary", "status", "--healthy"]
ENTRYPOINT ["tributary"]
CMD ["up"]
