//! The envelope of an OpenLineage event: core fields typed and borrowed, facets left as raw JSON until someone asks.
//!
//! The core is strict: what the specification requires must be there, and a violation is named by its JSON pointer.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::codec::Limits;
use crate::model::check::{FactLimits, count_facets};
use crate::model::reject::{ReasonCode, Rejection};

/// A string that borrows from the input where it has no escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

/// An object; serde would also read a struct from an array of its fields.
#[derive(Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
    }
}

/// Facets by name, in the order of the event, each as raw JSON. JSON `null` counts as no facets.
#[derive(Clone, Debug, Default)]
pub(super) struct Facets<'a>(pub Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Facets<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FacetsVisitor;
        impl<'de> Visitor<'de> for FacetsVisitor {
            type Value = Facets<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of facets")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Facets::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut facets = Vec::new();
                while let Some(entry) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    facets.push(entry);
                }
                Ok(Facets(facets))
            }
        }
        deserializer.deserialize_any(FacetsVisitor)
    }
}

impl<'a> Facets<'a> {
    /// The facet called `name`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| &**key == name).map(|(_, raw)| *raw)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEvent<'a> {
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    event_type: Option<Text<'a>>,
    producer: Option<Text<'a>>,
    #[serde(rename = "schemaURL")]
    schema_url: Option<Text<'a>>,
    run: Option<Object<RawRun<'a>>>,
    job: Option<Object<RawJob<'a>>>,
    dataset: Option<Object<RawDataset<'a>>>,
    inputs: Option<Vec<Object<RawDataset<'a>>>>,
    outputs: Option<Vec<Object<RawDataset<'a>>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawRun<'a> {
    #[serde(borrow)]
    run_id: Option<Text<'a>>,
    #[serde(default)]
    facets: Facets<'a>,
}

#[derive(Debug, Deserialize)]
struct RawJob<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    name: Option<Text<'a>>,
    #[serde(default)]
    facets: Facets<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDataset<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    name: Option<Text<'a>>,
    #[serde(default)]
    facets: Facets<'a>,
    #[serde(default)]
    input_facets: Facets<'a>,
    #[serde(default)]
    output_facets: Facets<'a>,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Other,
    Start,
    Running,
    Complete,
    Abort,
    Fail,
}

impl State {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "START" => Self::Start,
            "RUNNING" => Self::Running,
            "COMPLETE" => Self::Complete,
            "ABORT" => Self::Abort,
            "FAIL" => Self::Fail,
            "OTHER" => Self::Other,
            _ => return None,
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Other => "OTHER",
            Self::Start => "START",
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETE",
            Self::Abort => "ABORT",
            Self::Fail => "FAIL",
        }
    }

    /// FAIL > ABORT > COMPLETE > RUNNING > START > OTHER, whatever the order of arrival.
    pub fn rank(self) -> i64 {
        self as i64 + 1
    }
}

/// An event whose core is valid.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// Microseconds since the epoch.
    pub time: i64,
    pub producer: Text<'a>,
    pub subject: Subject<'a>,
}

#[derive(Debug)]
pub(super) enum Subject<'a> {
    Run { run: Run<'a>, job: Job<'a>, inputs: Vec<Dataset<'a>>, outputs: Vec<Dataset<'a>> },
    Job { job: Job<'a>, inputs: Vec<Dataset<'a>>, outputs: Vec<Dataset<'a>> },
    Dataset(Dataset<'a>),
}

#[derive(Debug)]
pub(super) struct Run<'a> {
    /// Lower-case hyphenated UUID.
    pub id: String,
    pub state: State,
    pub facets: Facets<'a>,
}

#[derive(Debug)]
pub(super) struct Job<'a> {
    pub namespace: Text<'a>,
    pub name: Text<'a>,
    pub facets: Facets<'a>,
}

#[derive(Debug)]
pub(super) struct Dataset<'a> {
    pub namespace: Text<'a>,
    pub name: Text<'a>,
    /// Dataset facets, then input or output facets; their names do not overlap.
    pub facets: Facets<'a>,
    /// How many of them speak of the dataset itself, not of this run's use of it.
    pub own_facets: usize,
}

