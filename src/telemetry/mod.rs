//! Logs and metrics of the process, and the catalogue of metric names. Layer 0; knows nothing of what is measured.

mod logs;
pub mod names;
mod process;
mod recorder;
#[cfg(test)]
mod tests;

pub use logs::{Color, LogError, LogOptions, LogShape, start_logging};
pub use recorder::{Metrics, MetricsError};
