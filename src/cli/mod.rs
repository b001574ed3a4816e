//! The command line: one file per subcommand. Owns process start, signals and exit codes; knows every other module.

pub mod bench;
mod changes;
pub mod chaos;
mod check_config;
mod completion;
mod context;
mod demo;
mod digest;
mod dlq;
mod draw;
pub mod exit;
mod export;
mod flow;
mod http;
mod lineage;
mod processes;
mod produce;
mod readers;
mod rebuild;
mod recorded;
mod registry;
mod running;
mod schema;
mod serving;
mod sql_lineage;
mod status;
mod tail_hms;
mod topology;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Args, Parser, Subcommand};

use self::exit::{Because, Failure, Reason};
use crate::config::{Config, LogColor, LogFormat};
use crate::telemetry::{Color, LogOptions, LogShape, Metrics, start_logging};

const EXIT_CODES: &str = "Exit codes: 0 done, 1 no (schema check, schema register), 2 could not find out (schema check), 64 usage, 69 a service is unavailable or a prerequisite is missing, \
70 internal error, 75 temporary failure, 78 configuration";

/// A live data catalog beside your Kafka.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, about, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    settings: SettingFlags,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every subcommand takes; each wins over the environment, the file and the default.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingFlags {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, env = "TRIBUTARY_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka servers, host:port[,host:port…]
    #[arg(long, global = true, value_name = "SERVERS")]
    pub bootstrap_servers: Option<String>,
    /// Folder for local state and the search index
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Any other setting, e.g. --set api.listen=0.0.0.0:8080 (see `check-config`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole pipeline on recorded events and show what the catalog made of them
    Demo(demo::DemoArgs),
    /// Run every role in one process
    Up(processes::UpArgs),
    /// Run stages and sinks: normalize, sql, statements, fold, postgres
    Run(processes::RunArgs),
    /// Serve the schema registry alone
    Registry(registry::RegistryArgs),
    /// Ask and fill any schema registry: list, get, register, check, diff, export, import, delete
    Schema(schema::SchemaArgs),
    /// Serve search, lineage and the REST API
    Api,
    /// Bring views back from the topics: tables, search index, lineage graph, local state
    Rebuild(rebuild::RebuildArgs),
    /// Check, draw or apply the graph of topics and stages
    #[command(subcommand)]
    Topology(topology::TopologyCommand),
    /// Print the effective settings and where each came from
    CheckConfig(check_config::CheckConfigArgs),
    /// Produce a file of events to a topic, one record a line
    Produce(produce::ProduceArgs),
    /// Table and column lineage of SQL: JSON Lines in, JSON Lines out, or for people to read
    SqlLineage(sql_lineage::SqlLineageArgs),
    /// Follow a Hive metastore's notification log into a topic, exactly once
    TailHms(tail_hms::TailHmsArgs),
    /// List a whole system into its topic, as if everything were created now
    #[command(subcommand)]
    Snapshot(tail_hms::SnapshotCommand),
    /// List, show, replay or drop dead letters
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Print hashes that are equal for equal catalogs
    Digest(digest::DigestArgs),
    /// Print a part of the catalog in the shape of its source
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Show stages, lag and positions
    Status(status::StatusArgs),
    /// Measure throughput, CPU, memory and latency
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Prove that faults change nothing: kills, crashes and lost replies against servers of its own
    Chaos(chaos::ChaosArgs),
    /// Print a completion script for a shell
    Completion(completion::CompletionArgs),
}

/// Runs the program with these arguments (the first is its name) and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no failures.
            let code = if error.use_stderr() { Reason::Usage.into() } else { ExitCode::SUCCESS };
            return if error.print().is_ok() { code } else { Reason::Internal.into() };
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tributary: {failure}");
            failure.reason.into()
        }
    }
}

/// Starts logs and metrics of a long-running process.
fn telemetry(config: &Config) -> Result<(), Failure> {
    let options = LogOptions {
        filter: config.log.filter.clone(),
        shape: match config.log.format {
            LogFormat::Text => LogShape::Text,
            LogFormat::Json => LogShape::Json,
        },
        color: match config.log.color {
            LogColor::Auto => Color::Auto,
            LogColor::Always => Color::Always,
            LogColor::Never => Color::Never,
        },
    };
    start_logging(&options).because(Reason::Configuration)?;
    let metrics = Metrics::install()?;
    // A second start in one process is refused above, so the cell is empty.
    let _ = METRICS.set(metrics);
    Ok(())
}

/// The metrics of this process, once [`telemetry`] has started them.
fn metrics() -> Option<&'static Metrics> {
    METRICS.get()
}

static METRICS: OnceLock<Metrics> = OnceLock::new();

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let flags = cli.settings;
    crate::registry::tls::install_provider();
    match cli.command {
        Command::Demo(args) => demo::run(&flags, &args),
        Command::Up(args) => processes::up(&flags, &args),
        Command::Run(args) => processes::run(&flags, &args),
        Command::Registry(args) => registry::run(&flags, &args),
        Command::Schema(args) => schema::run(&flags, &args),
        Command::Api => processes::api(&flags),
        Command::Rebuild(args) => rebuild::run(&flags, &args),
        Command::Topology(command) => topology::run(&flags, &command),
        Command::CheckConfig(args) => check_config::run(&flags, &args),
        Command::Produce(args) => produce::run(&flags, &args),
        Command::SqlLineage(args) => sql_lineage::run(&args),
        Command::TailHms(args) => tail_hms::tail(&flags, &args),
        Command::Snapshot(command) => tail_hms::snapshot(&flags, &command),
        Command::Dlq(command) => dlq::run(&flags, &command),
        Command::Digest(args) => digest::run(&flags, &args),
        Command::Export(command) => export::run(&flags, &command),
        Command::Status(args) => status::run(&flags, &args),
        Command::Bench(command) => bench::run(&flags, &command),
        Command::Chaos(args) => chaos::run(&flags, &args),
        Command::Completion(args) => completion::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
