//! The rules a graph must obey, each with the reason. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::load::{KeyedBy, Role, Stage, StageKind, Topic, Topology};

/// What every catalog topic takes, bytes; the stages' default for their outputs.
pub const CATALOG_MESSAGE_BYTES: usize = 8 << 20;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Names are unique and legal in Kafka.
    Names,
    /// What a stage reads and writes is declared.
    Declared,
    /// A stage of this kind has these inputs and outputs.
    Shape,
    /// Topics keyed by entity have the same number of partitions, so that a key's owner is the same task everywhere.
    CoPartitioned,
    /// State keeps the latest record of each key for ever; streams end by age.
    Cleanup,
    /// Records fit wherever they are passed on.
    MessageSize,
    /// A compacted topic has one writing stage: every key has one owner.
    OneWriter,
    /// Every input has a place for its poisoned records, and a keyed stage one for its state.
    Companions,
    /// Nothing is declared for nobody.
    Used,
    /// The flow ends: a loop is declared as feedback.
    Acyclic,
    /// Values of open topics have a schema.
    Schema,
}

impl Rule {
    /// Its name, as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Declared => "declared",
            Self::Shape => "shape",
            Self::CoPartitioned => "co-partitioned",
            Self::Cleanup => "cleanup",
            Self::MessageSize => "message-size",
            Self::OneWriter => "one-writer",
            Self::Companions => "companions",
            Self::Used => "used",
            Self::Acyclic => "acyclic",
            Self::Schema => "schema",
        }
    }
}

/// A breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The topic or stage.
    pub subject: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]: {}", self.subject, self.rule.as_str(), self.message)
    }
}

/// Everything that is wrong with a graph, sorted; `schemas` are the topics whose values have a schema in `schemas/`.
pub fn lint(topology: &Topology, schemas: &BTreeSet<&str>) -> Vec<Finding> {
    let mut linter = Linter { topology, findings: Vec::new() };
    linter.names();
    for topic in &topology.topics {
        linter.cleanup(topic);
        linter.message_size(topic);
        linter.used(topic);
        linter.schema(topic, schemas);
        linter.companion(topic);
    }
    linter.co_partitioned();
    for stage in &topology.stages {
        linter.declared(stage);
        linter.shape(stage);
        linter.companions(stage);
    }
    linter.one_writer();
    linter.acyclic();
    linter.findings.sort();
    linter.findings.dedup();
    linter.findings
}

