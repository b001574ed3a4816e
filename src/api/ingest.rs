//! OpenLineage's HTTP transport: what a request body must be, under which key its events go to the topic, and the
//! port to whoever writes to Kafka. Does not judge events: `normalize` does, and dead-letters what is wrong.

use std::future::Future;
use std::io::Read;
use std::pin::Pin;

use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::problem::ApiError;

/// Topic of OpenLineage events.
pub const OPENLINEAGE_TOPIC: &str = "openlineage.events";

/// Where a produced record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// It never will be: over the topic's size limit, for example.
    #[error("the event was refused: {reason}")]
    Refused {
        /// Why, for the client.
        reason: String,
    },
    /// Kafka did not acknowledge it; the client shall send it again.
    #[error("kafka did not acknowledge the event")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The future of [`EventProducer::produce`].
pub type ProduceFuture<'a> = Pin<Box<dyn Future<Output = Result<Receipt, ProduceError>> + Send + 'a>>;

/// Writes events to Kafka. Resolves only after the acknowledgement of all in-sync replicas.
pub trait EventProducer: Send + Sync {
    /// Writes one record; without a key the partition is the producer's choice.
    fn produce<'a>(&'a self, topic: &'a str, key: Option<&'a str>, value: &'a [u8]) -> ProduceFuture<'a>;
}

/// The body, unpacked if it is gzip, at most `limit` bytes after unpacking.
pub(super) fn unpack(headers: &HeaderMap, body: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str());
    let encoding = encoding.unwrap_or("?").trim().to_ascii_lowercase();
    match encoding.as_str() {
        "identity" | "" if body.len() > limit => Err(too_large(limit)),
        "identity" | "" => Ok(body.to_vec()),
        "gzip" | "x-gzip" => {
            let mut unpacked = Vec::new();
            let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
            MultiGzDecoder::new(body).take(one_more).read_to_end(&mut unpacked).map_err(|error| {
                ApiError::new(StatusCode::BAD_REQUEST, "invalid_compression", format!("the body is not gzip: {error}"))
            })?;
            if unpacked.len() > limit { Err(too_large(limit)) } else { Ok(unpacked) }
        }
        other => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            format!("content-encoding '{other}' is not supported; send gzip or no encoding"),
        )),
    }
}

/// The problem for a body over the limit.
pub(super) fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the body is over the limit of {limit} bytes (after unpacking)"),
    )
    .with("limit_bytes", limit)
}

/// The record key that OpenLineage's own Kafka transport gives the event: runs of one tree of jobs share a partition.
///
/// `run:` + root job, else parent job, else own job; `job:` and `dataset:` for events without a run.
/// `None` where the names are missing; such an event ends in the dead letters anyway.
pub fn event_key(event: &Value) -> Option<String> {
    let named = |pointer: &str| {
        let node = event.pointer(pointer)?;
        let namespace = node.get("namespace")?.as_str()?;
        let name = node.get("name")?.as_str()?;
        (!namespace.is_empty() && !name.is_empty()).then(|| format!("{namespace}/{name}"))
    };
    if event.get("run").is_some() {
        return named("/run/facets/parent/root/job")
            .or_else(|| named("/run/facets/parent/job"))
            .or_else(|| named("/job"))
            .map(|name| format!("run:{name}"));
    }
    if let Some(name) = named("/dataset") {
        return Some(format!("dataset:{name}"));
    }
    named("/job").map(|name| format!("job:{name}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn encoded(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[test]
    fn the_key_is_the_outermost_job() {
        let job = json!({"namespace": "spark", "name": "app.insert"});
        let parent = json!({"job": {"namespace": "spark", "name": "app"}, "run": {}});
        let mut rooted = parent.clone();
        rooted["root"] = json!({"job": {"namespace": "airflow", "name": "dag"}, "run": {}});
        let mut broken_root = parent.clone();
        broken_root["root"] = json!({"job": {"namespace": "airflow", "name": ""}});
        let cases = [
            (json!({"run": {"runId": "x"}, "job": job}), Some("run:spark/app.insert")),
            (json!({"run": {"facets": {"parent": parent}}, "job": job}), Some("run:spark/app")),
            (json!({"run": {"facets": {"parent": rooted}}, "job": job}), Some("run:airflow/dag")),
            (json!({"run": {"facets": {"parent": broken_root}}, "job": job}), Some("run:spark/app")),
            (json!({"job": job}), Some("job:spark/app.insert")),
            (json!({"dataset": {"namespace": "s3://b", "name": "k"}}), Some("dataset:s3://b/k")),
            (json!({"run": {}, "job": {"namespace": 1}}), None),
            (json!({}), None),
        ];
        for (event, key) in cases {
            assert_eq!(event_key(&event).as_deref(), key, "{event}");
        }
    }

    #[test]
    fn a_small_packed_body_cannot_become_a_large_one() {
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 4096);
        let error = unpack(&encoded("gzip"), &bomb, 4096).unwrap_err();
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(unpack(&encoded("gzip"), &bomb, 1 << 20).unwrap().len(), 1 << 20);
    }

    #[test]
    fn other_encodings_and_broken_streams_are_refused() {
        let truncated = gzip(b"{\"a\": 1}");
        let truncated = &truncated[..truncated.len() - 4];
        assert_eq!(unpack(&encoded("gzip"), truncated, 99).unwrap_err().status(), StatusCode::BAD_REQUEST);
        assert_eq!(unpack(&encoded("br"), b"{}", 99).unwrap_err().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(unpack(&HeaderMap::new(), b"{}", 99).unwrap(), b"{}");
    }
}
