//! Each fault as it is done to a site, up to the recovery from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use super::disk::{Writes, limit_writes};
use super::feeder::Feeder;
use super::recovery::{Recovery, Standing, Watch};
use super::schedule::{Crash, Damage, Fate, Fault, Refusal, Step, Who};
use super::site::{PATIENCE, STAGES, Site};
use crate::cli::draw::Dice;
use crate::cli::exit::Reason;
use crate::cli::running::Running;
use crate::dev::proxy::{Caught, Leg, Proxy};

/// How long a process may take to come to its failpoint.
const TO_FAILPOINT: Duration = Duration::from_secs(90);
/// How long a process waits for work before it is killed without.
const TO_WORK: Duration = Duration::from_secs(5);
/// Tasks of the second process: normalize, sql, statements and their table of schemas, fold, postgres.
const TASKS_OF_B: usize = 6;
/// The same, search and lineage.
const TASKS_OF_A: usize = 8;
/// Bytes at which files are damaged: every so many.
const SCARS: u64 = 9;

/// What a step came to.
pub(super) struct Endured {
    pub recovery: Recovery,
    /// What is worth saying besides.
    pub note: String,
}

/// A campaign under way.
pub(super) struct Trial<'a> {
    pub site: &'a mut Site,
    pub watch: &'a Watch,
    pub feeder: &'a Feeder,
    /// Events of each step.
    pub slice: usize,
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Trial<'_> {
    /// Does one step, from the arrangement of its processes to the recovery.
    pub fn endure(&mut self, step: &Step) -> anyhow::Result<Endured> {
        self.arrange(step)?;
        let with = |note: String| move |recovery| Endured { recovery, note };
        match step.fault {
            Fault::Kill { who, after } => {
                self.feed();
                self.wait_work(who)?;
                sleep(millis(after));
                self.site.kill(who)?;
                self.again(who)
            }
            Fault::KillStarting { who, after } => {
                self.feed();
                self.site.kill(who)?;
                self.site.spawn(who, None)?;
                sleep(millis(after));
                self.site.kill(who)?;
                self.again(who)
            }
            Fault::KillAt { who, after, point, hit } => {
                self.feed();
                self.wait_work(who)?;
                sleep(millis(after));
                self.site.kill(who)?;
                self.kill_at(who, point, hit)?;
                self.again(who)
            }
            Fault::Zombie { who, millis } => self.zombie(who, millis),
            Fault::Pause { who, millis: away } => {
                self.feed();
                self.wait_work(who)?;
                self.site.process(who)?.signal("STOP")?;
                sleep(millis(away));
                let base = self.watch.standing()?;
                self.site.process(who)?.signal("CONT")?;
                self.recovered(&base, Instant::now()).map(with(String::new()))
            }
            Fault::Members { stays } => self.members(stays),
            Fault::Broker { signal, away } => {
                self.feed();
                self.wait_work(Who::A)?;
                let broker = self.site.servers.kafka();
                if signal == "KILL" {
                    broker.kill()?
                } else {
                    broker.stop()?
                }
                sleep(millis(away));
                self.site.servers.kafka().restart()?;
                let since = Instant::now();
                let base = self.watch.standing()?;
                self.recovered(&base, since).map(with(String::new()))
            }
            Fault::Database { crash, away } => self.database(crash, away),
            Fault::EndTxn { leg, fate } => {
                self.feed();
                let caught = catch(self.site.servers.kafka_proxy(), leg, "EndTxn")?;
                let note = format!("of {}", caught.whose);
                decide(caught, fate);
                let since = Instant::now();
                let base = self.watch.standing()?;
                self.recovered(&base, since).map(with(note))
            }
            Fault::SqlCommit { leg, fate } => {
                self.feed();
                let caught = catch(self.site.servers.postgres_proxy(), leg, "COMMIT")?;
                decide(caught, fate);
                let since = Instant::now();
                let base = self.watch.standing()?;
                self.recovered(&base, since).map(with(String::new()))
            }
            Fault::Store { damage, clean } => {
                self.feed();
                self.wait_work(Who::A)?;
                if clean {
                    self.site.terminate(Who::A)?
                } else {
                    self.site.kill(Who::A)?
                }
                let files = harm(&self.site.data_folder(Who::A), damage)?;
                self.again(Who::A).map(|endured| Endured { note: format!("{files} files"), ..endured })
            }
            Fault::Disk { refusal, millis } => self.disk(refusal, millis),
            Fault::Registry { away } => self.registry_away(away, step.together),
            Fault::RegistryAtStart => {
                self.feed();
                self.site.terminate(Who::A)?;
                self.site.kill_registry()?;
                self.site.spawn(Who::A, None)?;
                let status = self.site.wait_end(Who::A, PATIENCE)?;
                if status.code() != Some(Reason::Unavailable.code().into()) {
                    bail!("without its registry process a ended with {status}\n{}", self.site.told(Who::A));
                }
                self.site.forget(Who::A);
                self.site.start_registry()?;
                self.again(Who::A)
            }
        }
    }

    /// Brings about who is to be there.
    fn arrange(&mut self, step: &Step) -> anyhow::Result<()> {
        if !self.site.is_there(Who::A) {
            self.site.spawn(Who::A, None)?;
            self.site.wait_until(Who::A, "it is ready", |a| a.tasks_running() == TASKS_OF_A)?;
        }
        match (step.together, self.site.is_there(Who::B)) {
            (true, false) => {
                self.site.spawn(Who::B, None)?;
                self.site.wait_until(Who::B, "it has joined", |b| b.tasks_running() == TASKS_OF_B)
            }
            (false, true) => self.site.terminate(Who::B),
            _ => Ok(()),
        }
    }

    /// The step's events, little by little; a third is kept for the recovery.
    fn feed(&self) {
        self.feeder.allow(self.slice - self.slice / 3);
    }

    /// Waits until a process deals with records, for a while: the other one may have all of them.
    fn wait_work(&mut self, who: Who) -> anyhow::Result<()> {
        let total = |process: &Running| STAGES.iter().map(|stage| process.records(stage)).sum::<u64>();
        let before = total(self.site.process(who)?);
        let started = Instant::now();
        self.site.wait_until(who, "it works", |process| total(process) > before || started.elapsed() > TO_WORK)
    }

    /// Starts a process again and waits until everything goes on.
    fn again(&mut self, who: Who) -> anyhow::Result<Endured> {
        let base = self.watch.standing()?;
        let since = Instant::now();
        self.site.spawn(who, None)?;
        let recovery = self.recovered(&base, since)?;
        Ok(Endured { recovery, note: String::new() })
    }

    fn recovered(&mut self, base: &Standing, since: Instant) -> anyhow::Result<Recovery> {
        // There has to be something to go on with.
        self.feeder.allow_at_once(self.slice / 3);
        self.feeder.wait(PATIENCE)?;
        self.watch.wait(self.site, base, since)
    }

    /// Starts a process that is killed where it passes `point` for the `hit`-th time.
    fn kill_at(&mut self, who: Who, point: &str, hit: u64) -> anyhow::Result<()> {
        self.site.spawn(who, Some(&format!("{point}=kill@{hit}")))?;
        if point.starts_with("stage.revoke.") {
            // Partitions are given up when the process leaves.
            self.site.wait_until(who, "it works", |process| process.tasks_running() >= TASKS_OF_B)?;
            self.site.process(who)?.signal("TERM")?;
        }
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.site.process(who)?.wait_end(Duration::from_secs(2))? {
                break status;
            }
            if started.elapsed() > TO_FAILPOINT {
                bail!("process {who} did not pass {point} {hit} times\n{}", self.site.told(who));
            }
            // It may have dealt with all there was.
            self.feeder.allow(self.slice.div_ceil(8));
        };
        if status.code().is_some() {
            bail!("process {who} was to be killed at {point} and ended with {status}\n{}", self.site.told(who));
        }
        self.site.forget(who);
        self.site.kills += 1;
        Ok(())
    }

    /// Stopped, replaced by another of its name, continued: it must say that it is fenced, and end.
    fn zombie(&mut self, who: Who, stopped: u64) -> anyhow::Result<Endured> {
        self.feed();
        self.wait_work(who)?;
        self.site.process(who)?.signal("STOP")?;
        let stopped_at = Instant::now();
        let base = self.watch.standing()?;
        let since = Instant::now();
        let mut zombie = self.site.replace(who)?;
        let recovery = self.recovered(&base, since)?;
        sleep(millis(stopped).saturating_sub(stopped_at.elapsed()));
        zombie.signal("CONT")?;
        let continued = Instant::now();
        let status = zombie.wait_end(PATIENCE)?;
        let log = zombie.whole_log();
        let said = log.lines().rev().find(|line| line.contains("another process runs as"));
        match (status, said) {
            (Some(status), Some(_)) if !status.success() => {
                let seconds = continued.elapsed().as_secs_f64();
                Ok(Endured { recovery, note: format!("the zombie said so and ended after {seconds:.1} s") })
            }
            (status, _) => {
                bail!(
                    "the zombie of {who} ended with {status:?} and did not say that it was fenced:\n{}",
                    zombie.log_text()
                )
            }
        }
    }

    fn members(&mut self, stays: [u64; 3]) -> anyhow::Result<Endured> {
        if self.site.is_there(Who::B) {
            self.site.terminate(Who::B)?;
        }
        self.feed();
        for stay in stays {
            self.site.spawn(Who::B, None)?;
            self.site.wait_until(Who::B, "it has joined", |b| b.tasks_running() == TASKS_OF_B)?;
            sleep(millis(stay));
            self.site.terminate(Who::B)?;
        }
        let since = Instant::now();
        let base = self.watch.standing()?;
        let recovery = self.recovered(&base, since)?;
        Ok(Endured { recovery, note: String::new() })
    }

    fn database(&mut self, crash: Crash, away: u64) -> anyhow::Result<Endured> {
        self.feed();
        let leg = if crash == Crash::After { Leg::Answer } else { Leg::Request };
        let caught = catch(self.site.servers.postgres_proxy(), leg, "COMMIT")?;
        match crash {
            Crash::During => {
                caught.pass();
                self.site.servers.postgres().stop_immediate()?;
            }
            Crash::Before | Crash::After => {
                self.site.servers.postgres().stop_immediate()?;
                caught.cut();
            }
        }
        sleep(millis(away));
        self.site.servers.postgres().restart()?;
        let since = Instant::now();
        let base = self.watch.standing()?;
        let recovery = self.recovered(&base, since)?;
        Ok(Endured { recovery, note: String::new() })
    }

    fn disk(&mut self, refusal: Refusal, refused: u64) -> anyhow::Result<Endured> {
        self.feed();
        if refusal == Refusal::ReadOnly {
            return self.read_only();
        }
        self.wait_work(Who::A)?;
        let process = self.site.process(Who::A)?.id();
        let full = self.site.disk().filter(|_| refusal == Refusal::Full);
        let note = match full {
            Some(disk) => {
                disk.fill()?;
                String::new()
            }
            None => {
                limit_writes(process, Writes::Refused)?;
                let instead = refusal == Refusal::Full;
                if instead { "no right to mount a small disk; refused by limit".to_owned() } else { String::new() }
            }
        };
        sleep(millis(refused));
        match self.site.disk().filter(|_| refusal == Refusal::Full) {
            Some(disk) => disk.recover()?,
            None => limit_writes(process, Writes::Allowed)?,
        }
        let since = Instant::now();
        let base = self.watch.standing()?;
        let recovery = self.recovered(&base, since)?;
        Ok(Endured { recovery, note })
    }

    /// A process that cannot write where it has its data says so and ends; once it can, it works.
    fn read_only(&mut self) -> anyhow::Result<Endured> {
        self.site.terminate(Who::A)?;
        let folder = self.site.data_folder(Who::A);
        protect(self.site, &folder, Protection::On)?;
        self.site.spawn(Who::A, None)?;
        let status = self.site.wait_end(Who::A, PATIENCE)?;
        let log = self.site.process(Who::A)?.log_text();
        protect(self.site, &folder, Protection::Off)?;
        self.site.forget(Who::A);
        if status.success() || status.code().is_none() || !log.contains("data directory") {
            bail!("on a read-only disk process a ended with {status} and said:\n{log}");
        }
        self.again(Who::A)
    }

    /// Records come under a schema that only the registry knows: they have to wait for it.
    fn registry_away(&mut self, away: u64, together: bool) -> anyhow::Result<Endured> {
        // A process that has seen the schema keeps it; this one has seen nothing.
        self.feeder.wait(PATIENCE)?;
        self.watch.wait_quiet(PATIENCE)?;
        self.site.terminate(Who::A)?;
        self.site.spawn(Who::A, None)?;
        self.site.wait_until(Who::A, "it is ready", |a| a.tasks_running() == TASKS_OF_A)?;
        self.site.kill_registry()?;
        self.feed();
        if !together {
            // With two processes the other one, which has a registry in it, may be the one to deal with them.
            let feeder = self.feeder;
            let more = self.slice.div_ceil(8);
            self.site.wait_until(Who::A, "it waits for the registry", |a| {
                if feeder.sent() == feeder.allowed() {
                    feeder.allow(more);
                }
                a.readiness().contains("registry")
            })?;
        }
        sleep(millis(away));
        let base = self.watch.standing()?;
        self.site.start_registry()?;
        let recovery = self.recovered(&base, Instant::now())?;
        Ok(Endured { recovery, note: String::new() })
    }
}

