//! The built-in graph, each rule with a breach, plans and pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::graph::{GraphFormat, draw};
use super::lint::{Finding, Rule, lint};
use super::load::{Installation, KeyedBy, Role, Topology};
use super::plan::{Action, Actual, ActualTopic, configs, plan};
use crate::codec::avro::SUBJECTS;
use crate::model::record::CatalogTopic;

fn schemas() -> BTreeSet<&'static str> {
    SUBJECTS.iter().map(|subject| subject.topic).collect()
}

fn built_in() -> Topology {
    Topology::built_in(&Installation::named("tributary")).unwrap()
}

/// The built-in graph after a change of its files' text.
fn changed(from: &str, to: &str) -> Vec<Finding> {
    let topics = include_str!("../../topology/topics.toml");
    let stages = include_str!("../../topology/stages.toml");
    assert_eq!(topics.matches(from).count() + stages.matches(from).count(), 1, "the change must hit one place: {from}");
    let topology =
        Topology::parse(&topics.replace(from, to), &stages.replace(from, to), &Installation::named("tributary"));
    lint(&topology.unwrap(), &schemas())
}

fn breaks(from: &str, to: &str, rule: Rule, subject: &str) {
    let findings = changed(from, to);
    assert!(
        findings.iter().any(|finding| finding.rule == rule && finding.subject == subject),
        "{from:?} -> {to:?} should break {rule:?} of {subject}, found {findings:#?}"
    );
}

#[test]
fn the_built_in_graph_obeys_all_rules() {
    assert_eq!(lint(&built_in(), &schemas()), []);
}

