//! Pipe syntax.

use super::{Case, check};
use crate::sql::Dialect::*;

#[test]
fn lineage() {
    check(&[Case {
        dialect: BigQuery,
        catalog: "",
        sql: "FROM d.s |> JOIN d.u ON s.id = u.id |> SELECT s.a, u.b |> RENAME a AS aa",
        expected: &["d.s, d.u ->", "aa < d.s.a", "b < d.u.b"],
    }]);
}
