//! Framed raw events, once resolved to our reader schemas, as the JSON that a plain sender would have sent.

use serde_json::{Map, Value};

use crate::codec::Limits;
use crate::codec::json::{Allowance, pointer};
use crate::model::reject::{ReasonCode, Rejection};

/// A raw topic that accepts framed Avro.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RawSubject {
    /// `hms.notifications`: the NotificationEvent envelope.
    HmsNotifications,
    /// `openlineage.events`: an event of OpenLineage.
    OpenLineageEvents,
}

impl RawSubject {
    /// The topic's name in our topology; its subject is `<topic>-value`.
    pub fn topic(self) -> &'static str {
        match self {
            Self::HmsNotifications => "hms.notifications",
            Self::OpenLineageEvents => "openlineage.events",
        }
    }

    pub(super) fn to_plain_json(self, resolved: Value, limits: Limits) -> Result<Vec<u8>, Rejection> {
        let Value::Object(mut fields) = resolved else {
            return Err(Rejection::new(ReasonCode::InvalidAvro, "", "the datum is no record"));
        };
        if self == Self::OpenLineageEvents {
            if let Some(Value::String(event)) = fields.remove("event") {
                return Ok(event.into_bytes());
            }
            open_event(&mut fields, &mut Allowance::new(limits))?;
        }
        // A null in the record means that the sender left the field out.
        fields.retain(|_, value| !value.is_null());
        serde_json::to_vec(&Value::Object(fields))
            .map_err(|error| Rejection::new(ReasonCode::InvalidAvro, "", error.to_string()))
    }
}

/// Replaces the facets' texts by the facets.
fn open_event(event: &mut Map<String, Value>, allowance: &mut Allowance) -> Result<(), Rejection> {
    for name in ["run", "job", "dataset"] {
        if let Some(Value::Object(part)) = event.get_mut(name) {
            open_facets(part, allowance).map_err(|fault| fault.within(&format!("/{name}")))?;
        }
    }
    let is_run = event.get("run").is_some_and(|run| !run.is_null());
    for name in ["inputs", "outputs"] {
        let Some(Value::Array(datasets)) = event.get_mut(name) else { continue };
        for (index, dataset) in datasets.iter_mut().enumerate() {
            if let Value::Object(dataset) = dataset {
                open_facets(dataset, allowance).map_err(|fault| fault.within(&format!("/{name}/{index}")))?;
            }
        }
        // A DatasetEvent has no inputs and no outputs at all.
        if datasets.is_empty() && !is_run {
            event.remove(name);
        }
    }
    Ok(())
}

fn open_facets(part: &mut Map<String, Value>, allowance: &mut Allowance) -> Result<(), Rejection> {
    for family in ["facets", "inputFacets", "outputFacets"] {
        let Some(Value::Object(facets)) = part.get_mut(family) else { continue };
        for (name, facet) in facets.iter_mut() {
            if let Value::String(text) = facet {
                let path = || format!("/{family}/{}", pointer(name));
                *facet = allowance.parse(text).map_err(|fault| fault.within(&path()))?;
            }
        }
        if facets.is_empty() && family != "facets" {
            part.remove(family);
        }
    }
    Ok(())
}
