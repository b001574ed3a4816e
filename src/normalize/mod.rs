//! Raw records of each source → facts. One module per source; pure; may not know the fold or any other record.

pub mod airflow;
pub mod dbt;
pub mod hms;
pub mod openlineage;
