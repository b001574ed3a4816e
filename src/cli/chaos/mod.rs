//! `tributary chaos`: a campaign of faults against real processes, a real Kafka and a real Postgres, and the proof that
//! the catalog ends where an undisturbed run ends.
//!
//! Everything runs on servers of its own; what is configured is not touched. Processes are killed at random moments by
//! any build, and at each failpoint by one with the feature `failpoints`.

mod calm;
mod disk;
pub mod events;
mod faults;
mod feeder;
pub mod oracle;
mod recovery;
pub mod report;
pub mod schedule;
mod site;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;

use self::events::Event;
use self::faults::Trial;
use self::feeder::Feeder;
use self::recovery::Watch;
use self::report::{FaultReport, RECOVERY_LIMIT, Report};
use self::schedule::{Plan, Who, schedule};
use self::site::Site;
use super::SettingFlags;
use super::context::{Context, load_config};
use super::exit::{Because, Failure, Reason};
use super::registry;

/// How long the last part of a log may take.
const QUIET_LIMIT: Duration = Duration::from_secs(1_800);
/// Fewer events would leave processes idle.
const EVENTS_PER_KILL: u64 = 100;
const FEWEST_EVENTS: u64 = 20_000;

/// The log of a campaign, by the registry's id of our schema of notifications.
type Events<'a> = &'a (dyn Fn(u32) -> Vec<Event> + Sync);

/// The campaign.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tributary chaos --kills 50\n  cargo run --release --features failpoints -- chaos \
                        --kills 500 --seed 7\n\nNeeds the prerequisites of `tributary demo`. As root it also fills a \
                        small disk."
)]
pub struct ChaosArgs {
    /// Processes to kill, at least
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Chooses events, faults, moments; one is made up and told if none is given
    #[arg(long)]
    seed: Option<u64>,
    /// Raw events [default: 100 for each kill, at least 20,000]
    #[arg(long)]
    events: Option<usize>,
    /// Only faults whose kind contains this text, as many as there were to be kills; --dry-run shows the kinds
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only faults that are over in seconds: nothing waits for a time-out to pass
    #[arg(long)]
    brief: bool,
    /// Do not fail where a recovery takes longer than 10 s
    #[arg(long)]
    tolerate: bool,
    /// Print the schedule and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The result as JSON; what happens meanwhile is told on standard error
    #[arg(long)]
    json: bool,
}

/// What a campaign needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which faults.
    pub plan: Plan,
    /// Raw events.
    pub events: usize,
    /// The program that is tried.
    pub binary: PathBuf,
    /// Where jars are kept.
    pub cache: PathBuf,
    /// For data and logs; removed if all went well.
    pub folder: PathBuf,
}

/// Whether this program can be killed at failpoints.
pub const FAILPOINTS: bool = cfg!(feature = "failpoints");

pub(super) fn run(flags: &SettingFlags, args: &ChaosArgs) -> Result<(), Failure> {
    let config = load_config(flags, &[])?.config;
    let seed = args.seed.unwrap_or_else(|| uuid::Uuid::now_v7().as_u64_pair().1 >> 32);
    let plan = Plan { seed, kills: args.kills, failpoints: FAILPOINTS, only: args.only.clone(), brief: args.brief };
    let steps = schedule(&plan);
    if steps.is_empty() {
        return Err(anyhow!("there is no such fault; --dry-run without --only shows all")).because(Reason::Usage);
    }
    if args.dry_run {
        steps.iter().enumerate().for_each(|(place, step)| println!("{:>4}  {step}", place + 1));
        return Ok(());
    }
    let data = std::path::absolute(&config.data_dir)?;
    let options = Options {
        plan,
        events: args.events.unwrap_or(FEWEST_EVENTS.max(args.kills * EVENTS_PER_KILL) as usize),
        binary: std::env::current_exe()?,
        cache: data.join("dev/cache"),
        folder: data.join(format!("chaos-{seed}")),
    };
    if !FAILPOINTS {
        eprintln!(
            "this build has no failpoints (cargo feature `failpoints`): processes are killed at random moments only"
        );
    }
    let json = args.json;
    let mut say = |line: &str| if json { eprintln!("{line}") } else { println!("{line}") };
    let report = campaign(&options, &mut say).because(Reason::Internal)?;
    if json {
        println!("{:#}", report.json());
    } else {
        print!("{report}");
    }
    if !report.violations.is_empty() {
        return Err(anyhow!("the catalog is not what an undisturbed run makes of the same log"))
            .because(Reason::Internal);
    }
    let slow = report.slow().len();
    if slow > 0 && !args.tolerate {
        let limit = RECOVERY_LIMIT.as_secs();
        return Err(anyhow!("{slow} recoveries took longer than {limit} s; --tolerate lets them"))
            .because(Reason::Internal);
    }
    Ok(())
}

