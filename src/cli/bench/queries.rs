//! Seeded queries of a warehouse, in the common shape of query logs, over the tables of the same mix.
//!
//! What they are follows the recorded logs: of 100 queries 55 are dashboards' (one of a few texts per table, with other
//! literals each time), 25 are people's joins and aggregations, 15 are loads (`INSERT … SELECT`, `MERGE`), 4 build a table
//! anew and 1 fails. Tables, users and texts are used unevenly, as they are in life: a few of them by most. What fills a
//! table reads one of two others, so that lineage grows to an end, as it does where jobs run each day.

use serde_json::json;

use super::generator::{COLUMN_TYPES, RawEvent};
use crate::cli::draw::{Dice, draw};

/// People and services.
const USERS: u64 = 300;
/// Connections that are open at one time.
const SESSIONS: u64 = 1_000;

/// Query number `index` over tables `0..tables`, begun at `millis` since the epoch.
pub(super) fn query(index: u64, seed: u64, tables: u64, millis: i64) -> RawEvent {
    let mut dice = Dice::new(seed);
    let session = dice.below(SESSIONS);
    let user = uneven(&mut dice, USERS);
    let (text, status) = text(&mut dice, tables);
    let took = 5 + dice.below(4_000) as i64;
    let at = |millis| super::generator::timestamp(millis);
    let value = json!({
        "platform": "hive",
        "instance": "hive://load-hms:9083",
        "query_id": format!("load-{seed:016x}-{index}"),
        "session_id": format!("session-{session}"),
        "user": format!("user_{user:03}"),
        "application": if user.is_multiple_of(7) { "dashboards" } else { "cli" },
        "start": at(millis),
        "end": at(millis + took),
        "status": status,
        "error": (status == "failed").then_some("line 1:7: column 'amuont' cannot be resolved"),
        "dialect": "spark",
        "schemas": [database(session)],
        "rows_read": dice.below(1_000_000),
        "bytes_read": dice.below(1 << 30),
        "text": text,
    });
    let value = value.to_string().into_bytes();
    let key = crate::sql::log::key(&value).unwrap_or_default();
    RawEvent { topic: "warehouse.query-logs", key, value }
}

/// A number below `bound`; the smaller, the more often: half of all draws are among the first tenth or so.
fn uneven(dice: &mut Dice, bound: u64) -> u64 {
    let share = dice.below(1 << 20) as f64 / (1_u64 << 20) as f64;
    ((share * share * share * bound as f64) as u64).min(bound.saturating_sub(1))
}

fn database(table: u64) -> String {
    format!("load_{}", table % 20)
}

fn table(table: u64) -> String {
    format!("{}.t_{table:06}", database(table))
}

fn column(at: u64) -> &'static str {
    COLUMN_TYPES[(at % COLUMN_TYPES.len() as u64) as usize].0
}

fn text(dice: &mut Dice, tables: u64) -> (String, &'static str) {
    let (number, other) = (uneven(dice, tables), uneven(dice, tables));
    let (one, two) = (table(number), table(other));
    let source = table(draw(number, dice.below(2)) % tables);
    let (day, most, customer) = (1 + dice.below(28), 10 + dice.below(1_000), dice.below(1_000_000));
    let kind = dice.below(100);
    let text = match kind {
        0..55 => {
            // A dashboard's texts differ in what they ask for, and from one showing to the next in literals only.
            let shape = dice.below(6) + number;
            format!(
                "SELECT {a}, date_trunc('DAY', created_at) AS day, sum(amount) AS amount, count(*) AS n FROM {one} \
                 WHERE created_at >= TIMESTAMP '2026-01-{day:02} 00:00:00' AND {b} IS NOT NULL AND customer_id <> {customer} \
                 GROUP BY {a}, date_trunc('DAY', created_at) ORDER BY amount DESC LIMIT {most}",
                a = column(shape + 3),
                b = column(shape),
            )
        }
        55..80 => {
            let (a, b) = (column(dice.below(8)), column(dice.below(8)));
            format!(
                "WITH recent AS (SELECT id, customer_id, amount, currency, country FROM {one} WHERE amount > {most}), \
                 best AS (SELECT customer_id, max(amount) AS best FROM recent GROUP BY customer_id) \
                 SELECT r.country, o.{a}, o.{b} AS b, best.best, \
                 CASE WHEN r.amount > {customer} THEN 'large' ELSE 'small' END AS size, \
                 row_number() OVER (PARTITION BY r.country ORDER BY r.amount DESC) AS place \
                 FROM recent r JOIN {two} o ON o.id = r.id LEFT JOIN best ON best.customer_id = r.customer_id \
                 WHERE o.created_at BETWEEN DATE '2026-01-01' AND DATE '2026-02-{day:02}' AND r.currency IN ('EUR', 'USD')"
            )
        }
        80..90 => format!(
            "INSERT INTO {one} SELECT id, customer_id, amount * 1.{most}, upper(currency), created_at, country, payload, \
             ratio / {day} FROM {source} WHERE country = 'DE' AND created_at > TIMESTAMP '2026-01-{day:02} 00:00:00'"
        ),
        90..95 => format!(
            "MERGE INTO {one} t USING (SELECT id, amount, country FROM {source} WHERE amount > {most}) s ON t.id = s.id \
             WHEN MATCHED THEN UPDATE SET t.amount = s.amount, t.country = s.country \
             WHEN NOT MATCHED THEN INSERT (id, amount, country) VALUES (s.id, s.amount, s.country)"
        ),
        95..99 => format!(
            "CREATE OR REPLACE TABLE {}.summary_{} AS SELECT country, currency, sum(amount) AS amount, avg(ratio) AS ratio \
             FROM {one} WHERE id > {customer} GROUP BY country, currency",
            database(number),
            number % 50,
        ),
        _ => format!("SELECT amuont FROM {one} WHERE id = {customer}"),
    };
    (text, if kind == 99 { "failed" } else { "success" })
}
