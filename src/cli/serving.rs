//! What the listeners serve: the API over the catalog, metrics and health over the node.

use std::sync::Arc;

use super::context::Context;
use super::exit::{Because, Failure, Reason};
use crate::api::{
    self, ApiOptions, ApiParts, BearerToken, ComponentState, ComponentStatus, EventProducer, MetricsRenderer,
    ProduceError, ProduceFuture, Receipt, StatusSource,
};
use crate::catalog::Catalog;
use crate::kafka::{OutgoingRecord, Producer};
use crate::stage::TaskState;
use crate::topology::node::Node;

/// The tasks of a node as the components of readiness.
struct NodeStatus(Arc<Node>);

impl StatusSource for NodeStatus {
    fn components(&self) -> Vec<ComponentStatus> {
        let statuses = self.0.statuses().into_iter();
        let component = statuses.map(|status| match status.state {
            TaskState::Running => ComponentStatus::ready(status.task),
            TaskState::Starting => ComponentStatus::not_ready(status.task, ComponentState::Starting, "it is starting"),
            TaskState::Degraded(reason) => ComponentStatus::not_ready(status.task, ComponentState::Degraded, reason),
            TaskState::Stopped => ComponentStatus::not_ready(status.task, ComponentState::Failed, "it has stopped"),
            TaskState::Failed(reason) => ComponentStatus::not_ready(status.task, ComponentState::Failed, reason),
        });
        component.collect()
    }
}

/// Events from HTTP to Kafka.
struct KafkaEvents(Producer);

impl EventProducer for KafkaEvents {
    fn produce<'a>(&'a self, topic: &'a str, key: Option<&'a str>, value: &'a [u8]) -> ProduceFuture<'a> {
        let record = OutgoingRecord::new(topic, key.map(|key| key.as_bytes().to_vec()), Some(value.to_vec()));
        Box::pin(async move {
            // The queue takes the record at once unless Kafka has been away for long; then waiting here is the
            // back-pressure that the sender needs.
            let delivery = tokio::task::block_in_place(|| self.0.send(&record));
            let delivered = match delivery {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            };
            match delivered {
                Ok(delivered) => Ok(Receipt { partition: delivered.partition, offset: delivered.offset }),
                Err(error) if error.is_transient() => Err(ProduceError::Unavailable(error.into())),
                Err(error) => Err(ProduceError::Refused { reason: error.to_string() }),
            }
        })
    }
}

fn renderer() -> MetricsRenderer {
    super::metrics().map_or_else(|| Arc::new(String::new) as MetricsRenderer, |metrics| metrics.renderer())
}

/// The API of this process.
pub(super) fn api_router(
    context: &Context,
    catalog: &Arc<Catalog>,
    node: &Arc<Node>,
) -> Result<crate::api::Router, Failure> {
    let producer = Producer::new(&context.kafka).because(Reason::Unavailable)?;
    let parts = ApiParts {
        catalog: Arc::clone(catalog),
        producer: Arc::new(KafkaEvents(producer)),
        status: Arc::new(NodeStatus(Arc::clone(node))),
        metrics: renderer(),
    };
    let config = &context.config.api;
    let options = ApiOptions {
        body_limit: config.body_limit,
        time_limit: config.time_limit,
        token: config.token.clone().map(|token| Arc::new(BearerToken::new(token))),
    };
    Ok(api::router(parts, options))
}

/// A schema registry that has read its topic: it answers, whether or not Kafka is there at the moment.
struct RegistryStatus;

impl StatusSource for RegistryStatus {
    fn components(&self) -> Vec<ComponentStatus> {
        vec![ComponentStatus::ready("registry")]
    }
}

/// Metrics and health of a process that serves the schema registry alone.
pub(super) fn registry_admin_router() -> crate::api::Router {
    api::admin_router(Arc::new(RegistryStatus), renderer())
}

/// Metrics and health of a process with a single part, which says itself how it is.
pub(super) fn single_admin_router(status: Arc<dyn StatusSource>) -> crate::api::Router {
    api::admin_router(status, renderer())
}

/// Metrics and health of this process.
pub(super) fn admin_router(node: &Arc<Node>) -> crate::api::Router {
    api::admin_router(Arc::new(NodeStatus(Arc::clone(node))), renderer())
}
