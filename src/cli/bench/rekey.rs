//! The runtime by itself: a stage that reads the job's name of each event and sends the event on under it. What the
//! transactions cost, without what `normalize` and `fold` do in them; streaming frameworks are measured the same way.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde::Deserialize;

use crate::cli::context::Context;
use crate::cli::exit::{Because, Failure, Reason};
use crate::kafka::{Admin, Headers, Isolation, TopicSpec};
use crate::model::reject::{ReasonCode, Rejection};
use crate::stage::{
    DataDir, Fault, InputTopic, Output, OutputTopic, Outputs, StageRecord, StageSpec, StopToken, TaskState, Transform,
    spawn_transform,
};

/// What is read, and where it goes to.
const INPUT: &str = "openlineage.events";
const OUTPUT: &str = "bench.rekeyed";
const PARTITIONS: i32 = 4;

/// Of an event, what the new key is made of; all of the text is checked on the way.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    job: Job<'a>,
}

#[derive(Deserialize)]
struct Job<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

struct Rekey;

impl Transform for Rekey {
    fn apply(&mut self, record: &StageRecord, outputs: &mut Outputs) -> Result<(), Fault> {
        let value = record.value.clone().unwrap_or_default();
        let event: Event<'_> = serde_json::from_slice(&value)
            .map_err(|error| Rejection::new(ReasonCode::InvalidJson, "", error.to_string()))?;
        let key = format!("{}|{}", event.job.namespace, event.job.name).into_bytes();
        outputs.send(Output { topic: OUTPUT, owner: &key.clone(), key, value: Some(value), headers: Headers::new() });
        Ok(())
    }
}

/// Runs the stage from where it stands to the end of its input; how long that took, from its start.
pub(super) fn through(context: &Context, limit: Duration) -> Result<f64, Failure> {
    let admin = Admin::new(&context.kafka).because(Reason::Unavailable)?;
    admin.create_topics(&[TopicSpec::new(OUTPUT, PARTITIONS)]).because(Reason::Unavailable)?;
    let folder = context.config.data_dir.join("bench");
    let data = DataDir::open(folder, None, || "bench".to_owned()).because(Reason::Temporary)?;
    let mut spec = StageSpec::new(context.config.kafka.cluster.clone(), "bench-rekey", data.instance(), data.path());
    spec.inputs = vec![InputTopic::new(INPUT)];
    spec.outputs = vec![OutputTopic::new(OUTPUT)];

    let ends = admin.ends(&[INPUT.to_owned()], Isolation::Uncommitted).because(Reason::Unavailable)?;
    let partitions: Vec<_> = ends.keys().cloned().collect();
    let committed = admin.committed(&spec.group(), &partitions).because(Reason::Unavailable)?;
    let first = committed.into_iter().filter(|(_, offset)| offset.is_none()).map(|(partition, _)| (partition, 0));
    admin.commit_offsets(&spec.group(), &first.collect()).because(Reason::Unavailable)?;

    let clock = Instant::now();
    let task = spawn_transform(&context.kafka, spec, Box::new(Rekey), StopToken::new())?;
    let reached = task.wait_until(limit, |status| {
        matches!(status.state, TaskState::Failed(_))
            || ends.iter().all(|(partition, end)| *end == 0 || status.positions.get(partition) >= Some(end))
    });
    let seconds = clock.elapsed().as_secs_f64();
    task.stop();
    task.join().map_err(|reason| anyhow!(reason)).because(Reason::Temporary)?;
    if reached { Ok(seconds) } else { Err(anyhow!("the stage did not reach the end")).because(Reason::Temporary) }
}