impl Event<'_> {
    /// Whether names and numbers of facets keep within the limits; ids are made of the names.
    pub fn check(&self, limits: &FactLimits) -> Result<(), Rejection> {
        let job = |job: &Job<'_>| {
            named(&job.namespace, &job.name, limits, "/job")?;
            count_facets(job.facets.0.len(), limits, "/job/facets")
        };
        let dataset = |dataset: &Dataset<'_>, path: &str| {
            named(&dataset.namespace, &dataset.name, limits, path)?;
            count_facets(dataset.facets.0.len(), limits, &format!("{path}/facets"))
        };
        let all = |datasets: &[Dataset<'_>], field: &str| {
            let mut numbered = datasets.iter().enumerate();
            numbered.try_for_each(|(index, one)| dataset(one, &format!("/{field}/{index}")))
        };
        match &self.subject {
            Subject::Run { run, job: of, inputs, outputs } => {
                count_facets(run.facets.0.len(), limits, "/run/facets")?;
                job(of)?;
                all(inputs, "inputs")?;
                all(outputs, "outputs")
            }
            Subject::Job { job: of, inputs, outputs } => {
                job(of)?;
                all(inputs, "inputs")?;
                all(outputs, "outputs")
            }
            Subject::Dataset(of) => dataset(of, "/dataset"),
        }
    }
}

fn named(namespace: &str, name: &str, limits: &FactLimits, path: &str) -> Result<(), Rejection> {
    for (text, field) in [(namespace, "namespace"), (name, "name")] {
        if text.len() > limits.name_bytes {
            let message = format!("{} bytes, the limit (limits.name_bytes) is {}", text.len(), limits.name_bytes);
            return Err(Rejection::new(ReasonCode::LimitExceeded, format!("{path}/{field}"), message));
        }
    }
    Ok(())
}

/// Decodes an event and checks its core. `limits` are for finding out what is wrong with one.
pub(super) fn decode(json: &str, limits: Limits) -> Result<Event<'_>, Rejection> {
    let Object(raw): Object<RawEvent<'_>> =
        serde_json::from_str(json).map_err(|error| diagnose(json, &error, limits))?;
    let time = required(raw.event_time, "/eventTime")?;
    let time = crate::codec::time::parse_micros(&time).ok_or_else(|| {
        invalid("/eventTime", format!("{:?} is no ISO 8601 date-time such as 2026-01-31T12:00:00Z", shorten(&time)))
    })?;
    let producer = required(raw.producer, "/producer")?;
    let schema_url = required(raw.schema_url, "/schemaURL")?;
    let is_run = raw.event_type.is_some() || schema_url.ends_with("/RunEvent");
    let state = match &raw.event_type {
        None => State::Other,
        Some(text) => State::parse(text).ok_or_else(|| {
            let message = format!("{:?} is none of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER", shorten(text));
            invalid("/eventType", message)
        })?,
    };
    let subject = match (raw.run.map(|run| run.0), raw.job.map(|job| job.0), raw.dataset.map(|dataset| dataset.0)) {
        (Some(run), job, _) => {
            let run = checked_run(run, state)?;
            let job = checked_job(required(job, "/job")?)?;
            Subject::Run {
                run,
                job,
                inputs: datasets(raw.inputs, "inputs")?,
                outputs: datasets(raw.outputs, "outputs")?,
            }
        }
        (None, _, None) if is_run => return Err(missing("/run")),
        (None, Some(job), None) => {
            let job = checked_job(job)?;
            Subject::Job { job, inputs: datasets(raw.inputs, "inputs")?, outputs: datasets(raw.outputs, "outputs")? }
        }
        (None, None, Some(dataset)) => Subject::Dataset(checked_dataset(dataset, || "/dataset".to_owned())?),
        (None, Some(_), Some(_)) => {
            return Err(invalid("/dataset", "an event has either a job or a dataset, not both".to_owned()));
        }
        (None, None, None) => return Err(missing("/run")),
    };
    Ok(Event { time, producer, subject })
}

fn checked_run(run: RawRun<'_>, state: State) -> Result<Run<'_>, Rejection> {
    let id = required(run.run_id, "/run/runId")?;
    let is_hyphenated = id.len() == 36;
    let uuid = uuid::Uuid::parse_str(&id).ok().filter(|_| is_hyphenated);
    let uuid = uuid.ok_or_else(|| invalid("/run/runId", format!("{:?} is no UUID", shorten(&id))))?;
    Ok(Run { id: uuid.hyphenated().to_string(), state, facets: run.facets })
}

fn checked_job<'a>(job: RawJob<'a>) -> Result<Job<'a>, Rejection> {
    // A job is known by nothing else.
    let said = |text: Option<Text<'a>>, path| required(text.filter(|text| !text.is_empty()), path);
    let namespace = said(job.namespace, "/job/namespace")?;
    Ok(Job { namespace, name: said(job.name, "/job/name")?, facets: job.facets })
}

