//! `tributary check-config`: the effective settings, and where each came from.

use clap::Args;
use serde_json::json;

use super::SettingFlags;
use super::context::load_config;
use super::exit::Failure;

/// How to print.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(flags: &SettingFlags, args: &CheckConfigArgs) -> Result<(), Failure> {
    let loaded = load_config(flags, &[])?;
    if args.json {
        let entries: Vec<_> = loaded
            .effective
            .iter()
            .map(|one| json!({"key": one.path, "value": one.shown, "origin": one.origin.to_string()}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    let width = |of: fn(&crate::config::Effective) -> usize| loaded.effective.iter().map(of).max().unwrap_or(0);
    let (keys, values) = (width(|one| one.path.len()), width(|one| one.shown.len()).min(60));
    for one in &loaded.effective {
        println!("{:keys$}  {:values$}  {}", one.path, one.shown, one.origin);
    }
    Ok(())
}
