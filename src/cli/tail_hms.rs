//! `tributary tail-hms` and `tributary snapshot hms`: a metastore into its topic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use super::processes::{self, Shutdown};
use super::serving;
use crate::api::{ComponentState, ComponentStatus, StatusSource};
use crate::config::value;
use crate::metastore::{Address, Metastore, MetastoreError, Options, Transport};
use crate::tail::hms::{TailError, TailOptions, TailState};
use crate::tail::listing::{self, ListingError};
use crate::tail::outbox::{Outbox, OutboxError, Place};

/// Which metastore, and how to talk to it.
#[derive(Debug, Args)]
struct MetastoreArgs {
    /// Where it listens: thrift://host:9083, or several addresses of one metastore with commas
    address: String,
    /// Topic
    #[arg(long, default_value = "hms.notifications")]
    topic: String,
    /// Name of the metastore, such as hive://metastore:9083; else its messages say it in listings, and the address is the
    /// name under which the position is kept
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// How messages are put into the stream
    #[arg(long, value_enum, default_value = "auto")]
    transport: TransportArg,
    /// Longest wait for an answer
    #[arg(long, default_value = "120s", value_parser = value::duration, value_name = "TIME")]
    timeout: Duration,
    /// Largest answer
    #[arg(long, default_value = "64MiB", value_parser = value::bytes, value_name = "SIZE")]
    max_answer: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TransportArg {
    /// Buffered, or framed if the metastore hangs up over that
    Auto,
    /// As they are
    Buffered,
    /// Each behind its length
    Framed,
}

/// What to tail, and how.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary tail-hms thrift://metastore:9083")]
pub struct TailHmsArgs {
    #[command(flatten)]
    metastore: MetastoreArgs,
    /// Time between polls
    #[arg(long, default_value = "500ms", value_parser = value::duration, value_name = "TIME")]
    poll: Duration,
    /// End once everything is sent that is in the log now
    #[arg(long)]
    until_current: bool,
    /// End where events are missing, instead of making up for them with a full listing
    #[arg(long)]
    no_repair: bool,
}

/// What to list.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// List a Hive metastore: databases, tables, partitions, constraints, functions
    #[command(after_help = "Example: tributary snapshot hms thrift://metastore:9083")]
    Hms(SnapshotHmsArgs),
}

/// Which metastore to list.
#[derive(Debug, Args)]
pub struct SnapshotHmsArgs {
    #[command(flatten)]
    metastore: MetastoreArgs,
}

impl MetastoreArgs {
    fn client(&self) -> Result<Metastore, Failure> {
        let addresses = Address::parse_all(&self.address).because(Reason::Usage)?;
        let transport = match self.transport {
            TransportArg::Auto => Transport::Auto,
            TransportArg::Buffered => Transport::Buffered,
            TransportArg::Framed => Transport::Framed,
        };
        let options =
            Options { read_timeout: self.timeout, max_answer_bytes: self.max_answer, transport, ..Options::default() };
        Ok(Metastore::new(addresses, options))
    }

    fn place(&self, context: &Context, metastore: &Metastore) -> Place {
        Place {
            cluster: context.config.kafka.cluster.clone(),
            topic: self.topic.clone(),
            instance: self.instance.clone().unwrap_or_else(|| metastore.name()),
        }
    }
}

/// The state of the tail as the process's only component.
struct Status(Mutex<TailState>);

impl StatusSource for Status {
    fn components(&self) -> Vec<ComponentStatus> {
        const NAME: &str = "tail-hms";
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        vec![match state {
            TailState::Following(_) => ComponentStatus::ready(NAME),
            TailState::Starting => ComponentStatus::not_ready(NAME, ComponentState::Starting, "it is starting"),
            TailState::Waiting(reason) => ComponentStatus::not_ready(NAME, ComponentState::Degraded, reason),
            TailState::Repairing => {
                ComponentStatus::not_ready(NAME, ComponentState::Degraded, "it lists the whole metastore")
            }
        }]
    }
}

