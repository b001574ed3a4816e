//! `tributary dlq`: what was rejected, why, and back again once the cause is mended, or given up.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::SettingFlags;
use super::context::Context;
use super::exit::{Because, Failure, Reason};
use crate::config::value;
use crate::kafka::Admin;
use crate::stage::{Fate, Ledger, LedgerError, Letter, Outcome, Place, dead_letter_topic};

const SUFFIX: &str = ".dlq";

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List dead letters that were neither sent back nor dropped, oldest first
    List(ListArgs),
    /// Show one dead letter with its value and headers
    Show(ShowArgs),
    /// Send dead letters back to where they came from, each once
    Replay(ReplayArgs),
    /// Give dead letters up: they are not listed and not sent back any more
    Drop(DropArgs),
}

/// Which letters.
#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// Only with this reason, e.g. invalid_json; may be given several times
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Only rejected at or after this time: 2026-01-31T10:00:00Z, 2026-01-31, or 2h, 7d ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<DateTime<Utc>>,
    /// Only rejected before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<DateTime<Utc>>,
}

impl Filter {
    fn chooses(&self, letter: &Letter) -> bool {
        let at = letter.rejected_ms.unwrap_or(i64::MIN);
        (self.reason.is_empty() || self.reason.contains(&letter.letter.reason))
            && self.since.is_none_or(|since| at >= since.timestamp_millis())
            && self.until.is_none_or(|until| at < until.timestamp_millis())
    }
}

/// Which to list.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary dlq list --topic hms.notifications --reason invalid_json --since 24h")]
pub struct ListArgs {
    /// Only of this raw topic, e.g. hms.notifications
    #[arg(long)]
    topic: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Those that were sent back or dropped too
    #[arg(long)]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Which to show.
#[derive(Debug, Args)]
#[command(after_help = "Example: tributary dlq show hms.notifications.dlq-0@17")]
pub struct ShowArgs {
    /// Place as `list` prints it: TOPIC-PARTITION@OFFSET
    place: String,
}

/// Which to decide on.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The raw topic, e.g. hms.notifications, or places as `list` prints them
    #[arg(required = true, value_name = "TOPIC|PLACE")]
    what: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Say how many there are, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Which to send back.
#[derive(Debug, Args)]
#[command(after_help = "Examples: tributary dlq replay hms.notifications --reason limit_exceeded\n          \
                        tributary dlq replay hms.notifications.dlq-0@17")]
pub struct ReplayArgs {
    #[command(flatten)]
    chosen: Chosen,
}

/// Which to give up.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: tributary dlq drop openlineage.events --until 2026-01-31 --note \"test events\"\n          \
                        tributary dlq drop hms.notifications.dlq-0@17"
)]
pub struct DropArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// Why; kept with the letters, `list --all` shows it
    #[arg(long, default_value = "")]
    note: String,
}

pub(super) fn run(flags: &SettingFlags, command: &DlqCommand) -> Result<(), Failure> {
    let context = Context::load(flags)?;
    match command {
        DlqCommand::List(args) => list(&context, args),
        DlqCommand::Show(args) => show(&context, args),
        DlqCommand::Replay(args) => decide(&context, &args.chosen, Fate::Replayed, ""),
        DlqCommand::Drop(args) => decide(&context, &args.chosen, Fate::Dropped, &args.note),
    }
}

/// A time as people write it.
fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Some(midnight) = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0)) {
        return Ok(midnight.and_utc());
    }
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let ago = match days {
        Some(days) => Some(std::time::Duration::from_secs(u64::from(days) * 86_400)),
        None => value::duration(text).ok(),
    };
    let ago = ago.and_then(|ago| chrono::Duration::from_std(ago).ok());
    ago.and_then(|ago| Utc::now().checked_sub_signed(ago)).ok_or_else(|| {
        format!("{text:?} is no time; write 2026-01-31T10:00:00Z, 2026-01-31, or how long ago: 90m, 2h, 7d")
    })
}

/// Dead-letter topics that exist.
pub(super) fn topics(admin: &Admin) -> Result<Vec<String>, Failure> {
    let topics = admin.topics().because(Reason::Unavailable)?;
    Ok(topics.into_keys().filter(|name| name.ends_with(SUFFIX)).collect())
}