#[test]
fn it_holds_what_the_fold_writes_and_the_design_promises() {
    let topology = built_in();
    let fold = topology.stage("fold").unwrap();
    for topic in CatalogTopic::ALL {
        assert!(fold.outputs.iter().any(|output| output == topic.name()), "{}", topic.name());
        let declared = topology.topic(topic.name()).unwrap();
        assert_eq!((declared.keyed_by, declared.partitions), (KeyedBy::Entity, 4));
        assert_eq!(declared.is_compacted(), topic != CatalogTopic::Changes);
    }
    for subject in SUBJECTS {
        assert!(topology.topic(subject.topic).unwrap().schema, "{}", subject.topic);
    }
    assert_eq!(topology.topic("catalog.facts").unwrap().retention, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(topology.dead_letters_of("hms.notifications").unwrap().name, "hms.notifications.dlq");
    assert_eq!(topology.changelog_of("fold").unwrap().name, "tributary-fold-changelog");
    for raw in ["hms.notifications", "openlineage.events", "warehouse.query-logs"] {
        assert_eq!(topology.topic(raw).unwrap().role, Role::Raw);
    }
    assert_eq!(topology.topic("_schemas").unwrap().partitions, 1);
}

#[test]
fn an_installation_chooses_its_name_and_partitions() {
    let installation = Installation { cluster: "prod".into(), entity_partitions: Some(12), replication: None };
    let topology = Topology::built_in(&installation).unwrap();
    assert_eq!(topology.topic("prod-fold-changelog").unwrap().partitions, 12);
    assert_eq!(topology.topic("catalog.datasets").unwrap().partitions, 12);
    assert_eq!(topology.topic("hms.notifications").unwrap().partitions, 4);
    assert_eq!(lint(&topology, &schemas()), []);
}

#[test]
fn a_second_metastore_gets_topics_of_its_own() {
    let mut topology = built_in();
    topology.add_raw("hms.notifications", "hms.other");
    topology.add_raw("hms.notifications", "hms.other");
    topology.add_raw("hms.notifications", "openlineage.events");
    assert_eq!(topology.topics.len(), built_in().topics.len() + 2);
    assert_eq!(topology.dead_letters_of("hms.other").unwrap().name, "hms.other.dlq");
    assert_eq!(topology.stage("normalize").unwrap().inputs.last().unwrap(), "hms.other");
    assert_eq!(lint(&topology, &schemas()), []);
}

#[test]
fn each_rule_finds_its_breach() {
    breaks("name = \"catalog.jobs\"", "name = \"catalog/jobs\"", Rule::Names, "catalog/jobs");
    breaks("name = \"catalog.jobs\"", "name = \"catalog.runs\"", Rule::Names, "catalog.runs");
    breaks("name = \"catalog.jobs\"", "name = \"catalog_runs\"", Rule::Names, "catalog.runs");
    breaks("name = \"lineage\"\nkind", "name = \"search\"\nkind", Rule::Names, "search");
    breaks(
        "\"catalog.facts\", \"catalog.statements\"",
        "\"catalog.fact\", \"catalog.statements\"",
        Rule::Declared,
        "normalize",
    );
    breaks("inputs = [\"warehouse.query-logs\"]", "inputs = []", Rule::Shape, "sql");
    breaks(
        "name = \"postgres\"\nkind = \"sink\"",
        "name = \"postgres\"\nkind = \"transform\"",
        Rule::Shape,
        "postgres",
    );
    breaks(
        "name = \"postgres\"\nkind = \"sink\"",
        "name = \"postgres\"\nkind = \"keyed\"",
        Rule::Companions,
        "postgres",
    );
    breaks("\"catalog.facts\", \"catalog.statements\"", "\"hms.notifications\"", Rule::Shape, "normalize");
    breaks(
        "inputs = [\"catalog.statements\"]\noutputs = [\"catalog.facts\"]\ntables = [\"catalog.datasets\"]",
        "inputs = [\"catalog.statements\"]\noutputs = [\"catalog.facts\"]\ntables = [\"catalog.facts\"]",
        Rule::Shape,
        "statements",
    );
    breaks(
        "inputs = [\"catalog.statements\"]\noutputs = [\"catalog.facts\"]\ntables = [\"catalog.datasets\"]",
        "inputs = [\"catalog.statements\"]\noutputs = [\"catalog.facts\"]\ntables = [\"catalog.sets\"]",
        Rule::Declared,
        "statements",
    );
    breaks(
        "of = \"sql\"\nkeyed_by = \"producer\"\npartitions = 4",
        "of = \"sql\"\nkeyed_by = \"producer\"\npartitions = 3",
        Rule::CoPartitioned,
        "tributary-sql-changelog",
    );
    breaks(
        "name = \"catalog.jobs\"\nrole = \"catalog\"\nkeyed_by = \"entity\"",
        "name = \"catalog.jobs\"\nrole = \"catalog\"\nkeyed_by = \"entity\"\npartitions = 8",
        Rule::CoPartitioned,
        "catalog.jobs",
    );
    breaks(
        "of = \"fold\"\nkeyed_by = \"entity\"",
        "of = \"fold\"\nkeyed_by = \"producer\"\npartitions = 4",
        Rule::CoPartitioned,
        "tributary-fold-changelog",
    );
    breaks(
        "name = \"catalog.jobs\"\nrole = \"catalog\"",
        "name = \"catalog.jobs\"\nrole = \"catalog\"\nretention = \"7d\"",
        Rule::Cleanup,
        "catalog.jobs",
    );
    breaks(
        "name = \"catalog.facts\"\nrole = \"facts\"\nkeyed_by = \"entity\"\nretention = \"7d\"\n",
        "name = \"catalog.facts\"\nrole = \"facts\"\nkeyed_by = \"entity\"\n",
        Rule::Cleanup,
        "catalog.facts",
    );
    breaks(
        "of = \"catalog.facts\"\nkeyed_by",
        "of = \"catalog.fact\"\nkeyed_by",
        Rule::Companions,
        "catalog.facts.dlq",
    );
    breaks("of = \"catalog.facts\"\nkeyed_by", "of = \"catalog.fact\"\nkeyed_by", Rule::Companions, "fold");
    breaks("of = \"fold\"", "of = \"normalize\"", Rule::Companions, "fold");
    breaks(
        "max_message_bytes = \"9MiB\"\ndoc = \"Facts",
        "max_message_bytes = \"8MiB\"\ndoc = \"Facts",
        Rule::MessageSize,
        "catalog.facts.dlq",
    );
    breaks(
        "\"catalog.facts\", \"catalog.statements\"",
        "\"catalog.facts\", \"catalog.statements\", \"catalog.jobs\"",
        Rule::OneWriter,
        "catalog.jobs",
    );
    breaks("feedback = [\"catalog.facts\"]", "feedback = []", Rule::Acyclic, "fold");
    breaks("feedback = [\"catalog.facts\"]", "feedback = [\"catalog.jobs\"]", Rule::Acyclic, "fold");
    breaks("    \"catalog.facts\",\n]", "]", Rule::Acyclic, "fold");
    breaks("inputs = [\"hms.notifications\", ", "inputs = [", Rule::Used, "hms.notifications");
    let missing = lint(&built_in(), &schemas().into_iter().filter(|topic| *topic != "catalog.jobs").collect());
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].rule, missing[0].subject.as_str()), (Rule::Schema, "catalog.jobs"));
}

