//! Events to facts, each expectation written by hand.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{HmsNormalizer, HmsSourceConfig};
use crate::model::fact::{Aspect, Completeness, Entry, Fact, Origin, Statement};
use crate::model::id::Identity;
use crate::model::raw::{Normalized, RawRecord};
use crate::model::reject::{ReasonCode, Rejection};

const SD: &str = r#"{"1":{"lst":["rec",1,{"1":{"str":"Id"},"2":{"str":"int"},"3":{"str":"key"}}]},"2":{"str":"LOCATION"},"3":{"str":"org.apache.hadoop.hive.ql.io.orc.OrcInputFormat"}}"#;

fn table(name: &str, location: &str, parameters: &str) -> String {
    let sd = SD.replace("LOCATION", location);
    format!(
        r#"{{"1":{{"str":"{name}"}},"2":{{"str":"D"}},"3":{{"str":"bob"}},"7":{{"rec":{sd}}},"8":{{"lst":["rec",1,{{"1":{{"str":"dt"}},"2":{{"str":"date"}}}}]}},"9":{{"map":["str","str",{parameters}]}},"12":{{"str":"MANAGED_TABLE"}}}}"#
    )
}

fn event(kind: &str, message: Value) -> Value {
    let mut message = message;
    message["server"] = json!("thrift://h:1");
    json!({ "eventId": 5, "eventTime": 100, "eventType": kind, "catName": "hive", "message": message.to_string() })
}

fn run(config: HmsSourceConfig, key: Option<&[u8]>, value: Option<&Value>) -> Result<Normalized, Rejection> {
    let text = value.map(Value::to_string);
    let origin = Origin { topic: "t".to_owned(), partition: 1, offset: 7 };
    let record = RawRecord { origin, timestamp_ms: Some(50), key, value: text.as_deref().map(str::as_bytes) };
    HmsNormalizer::new(config).unwrap().normalize(&record)
}

