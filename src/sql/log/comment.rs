//! Who stands behind a query: what tools write into comments, tags and labels.

use std::borrow::Cow;

use super::event::NamedJob;
use super::read::Fields;

/// Comments looked at, at either end of a text, and bytes of one.
const COMMENTS: usize = 4;
const COMMENT_BYTES: usize = 8 * 1024;

/// What comments, tags or labels say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The job.
    pub job: Option<NamedJob>,
    /// The tool.
    pub application: Option<String>,
}

impl Found {
    /// What this one does not say is taken from `other`.
    fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.job.is_some() && self.application.is_some() {
            return self;
        }
        let other = other();
        Self { job: self.job.or(other.job), application: self.application.or(other.application) }
    }
}

/// What the comments at the beginning and at the end of a statement say.
pub(super) fn of_text(text: &str) -> Found {
    let mut found = Found::default();
    let mut rest = text.trim_start();
    for _ in 0..COMMENTS {
        let (comment, tail) = match (rest.strip_prefix("/*"), rest.strip_prefix("--")) {
            (Some(inner), _) => match inner.split_once("*/") {
                Some(parts) => parts,
                None => break,
            },
            (None, Some(inner)) => inner.split_once('\n').unwrap_or((inner, "")),
            (None, None) => break,
        };
        found = found.or(|| of_comment(comment));
        rest = tail.trim_start();
    }
    let mut rest = rest.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    for _ in 0..COMMENTS {
        let (head, comment) = match rest.strip_suffix("*/") {
            Some(inner) => match inner.rsplit_once("/*") {
                Some(parts) => parts,
                None => break,
            },
            None => {
                let (head, line) = rest.rsplit_once('\n').unwrap_or(("", rest));
                match line.trim_start().strip_prefix("--") {
                    Some(comment) => (head, comment),
                    None => break,
                }
            }
        };
        found = found.or(|| of_comment(comment));
        rest = head.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    }
    found
}

fn of_comment(comment: &str) -> Found {
    if comment.len() > COMMENT_BYTES {
        return Found::default();
    }
    let comment = comment.trim();
    if let Some(begin) = comment.find('{')
        && let Some(json) = comment.rfind('}').and_then(|end| comment.get(begin..=end))
    {
        let found = of_json(json);
        let before = comment.get(..begin).unwrap_or_default();
        return found.or(|| Found { job: None, application: tool_in(before) });
    }
    let pairs: Vec<(&str, Cow<'_, str>)> = comment.split(',').filter_map(pair).collect();
    if pairs.is_empty() {
        return Found { job: None, application: tool_in(comment) };
    }
    let of = |names: &[&str]| {
        let named = |name: &&str| pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        names.iter().find_map(named).map(|(_, value)| value.clone())
    };
    describe(of)
}

/// `key='value'`, the value percent-encoded: how SQL comments of database drivers are written.
fn pair(text: &str) -> Option<(&str, Cow<'_, str>)> {
    let (key, value) = text.trim().split_once('=')?;
    let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((key.trim(), decoded(value)))
}

fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a JSON object of a comment, tag or map of labels says.
pub(super) fn of_json(json: &str) -> Found {
    let Ok(fields) = Fields::parse(json) else { return Found::default() };
    let mut found = describe(|names| fields.text(names));
    if found.application.is_none() && fields.raw("tableau-query-origins").is_some() {
        found.application = Some("tableau".to_owned());
    }
    if found.application.is_none() && fields.raw("history_slug").is_some() {
        found.application = Some("looker".to_owned());
    }
    found
}

/// What named texts say; `of` gives the first of the names that is there.
pub(super) fn describe<'v>(of: impl Fn(&[&str]) -> Option<Cow<'v, str>>) -> Found {
    let application = of(&["app", "application", "tool"]).map(Cow::into_owned);
    // In labels the dots of a unique id are lost, and with them the id.
    let node = of(&["node_id", "unique_id", "dbt_unique_id"]).filter(|id| id.matches('.').count() >= 2);
    let dbt_run = of(&["invocation_id", "dbt_invocation_id"]).map(Cow::into_owned);
    if let Some(node) = node {
        let job = NamedJob { tool: "dbt".to_owned(), name: node.into_owned(), run: dbt_run };
        return Found { job: Some(job), application: application.or_else(|| Some("dbt".to_owned())) };
    }
    let dag = of(&["dag_id", "airflow_dag_id", "airflow-dag", "airflow_dag"]);
    let task = of(&["task_id", "airflow_task_id", "airflow-task", "airflow_task"]);
    if let (Some(dag), Some(task)) = (dag, task) {
        let run = of(&["run_id", "dag_run_id", "airflow_run_id", "airflow-run-id", "airflow_dag_run_id"]);
        let name = format!("{dag}.{task}");
        let job = NamedJob { tool: "airflow".to_owned(), name, run: run.map(Cow::into_owned) };
        return Found { job: Some(job), application: application.or_else(|| Some("airflow".to_owned())) };
    }
    Found { job: None, application: application.or_else(|| dbt_run.map(|_| "dbt".to_owned())) }
}