#[test]
fn a_misspelt_topic_is_answered_with_the_right_one() {
    let findings = changed("\"catalog.facts\", \"catalog.statements\"", "\"catalog.fcats\", \"catalog.statements\"");
    let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        text.contains(
            &"normalize [declared]: topic catalog.fcats is not declared; did you mean catalog.facts?".to_owned()
        ),
        "{text:#?}"
    );
}

#[test]
fn wrong_files_are_told_with_line_and_key() {
    let stages = include_str!("../../topology/stages.toml");
    let fault = |topics: &str| Topology::parse(topics, stages, &Installation::named("t")).unwrap_err().to_string();
    let unknown = fault("entity_partitions = 4\n[[topic]]\nname = \"a\"\nrole = \"raw\"\nkey_by = \"producer\"\n");
    assert!(unknown.contains("line 5") && unknown.contains("key_by"), "{unknown}");
    let nobody =
        fault("entity_partitions = 4\n[[topic]]\nname = \"a\"\nrole = \"raw\"\nkeyed_by = \"producer\"\ndoc = \"\"\n");
    assert!(nobody.contains("topic a") && nobody.contains("partitions"), "{nobody}");
}

fn group(stage: &str) -> String {
    format!("tributary.{stage}")
}

/// A cluster that is exactly as the graph wants it.
fn settled() -> Actual {
    let topology = built_in();
    let mut actual = Actual::default();
    for topic in &topology.topics {
        let found = ActualTopic { partitions: topic.partitions, configs: configs(topic, None) };
        actual.topics.insert(topic.name.clone(), found);
        if topic.schema {
            actual.registered.insert(topic.name.clone());
        }
    }
    for (stage, topic) in topology
        .stages
        .iter()
        .filter(|stage| stage.kind.produces())
        .flat_map(|stage| stage.inputs.iter().map(move |topic| (&*stage.name, topic)))
    {
        actual.committed.extend((0..4).map(|partition| (group(stage), topic.clone(), partition)));
    }
    actual
}

fn planned(actual: &Actual) -> super::plan::Plan {
    plan(&built_in(), &Installation::named("tributary"), actual, &group)
}