/// The ledger, to be read.
pub(super) fn ledger(context: &Context) -> Result<Ledger, Failure> {
    Ledger::read(&context.kafka, &context.config.kafka.cluster).map_err(failure)
}

fn failure(error: LedgerError) -> Failure {
    let reason = match &error {
        LedgerError::NoLedger(_) => Reason::Unavailable,
        LedgerError::Fenced => Reason::Temporary,
        LedgerError::Kafka(error) if error.is_transient() => Reason::Temporary,
        LedgerError::Kafka(_) => Reason::Unavailable,
    };
    Failure { reason, error: error.into() }
}

fn list(context: &Context, args: &ListArgs) -> Result<(), Failure> {
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    let ledger = ledger(context)?;
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for topic in topics(&admin)? {
        if args.topic.as_ref().is_some_and(|wanted| letters_of(wanted) != topic) {
            continue;
        }
        let each = &mut |letter: Letter| {
            if !args.filter.chooses(&letter) || (letter.verdict.is_some() && !args.all) {
                return;
            }
            *counts.entry((topic.clone(), letter.letter.reason.clone())).or_default() += 1;
            if args.json {
                println!("{}", summary(&letter));
            } else {
                println!("{}", line(&letter));
            }
        };
        ledger.each(&topic, each).map_err(failure)?;
    }
    if !args.json {
        for ((topic, reason), count) in &counts {
            println!("{count:>8}  {topic}  {reason}");
        }
        if counts.is_empty() {
            println!("no dead letters");
        }
    }
    Ok(())
}

fn line(letter: &Letter) -> String {
    let Letter { place, letter: inside, verdict, .. } = letter;
    let at = if inside.path.is_empty() { "(value)" } else { &inside.path };
    let when = time(letter.rejected_ms).unwrap_or_default();
    let fate = verdict.as_ref().map_or(String::new(), |verdict| {
        let note = if verdict.note.is_empty() { String::new() } else { format!(": {}", verdict.note) };
        format!("  {} {}{note}", verdict.fate.as_str(), time(Some(verdict.at_ms)).unwrap_or_default())
    });
    format!("{place}  {when}  {}  at {at}  attempt {}{fate}\n    {}", inside.reason, inside.attempt, inside.message)
}

