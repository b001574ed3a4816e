//! OpenLineage's HTTP transport.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::AppState;
use crate::api::ingest::{self, EventProducer, OPENLINEAGE_TOPIC, ProduceError, Receipt};
use crate::api::problem::{ApiError, Problem, chain};
use crate::catalog::view::OriginView;

/// Most events in one batch.
const MAX_BATCH: usize = 10_000;

/// Events of a batch that wait for Kafka at the same time.
const IN_FLIGHT: usize = 128;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"status": "partial_success",
    "summary": {"received": 2, "successful": 1, "failed": 1, "retriable": 0, "non_retriable": 1},
    "failed_events": [{"index": 1, "reason": "an event must be a JSON object", "retriable": false}]}))]
pub(in crate::api) struct BatchResult {
    /// success, partial_success or failure.
    status: String,
    /// Counts.
    summary: BatchSummary,
    /// The events that were not taken.
    failed_events: Vec<FailedEvent>,
}

/// Counts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::api) struct BatchSummary {
    /// Events in the body.
    received: usize,
    /// Acknowledged by Kafka.
    successful: usize,
    /// Not taken.
    failed: usize,
    /// Of those, such as may succeed when sent again.
    retriable: usize,
    /// Of those, such as never will.
    non_retriable: usize,
}

/// An event that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(in crate::api) struct FailedEvent {
    /// Its place in the body, from 0.
    index: usize,
    /// Why.
    reason: String,
    /// Whether sending it again can help.
    retriable: bool,
}

/// Send an OpenLineage event.
///
/// The event goes to the topic as it is, and the answer comes after Kafka's acknowledgement. Its content is judged
/// later: an event that is not OpenLineage ends in the dead letters.
#[utoipa::path(post, path = "/api/v1/lineage", tag = "lineage",
    request_body(content = Object, content_type = "application/json",
        description = "A RunEvent, DatasetEvent or JobEvent; `content-encoding: gzip` is understood",
        example = json!({"eventType": "COMPLETE", "eventTime": "2026-01-05T10:00:00Z",
            "run": {"runId": "0190a7c2-54e4-7c3e-9a53-6a3f3f7a1c11"},
            "job": {"namespace": "spark-jobs", "name": "nightly.insert"}, "inputs": [], "outputs": [],
            "producer": "https://example.com/producer",
            "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"})),
    responses(
        (status = 201, body = OriginView, description = "Kafka acknowledged; where the record lies"),
        (status = 400, body = Problem, description = "Not a JSON object, or broken gzip"),
        (status = 413, body = Problem, description = "Over the size limit, before or after unpacking"),
        (status = 415, body = Problem, description = "Another content encoding than gzip"),
        (status = 503, body = Problem, description = "Kafka did not acknowledge; send it again"),
    )
)]
pub(in crate::api) async fn post_event(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: Request,
) -> Result<(StatusCode, Json<OriginView>), ApiError> {
    let body = body(&state, &headers, request).await?;
    let event: Value = serde_json::from_slice(&body).map_err(|error| not_json(&error))?;
    if !event.is_object() {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_event", NOT_AN_OBJECT));
    }
    let key = ingest::event_key(&event);
    let receipt = state.parts.producer.produce(OPENLINEAGE_TOPIC, key.as_deref(), &body).await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(origin(receipt))))
}

