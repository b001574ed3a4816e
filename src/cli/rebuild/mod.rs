//! `tributary rebuild`: brings views back from the topics while the old ones are served.

mod live;
mod progress;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use self::progress::Teller;
use self::request::{LiveView, Request, Requests, State, Told};
use super::SettingFlags;
use super::context::Context;
use super::digest;
use super::exit::{Because, Failure, Reason};
use super::processes::{self, instance_name, store_options};
use super::readers::INDEX_FOLDER;
use super::topology;
use crate::search::IndexHome;
use crate::stage::{DataDir, DataDirError, StopToken};
use crate::store::rebuild::RebuildError as TablesError;
use crate::topology::rebuild::{self, Progress, RebuildError, Report, Source};

pub(super) use live::answer_requests;

/// How long a running process may take to hear of a request.
const HEARD: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// What to bring back, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
The topics are the truth; each view is a function of them and is served while a new one is built beside it. A killed \
rebuild is continued by the next one.
  postgres  new tables beside the old, exchanged in one transaction; the stage `postgres` may run
  search    a new index in the data directory; a process that serves it is asked to build and exchange it
  lineage   the graph in the memory of the process that serves it; a start loads it from the tables
  state     local state of the stages, from their changelogs; the stages must be stopped
  all       state, postgres, search and lineage, with everything stopped that uses the data directory")]
pub struct RebuildArgs {
    /// The view
    #[arg(value_enum)]
    view: View,
    /// Compare what was built with the topics, and exchange nothing that differs
    #[arg(long)]
    verify: bool,
    /// Only for state: write the local state into a changelog that was deleted and created again
    #[arg(long)]
    from_local: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// The tables
    Postgres,
    /// The search index of this node
    Search,
    /// The lineage graph of this node
    Lineage,
    /// The local state of the stages of this node
    State,
    /// All of them
    All,
}

pub(super) fn run(flags: &SettingFlags, args: &RebuildArgs) -> Result<(), Failure> {
    if args.from_local && args.view != View::State {
        return Err(anyhow!("--from-local goes with `rebuild state` only")).because(Reason::Usage);
    }
    let context = Context::load(flags)?;
    let rebuilding = Rebuilding { context: &context, source: source(&context)?, args };
    match args.view {
        View::Postgres => rebuilding.say("postgres", rebuilding.postgres()?),
        View::Search => rebuilding.say("search", rebuilding.search(rebuilding.lock()?)?),
        View::Lineage => rebuilding.say("lineage", rebuilding.lineage(rebuilding.lock()?)?),
        View::State => rebuilding.say("state", rebuilding.state(&rebuilding.must_lock("local state")?)?),
        View::All => {
            let report = rebuilding.all()?;
            if args.json {
                println!("{report:#}");
            }
            Ok(())
        }
    }
}

/// As `rebuild all`, for commands that measure it; with `json` it prints nothing.
pub(super) fn everything(context: &Context, verify: bool, json: bool) -> Result<serde_json::Value, Failure> {
    let args = RebuildArgs { view: View::All, verify, from_local: false, json };
    Rebuilding { context, source: source(context)?, args: &args }.all()
}

/// What views are built from and with.
fn source(context: &Context) -> Result<Source, Failure> {
    Ok(Source {
        kafka: context.kafka.clone(),
        config: context.config.clone(),
        topology: topology::of(&context.config)?,
        decoder: Arc::new(digest::decoder(context)?),
        instance: "rebuild".to_owned(),
        stop: StopToken::new(),
    })
}

struct Rebuilding<'a> {
    context: &'a Context,
    source: Source,
    args: &'a RebuildArgs,
}

