//! All integration tests in one target: one link step, one set of real servers.
#![allow(clippy::unwrap_used, missing_docs)]

mod api;
mod architecture;
mod dev_servers;
mod runtime;
mod registry;
mod store;