/// Send a batch of OpenLineage events.
///
/// Each event is taken or refused on its own. Sending taken events again does no harm: facts are folded once.
#[utoipa::path(post, path = "/api/v1/lineage/batch", tag = "lineage",
    request_body(content = Vec<Object>, content_type = "application/json",
        description = "An array of events; `content-encoding: gzip` is understood"),
    responses(
        (status = 200, body = BatchResult, description = "At least one event was taken, or the batch is empty"),
        (status = 400, body = Problem, description = "Not a JSON array, or no event of it can be taken"),
        (status = 413, body = Problem),
        (status = 415, body = Problem),
        (status = 503, body = Problem, description = "Kafka acknowledged none; send them again"),
    )
)]
pub(in crate::api) async fn post_batch(
    State(state): State<AppState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let body = body(&state, &headers, request).await?;
    // Raw values: an event reaches the topic byte by byte as it was sent.
    let events: Vec<&RawValue> = serde_json::from_slice(&body).map_err(|error| not_json(&error))?;
    if events.len() > MAX_BATCH {
        return Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "batch_too_large",
            format!("the batch has {} events; send at most {MAX_BATCH}", events.len()),
        ));
    }
    let mut summary = BatchSummary { received: events.len(), ..BatchSummary::default() };
    let mut failed_events = Vec::new();
    let producer = &*state.parts.producer;
    let mut outcomes = Vec::with_capacity(events.len());
    // Events of a chunk are handed over in their order before the first is awaited, so that the producer can batch.
    for chunk in events.chunks(IN_FLIGHT) {
        outcomes.extend(join_all(chunk.iter().map(|raw| deliver(producer, raw))).await);
    }
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(()) => summary.successful += 1,
            Err((reason, retriable)) => {
                summary.failed += 1;
                if retriable {
                    summary.retriable += 1;
                } else {
                    summary.non_retriable += 1;
                }
                failed_events.push(FailedEvent { index, reason, retriable });
            }
        }
    }
    if summary.successful == 0 && summary.failed > 0 {
        let (status, code, message) = if summary.retriable > 0 {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "kafka acknowledged no event of the batch; send it again")
        } else {
            (StatusCode::BAD_REQUEST, "invalid_event", "no event of the batch can be taken")
        };
        let details = serde_json::to_value(&failed_events).expect("failed events have plain fields");
        return Err(ApiError::new(status, code, message).with("failed_events", details));
    }
    let status = if summary.failed == 0 { "success" } else { "partial_success" };
    Ok(Json(BatchResult { status: status.to_owned(), summary, failed_events }).into_response())
}

/// Sends one event of a batch; the error tells why it was not taken and whether sending it again can help.
async fn deliver(producer: &dyn EventProducer, raw: &RawValue) -> Result<(), (String, bool)> {
    let event = serde_json::from_str::<Value>(raw.get()).ok().filter(Value::is_object);
    let Some(event) = event else {
        return Err((NOT_AN_OBJECT.to_owned(), false));
    };
    let key = ingest::event_key(&event);
    match producer.produce(OPENLINEAGE_TOPIC, key.as_deref(), raw.get().as_bytes()).await {
        Ok(_) => Ok(()),
        Err(ProduceError::Refused { reason }) => Err((reason, false)),
        Err(error @ ProduceError::Unavailable(_)) => {
            tracing::error!(error = %chain(&error), "an event of a batch was not acknowledged");
            Err((error.to_string(), true))
        }
    }
}

const NOT_AN_OBJECT: &str = "an event must be a JSON object";

/// Reads, limits and unpacks the body.
pub(super) async fn body(state: &AppState, headers: &HeaderMap, request: Request) -> Result<Vec<u8>, ApiError> {
    let limit = state.body_limit;
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| match &rejection {
        BytesRejection::FailedToBufferBody(reason) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            tracing::debug!(%reason, "a body is over the limit");
            ingest::too_large(limit)
        }
        other => ApiError::new(other.status(), "bad_request", "the body could not be read to its end"),
    })?;
    let headers = headers.clone();
    tokio::task::spawn_blocking(move || ingest::unpack(&headers, &body, limit))
        .await
        .unwrap_or_else(|_| Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "unpacking failed")))
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is not what it should be: {error}"))
        .with("line", error.line())
        .with("column", error.column())
}

fn failed(error: ProduceError) -> ApiError {
    match error {
        ProduceError::Refused { reason } => ApiError::new(StatusCode::BAD_REQUEST, "event_refused", reason),
        ProduceError::Unavailable(_) => {
            tracing::error!(error = %chain(&error), "an event was not acknowledged");
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "kafka did not acknowledge the event; send it again",
            )
        }
    }
}

fn origin(receipt: Receipt) -> OriginView {
    OriginView { topic: OPENLINEAGE_TOPIC.to_owned(), partition: receipt.partition, offset: receipt.offset }
}

/// All results in order, polled together.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(move |context| {
        let mut done = true;
        for (future, output) in &mut pending {
            if let Some(running) = future {
                match running.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => {
                        *output = Some(value);
                        *future = None;
                    }
                    std::task::Poll::Pending => done = false,
                }
            }
        }
        if !done {
            return std::task::Poll::Pending;
        }
        let outputs = std::mem::take(&mut pending).into_iter().filter_map(|(_, output)| output).collect();
        std::task::Poll::Ready(outputs)
    })
    .await
}
