# `just check` runs what CI runs.

default: check

check: fmt clippy test doc

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --all-targets -- -D warnings

test:
    cargo test

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Licences, advisories, doubled versions (needs cargo-deny).
deny:
    cargo deny check

# The whole pipeline on recorded events.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# Load figures on this machine.
bench EVENTS="100000":
    cargo run --release -- bench pipeline --events {{EVENTS}}
    cargo bench

# Rewrites docs/openapi.json from the handlers.
openapi:
    TRIBUTARY_UPDATE=1 cargo test --lib api::

# Fuzzes every decoder of foreign bytes (needs cargo-fuzz and a nightly toolchain).
fuzz SECONDS="60":
    fuzz/run {{SECONDS}}
