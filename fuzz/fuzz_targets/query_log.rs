//! Values of the topic of query logs, up to facts, with state between two records of one session.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tributary::codec::avro::Decoder;
use tributary::model::check::FactLimits;
use tributary::model::id::Identity;
use tributary::model::raw::Normalized;
use tributary::model::state::MemoryState;
use tributary::sql::log::{LogConfig, LogInstances, key};
use tributary::sql::processor::{ProcessError, ProcessorConfig, QueryProcessor};
use tributary::sql::{Options, Schemas};

static DECODER: LazyLock<Decoder> = LazyLock::new(tributary_fuzz::decoder);

fn config() -> ProcessorConfig {
    let instance = |platform: &str| (platform.to_owned(), LogInstances {
        instance: Some(format!("{platform}://server:1")),
        ..LogInstances::default()
    });
    let platforms: BTreeMap<String, LogInstances> =
        ["postgres", "redshift", "databricks", "hive", "snowflake", "common"].map(instance).into();
    ProcessorConfig {
        identity: Arc::new(Identity::default()),
        logs: LogConfig { platforms, ..LogConfig::default() },
        facts: FactLimits::default(),
        options: Options::default(),
        keep_literals: false,
    }
}

fuzz_target!(|value: &[u8]| {
    let mut processor = QueryProcessor::new(config());
    let (schemas, mut state) = (Schemas::default(), MemoryState::default());
    let record = tributary_fuzz::raw("warehouse.query-logs", value);
    let _ = key(value);
    for again in [false, true] {
        let normalized = processor.process(&record, &schemas, &mut state).map_err(|error| match error {
            ProcessError::Rejected(rejection) => rejection,
            ProcessError::State(error) => panic!("what was kept can be read: {error}"),
        });
        // A record that comes again says nothing new.
        assert!(!again || !matches!(normalized, Ok(Normalized::Facts(_))), "told twice");
        tributary_fuzz::check(&DECODER, normalized);
    }
});
