//! Looks up a stage's topics at the start of a membership: partition counts, limits, where dead letters go.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kafka::Admin;

use super::fault::Fault;
use super::outputs::Outputs;
use super::spec::StageSpec;
use super::transaction::InputRoute;

/// The topics of a stage.
pub(super) struct Routes {
    /// Ready to collect for the output topics.
    pub(super) outputs: Outputs,
    /// By input topic.
    pub(super) inputs: HashMap<Arc<str>, InputRoute>,
}

/// Looks up the topics of a stage; all of them must exist.
pub(super) fn routes(admin: &Admin, spec: &StageSpec, keyed: bool) -> Result<Routes, Fault> {
    let topics = admin.topics()?;
    let partitions = |name: &str| {
        topics.get(name).map(|info| info.partitions).ok_or_else(|| {
            Fault::fatal(format!("stage {} needs topic {name}; run `tributary topology apply`", spec.stage))
        })
    };
    let mut outputs = Vec::new();
    for topic in &spec.outputs {
        outputs.push((topic, partitions(&topic.name)?));
    }
    let mut inputs = HashMap::new();
    for input in &spec.inputs {
        partitions(&input.name)?;
        let route = InputRoute {
            max_record_bytes: input.max_record_bytes,
            dead_letters: input.dead_letters.name.as_str().into(),
            dead_letter_partitions: partitions(&input.dead_letters.name)?,
            dead_letter_max_bytes: input.dead_letters.max_record_bytes,
        };
        inputs.insert(input.name.as_str().into(), route);
    }
    if keyed {
        let [input] = spec.inputs.as_slice() else {
            return Err(Fault::fatal(format!("stage {} keeps state and must read exactly one topic", spec.stage)));
        };
        let (theirs, ours) = (partitions(&input.name)?, partitions(&spec.changelog())?);
        if theirs != ours {
            return Err(Fault::fatal(format!(
                "changelog {} has {ours} partitions, its input {} has {theirs}; they must be equal",
                spec.changelog(),
                input.name
            )));
        }
    }
    Ok(Routes { outputs: Outputs::new(outputs), inputs })
}
