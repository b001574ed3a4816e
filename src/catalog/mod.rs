//! Views over the catalog's records. Layer 4; reads records only, knows no Kafka, SQL or HTTP.

pub mod export_hms;
