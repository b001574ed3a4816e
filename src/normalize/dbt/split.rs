//! Files of dbt → records. Filled in below.