#[test]
fn an_empty_cluster_gets_everything_in_order() {
    let plan = planned(&Actual::default());
    assert!(plan.refusals.is_empty() && plan.notices.is_empty());
    let created = plan.actions.iter().filter(|action| matches!(action, Action::CreateTopic { .. })).count();
    let registered = plan.actions.iter().filter(|action| matches!(action, Action::RegisterSchemas { .. })).count();
    let commits: Vec<&Action> =
        plan.actions.iter().filter(|action| matches!(action, Action::CommitStart { .. })).collect();
    // Of four topics by `normalize` and of one each by `sql`, `statements` and `fold`.
    assert_eq!((created, registered, commits.len()), (built_in().topics.len(), SUBJECTS.len(), 7));
    assert_eq!(created + registered + commits.len(), plan.actions.len());
    assert!(matches!(plan.actions.first(), Some(Action::CreateTopic { .. })));
    assert_eq!(
        *commits[0],
        Action::CommitStart {
            group: "tributary.fold".into(),
            topic: "catalog.facts".into(),
            partitions: vec![0, 1, 2, 3]
        }
    );
    let facts = plan.actions.iter().find_map(|action| match action {
        Action::CreateTopic { topic, configs, .. } if topic == "catalog.facts" => Some(configs.clone()),
        _ => None,
    });
    let expected = [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", "8388608"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "604800000"),
    ];
    assert_eq!(facts.unwrap(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!(
        configs(built_in().topic("_schemas").unwrap(), Some(3)),
        [("cleanup.policy".to_owned(), "compact".to_owned())].into()
    );
}

#[test]
fn a_settled_cluster_needs_nothing() {
    assert_eq!(planned(&settled()), super::plan::Plan::default());
}

#[test]
fn our_topics_are_put_right_and_those_of_others_are_left_alone() {
    let mut actual = settled();
    for topic in ["catalog.jobs", "hms.notifications"] {
        let configs = &mut actual.topics.get_mut(topic).unwrap().configs;
        configs.insert("message.timestamp.type".into(), "CreateTime".into());
    }
    let plan = planned(&actual);
    let wanted: BTreeMap<String, String> = [("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())].into();
    assert_eq!(plan.actions, [Action::SetConfigs { topic: "catalog.jobs".into(), configs: wanted }]);
    assert_eq!(plan.notices.len(), 1);
    assert!(plan.notices[0].to_string().contains("message.timestamp.type is CreateTime, not LogAppendTime"));
}

#[test]
fn partitions_of_entity_topics_never_change() {
    let mut actual = settled();
    actual.topics.get_mut("catalog.jobs").unwrap().partitions = 6;
    let plan = planned(&actual);
    assert!(plan.actions.is_empty());
    assert_eq!(plan.refusals.len(), 1);
    assert!(plan.refusals[0].message.contains("kafka.partitions = 6"));

    let mut actual = settled();
    actual.topics.get_mut("_schemas").unwrap().partitions = 3;
    assert!(planned(&actual).refusals[0].message.contains("one order"));
}

#[test]
fn new_partitions_of_a_raw_topic_get_a_first_offset() {
    let mut actual = settled();
    actual.topics.get_mut("openlineage.events").unwrap().partitions = 6;
    let expected = Action::CommitStart {
        group: "tributary.normalize".into(),
        topic: "openlineage.events".into(),
        partitions: vec![4, 5],
    };
    assert_eq!(planned(&actual).actions, [expected]);
    actual.topics.get_mut("openlineage.events").unwrap().partitions = 2;
    assert!(planned(&actual).actions.is_empty(), "how many a raw topic has is its owner's choice");
}

#[test]
fn state_lies_in_as_many_partitions_as_the_raw_topic_that_its_stage_reads() {
    let with_logs = |partitions: u32| {
        let mut actual = settled();
        actual.topics.get_mut("warehouse.query-logs").unwrap().partitions = partitions;
        actual
    };
    let mut actual = with_logs(12);
    let plan = planned(&actual);
    let grown = Action::AddPartitions { topic: "tributary-sql-changelog".into(), from: 4, to: 12 };
    assert!(plan.actions.contains(&grown), "{plan:?}");
    actual.topics.remove("tributary-sql-changelog");
    let created = planned(&actual).actions.into_iter().find_map(|action| match action {
        Action::CreateTopic { topic, partitions, .. } => Some((topic, partitions)),
        _ => None,
    });
    assert_eq!(created, Some(("tributary-sql-changelog".to_owned(), 12)));
    let refused = planned(&with_logs(2)).refusals;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].to_string().contains("it has 4 partitions, its stage's input has 2"), "{}", refused[0]);
}

#[test]
fn replicated_topics_ask_for_two_in_sync() {
    let topology = built_in();
    let datasets = topology.topic("catalog.datasets").unwrap();
    assert_eq!(configs(datasets, Some(3))["min.insync.replicas"], "2");
    assert!(!configs(datasets, Some(1)).contains_key("min.insync.replicas"));
    assert_eq!(configs(datasets, None)["delete.retention.ms"], "604800000");
}

#[test]
fn pictures_hold_every_topic_and_stage() {
    let topology = built_in();
    let (dot, mermaid, json) =
        (draw(&topology, GraphFormat::Dot), draw(&topology, GraphFormat::Mermaid), draw(&topology, GraphFormat::Json));
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["topics"].as_array().unwrap().len(), topology.topics.len());
    for topic in &topology.topics {
        assert!(dot.contains(&format!("\"topic {}\" [", topic.name)), "{}", topic.name);
        assert!(
            mermaid.contains(&format!("(\"{}\")", topic.name)) || mermaid.contains(&format!("[\"{}\"]", topic.name))
        );
    }
    assert!(dot.starts_with("digraph") && dot.ends_with("}\n") && mermaid.starts_with("flowchart LR\n"));
    assert!(dot.contains("\"topic hms.notifications\" -> \"stage normalize\";"));
    assert!(dot.contains("\"topic catalog.datasets\" -> \"stage sql\" [style=dotted"));
    assert!(dot.contains("\"stage normalize\" -> \"topic hms.notifications.dlq\" [color"));
    assert!(dot.contains("\"stage fold\" -> \"topic catalog.facts\" [style=dashed"));
    assert!(
        mermaid.contains("t_catalog_facts --> s_fold\n")
            && mermaid.contains("s_fold -. feedback .-> t_catalog_facts\n")
    );
    // The stage "lineage" and the topic "catalog.lineage" are two things.
    assert!(mermaid.contains("t_catalog_lineage --> s_lineage\n"));
}
