//! Collects the process' metrics and renders them in Prometheus' text format.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::names::{Kind, METRICS, Unit};
use super::process;

/// How often observations are moved into their buckets when nobody scrapes; until then they cost memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why metrics cannot be collected.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The catalogue is wrong, or this process has a recorder already.
    #[error("cannot install the metrics recorder")]
    Install {
        /// The library's words.
        source: BuildError,
    },
    /// Another recorder is there.
    #[error("this process collects metrics already; install the recorder once, at the start")]
    Twice,
    /// No thread for the upkeep.
    #[error("cannot start the thread that tends the metrics")]
    Thread {
        /// The system's words.
        source: std::io::Error,
    },
}

/// The metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder for the whole process. Once.
    ///
    /// # Errors
    /// [`MetricsError::Twice`] if there is a recorder.
    pub fn install() -> Result<Self, MetricsError> {
        let recorder = recorder().map_err(|source| MetricsError::Install { source })?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Twice)?;
        describe();
        let upkeep = handle.clone();
        let tend = move || loop {
            thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        };
        thread::Builder::new()
            .name("metrics-upkeep".to_owned())
            .spawn(tend)
            .map_err(|source| MetricsError::Thread { source })?;
        Ok(Self { handle })
    }

    /// All metrics in Prometheus' text format, with those of the process as they are now.
    pub fn render(&self) -> String {
        process::record();
        self.handle.render()
    }

    /// [`Metrics::render`] as a function that can be handed on.
    pub fn renderer(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let metrics = self.clone();
        Arc::new(move || metrics.render())
    }
}

/// A recorder with the buckets of the catalogue.
pub(super) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Tells the current recorder the help texts and units of the catalogue.
pub(super) fn describe() {
    for metric in METRICS {
        let unit = match metric.unit {
            Unit::Count => metrics::Unit::Count,
            Unit::Seconds => metrics::Unit::Seconds,
            Unit::Bytes => metrics::Unit::Bytes,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}