fn datasets<'a>(raw: Option<Vec<Object<RawDataset<'a>>>>, field: &str) -> Result<Vec<Dataset<'a>>, Rejection> {
    let checked =
        |(index, Object(dataset)): (usize, Object<_>)| checked_dataset(dataset, || format!("/{field}/{index}"));
    raw.unwrap_or_default().into_iter().enumerate().map(checked).collect()
}

fn checked_dataset(raw: RawDataset<'_>, path: impl Fn() -> String) -> Result<Dataset<'_>, Rejection> {
    let namespace = raw.namespace.ok_or_else(|| missing(&format!("{}/namespace", path())))?;
    let name = raw.name.ok_or_else(|| missing(&format!("{}/name", path())))?;
    let mut facets = raw.facets;
    facets.0.retain(|(_, raw)| raw.get() != "null");
    let own_facets = facets.0.len();
    facets.0.extend(raw.input_facets.0.into_iter().chain(raw.output_facets.0).filter(|(_, raw)| raw.get() != "null"));
    Ok(Dataset { namespace, name, facets, own_facets })
}

fn required<T>(value: Option<T>, path: &str) -> Result<T, Rejection> {
    value.ok_or_else(|| missing(path))
}

fn missing(path: &str) -> Rejection {
    Rejection::new(ReasonCode::MissingField, path, "the specification requires this field")
}

fn invalid(path: &str, message: String) -> Rejection {
    Rejection::new(ReasonCode::InvalidField, path, message)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Finds where the core has the wrong shape. Only runs for events that are rejected anyway, so it may be slow.
fn diagnose(json: &str, error: &serde_json::Error, limits: Limits) -> Rejection {
    let unreadable = || Rejection::new(ReasonCode::InvalidJson, "", format!("not JSON: {error}"));
    let event = match crate::codec::json::parse(json, limits) {
        Ok(Value::Object(event)) => event,
        Ok(_) => return Rejection::new(ReasonCode::InvalidJson, "", "an event is a JSON object"),
        // What a facet may hold and a value cannot is not what is wrong.
        Err(fault) if is_in_facet(&fault.path) && serde_json::from_str::<IgnoredAny>(json).is_ok() => {
            return unreadable();
        }
        Err(fault) => return fault,
    };
    wrong_shape(&event).map_or_else(unreadable, |(path, expected)| {
        Rejection::new(ReasonCode::InvalidField, path, format!("must be {expected}"))
    })
}

fn is_in_facet(path: &str) -> bool {
    path.split('/').any(|step| matches!(step, "facets" | "inputFacets" | "outputFacets"))
}

fn wrong_shape(event: &serde_json::Map<String, Value>) -> Option<(String, &'static str)> {
    for field in ["eventTime", "eventType", "producer", "schemaURL"] {
        if event.get(field).is_some_and(|value| !value.is_null() && !value.is_string()) {
            return Some((format!("/{field}"), "a string"));
        }
    }
    let parts: [(&str, &[&str]); 3] =
        [("run", &["runId"]), ("job", &["namespace", "name"]), ("dataset", &["namespace", "name"])];
    for (field, texts) in parts {
        if let Some(found) = event.get(field).and_then(|value| wrong_object(value, &format!("/{field}"), texts)) {
            return Some(found);
        }
    }
    for field in ["inputs", "outputs"] {
        let Some(value) = event.get(field).filter(|value| !value.is_null()) else { continue };
        let Some(datasets) = value.as_array() else { return Some((format!("/{field}"), "an array")) };
        for (index, dataset) in datasets.iter().enumerate() {
            let path = format!("/{field}/{index}");
            if dataset.is_null() {
                return Some((path, "an object"));
            }
            if let Some(found) = wrong_object(dataset, &path, &["namespace", "name"]) {
                return Some(found);
            }
        }
    }
    None
}

fn wrong_object(value: &Value, path: &str, texts: &[&str]) -> Option<(String, &'static str)> {
    if value.is_null() {
        return None;
    }
    let Some(object) = value.as_object() else { return Some((path.to_owned(), "an object")) };
    let wrong_text = texts.iter().find(|&&field| object.get(field).is_some_and(|v| !v.is_null() && !v.is_string()));
    if let Some(field) = wrong_text {
        return Some((format!("{path}/{field}"), "a string"));
    }
    let is_wrong = |field: &&&str| object.get(**field).is_some_and(|v| !v.is_null() && !v.is_object());
    let wrong_facets = ["facets", "inputFacets", "outputFacets"].iter().find(is_wrong);
    wrong_facets.map(|field| (format!("{path}/{field}"), "an object"))
}
