//! Kafka: the only module that knows `rdkafka`. Layer 2.
//!
//! Job: typed configuration that cannot break exactly-once, records, administration, producers (plain and
//! transactional), a reader of whole logs and the group consumer of the stage runtime. It knows nothing of stages,
//! catalogs or schemas. **Every call blocks**; asynchronous callers use `tokio::task::spawn_blocking` or a thread.

mod admin;
mod aside;
mod config;
mod consumer;
mod coverage;
mod error;
mod follower;
mod offsets;
mod partition_follower;
mod partitioner;
mod producer;
mod reader;
mod record;
mod topic_id;
mod transaction;
mod watch;

pub use admin::{Admin, Committed, ConfigValue, Created, GroupMember, GroupState, TopicInfo, TopicSpec, Watermarks};
pub use aside::wait_closed;
pub use config::{ConfigError, Isolation, KafkaConfig};
pub use consumer::{ConsumerEvent, GroupConsumer, GroupMetadata, GroupOptions, Ownership, RebalanceHandler};
pub use error::{Class, KafkaError};
pub use follower::Follower;
pub use partition_follower::PartitionFollower;
pub use partitioner::{murmur2, partition_for};
pub use producer::{Delivered, Delivery, Producer};
pub use reader::{LogReader, PartitionReader, ReadProgress};
pub use record::{Header, Headers, OutgoingRecord, Record, TopicPartition};
pub use topic_id::{TopicId, topic_ids};
pub use transaction::{CommitError, TransactionalProducer};