#[track_caller]
fn facts(value: &Value) -> Vec<Fact> {
    match run(HmsSourceConfig::default(), None, Some(value)).unwrap() {
        Normalized::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn entries(fact: &Fact) -> Value {
    fact.entries
        .iter()
        .map(|entry: &Entry| json!([entry.aspect, entry.sub_key, entry.value]))
        .collect::<Vec<_>>()
        .into()
}

#[test]
fn create_table_gives_the_table_and_its_location() {
    let object = table("T", "s3a://b/x/T", r#"2,{"comment":"hello","numRows":"4"}"#);
    let facts = facts(&event("CREATE_TABLE", json!({ "tableObjJson": object })));
    assert_eq!(facts.len(), 2);
    let fact = &facts[0];
    assert_eq!(fact.entity.as_str(), "hive://h:1/d/t");
    assert_eq!(fact.source.as_str(), "hms/hive://h:1");
    assert_eq!((fact.version.epoch, fact.version.time, fact.version.seq), (0, 100_000_000, 5));
    let columns = json!([
        { "name": "id", "data_type": "int", "description": "key" },
        { "name": "dt", "data_type": "date", "partition_key": true },
    ]);
    let native = json!({
        "tableName": "t", "dbName": "d", "catName": "hive", "owner": "bob", "tableType": "MANAGED_TABLE",
        "rewriteEnabled": 0, "partitionKeys": [{ "name": "dt", "type": "date" }],
        "sd": {
            "cols": [{ "name": "id", "type": "int", "comment": "key" }], "location": "s3a://b/x/T",
            "inputFormat": "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat", "bucketCols": [], "sortCols": [],
            "parameters": {}, "storedAsSubDirectories": 0,
            "skewedInfo": { "skewedColNames": [], "skewedColValues": [], "skewedColValueLocationMaps": {} },
        },
    });
    let format = json!({ "name": "orc", "table_format": "hive",
        "detail": "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat" });
    let expected = json!([
        ["existence", "", { "existence": {
            "state": "confirmed", "evidence": "owner", "floor": true, "scope": "hive://h:1/@tables",
        } }],
        ["name", "hive://h:1|d.t", { "name": { "namespace": "hive://h:1", "name": "d.t" } }],
        ["dataset_kind", "", { "dataset_kind": "table" }],
        ["columns", "", { "columns": { "completeness": "complete", "columns": columns } }],
        ["format", "", { "format": format }],
        ["native", "", { "native": native }],
        ["description", "", { "description": "hello" }],
        ["owners", "", { "owners": [{ "name": "bob", "role": "TECHNICAL" }] }],
        ["location", "", { "location": "s3a://b/x/T" }],
        ["stats", "", { "stats": { "rows": 4 } }],
        ["properties", "", { "properties": { "comment": "hello", "numRows": "4" } }],
    ]);
    assert_eq!(entries(fact), expected);
    assert_eq!(facts[1].entity.as_str(), "s3://b/x/T");
    let alias =
        json!([["alias_of", "hive://h:1/d/t", { "alias_of": { "kind": "location", "valid_from": 100_000_000 } }]]);
    assert_eq!(entries(&facts[1]), alias);
}

#[test]
fn rename_speaks_of_both_names_and_of_the_move() {
    let message = json!({
        "table": "t", "tableObjBeforeJson": table("t", "s3://b/t", "0,{}"),
        "tableObjAfterJson": table("u", "s3://b/u", "0,{}"),
    });
    let facts = facts(&event("ALTER_TABLE", message));
    let ids: Vec<&str> = facts.iter().map(|fact| fact.entity.as_str()).collect();
    assert_eq!(ids, ["hive://h:1/d/u", "s3://b/u", "hive://h:1/d/t"]);
    let expected = json!([
        ["renamed_to", "", { "renamed_to": "hive://h:1/d/u" }],
        ["location_moved", "", { "location_moved": { "from": "s3://b/t", "to": "s3://b/u" } }],
    ]);
    assert_eq!(entries(&facts[2]), expected);
    assert!(
        facts[0].entries.contains(&Entry::retract(Aspect::Description, "")),
        "what is not said any more is taken back"
    );
}

#[test]
fn a_location_the_client_chose_moves_nothing() {
    let message = json!({
        "tableObjBeforeJson": table("t", "s3://b/t", "0,{}"), "tableObjAfterJson": table("u", "s3://c/other", "0,{}"),
    });
    let facts = facts(&event("ALTER_TABLE", message));
    assert_eq!(entries(&facts[2]), json!([["renamed_to", "", { "renamed_to": "hive://h:1/d/u" }]]));
}

#[test]
fn alter_without_new_location_is_one_fact() {
    let object = table("t", "s3://b/t", "0,{}");
    let message = json!({ "tableObjBeforeJson": object, "tableObjAfterJson": object });
    assert_eq!(facts(&event("ALTER_TABLE", message)).len(), 1);
}

#[test]
fn a_renamed_partition_leaves_its_old_name() {
    let partition = |value: &str| format!(r#"{{"1":{{"lst":["str",1,"{value}"]}},"4":{{"i32":3}}}}"#);
    let message = json!({ "tableObjJson": table("t", "s3://b/t", "0,{}"), "partitionObjBeforeJson": partition("a/b"),
        "partitionObjAfterJson": partition("c") });
    let facts = facts(&event("ALTER_PARTITION", message));
    let value = json!({ "values": ["c"], "location": null, "properties": {}, "native": { "createTime": 3 } });
    let expected = json!([
        ["partition", "dt=a%252Fb", null],
        ["partition", "dt=c", { "partition": value }],
    ]);
    assert_eq!(entries(&facts[0]), expected);
}

#[test]
fn delta_stand_in_columns_are_no_schema() {
    let completeness = |parameters: &str| {
        let object = table("t", "s3://b/t", parameters)
            .replace("\"Id\"", "\"col\"")
            .replace("\"int\"", "\"array<string>\"")
            .replace(r#""8":{"lst":["rec",1,{"1":{"str":"dt"},"2":{"str":"date"}}]},"#, "");
        let facts = facts(&event("CREATE_TABLE", json!({ "tableObjJson": object })));
        let columns = facts[0].entries.iter().find_map(|entry| match &entry.value {
            Some(Statement::Columns(columns)) => Some(columns.clone()),
            _ => None,
        });
        let columns = columns.unwrap();
        (columns.completeness, columns.columns.into_iter().map(|column| column.name).collect::<Vec<_>>())
    };
    let provider = r#"1,{"spark.sql.sources.provider":"delta"}"#;
    assert_eq!(completeness(provider), (Completeness::Placeholder, vec!["col".to_owned()]));
    let schema = r#"2,{"spark.sql.sources.provider":"delta","spark.sql.sources.schema":"{\"type\":\"struct\",\"fields\":[{\"name\":\"A\",\"type\":\"long\"}]}"}"#;
    assert_eq!(completeness(schema), (Completeness::Complete, vec!["A".to_owned()]));
}

#[test]
fn a_metastore_must_be_known() {
    let mut value = event("DROP_FUNCTION", json!({ "db": "d", "functionName": "f" }));
    value["message"] = json!(r#"{"server":"","db":"d","functionName":"F"}"#);
    let rejection = run(HmsSourceConfig::default(), None, Some(&value)).unwrap_err();
    assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::UnknownInstance, "/message/server"));
    let config = HmsSourceConfig { instance: Some("hive://m:1".to_owned()), epoch: 2, ..HmsSourceConfig::default() };
    let Normalized::Facts(facts) = run(config, None, Some(&value)).unwrap() else { panic!("no facts") };
    assert_eq!(facts[0].entity.as_str(), "hive://m:1/d/functions/f");
    assert_eq!(facts[0].version.epoch, 2);
    assert_eq!(run(HmsSourceConfig::default(), None, None).unwrap_err().code, ReasonCode::EmptyValue);
}

/// One metastore under several names, tables on a cluster under several names: all have the ids of the configuration.
#[test]
fn other_names_of_metastores_and_clusters_are_known() {
    let configured = r#"
        [[instances]]
        id = "hive://metastore:9083"
        names = ["thrift://h:1", "prod"]
        [[instances]]
        id = "hdfs://cluster"
        names = ["hdfs://nn1:8020"]
    "#;
    let identity = Arc::new(Identity::new(toml::from_str(configured).unwrap()).unwrap());
    let object = table("T", "hdfs://nn1:8020/w/t", "0,{}");
    let created = event("CREATE_TABLE", json!({ "tableObjJson": object }));
    for instance in [None, Some("prod".to_owned()), Some("hive://h:1".to_owned())] {
        let config = HmsSourceConfig { instance, identity: Arc::clone(&identity), ..HmsSourceConfig::default() };
        let Normalized::Facts(facts) = run(config, None, Some(&created)).unwrap() else { panic!("no facts") };
        let ids: Vec<&str> = facts.iter().map(|fact| fact.entity.as_str()).collect();
        assert_eq!(ids, ["hive://metastore:9083/d/t", "hdfs://cluster/w/t"]);
        assert_eq!(facts[0].source.as_str(), "hms/hive://metastore:9083");
    }
}

#[test]
fn the_listeners_time_is_its_key_else_the_brokers() {
    let table = json!({ "tableName": "t", "dbName": "d", "sd": { "cols": [] } });
    let value = json!({ "eventType": "ON_DROP_TABLE", "status": true, "table": table });
    let version = |key: Option<&[u8]>| {
        let config = HmsSourceConfig { instance: Some("hive://m:1".to_owned()), ..HmsSourceConfig::default() };
        let Normalized::Facts(facts) = run(config, key, Some(&value)).unwrap() else { panic!("no facts") };
        (facts[0].version.time, facts[0].version.seq)
    };
    assert_eq!(version(Some(&1_795_242_314_000_i64.to_be_bytes())), (1_795_242_314_000_000, 7));
    assert_eq!(version(Some(b"some-key")), (50_000, 7));
    assert_eq!(version(None), (50_000, 7));
}

fn listed(kind: &str, mut message: Value, id: &str, taken: i64) -> Value {
    message["eventType"] = json!(kind);
    let mut value = event(kind, message);
    value["listing"] = json!({ "id": id, "taken": taken });
    value
}

/// Whatever a listing says, it says at one version: after the newest event, before the next, and before a later listing.
#[test]
fn a_listing_states_everything_at_one_version() {
    let object = table("T", "s3://b/t", "0,{}");
    let created = facts(&listed("CREATE_TABLE", json!({ "tableObjJson": object }), "a", 200));
    let existence = json!({
        "existence": { "state": "confirmed", "evidence": "listing", "floor": true, "scope": "hive://h:1/@tables" }
    });
    assert_eq!(entries(&created[0])[0], json!(["existence", "", existence]));
    let partition = r#"{"1":{"lst":["str",1,"c"]}}"#;
    let message = json!({ "tableObjJson": object, "partitionListJson": [partition] });
    let added = facts(&listed("ADD_PARTITION", message, "a", 200));
    assert_eq!(added[0].version, created[0].version);
    let message = json!({ "kind": "table", "page": 0, "pages": 2, "members": [["hive", "D", "T"], ["c", "d", "u"]] });
    let page = facts(&listed("LISTING", message.clone(), "a", 200));
    assert_eq!((page[0].entity.as_str(), page[0].version), ("hive://h:1/@tables", created[0].version));
    let members = json!(["hive://h:1/d/t", "hive://h:1/@c%23d/u"]);
    let listing = json!({ "listing": { "listing": "a", "page": 0, "pages": 2, "members": members } });
    assert_eq!(entries(&page[0]), json!([["listing", "0", listing]]));
    // The event itself is older, and so is an earlier listing.
    let own = facts(&event("CREATE_TABLE", json!({ "tableObjJson": object })));
    let later = facts(&listed("LISTING", message, "b", 201));
    assert!(own[0].version < created[0].version && created[0].version < later[0].version);
}

#[test]
fn what_is_no_page_of_a_listing_is_rejected() {
    let page = |message: Value| listed("LISTING", message, "a", 200);
    let good = json!({ "kind": "database", "page": 0, "pages": 1, "members": [[null, "d", ""]] });
    assert_eq!(facts(&page(good.clone()))[0].entity.as_str(), "hive://h:1/@databases");
    let cases = [
        ("kind", json!("view"), "/message/kind"),
        ("page", json!(1), "/message/page"),
        ("pages", json!("many"), "/message/pages"),
        ("members", json!([["c", "d"]]), "/message/members/0"),
        ("members", json!([["c", "d", "a table"]]), "/message/members/0"),
        ("members", json!([["c", "", ""]]), "/message/members/0"),
    ];
    for (field, value, path) in cases {
        let mut message = good.clone();
        message[field] = value;
        let rejection = run(HmsSourceConfig::default(), None, Some(&page(message))).unwrap_err();
        assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::InvalidField, path));
    }
    let rejection = run(HmsSourceConfig::default(), None, Some(&event("LISTING", good.clone()))).unwrap_err();
    assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::MissingField, "/listing"));
    let mut unnamed = page(good);
    unnamed["listing"] = json!({ "id": "", "taken": 1 });
    let rejection = run(HmsSourceConfig::default(), None, Some(&unnamed)).unwrap_err();
    assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::InvalidField, "/listing/id"));
}
