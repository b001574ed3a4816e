//! `tributary topology`: check, draw and apply the graph of topics and stages.

use std::collections::BTreeSet;

use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};

use super::SettingFlags;
use super::context::{Context, load_config};
use super::exit::{Because, Failure, Reason};
use super::registry;
use crate::codec::avro::SUBJECTS;
use crate::config::Config;
use crate::kafka::Admin;
use crate::topology::apply;
use crate::topology::graph::{GraphFormat, draw};
use crate::topology::lint::lint;
use crate::topology::load::{Installation, Topology};
use crate::topology::loss::{self, AcceptError};
use crate::topology::plan::Plan;
use crate::topology::schemas::{SubjectError, register_all};

/// What to do with the graph.
#[derive(Debug, Subcommand)]
pub enum TopologyCommand {
    /// Check the graph; needs no servers
    Lint,
    /// Draw the graph
    Graph(GraphArgs),
    /// Create and check topics, set first offsets, register schemas
    Apply(ApplyArgs),
}

/// How to draw.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Language of the drawing
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Mermaid,
    Dot,
    Json,
}

/// How to apply.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Let stages that cannot go on go on without the records or the state that they have lost
    #[arg(long)]
    accept_loss: bool,
}

pub(super) fn run(flags: &SettingFlags, command: &TopologyCommand) -> Result<(), Failure> {
    match command {
        TopologyCommand::Lint => {
            let config = load_config(flags, &[])?.config;
            let topology = of(&config)?;
            let schemas: BTreeSet<&str> = SUBJECTS.iter().map(|subject| subject.topic).collect();
            let findings = lint(&topology, &schemas);
            findings.iter().for_each(|finding| println!("{finding}"));
            match findings.len() {
                0 => {
                    println!("{} topics, {} stages: sound", topology.topics.len(), topology.stages.len());
                    Ok(())
                }
                count => Err(anyhow!("{count} findings")).because(Reason::Configuration),
            }
        }
        TopologyCommand::Graph(args) => {
            let format = match args.format {
                Format::Mermaid => GraphFormat::Mermaid,
                Format::Dot => GraphFormat::Dot,
                Format::Json => GraphFormat::Json,
            };
            print!("{}", draw(&of(&load_config(flags, &[])?.config)?, format));
            Ok(())
        }
        TopologyCommand::Apply(args) => apply(&Context::load(flags)?, args),
    }
}

/// The graph of this installation.
pub(super) fn of(config: &Config) -> Result<Topology, Failure> {
    let mut topology = Topology::built_in(&installation(config)).because(Reason::Internal)?;
    for source in &config.hms {
        topology.add_raw("hms.notifications", &source.topic);
    }
    Ok(topology)
}

fn installation(config: &Config) -> Installation {
    let mut installation = Installation::named(config.kafka.cluster.clone());
    installation.replication = config.kafka.replication.and_then(|count| i32::try_from(count).ok());
    installation.entity_partitions = config.kafka.partitions;
    installation
}

fn apply(context: &Context, args: &ApplyArgs) -> Result<(), Failure> {
    let (admin, topology, plan) = survey(context)?;
    plan.notices.iter().for_each(|notice| println!("notice: {notice}"));
    check_fit(&plan)?;
    plan.actions.iter().for_each(|action| println!("{action}"));
    if !args.dry_run {
        carry_out(context, &admin, &plan)?;
    }
    losses(context, &admin, &topology, args)?;
    if args.dry_run {
        return Ok(());
    }
    println!("{} topics and {} subjects are in place", topology.topics.len(), SUBJECTS.len());
    Ok(())
}

/// Says which groups cannot go on, and lets them if that is wanted.
fn losses(context: &Context, admin: &Admin, topology: &Topology, args: &ApplyArgs) -> Result<(), Failure> {
    let losses = loss::survey(admin, &context.kafka, topology, &installation(&context.config));
    let losses = losses.because(Reason::Unavailable)?;
    if !args.accept_loss {
        for loss in &losses {
            println!("notice: cannot go on; with --accept-loss {loss}");
        }
        return Ok(());
    }
    losses.iter().for_each(|loss| println!("{loss}"));
    if losses.is_empty() {
        println!("no group has lost anything");
    } else if !args.dry_run {
        loss::accept(admin, &losses).map_err(|error| {
            let reason =
                if matches!(error, AcceptError::Live { .. }) { Reason::Temporary } else { Reason::Unavailable };
            Failure { reason, error: error.into() }
        })?;
    }
    Ok(())
}

/// As `topology apply`, without words.
pub(super) fn apply_quietly(context: &Context) -> Result<(), Failure> {
    let (admin, _, plan) = survey(context)?;
    check_fit(&plan)?;
    carry_out(context, &admin, &plan)
}

/// What the cluster lacks.
fn survey(context: &Context) -> Result<(Admin, Topology, Plan), Failure> {
    let topology = of(&context.config)?;
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    let plan = apply::survey(&admin, &topology, &installation(&context.config)).because(Reason::Unavailable)?;
    Ok((admin, topology, plan))
}

/// A cluster that does not fit must be left alone.
fn check_fit(plan: &Plan) -> Result<(), Failure> {
    if plan.refusals.is_empty() {
        return Ok(());
    }
    let refusals: String = plan.refusals.iter().map(|refusal| format!("\n  {refusal}")).collect();
    Err(anyhow!("the cluster does not fit:{refusals}")).because(Reason::Configuration)
}

fn carry_out(context: &Context, admin: &Admin, plan: &Plan) -> Result<(), Failure> {
    apply::carry_out(admin, plan).because(Reason::Unavailable)?;
    let client = registry::client(context)?;
    registry::protect_subjects(&client)?;
    register_all(&client).map_err(not_registered)?;
    Ok(())
}

fn not_registered(error: SubjectError) -> Failure {
    Failure { reason: registry::reason_of(&error.source), error: error.into() }
}