fn time(millis: Option<i64>) -> Option<String> {
    Some(DateTime::from_timestamp_millis(millis?)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn summary(letter: &Letter) -> Value {
    let Letter { place, letter: inside, verdict, .. } = letter;
    json!({
        "place": place.to_string(),
        "state": verdict.as_ref().map_or("open", |verdict| verdict.fate.as_str()),
        "decided_at": verdict.as_ref().and_then(|verdict| time(Some(verdict.at_ms))),
        "note": verdict.as_ref().map(|verdict| verdict.note.as_str()).filter(|note| !note.is_empty()),
        "rejected_at": time(letter.rejected_ms),
        "reason": inside.reason,
        "message": inside.message,
        "path": inside.path,
        "stage": inside.stage,
        "attempt": inside.attempt,
        "source": inside.source,
        "origin": inside.origin,
        "timestamp_ms": inside.timestamp_ms,
        "schema_id": inside.schema_id,
        "truncated_bytes": inside.truncated_bytes,
    })
}

fn show(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    let place: Place = args.place.parse().map_err(|error: String| anyhow!(error)).because(Reason::Usage)?;
    let found =
        if exists(context, &place.partition.topic)? { ledger(context)?.at(&place).map_err(failure)? } else { None };
    let letter = found.ok_or_else(|| anyhow!("there is no dead letter at {place}")).because(Reason::Usage)?;
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let headers = letter.letter.headers.iter().map(|header| {
        json!({"name": header.name, "value": header.value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())})
    });
    let mut shown = summary(&letter);
    shown["headers"] = headers.collect();
    shown["key"] = json!(text(&letter.letter.key));
    shown["value"] = json!(text(&letter.letter.value));
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn exists(context: &Context, topic: &str) -> Result<bool, Failure> {
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    Ok(admin.partition_count(topic).because(Reason::Unavailable)?.is_some())
}

/// The dead-letter topic that somebody means by it or by its raw topic.
fn letters_of(topic: &str) -> String {
    if topic.ends_with(SUFFIX) { topic.to_owned() } else { dead_letter_topic(topic) }
}

/// What to look at: whole topics, or places.
fn targets(what: &[String]) -> BTreeMap<String, BTreeSet<Place>> {
    let mut targets: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for text in what {
        match text.parse::<Place>() {
            Ok(place) => drop(targets.entry(place.partition.topic.to_string()).or_default().insert(place)),
            Err(_) => drop(whole.insert(letters_of(text))),
        }
    }
    // A topic that is named as a whole is meant as a whole.
    targets.extend(whole.into_iter().map(|topic| (topic, BTreeSet::new())));
    targets
}

fn decide(context: &Context, chosen: &Chosen, fate: Fate, note: &str) -> Result<(), Failure> {
    let targets = targets(&chosen.what);
    for topic in targets.keys() {
        if !topic.ends_with(SUFFIX) || !exists(context, topic)? {
            return Err(anyhow!("there is no topic {topic} of dead letters")).because(Reason::Usage);
        }
    }
    if chosen.dry_run {
        return rehearse(context, &targets, chosen, fate);
    }
    let mut ledger = Ledger::open(&context.kafka, &context.config.kafka.cluster).map_err(failure)?;
    for (topic, places) in &targets {
        let wanted = |letter: &Letter| is_wanted(letter, places, &chosen.filter);
        let Outcome { done, gone } = ledger.decide(topic, fate, note, &wanted).map_err(failure)?;
        let raw = topic.strip_suffix(SUFFIX).unwrap_or(topic);
        match fate {
            Fate::Replayed => println!("{done} dead letters sent back to {raw}"),
            Fate::Dropped => println!("{done} dead letters of {raw} dropped"),
        }
        for place in gone {
            println!("{place} stays: only its head was kept, and {raw} does not hold the whole record any more");
        }
        let named = u64::try_from(places.len()).unwrap_or(u64::MAX);
        if done < named && done == 0 {
            return Err(anyhow!("nothing is open at {}", chosen.what.join(", "))).because(Reason::Usage);
        }
    }
    Ok(())
}

fn is_wanted(letter: &Letter, places: &BTreeSet<Place>, filter: &Filter) -> bool {
    (places.is_empty() || places.contains(&letter.place)) && filter.chooses(letter)
}

fn rehearse(
    context: &Context,
    targets: &BTreeMap<String, BTreeSet<Place>>,
    chosen: &Chosen,
    fate: Fate,
) -> Result<(), Failure> {
    let ledger = ledger(context)?;
    for (topic, places) in targets {
        let mut count = 0;
        let each = &mut |letter: Letter| {
            if letter.verdict.is_none() && is_wanted(&letter, places, &chosen.filter) {
                count += 1;
            }
        };
        ledger.each(topic, each).map_err(failure)?;
        println!("{count} dead letters of {} would be {}", topic.trim_end_matches(SUFFIX), fate.as_str());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = |text: &str| parse_time(text).map(|time| time.to_rfc3339());
        assert_eq!(at("2026-01-31T10:00:00+02:00").as_deref(), Ok("2026-01-31T08:00:00+00:00"));
        assert_eq!(at("2026-01-31").as_deref(), Ok("2026-01-31T00:00:00+00:00"));
        let days = Utc::now() - parse_time("2d").unwrap();
        assert!((47..=49).contains(&days.num_hours()), "{days}");
        assert!(parse_time("90m").unwrap() < Utc::now());
        assert!(parse_time("yesterday").unwrap_err().contains("is no time"));
    }

    #[test]
    fn a_topic_is_meant_as_a_whole_and_a_place_alone() {
        let what = ["hms.notifications", "openlineage.events.dlq-0@3", "openlineage.events.dlq-1@4"].map(str::to_owned);
        let targets = targets(&what);
        assert!(targets["hms.notifications.dlq"].is_empty());
        assert_eq!(targets["openlineage.events.dlq"].len(), 2);
    }
}
