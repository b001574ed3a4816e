//! The undisturbed run over the same log: the measure of a campaign.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use super::feeder::Feeder;
use super::oracle::{Account, Outcome, gather};
use super::recovery::Watch;
use super::schedule::Who;
use super::site::{STAGES, Site};
use super::{Events, notification_schema};

/// Feeds all events to one process on servers of its own and lets it come to the end.
pub(super) fn undisturbed(
    binary: &Path,
    folder: &Path,
    cache: &Path,
    events: Events<'_>,
    limit: Duration,
) -> anyhow::Result<Outcome> {
    let mut site = Site::start(binary, folder, cache, false)?;
    site.start_registry()?;
    let context = site.bystander()?;
    let feeder = Feeder::start(&context.kafka, events(notification_schema(&context)?))?;
    feeder.allow_all();
    feeder.wait(limit)?;
    site.spawn(Who::A, None)?;
    let watch = Watch::start(&context)?;
    watch.wait_quiet(limit)?;
    let process = site.process(Who::A)?;
    let outcomes: BTreeMap<_, _> = STAGES.iter().map(|stage| (*stage, process.outcomes(stage))).collect();
    site.terminate(Who::A)?;
    let mut calm = gather(&context, &folder.join("entries"))?;
    let mut accounts = BTreeMap::new();
    for (stage, outcomes) in outcomes {
        let Some(declared) = watch.flow.topology.stage(stage) else { bail!("there is no stage {stage}") };
        accounts.insert(stage, Account { records: calm.records_of(&declared.inputs), outcomes });
    }
    calm.check_accounts(&accounts);
    Ok(calm)
}