/// The next commit on this half of its way.
fn catch(proxy: &Proxy, leg: Leg, what: &str) -> anyhow::Result<Caught> {
    proxy.trap(leg).wait(PATIENCE).ok_or_else(|| anyhow!("no {what} passed within {} s", PATIENCE.as_secs()))
}

/// Lets its fate come over a commit, and returns when it has.
fn decide(caught: Caught, fate: Fate) {
    match fate {
        Fate::Lost => caught.cut(),
        Fate::HeldAndLost(held) => {
            sleep(millis(held));
            caught.cut();
        }
        Fate::Late(late) => {
            sleep(millis(late));
            caught.pass();
        }
    }
}

/// Damages every store and index file below `folder`; returns how many.
fn harm(folder: &Path, damage: Damage) -> anyhow::Result<usize> {
    let roots = ["state", "index"].map(|name| folder.join(name));
    let mut files = Vec::new();
    for root in &roots {
        find(root, &mut files)?;
    }
    if files.is_empty() {
        bail!("there is no state to be lost in {}", folder.display());
    }
    let context = |path: &Path| format!("could not damage {}", path.display());
    match damage {
        Damage::Deleted => {
            for root in roots.iter().filter(|root| root.exists()) {
                fs::remove_dir_all(root).with_context(|| context(root))?;
            }
        }
        Damage::CutOff => {
            for path in &files {
                let file = fs::File::options().write(true).open(path).with_context(|| context(path))?;
                let length = file.metadata()?.len();
                file.set_len(length / 2).with_context(|| context(path))?;
            }
        }
        Damage::Overwritten => {
            for path in &files {
                scar(path).with_context(|| context(path))?;
            }
        }
    }
    Ok(files.len())
}

/// Writes noise into the middle of a file, here and there.
fn scar(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::options().write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut dice = Dice::new(length);
    for place in 1..SCARS {
        let noise: Vec<u8> = (0..64).map(|_| dice.below(256) as u8).collect();
        let at = length * place / SCARS;
        let room = usize::try_from(length - at).unwrap_or(usize::MAX).min(noise.len());
        file.write_all_at(&noise[..room], at)?;
    }
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "lock") {
            files.push(path);
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    On,
    Off,
}

fn protect(site: &Site, folder: &Path, protection: Protection) -> anyhow::Result<()> {
    match (site.disk(), protection) {
        (Some(disk), Protection::On) => disk.protect()?,
        (Some(disk), Protection::Off) => disk.recover()?,
        // Whoever may not mount is not root, and permissions hold for them.
        (None, Protection::On) => fs::set_permissions(folder, fs::Permissions::from_mode(0o500))?,
        (None, Protection::Off) => fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?,
    }
    Ok(())
}
