//! The command line.

/// Load runs.
pub mod bench {
    pub mod generator;
    pub mod procstat;
}

/// x
pub fn run(_: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode { std::process::ExitCode::SUCCESS }
