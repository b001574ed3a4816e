//! `tributary completion`: scripts for bash, zsh, fish, elvish and PowerShell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Failure;

/// Which shell.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell, e.g. `tributary completion bash > /etc/bash_completion.d/tributary`
    shell: Shell,
}

pub(super) fn run(args: &CompletionArgs) -> Result<(), Failure> {
    let mut command = super::Cli::command();
    clap_complete::generate(args.shell, &mut command, "tributary", &mut std::io::stdout());
    Ok(())
}