/// The tool that a comment without fields begins with.
fn tool_in(words: &str) -> Option<String> {
    let words = words.trim_start().to_ascii_lowercase();
    let tools = [
        ("looker query context", "looker"),
        ("hex query metadata", "hex"),
        ("metabase", "metabase"),
        ("superset", "superset"),
        ("tableau", "tableau"),
        ("redash", "redash"),
    ];
    tools.iter().find(|(begin, _)| words.starts_with(begin)).map(|(_, tool)| (*tool).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> (Option<String>, Option<String>) {
        let found = of_text(text);
        (found.job.map(|job| format!("{}:{}", job.tool, job.name)), found.application)
    }

    #[test]
    fn tools_sign_at_either_end() {
        let dbt = r#"/* {"app": "dbt", "dbt_version": "1.9", "node_id": "model.shop.orders"} */"#;
        let of_dbt = (Some("dbt:model.shop.orders".to_owned()), Some("dbt".to_owned()));
        assert_eq!(said(&format!("{dbt}\ncreate table t as select 1")), of_dbt);
        assert_eq!(said(&format!("create table t as select 1;\n{dbt};\n")), of_dbt);
        assert_eq!(said(r#"/* {"app": "dbt", "connection_name": "list"} */ select 1"#), (None, Some("dbt".to_owned())));
        let sqlcommenter = "select 1 /*dag_id='daily%20load',task_id='load',application='airflow'*/";
        assert_eq!(said(sqlcommenter), (Some("airflow:daily load.load".to_owned()), Some("airflow".to_owned())));
        let looker = r#"-- Looker Query Context '{"user_id":1,"history_slug":"x"}'"#;
        assert_eq!(said(&format!("{looker}\nSELECT 1")), (None, Some("looker".to_owned())));
        let hex = "SELECT 1\n-- Hex query metadata: {\"context\": \"SCHEDULED_RUN\"}";
        assert_eq!(said(hex), (None, Some("hex".to_owned())));
        assert_eq!(said("-- Metabase:: userID: 1\nSELECT 1"), (None, Some("metabase".to_owned())));
        let tableau = r#"/* {"tableau-query-origins": {"query-category": "Data"}} */ SELECT 1"#;
        assert_eq!(said(tableau), (None, Some("tableau".to_owned())));
    }

    #[test]
    fn other_comments_say_nothing() {
        for text in [
            "",
            "/*",
            "--",
            "*/",
            "/* a note */ select 1 -- {not json}",
            "select '/* {\"app\": \"dbt\"} */' from t",
            "select 1 /* {\"app\": 1",
            "/* x='%zz' */ select 1",
        ] {
            assert_eq!(said(text), (None, None), "{text}");
        }
    }
}
