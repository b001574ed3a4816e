//! The graph as a picture: Graphviz, Mermaid, JSON. Pure.

use serde_json::{Value, json};

use super::load::{Role, StageKind, Topology};

/// Shape of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// Graphviz.
    Dot,
    /// Mermaid, as Markdown viewers draw it.
    Mermaid,
    /// JSON, for programs.
    Json,
}

/// An arrow between a topic and a stage.
struct Arrow<'a> {
    from: &'a str,
    to: &'a str,
    kind: ArrowKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ArrowKind {
    Flow,
    Feedback,
    DeadLetters,
    State,
    Table,
}

impl ArrowKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Feedback => "feedback",
            Self::DeadLetters => "dead letters",
            Self::State => "state",
            Self::Table => "table",
        }
    }
}

/// Draws the graph.
pub fn draw(topology: &Topology, format: GraphFormat) -> String {
    match format {
        GraphFormat::Dot => dot(topology),
        GraphFormat::Mermaid => mermaid(topology),
        GraphFormat::Json => format!("{:#}\n", as_json(topology)),
    }
}

fn arrows(topology: &Topology) -> Vec<Arrow<'_>> {
    let mut arrows = Vec::new();
    for stage in &topology.stages {
        for input in &stage.inputs {
            arrows.push(Arrow { from: input, to: &stage.name, kind: ArrowKind::Flow });
            if let Some(dead) = topology.dead_letters_of(input).filter(|_| stage.kind.produces()) {
                arrows.push(Arrow { from: &stage.name, to: &dead.name, kind: ArrowKind::DeadLetters });
            }
        }
        for table in &stage.tables {
            arrows.push(Arrow { from: table, to: &stage.name, kind: ArrowKind::Table });
        }
        for output in &stage.outputs {
            let kind = if stage.feedback.contains(output) { ArrowKind::Feedback } else { ArrowKind::Flow };
            arrows.push(Arrow { from: &stage.name, to: output, kind });
        }
        if let Some(changelog) = topology.changelog_of(&stage.name) {
            arrows.push(Arrow { from: &stage.name, to: &changelog.name, kind: ArrowKind::State });
        }
    }
    arrows
}

fn dot(topology: &Topology) -> String {
    let mut text = String::from("digraph tributary {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    for topic in &topology.topics {
        let style = match topic.role {
            Role::Raw => "shape=box, style=filled, fillcolor=\"#dbeafe\"",
            Role::DeadLetters => "shape=box, style=filled, fillcolor=\"#fee2e2\"",
            Role::Facts => "shape=box, style=filled, fillcolor=\"#e5e7eb\"",
            Role::Catalog => "shape=cylinder, style=filled, fillcolor=\"#dcfce7\"",
            Role::Events => "shape=box, style=filled, fillcolor=\"#dcfce7\"",
            Role::Changelog | Role::Ledger | Role::Registry => "shape=cylinder, style=filled, fillcolor=\"#e5e7eb\"",
        };
        let id = quoted(&format!("topic {}", topic.name));
        text.push_str(&format!("  {id} [label={}, {style}];\n", quoted(&topic.name)));
    }
    for stage in &topology.stages {
        let shape = if stage.kind.produces() { "ellipse" } else { "house" };
        let label = format!("{}\n{}", stage.name, stage.kind.as_str());
        text.push_str(&format!(
            "  {} [label={}, shape={shape}];\n",
            quoted(&format!("stage {}", stage.name)),
            quoted(&label)
        ));
    }
    for arrow in arrows(topology) {
        let style = match arrow.kind {
            ArrowKind::Flow => "",
            ArrowKind::Feedback => " [style=dashed, constraint=false]",
            ArrowKind::DeadLetters => " [color=\"#b91c1c\"]",
            ArrowKind::State => " [style=dotted, dir=both]",
            ArrowKind::Table => " [style=dotted, constraint=false]",
        };
        let (from, to) = ends(topology, &arrow);
        text.push_str(&format!("  {} -> {}{style};\n", quoted(&from), quoted(&to)));
    }
    text.push_str("}\n");
    text
}

fn ends(topology: &Topology, arrow: &Arrow<'_>) -> (String, String) {
    let kind =
        |name: &str| if topology.stage(name).is_some() { format!("stage {name}") } else { format!("topic {name}") };
    (kind(arrow.from), kind(arrow.to))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn mermaid(topology: &Topology) -> String {
    let mut text = String::from("flowchart LR\n");
    let id = |name: &str| -> String {
        let prefix = if topology.stage(name).is_some() { "s_" } else { "t_" };
        let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
        prefix.chars().chain(plain).collect()
    };
    let label = |name: &str| name.replace('"', "#quot;");
    for topic in &topology.topics {
        let (name, id) = (label(&topic.name), id(&topic.name));
        let line = match topic.role {
            Role::Catalog | Role::Changelog | Role::Ledger | Role::Registry => format!("  {id}[(\"{name}\")]\n"),
            Role::Raw | Role::DeadLetters | Role::Facts | Role::Events => format!("  {id}[\"{name}\"]\n"),
        };
        text.push_str(&line);
    }
    for stage in &topology.stages {
        let (name, id) = (label(&stage.name), id(&stage.name));
        let line = match stage.kind {
            StageKind::Transform | StageKind::Keyed => format!("  {id}([\"{name}\"])\n"),
            StageKind::Sink | StageKind::Follower => format!("  {id}[/\"{name}\"\\]\n"),
        };
        text.push_str(&line);
    }
    for arrow in arrows(topology) {
        let line = match arrow.kind {
            ArrowKind::Flow => "-->",
            ArrowKind::Feedback => "-. feedback .->",
            ArrowKind::DeadLetters => "-- dead letters -->",
            ArrowKind::State => "<-. state .->",
            ArrowKind::Table => "-. table .->",
        };
        text.push_str(&format!("  {} {line} {}\n", id(arrow.from), id(arrow.to)));
    }
    text
}

fn as_json(topology: &Topology) -> Value {
    let topics: Vec<Value> = topology
        .topics
        .iter()
        .map(|topic| {
            json!({
                "name": topic.name,
                "role": topic.role.as_str(),
                "of": topic.of,
                "partitions": topic.partitions,
                "configs": super::plan::configs(topic, None),
                "subject": topic.schema.then(|| format!("{}-value", topic.name)),
                "doc": topic.doc,
            })
        })
        .collect();
    let stages: Vec<Value> = topology
        .stages
        .iter()
        .map(|stage| json!({"name": stage.name, "kind": stage.kind.as_str(), "doc": stage.doc}))
        .collect();
    let arrows: Vec<Value> = arrows(topology)
        .iter()
        .map(|arrow| json!({"from": arrow.from, "to": arrow.to, "kind": arrow.kind.as_str()}))
        .collect();
    json!({"topics": topics, "stages": stages, "arrows": arrows})
}