impl Rebuilding<'_> {
    /// The lock of the data directory; `None` if a process holds it.
    fn lock(&self) -> Result<Option<DataDir>, Failure> {
        let config = &self.context.config;
        match DataDir::open(config.data_dir.clone(), config.instance.as_deref(), instance_name) {
            Ok(data) => Ok(Some(data)),
            Err(DataDirError::Locked { .. }) => Ok(None),
            Err(error) => Err(error).because(Reason::Configuration),
        }
    }

    fn must_lock(&self, what: &str) -> Result<DataDir, Failure> {
        self.lock()?
            .ok_or_else(|| {
                anyhow!(
                    "a running process uses {what} in {}; stop it first. The views postgres, search and lineage can be \
                     rebuilt one by one while it runs",
                    self.context.config.data_dir.display()
                )
            })
            .because(Reason::Temporary)
    }

    fn all(&self) -> Result<serde_json::Value, Failure> {
        let started = Instant::now();
        let data = self.must_lock("what `all` brings back")?;
        let state = self.state(&data)?;
        let postgres = self.postgres()?;
        let search = self.search(Some(data))?;
        let lineage = self.lineage(self.lock()?)?;
        let told = [("state", state), ("postgres", postgres), ("search", search), ("lineage", lineage)];
        let seconds = started.elapsed().as_secs_f64();
        let views: serde_json::Map<_, _> = told.iter().map(|(view, told)| ((*view).to_owned(), json!(told))).collect();
        let report = json!({"seconds": seconds, "views": views});
        if self.args.json {
            return Ok(report);
        }
        told.iter().for_each(|(view, told)| print_report(view, told));
        println!("all in {seconds:.1} s");
        for (view, told) in &told {
            println!("  {view:<9} {:>6.1} s  {:>3.0} %", told.seconds, told.seconds * 100.0 / seconds.max(1e-9));
        }
        Ok(report)
    }

    fn say(&self, view: &str, told: Told) -> Result<(), Failure> {
        if self.args.json {
            println!("{:#}", json!({ "view": view, "report": told }));
        } else {
            print_report(view, &told);
        }
        Ok(())
    }

    /// Runs `build` with its progress told.
    fn watched(
        &self,
        view: &'static str,
        build: impl FnOnce(rebuild::Watch<'_>) -> Result<Report, RebuildError>,
    ) -> Result<Told, Failure> {
        let mut teller = Teller::new(view);
        let mut watch = |progress: &Progress| {
            teller.tell(progress.step.as_str(), progress.done, progress.total, progress.trouble.as_deref());
        };
        let outcome = build(&mut watch);
        teller.end();
        outcome.map(Told::from).map_err(failure)
    }

    fn postgres(&self) -> Result<Told, Failure> {
        let options = store_options(&self.context.config)?;
        let runtime = processes::runtime()?;
        self.watched("postgres", |watch| {
            rebuild::postgres(&self.source, &options, runtime.handle(), self.args.verify, watch)
        })
    }

    fn search(&self, data: Option<DataDir>) -> Result<Told, Failure> {
        let Some(data) = data else { return self.ask(LiveView::Search) };
        let home = IndexHome::open(&data.path().join(INDEX_FOLDER)).because(Reason::Internal)?;
        self.watched("search", |watch| rebuild::search(&self.source, &home, self.args.verify, watch))
    }

    fn lineage(&self, data: Option<DataDir>) -> Result<Told, Failure> {
        let Some(data) = data else { return self.ask(LiveView::Lineage) };
        let note = "no process runs here that serves lineage: the graph lives in memory and is loaded from the tables at \
                    the next start; `tributary rebuild postgres` brings those back";
        let mut told = Told { notes: vec![note.to_owned()], ..Told::default() };
        if self.args.verify {
            let options = store_options(&self.context.config)?;
            let runtime = processes::runtime()?;
            let compared = self
                .watched("lineage", |watch| rebuild::lineage_tables(&self.source, &options, runtime.handle(), watch))?;
            told = Told { notes: told.notes, ..compared };
        }
        drop(data);
        Ok(told)
    }

    fn state(&self, data: &DataDir) -> Result<Told, Failure> {
        self.watched("state", |watch| {
            if self.args.from_local {
                rebuild::state_from_local(&self.source, data.path(), watch)
            } else {
                rebuild::state(&self.source, data.path(), self.args.verify, watch)
            }
        })
    }

    /// Asks the process that holds the data directory, and shows how it gets on.
    fn ask(&self, view: LiveView) -> Result<Told, Failure> {
        let data_dir = &self.context.config.data_dir;
        let requests = Requests::in_data_dir(data_dir);
        let request = Request { id: uuid::Uuid::now_v7().to_string(), verify: self.args.verify };
        requests.ask(view, &request)?;
        let mut teller = Teller::new(view.as_str());
        let asked = Instant::now();
        let mut heard = false;
        let outcome = loop {
            match requests.told(view, &request.id)? {
                Some(State::Running { step, done, total, trouble }) => {
                    heard = true;
                    teller.tell(&step, done, total, trouble.as_deref());
                }
                Some(State::Done(told)) => break Ok(told),
                Some(State::Failed(reason)) => break Err(anyhow!(reason)).because(Reason::Temporary),
                None if !heard && asked.elapsed() > HEARD => {
                    let error = anyhow!(
                        "the process that uses {} does not serve {}; run this with the data directory of the process \
                         that does (`tributary up` or `tributary api`)",
                        data_dir.display(),
                        view.as_str()
                    );
                    break Err(error).because(Reason::Unavailable);
                }
                None => {}
            }
            if self.lock()?.is_some() {
                let error = anyhow!("the process that was rebuilding {} has ended; run it again", view.as_str());
                break Err(error).because(Reason::Temporary);
            }
            std::thread::sleep(LOOK_EVERY);
        };
        teller.end();
        requests.forget(view);
        outcome
    }
}

fn failure(error: RebuildError) -> Failure {
    let reason = match &error {
        RebuildError::Kafka(error) if error.is_transient() => Reason::Unavailable,
        RebuildError::Tables(TablesError::Running | TablesError::Busy { .. }) | RebuildError::Stopped => {
            Reason::Temporary
        }
        RebuildError::Tables(TablesError::Dependents { .. } | TablesError::NotAllowed { .. }) => Reason::Configuration,
        RebuildError::Tables(TablesError::Store(_)) | RebuildError::Missing(_) | RebuildError::FromLocal(_) => {
            Reason::Unavailable
        }
        _ => Reason::Internal,
    };
    Failure { reason, error: error.into() }
}

fn print_report(view: &str, told: &Told) {
    if told.seconds > 0.0 {
        let rate = told.records as f64 / told.seconds.max(1e-9);
        println!("{view}: {} records in {:.1} s, {rate:.0}/s", told.records, told.seconds);
        for (share, seconds) in told.shares.iter().filter(|(_, seconds)| *seconds >= 0.05) {
            println!("  {seconds:>7.1} s  {share}");
        }
    } else {
        println!("{view}:");
    }
    if !told.position.is_empty() {
        println!("  stands at");
        for (topic, offsets) in &told.position {
            let offsets: Vec<String> = offsets.iter().map(i64::to_string).collect();
            println!("    {topic:<26} {}", offsets.join(" "));
        }
    }
    if let Some(verified) = &told.verified {
        println!("  verified: {verified}");
    }
    told.notes.iter().for_each(|note| println!("  note: {note}"));
}
