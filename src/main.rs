//! The `tributary` binary: parse the command line, dispatch, exit with a documented code.

/// Facts and records are thousands of small strings; the system's allocator took a quarter of the fold's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tributary::cli::run(std::env::args_os())
}