pub(super) fn tail(flags: &SettingFlags, args: &TailHmsArgs) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    let metastore = args.metastore.client()?;
    super::telemetry(&context.config)?;
    let runtime = processes::runtime()?;
    let shutdown = Shutdown::on_signal(&runtime)?;
    let status = Arc::new(Status(Mutex::new(TailState::Starting)));
    let admin = serving::single_admin_router(Arc::clone(&status) as Arc<dyn StatusSource>);
    let metrics = processes::serve(&runtime, &context.config.metrics.listen, admin, &shutdown)?;
    println!(
        "{:<16} {} to {}\n{:<16} http://{metrics}/metrics",
        "tailing",
        metastore.name(),
        args.metastore.topic,
        "metrics"
    );
    let options = TailOptions {
        place: args.metastore.place(&context, &metastore),
        server: args.metastore.instance.clone(),
        poll: args.poll,
        until_current: args.until_current,
        repair: !args.no_repair,
    };
    let stop = || shutdown.is_asked();
    let tell = |state| *status.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    let outcome = crate::tail::hms::tail(metastore, &context.kafka, options, &stop, &tell);
    shutdown.now();
    let done = outcome.map_err(|error| {
        let reason = match &error {
            TailError::Outbox(error) => outbox_reason(error),
            TailError::Metastore(error) => metastore_reason(error),
            TailError::Trouble(_) => Reason::Unavailable,
        };
        Failure { reason, error: error.into() }
    })?;
    println!(
        "{} notifications sent ({} late), {} listings made; everything up to event {} is in {}",
        done.sent, done.late, done.repairs, done.id, args.metastore.topic
    );
    Ok(())
}

pub(super) fn snapshot(flags: &SettingFlags, command: &SnapshotCommand) -> Result<(), Failure> {
    let SnapshotCommand::Hms(args) = command;
    let context = Context::load(flags)?;
    let mut metastore = args.metastore.client()?;
    super::telemetry(&context.config)?;
    let runtime = processes::runtime()?;
    let shutdown = Shutdown::on_signal(&runtime)?;
    let place = args.metastore.place(&context, &metastore);
    let id = place.snapshot_id();
    let open = || -> Result<_, OutboxError> {
        let outbox = Outbox::open(&context.kafka, place, &id)?;
        // A tail may have sent events that the log does not hold any more; the listing is newer than those.
        let position = outbox.position(&context.kafka)?.unwrap_or_default();
        Ok((outbox, position))
    };
    let (mut outbox, position) =
        open().map_err(|error| Failure { reason: outbox_reason(&error), error: error.into() })?;
    let stop = || shutdown.is_asked();
    let server = args.metastore.instance.as_deref();
    let listed = listing::list(&mut metastore, &mut outbox, server, position.time, &stop)
        .and_then(|found| Ok(outbox.commit(None).map(|()| found)?));
    let found = listed.map_err(|error| {
        let reason = match &error {
            ListingError::Metastore(error) => metastore_reason(error),
            ListingError::Outbox(error) => outbox_reason(error),
            ListingError::Stopped => Reason::Temporary,
        };
        Failure { reason, error: error.into() }
    })?;
    println!(
        "{} databases, {} tables, {} partitions, {} functions to {}, as of event {}",
        found.databases, found.tables, found.partitions, found.functions, args.metastore.topic, found.event_id
    );
    if found.event_id_after != found.event_id {
        println!(
            "the metastore has changed meanwhile, up to event {}; its notifications tell the rest",
            found.event_id_after
        );
    }
    Ok(())
}

fn metastore_reason(error: &MetastoreError) -> Reason {
    match error {
        MetastoreError::Address { .. } => Reason::Usage,
        MetastoreError::Protocol { .. } | MetastoreError::UnknownCall { .. } => Reason::Configuration,
        MetastoreError::Connect { .. } | MetastoreError::Broken { .. } | MetastoreError::Exception { .. } => {
            Reason::Unavailable
        }
    }
}

fn outbox_reason(error: &OutboxError) -> Reason {
    match error {
        OutboxError::Fenced { .. } => Reason::Temporary,
        OutboxError::NoTopic(_) => Reason::Configuration,
        OutboxError::Kafka(_) => Reason::Unavailable,
    }
}