/// Runs a campaign; `say` gets a line for each fault.
///
/// # Errors
/// If servers or processes cannot be started, or a fault is not recovered from at all. What differs from an undisturbed
/// run is no error but a violation in the report.
pub fn campaign(options: &Options, say: &mut dyn FnMut(&str)) -> anyhow::Result<Report> {
    let started = Instant::now();
    let (seed, steps) = (options.plan.seed, schedule(&options.plan));
    say(&format!("seed {seed}: {} events, {} faults", options.events, steps.len()));
    let events = |schema| events::mixed(seed, options.events, schema);
    if options.folder.exists() {
        fs::remove_dir_all(&options.folder).with_context(|| format!("could not empty {}", options.folder.display()))?;
    }
    let folder = |name: &str| options.folder.join(name);

    let calm = calm::undisturbed(&options.binary, &folder("calm"), &options.cache, &events, QUIET_LIMIT)?;
    say(&format!(
        "undisturbed run done after {:.0} s; digest A {}",
        started.elapsed().as_secs_f64(),
        calm.digest.class_a
    ));

    let mut site = Site::start(&options.binary, &folder("tried"), &options.cache, options.plan.failpoints)?;
    let end = try_site(options, &steps, &mut site, &events, say);
    let kills = site.kills;
    let context = site.bystander()?;
    let kept = |error: anyhow::Error| error.context(format!("logs are kept in {}", options.folder.display()));
    let faults = end.map_err(kept)?;
    let found = oracle::gather(&context, &folder("tried").join("entries"))?;
    drop(site);

    let mut report = Report { seed, events: options.events, kills, faults, ..Report::default() };
    report.violations.extend(calm.faults.iter().map(|fault| format!("undisturbed run: {fault}")));
    report.violations.extend(found.faults.iter().cloned());
    report.violations.extend(found.parts_from(&calm)?);
    report.records = found.records;
    report.elapsed = started.elapsed();
    if report.violations.is_empty() && report.slow().is_empty() {
        fs::remove_dir_all(&options.folder)
            .with_context(|| format!("could not remove {}", options.folder.display()))?;
    } else {
        say(&format!("logs are kept in {}", options.folder.display()));
    }
    Ok(report)
}

/// From the first fault to the end of the log.
fn try_site(
    options: &Options,
    steps: &[schedule::Step],
    site: &mut Site,
    events: Events<'_>,
    say: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<FaultReport>> {
    site.start_registry()?;
    let context = site.bystander()?;
    let feeder = Feeder::start(&context.kafka, events(notification_schema(&context)?))?;
    let watch = Watch::start(&context)?;
    let begun = Instant::now();
    let mut faults = Vec::new();
    let slice = (options.events / (steps.len() + 1)).max(3);
    for (place, step) in steps.iter().enumerate() {
        let mut trial = Trial { site: &mut *site, watch: &watch, feeder: &feeder, slice };
        let endured = trial.endure(step).with_context(|| format!("fault {}: {step}", place + 1))?;
        let seconds = begun.elapsed().as_secs_f64();
        let note = if endured.note.is_empty() { String::new() } else { format!("; {}", endured.note) };
        say(&format!("{:>4} {seconds:>6.1} s  {step}: recovered in {}{note}", place + 1, endured.recovery));
        faults.push(FaultReport { kind: step.fault.kind(), text: step.to_string(), recovery: endured.recovery });
    }
    feeder.allow_all();
    feeder.wait(QUIET_LIMIT)?;
    if !site.is_there(Who::A) {
        site.spawn(Who::A, None)?;
    }
    watch.wait_quiet(QUIET_LIMIT)?;
    for who in site.present() {
        site.terminate(who)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!("{} kills; quiet and ended in order after {seconds:.0} s", site.kills));
    Ok(faults)
}

/// The registry's id of our schema of notifications.
fn notification_schema(context: &Context) -> anyhow::Result<u32> {
    let client = registry::client(context).map_err(|failure| failure.error)?;
    let subject = format!("{}-value", super::recorded::HMS_TOPIC);
    let found = client.latest_blocking(&subject).with_context(|| format!("subject {subject}"))?;
    Ok(u32::try_from(found.id)?)
}
