//! The `tributary` binary: parse the command line, dispatch, exit with a documented code.

fn main() -> std::process::ExitCode {
    tributary::cli::run(std::env::args_os())
}