struct Linter<'a> {
    topology: &'a Topology,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    fn say(&mut self, rule: Rule, subject: &str, message: impl Into<String>) {
        self.findings.push(Finding { rule, subject: subject.to_owned(), message: message.into() });
    }

    fn names(&mut self) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for topic in &self.topology.topics {
            let name = topic.name.as_str();
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if name.is_empty() || name.len() > 249 || !name.chars().all(legal) || name == "." || name == ".." {
                self.say(Rule::Names, name, "Kafka takes 1 to 249 letters, digits, dots, underscores and hyphens");
            }
            // Kafka's metric names turn dots into underscores, so it refuses such neighbours.
            match seen.insert(name.replace('.', "_"), name) {
                Some(other) if other == name => self.say(Rule::Names, name, "declared twice"),
                Some(other) => self.say(Rule::Names, name, format!("collides with {other} in Kafka's metric names")),
                None => {}
            }
        }
        let mut stages = BTreeSet::new();
        for stage in &self.topology.stages {
            if !stages.insert(&stage.name) {
                self.say(Rule::Names, &stage.name, "declared twice");
            }
        }
    }

    fn cleanup(&mut self, topic: &Topic) {
        match (topic.is_compacted(), topic.retention) {
            (true, Some(_)) => {
                self.say(Rule::Cleanup, &topic.name, "state must not end by age; remove `retention`");
            }
            (false, None) => self.say(Rule::Cleanup, &topic.name, "it grows for ever; give it a `retention`"),
            (false, Some(age)) if age.is_zero() => self.say(Rule::Cleanup, &topic.name, "records would go at once"),
            _ => {}
        }
        let kept_longer = topic.of.as_deref().and_then(|of| self.topology.topic(of)).and_then(|of| of.retention);
        if topic.role == Role::DeadLetters && topic.retention < kept_longer {
            self.say(Rule::Cleanup, &topic.name, "dead letters must be kept at least as long as what they come from");
        }
    }

    fn message_size(&mut self, topic: &Topic) {
        let size = topic.max_message_bytes;
        let ours = matches!(topic.role, Role::Facts | Role::Catalog | Role::Events | Role::Changelog);
        if ours && size != Some(CATALOG_MESSAGE_BYTES) {
            self.say(
                Rule::MessageSize,
                &topic.name,
                format!("stages write up to {CATALOG_MESSAGE_BYTES} bytes; say 8MiB"),
            );
        }
        if topic.role == Role::Raw && size.is_none() {
            self.say(Rule::MessageSize, &topic.name, "say `max_message_bytes`; events reach several MiB");
        }
        if topic.role == Role::DeadLetters {
            let source = topic.of.as_deref().and_then(|of| self.topology.topic(of)).and_then(|of| of.max_message_bytes);
            // Headers come on top of the record as received.
            if size <= source {
                self.say(
                    Rule::MessageSize,
                    &topic.name,
                    "it must take a record of its source and the headers with the reason",
                );
            }
        }
    }

    fn co_partitioned(&mut self) {
        let topology = self.topology;
        let by_entity = || topology.topics.iter().filter(|topic| topic.keyed_by == KeyedBy::Entity);
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for topic in by_entity() {
            *counts.entry(topic.partitions).or_default() += 1;
        }
        let Some((&usual, _)) = counts.iter().max_by_key(|(_, topics)| **topics) else { return };
        for topic in by_entity().filter(|topic| topic.partitions != usual) {
            let message = format!("{} partitions, but the others keyed by entity have {usual}", topic.partitions);
            self.say(Rule::CoPartitioned, &topic.name, message);
        }
        for topic in &topology.topics {
            let input = topic.of.as_deref().and_then(|of| topology.stage(of)).and_then(|stage| stage.inputs.first());
            if let (Role::Changelog, Some(input)) = (topic.role, input.and_then(|name| topology.topic(name)))
                && (topic.keyed_by, topic.partitions) != (input.keyed_by, input.partitions)
            {
                self.say(
                    Rule::CoPartitioned,
                    &topic.name,
                    format!(
                        "it must be keyed as {} is, with as many partitions: state lies where its records do",
                        input.name
                    ),
                );
            }
            let entity_role = matches!(topic.role, Role::Facts | Role::Catalog | Role::Events);
            if entity_role && topic.keyed_by != KeyedBy::Entity {
                self.say(Rule::CoPartitioned, &topic.name, "it must be keyed by entity, as fold's input is");
            }
            if topic.partitions == 0 {
                self.say(Rule::CoPartitioned, &topic.name, "a topic has at least one partition");
            }
            if topic.keyed_by == KeyedBy::Nothing && topic.partitions != 1 {
                self.say(Rule::CoPartitioned, &topic.name, "without a key there is one partition");
            }
        }
    }

    fn declared(&mut self, stage: &Stage) {
        for name in stage.inputs.iter().chain(&stage.outputs).chain(&stage.feedback).chain(&stage.tables) {
            if self.topology.topic(name).is_none() {
                let known = self.topology.topics.iter().map(|topic| topic.name.as_str());
                let hint = crate::config::nearest(name, known).map(|near| format!("; did you mean {near}?"));
                let message = format!("topic {name} is not declared{}", hint.unwrap_or_default());
                self.say(Rule::Declared, &stage.name, message);
            }
        }
        for (list, topics) in [("inputs", &stage.inputs), ("outputs", &stage.outputs)] {
            let distinct: BTreeSet<_> = topics.iter().collect();
            if distinct.len() < topics.len() {
                self.say(Rule::Declared, &stage.name, format!("{list} name a topic twice"));
            }
        }
    }

    fn shape(&mut self, stage: &Stage) {
        if stage.inputs.is_empty() {
            self.say(Rule::Shape, &stage.name, "a stage needs an input");
        }
        match stage.kind {
            StageKind::Keyed if stage.inputs.len() > 1 => {
                self.say(Rule::Shape, &stage.name, "a keyed stage reads one topic, whose partitions its state follows");
            }
            StageKind::Transform | StageKind::Keyed if stage.outputs.is_empty() => {
                self.say(Rule::Shape, &stage.name, "it writes nothing; a stage into a store is a sink");
            }
            StageKind::Sink | StageKind::Follower if !stage.outputs.is_empty() => {
                self.say(Rule::Shape, &stage.name, "a sink writes to its store only");
            }
            _ => {}
        }
        for name in &stage.inputs {
            let topic = self.topology.topic(name);
            if stage.kind == StageKind::Keyed && topic.is_some_and(|topic| topic.keyed_by == KeyedBy::Nothing) {
                self.say(Rule::Shape, &stage.name, format!("its input {name} has no keys to keep state by"));
            }
        }
        for name in &stage.tables {
            if !stage.kind.produces() {
                self.say(Rule::Shape, &stage.name, format!("only stages look things up; make table {name} an input"));
            }
            if self.topology.topic(name).is_some_and(|topic| topic.role != Role::Catalog) {
                self.say(
                    Rule::Shape,
                    &stage.name,
                    format!("table {name} is no catalog topic: it has no latest values"),
                );
            }
        }
        for name in stage.outputs.iter().filter_map(|name| self.topology.topic(name)) {
            if matches!(name.role, Role::Raw | Role::DeadLetters | Role::Changelog | Role::Ledger | Role::Registry) {
                let message = format!("{} is a topic for {}, not an output", name.name, name.role.as_str());
                self.say(Rule::Shape, &stage.name, message);
            }
        }
        for name in stage.inputs.iter().filter_map(|name| self.topology.topic(name)) {
            let wanted = match stage.kind {
                StageKind::Sink | StageKind::Follower => matches!(name.role, Role::Catalog | Role::Events),
                StageKind::Transform | StageKind::Keyed => {
                    !matches!(name.role, Role::Changelog | Role::Ledger | Role::Registry)
                }
            };
            if !wanted {
                let message = format!(
                    "{} is a topic for {}, not an input of a {}",
                    name.name,
                    name.role.as_str(),
                    stage.kind.as_str()
                );
                self.say(Rule::Shape, &stage.name, message);
            }
        }
    }

    /// What stands in `of` exists.
    fn companion(&mut self, topic: &Topic) {
        match (topic.role, topic.of.as_deref()) {
            (Role::DeadLetters, Some(of)) => {
                if self.topology.topic(of).is_none() {
                    self.say(Rule::Companions, &topic.name, format!("its source {of} is not declared"));
                } else if topic.name != format!("{of}.dlq") {
                    self.say(Rule::Companions, &topic.name, format!("the stages send dead letters to {of}.dlq"));
                }
            }
            (Role::Changelog, Some(of)) => {
                if self.topology.stage(of).is_none_or(|stage| stage.kind != StageKind::Keyed) {
                    self.say(Rule::Companions, &topic.name, format!("{of} is no keyed stage"));
                } else if !topic.name.ends_with(&format!("-{of}-changelog")) {
                    self.say(
                        Rule::Companions,
                        &topic.name,
                        format!("the stage keeps its state in <cluster>-{of}-changelog"),
                    );
                }
            }
            (Role::Ledger, None)
                if !["-dlq-ledger", "-tail-positions"].iter().any(|ending| topic.name.ends_with(ending)) =>
            {
                let known = "`tributary dlq` keeps its ledger in <cluster>-dlq-ledger, tails theirs in <cluster>-tail-positions";
                self.say(Rule::Companions, &topic.name, known);
            }
            (Role::DeadLetters | Role::Changelog, None) => {
                self.say(Rule::Companions, &topic.name, "say `of` what it is")
            }
            (_, Some(_)) => self.say(Rule::Companions, &topic.name, "`of` is for dead letters and changelogs only"),
            (_, None) => {}
        }
    }

    fn companions(&mut self, stage: &Stage) {
        for input in stage.inputs.iter().filter(|_| stage.kind.produces()) {
            if self.topology.dead_letters_of(input).is_none() {
                self.say(Rule::Companions, &stage.name, format!("its input {input} has no topic for dead letters"));
            }
        }
        if stage.kind == StageKind::Keyed && self.topology.changelog_of(&stage.name).is_none() {
            self.say(Rule::Companions, &stage.name, "its state has no changelog topic");
        }
    }

    fn used(&mut self, topic: &Topic) {
        let stages = &self.topology.stages;
        let read = stages.iter().any(|stage| stage.inputs.contains(&topic.name));
        let written = stages.iter().any(|stage| stage.outputs.contains(&topic.name));
        match topic.role {
            Role::Raw if !read => self.say(Rule::Used, &topic.name, "no stage reads it"),
            Role::Facts if !read || !written => {
                self.say(Rule::Used, &topic.name, "it needs a stage that writes and one that reads it")
            }
            Role::Catalog | Role::Events if !written => self.say(Rule::Used, &topic.name, "no stage writes it"),
            _ => {}
        }
    }

    fn one_writer(&mut self) {
        for topic in self.topology.topics.iter().filter(|topic| topic.is_compacted()) {
            let writers: Vec<&str> = self
                .topology
                .stages
                .iter()
                .filter(|stage| stage.outputs.contains(&topic.name))
                .map(|stage| stage.name.as_str())
                .collect();
            if writers.len() > 1 {
                self.say(
                    Rule::OneWriter,
                    &topic.name,
                    format!("{} write it; a key must have one owner", writers.join(" and ")),
                );
            }
        }
    }

    fn acyclic(&mut self) {
        for stage in &self.topology.stages {
            for name in &stage.feedback {
                if !stage.outputs.contains(name) || !stage.inputs.contains(name) {
                    self.say(
                        Rule::Acyclic,
                        &stage.name,
                        format!("feedback {name} is not both its input and its output"),
                    );
                }
            }
        }
        // Stages whose inputs all come from outside or from stages already placed are placed, until nothing moves.
        let mut placed: BTreeSet<&str> = BTreeSet::new();
        let topology = self.topology;
        let waits_for = |stage: &Stage, placed: &BTreeSet<&str>| {
            topology.stages.iter().any(|writer| {
                let feeds = stage.inputs.iter().any(|input| {
                    writer.outputs.contains(input) && !(writer.name == stage.name && stage.feedback.contains(input))
                });
                feeds && !placed.contains(writer.name.as_str())
            })
        };
        loop {
            let next = topology
                .stages
                .iter()
                .find(|stage| !placed.contains(stage.name.as_str()) && !waits_for(stage, &placed));
            match next {
                Some(stage) => placed.insert(&stage.name),
                None => break,
            };
        }
        for stage in topology.stages.iter().filter(|stage| !placed.contains(stage.name.as_str())) {
            self.say(Rule::Acyclic, &stage.name, "it stands in or behind a loop that is not declared as feedback");
        }
    }

    fn schema(&mut self, topic: &Topic, schemas: &BTreeSet<&str>) {
        let open = matches!(topic.role, Role::Facts | Role::Catalog | Role::Events);
        if open && !topic.schema {
            self.say(Rule::Schema, &topic.name, "its values need a schema");
        }
        if topic.schema && !schemas.contains(topic.name.as_str()) {
            self.say(Rule::Schema, &topic.name, format!("schemas/{}-value is missing", topic.name));
        }
        if !topic.schema && schemas.contains(topic.name.as_str()) {
            self.say(Rule::Schema, &topic.name, format!("schemas/{}-value is there, but not declared", topic.name));
        }
    }
}
