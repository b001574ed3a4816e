//! Every record of ours both ways, our schemas against our structs, and foreign writers.

use std::collections::BTreeMap;
use std::sync::Arc;

use apache_avro::Schema;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::fact::*;
use crate::model::id::EntityId;
use crate::model::record::*;
use crate::model::reject::{ReasonCode, Rejection};

/// A registry that holds our subjects under 1, 2, …, then whatever a test adds.
struct Fixed(Vec<WriterSchema>);

impl Fixed {
    fn ours() -> Self {
        Self(SUBJECTS.iter().map(|s| WriterSchema { text: s.current().to_owned(), references: vec![] }).collect())
    }
    fn with(text: Value) -> (Decoder, u32) {
        let mut all = Self::ours();
        all.0.push(WriterSchema { text: text.to_string(), references: vec![] });
        let id = all.0.len() as u32;
        (Decoder::new(Arc::new(all)), id)
    }
}

impl WriterSchemas for Fixed {
    fn schema(&self, id: u32) -> Result<WriterSchema, SchemaLookupError> {
        match id {
            900 => Err(SchemaLookupError::Unavailable("down".into())),
            901 => Err(SchemaLookupError::NotAvro("PROTOBUF".to_owned())),
            _ => self.0.get((id as usize).wrapping_sub(1)).cloned().ok_or(SchemaLookupError::Unknown),
        }
    }
}

fn id_of(topic: &str) -> u32 {
    SUBJECTS.iter().position(|s| s.topic == topic).unwrap() as u32 + 1
}

fn decoder() -> Decoder {
    Decoder::new(Arc::new(Fixed::ours()))
}

fn origin() -> Origin {
    Origin { topic: "hms.notifications".to_owned(), partition: 3, offset: 1 << 40 }
}

fn text(fill: &str) -> Option<String> {
    (!fill.is_empty()).then(|| fill.to_owned())
}

/// One record per topic; with an empty `fill` every optional is `None` and every collection empty.
fn records(fill: &str) -> Vec<CatalogRecord> {
    let full = !fill.is_empty();
    let s = || fill.to_owned();
    let o = || text(fill);
    let t = || full.then_some(1_795_242_305_000_000_i64);
    let map = || if full { BTreeMap::from([(s(), s()), ("k".to_owned(), String::new())]) } else { BTreeMap::new() };
    let list = || if full { vec![s(), String::new()] } else { vec![] };
    let owners = || if full { vec![Owner { name: s(), role: s() }] } else { vec![] };
    let tags = || {
        if full {
            vec![Tag { key: s(), value: s(), field: None }, Tag { key: s(), value: s(), field: o() }]
        } else {
            vec![]
        }
    };
    let column = ColumnRecord {
        path: s(),
        name: s(),
        depth: i32::from(full),
        ordinal: i32::MAX,
        data_type: s(),
        canonical_type: s(),
        description: o(),
        nullable: full.then_some(false),
        partition_key: full,
        conflicts: list(),
    };
    let columns = if full { vec![column, ColumnRecord::default()] } else { vec![] };
    let change = ColumnChange { kind: s(), path: s(), before: o(), after: None, breaking: full };
    let provenance = Provenance { source: s(), origin: origin(), via: list() };
    vec![
        CatalogRecord::Dataset(Box::new(DatasetRecord {
            id: s(),
            platform: s(),
            name: s(),
            container: o(),
            kind: s(),
            existence: s(),
            incarnation: i32::MIN,
            names: list(),
            aliases: list(),
            columns: columns.clone(),
            authority: s(),
            schema_version: 1,
            description: o(),
            owners: owners(),
            tags: tags(),
            location: o(),
            format: o(),
            table_format: o(),
            properties: map(),
            view_original: o(),
            view_expanded: o(),
            constraints: map(),
            facets: map(),
            native: map(),
            issues: list(),
            provenance: if full { BTreeMap::from([(s(), provenance)]) } else { BTreeMap::new() },
            first_seen: i64::MIN,
            last_seen: i64::MAX,
            origin: origin(),
        })),
        CatalogRecord::DatasetStats(Box::new(DatasetStatsRecord {
            id: s(),
            rows: t(),
            bytes: t(),
            files: t(),
            last_write: t(),
            last_job: o(),
            last_run: o(),
            dataset_version: o(),
            column_stats: map(),
            origin: origin(),
        })),
        CatalogRecord::Container(Box::new(ContainerRecord {
            id: s(),
            platform: s(),
            name: s(),
            existence: s(),
            description: o(),
            owners: owners(),
            location: o(),
            properties: map(),
            native: map(),
            origin: origin(),
        })),
        CatalogRecord::Partition(Box::new(PartitionRecord {
            dataset: s(),
            name: s(),
            values: list(),
            location: o(),
            properties: map(),
            native: s(),
            column_stats: map(),
            source: s(),
            origin: origin(),
        })),
        CatalogRecord::Function(Box::new(FunctionRecord {
            id: s(),
            name: s(),
            existence: s(),
            native: map(),
            origin: origin(),
        })),
        CatalogRecord::SchemaVersion(Box::new(SchemaVersionRecord {
            dataset: s(),
            source: s(),
            version: s(),
            time: -1,
            columns,
            schema_hash: s(),
            changes: if full { vec![change] } else { vec![] },
            breaking: full,
            level: s(),
            late: full,
            incarnation: 2,
            origin: origin(),
        })),
        CatalogRecord::Job(Box::new(JobRecord {
            id: s(),
            namespace: s(),
            name: s(),
            integration: s(),
            job_type: s(),
            processing: s(),
            parent: o(),
            description: o(),
            owners: owners(),
            tags: tags(),
            source_location: o(),
            source_code: o(),
            sql: o(),
            dialect: o(),
            definition_hash: s(),
            dependencies: map(),
            facets: map(),
            first_seen: 0,
            last_seen: 1,
            origin: origin(),
        })),
        CatalogRecord::Run(Box::new(RunRecord {
            id: s(),
            job: s(),
            state: s(),
            started_at: t(),
            ended_at: t(),
            nominal_start: t(),
            nominal_end: t(),
            parent_run: o(),
            parent_job: o(),
            root_run: o(),
            error: o(),
            engine: o(),
            inputs: list(),
            outputs: list(),
            dataset_versions: map(),
            facets: map(),
            expires_at: 5,
            origin: origin(),
        })),
        CatalogRecord::Lineage(Box::new(LineageRecord {
            job: s(),
            source: s(),
            target: s(),
            kind: s(),
            confidence: 100,
            first_seen: 0,
            last_seen: 1,
            runs: 4,
            stale: full,
            run: s(),
            origin: origin(),
        })),
        CatalogRecord::ColumnLineage(Box::new(ColumnLineageRecord {
            job: s(),
            target: s(),
            target_field: s(),
            source: s(),
            source_field: s(),
            transformations: list(),
            description: s(),
            masking: full,
            confidence: 50,
            unmapped: full,
            stale: full,
            first_seen: t(),
            last_seen: t(),
            origin: origin(),
        })),
        CatalogRecord::Alias(Box::new(AliasRecord {
            alias: s(),
            canonical: s(),
            kind: s(),
            valid_from: t(),
            valid_to: None,
            reason: s(),
            origin: origin(),
        })),
        CatalogRecord::Quality(Box::new(QualityRecord {
            dataset: s(),
            check: s(),
            status: s(),
            field: o(),
            value: s(),
            time: 9,
            run: s(),
            origin: origin(),
        })),
        CatalogRecord::Query(Box::new(QueryRecord {
            id: s(),
            platform: s(),
            instance: s(),
            query_id: s(),
            session: o(),
            user: o(),
            application: None,
            started_at: 1,
            ended_at: 2,
            status: s(),
            error: o(),
            statement_type: s(),
            fingerprint: s(),
            text: o(),
            job: o(),
            reads: list(),
            writes: list(),
            rows: t(),
            bytes: None,
            duration_us: t(),
            bound: list(),
            source: s(),
            expires_at: 3,
            origin: origin(),
        })),
        CatalogRecord::Usage(Box::new(UsageRecord {
            dataset: s(),
            day: s(),
            queries: 5,
            failed: 1,
            writes: 2,
            rows: 3,
            bytes: 4,
            duration_us: 5,
            distinct_users: 2,
            users_exact: full,
            users: vec![UserUse { user: s(), queries: 3, failed: 1, columns: [(s(), 2)].into() }],
            columns: [(s(), 2)].into(),
            filters: [(s(), 1)].into(),
            joins: vec![JoinUse { column: s(), other: s(), other_column: s(), queries: 1 }],
            expires_at: 3,
            origin: origin(),
        })),
        CatalogRecord::Change(Box::new(ChangeRecord {
            id: s(),
            entity: s(),
            kind: s(),
            before: o(),
            after: None,
            breaking: full,
            time: 7,
            source: s(),
            origin: origin(),
        })),
    ]
}

fn as_json(record: &CatalogRecord) -> Value {
    match record {
        CatalogRecord::Dataset(v) => serde_json::to_value(v),
        CatalogRecord::DatasetStats(v) => serde_json::to_value(v),
        CatalogRecord::Container(v) => serde_json::to_value(v),
        CatalogRecord::Partition(v) => serde_json::to_value(v),
        CatalogRecord::Function(v) => serde_json::to_value(v),
        CatalogRecord::SchemaVersion(v) => serde_json::to_value(v),
        CatalogRecord::Job(v) => serde_json::to_value(v),
        CatalogRecord::Run(v) => serde_json::to_value(v),
        CatalogRecord::Lineage(v) => serde_json::to_value(v),
        CatalogRecord::ColumnLineage(v) => serde_json::to_value(v),
        CatalogRecord::Alias(v) => serde_json::to_value(v),
        CatalogRecord::Quality(v) => serde_json::to_value(v),
        CatalogRecord::Query(v) => serde_json::to_value(v),
        CatalogRecord::Usage(v) => serde_json::to_value(v),
        CatalogRecord::Change(v) => serde_json::to_value(v),
    }
    .unwrap()
}

/// Compares the keys of serialised structs with the fields of the schema, at every level.
fn same_fields(value: &Value, schema: &Value, named: &mut BTreeMap<String, Value>, at: &str) {
    match schema {
        Value::Array(branches) => {
            if let Some(branch) = branches.iter().find(|b| *b != "null" && !value.is_null()) {
                same_fields(value, branch, named, at);
            }
        }
        Value::String(name) => {
            if let Some(known) = named.get(name).cloned() {
                same_fields(value, &known, named, at);
            }
        }
        Value::Object(object) => match object["type"].as_str() {
            Some("record") => {
                let name = object["name"].as_str().unwrap().to_owned();
                named.insert(name, schema.clone());
                let fields = object["fields"].as_array().unwrap();
                let mut expected: Vec<&str> = fields.iter().map(|f| f["name"].as_str().unwrap()).collect();
                expected.sort_unstable();
                let mut present: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
                if at.contains("tags") && !present.contains(&"field") {
                    present.push("field"); // left out in JSON while it is None
                }
                present.sort_unstable();
                assert_eq!(present, expected, "fields of {at}");
                for field in fields {
                    assert!(field["doc"].as_str().is_some_and(|doc| !doc.is_empty()), "{at}: {field} has no doc");
                    let name = field["name"].as_str().unwrap();
                    let inner = value.get(name).unwrap_or(&Value::Null);
                    same_fields(inner, &field["type"], named, &format!("{at}.{name}"));
                }
            }
            Some("array") => value.as_array().unwrap().iter().for_each(|v| same_fields(v, &object["items"], named, at)),
            Some("map") => {
                value.as_object().unwrap().values().for_each(|v| same_fields(v, &object["values"], named, at))
            }
            _ => {}
        },
        _ => {}
    }
}

#[test]
fn every_topic_has_a_subject_whose_schema_parses() {
    for topic in CatalogTopic::ALL {
        assert!(subject_of(topic.name()).is_some(), "{}", topic.name());
    }
    for topic in ["catalog.facts", RawSubject::HmsNotifications.topic(), RawSubject::OpenLineageEvents.topic()] {
        assert!(subject_of(topic).is_some(), "{topic}");
    }
    for subject in SUBJECTS {
        for version in subject.versions {
            Schema::parse_str(version).unwrap_or_else(|error| panic!("{}: {error}", subject.name));
        }
    }
    assert!(SUBJECTS.is_sorted_by_key(|subject| subject.name));
}

#[test]
fn schemas_have_exactly_the_fields_of_the_structs() {
    for record in records("x") {
        let topic = record.topic().name();
        let schema: Value = serde_json::from_str(subject_of(topic).unwrap().current()).unwrap();
        same_fields(&as_json(&record), &schema, &mut BTreeMap::new(), topic);
    }
}

#[test]
fn every_record_comes_back_as_it_went() {
    for fill in ["", "x", "Größe \u{1F980} \"\n\\ \u{0} end", "a".repeat(70_000).as_str()] {
        for record in records(fill) {
            let topic = record.topic();
            let bytes = encode_record(&record, id_of(topic.name())).unwrap();
            assert_eq!(split_frame(&bytes).unwrap().0, id_of(topic.name()));
            let decoder = decoder();
            assert_eq!(decoder.record(topic, &bytes).unwrap(), record, "{}", topic.name());
            assert_eq!(decoder.resolved(), 0, "{} took the slow way", topic.name());
        }
    }
}

#[test]
fn the_careful_decoder_agrees_with_the_fast_one() {
    for fill in ["", "Größe"] {
        for record in records(fill) {
            let subject = subject_of(record.topic().name()).unwrap();
            // A foreign schema: one field more, and the others in reverse.
            let mut schema: Value = serde_json::from_str(subject.current()).unwrap();
            let schema_text = reversed_with_extra(&mut schema);
            let foreign = Schema::parse_str(&schema_text).unwrap();
            let ours = Schema::parse_str(subject.current()).unwrap();
            let bytes = encode_record(&record, 1).unwrap();
            let (_, datum) = split_frame(&bytes).unwrap();
            let json = decode_to_json(datum, &ours, &[], &ours, Limits::default()).unwrap();
            let mut rewritten = Vec::new();
            let value = avro(&json).resolve(&foreign).unwrap();
            apache_avro::writer::datum::GenericDatumWriter::builder(&foreign)
                .build()
                .unwrap()
                .write_value(&mut rewritten, value)
                .unwrap();
            let (decoder, id) = Fixed::with(serde_json::from_str(&schema_text).unwrap());
            let framed = [start_frame(id), rewritten].concat();
            assert_eq!(decoder.record(record.topic(), &framed).unwrap(), record, "{}", subject.name);
        }
    }
}

/// JSON as an untyped Avro value, for the library's own resolution.
fn avro(json: &Value) -> apache_avro::types::Value {
    use apache_avro::types::Value as Avro;
    match json {
        Value::Null => Avro::Null,
        Value::Bool(flag) => Avro::Boolean(*flag),
        Value::Number(number) => number.as_i64().map_or(Avro::Double(1.5), Avro::Long),
        Value::String(text) => Avro::String(text.clone()),
        Value::Array(items) => Avro::Array(items.iter().map(avro).collect()),
        Value::Object(fields) => Avro::Map(fields.iter().map(|(name, value)| (name.clone(), avro(value))).collect()),
    }
}

fn reversed_with_extra(schema: &mut Value) -> String {
    // Types are defined at their first use, so only fields of primitive types may move.
    let fields = schema["fields"].as_array_mut().unwrap();
    let (mut plain, complex): (Vec<Value>, Vec<Value>) = fields.drain(..).partition(|f| f["type"].is_string());
    plain.reverse();
    fields.push(
        json!({"name": "added_by_a_newer_writer", "type": {"type": "array", "items": "double"}, "default": [1.5]}),
    );
    fields.extend(plain.into_iter().filter(|f| f["type"] != "Origin"));
    fields.extend(complex);
    let has_origin = fields.iter().any(|f| f["name"] == "origin");
    if !has_origin {
        fields.push(json!({"name": "origin", "type": "Origin"}));
    }
    schema.to_string()
}

fn fact(entries: Vec<Entry>) -> Fact {
    Fact {
        entity: EntityId::from_canonical("hive://hms:9083/shop/orders"),
        kind: EntityKind::Dataset,
        source: Source::hms("prod"),
        version: Version { epoch: u32::MAX, time: -5, seq: 7, hash: u64::MAX - 1 },
        origin: origin(),
        via: vec![EntityId::from_canonical("file:///x")],
        entries,
    }
}

#[test]
fn facts_come_back_as_they_went() {
    let all = fact(vec![
        Entry::of(Statement::Description("U+0000 \u{0} and \u{1F980}".to_owned())),
        Entry::keyed("a|b", Statement::Facet(json!({"deep": [1, 2.5, null, {"x": "y"}], "big": u64::MAX}))),
        Entry::retract(Aspect::Tags, ""),
        Entry::of(Statement::Columns(Columns {
            completeness: Completeness::Partial,
            columns: vec![Column { name: "größe".to_owned(), fields: vec![Column::default()], ..Column::default() }],
        })),
    ]);
    for fact in [all, fact(vec![])] {
        let bytes = encode_fact(&fact, id_of("catalog.facts")).unwrap();
        let decoder = decoder();
        assert_eq!(decoder.fact(&bytes).unwrap(), fact);
        assert_eq!(decoder.resolved(), 0, "facts took the slow way");
    }
}

#[test]
fn a_fact_whose_statement_is_of_another_aspect_is_rejected_with_its_place() {
    let mut bytes = encode_fact(
        &fact(vec![Entry::of(Statement::Location("a".into())), Entry::of(Statement::Description("b".into()))]),
        id_of("catalog.facts"),
    )
    .unwrap();
    // Swap the aspect's name of the second entry for one of the same length.
    let place = bytes.windows(11).rposition(|w| w == b"description").unwrap();
    let first = bytes.windows(11).position(|w| w == b"description").unwrap();
    assert!(first < place);
    bytes[first..first + 11].copy_from_slice(b"column_stat");
    let Err(DecodeError::Rejected(rejection)) = decoder().fact(&bytes) else { panic!("accepted") };
    assert_eq!((rejection.code, rejection.path.as_str()), (ReasonCode::UnknownType, "/entries/1/aspect"));
}

fn rejection(result: Result<CatalogRecord, DecodeError>) -> Rejection {
    match result {
        Err(DecodeError::Rejected(rejection)) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn broken_frames_and_unknown_ids_are_told_apart() {
    let decode = |bytes: &[u8]| decoder().record(CatalogTopic::Aliases, bytes);
    assert_eq!(rejection(decode(&[])).code, ReasonCode::EmptyValue);
    assert_eq!(rejection(decode(b"{\"id\":1}")).code, ReasonCode::InvalidAvro);
    assert_eq!(rejection(decode(&[0, 0, 0])).code, ReasonCode::InvalidAvro);
    assert_eq!(rejection(decode(&[0, 0, 0, 0, 77])).code, ReasonCode::UnknownSchema);
    assert_eq!(rejection(decode(&[0, 0, 0, 3, 133])).code, ReasonCode::UnknownSchema); // 901, Protobuf
    assert!(matches!(decode(&[0, 0, 0, 3, 132]), Err(DecodeError::Unavailable { id: 900, .. })));
}

#[test]
fn a_cut_or_lengthened_datum_is_rejected_with_the_place_of_the_fault() {
    let record = records("x").into_iter().find(|r| r.topic() == CatalogTopic::Aliases).unwrap();
    let whole = encode_record(&record, id_of("catalog.aliases")).unwrap();
    for end in HEADER_BYTES..whole.len() {
        let fault = rejection(decoder().record(CatalogTopic::Aliases, &whole[..end]));
        assert_eq!(fault.code, ReasonCode::InvalidAvro);
        assert!(fault.path.starts_with('/'), "{end}: {fault}");
    }
    // alias and canonical are "\x02x" each: the byte of the third length lies at 5 + 4.
    assert_eq!(rejection(decoder().record(CatalogTopic::Aliases, &whole[..9])).path, "/kind");
    let longer = [whole, vec![0]].concat();
    assert_eq!(rejection(decoder().record(CatalogTopic::Aliases, &longer)).code, ReasonCode::InvalidAvro);
}

#[test]
fn endless_recursion_and_weightless_values_hit_the_limits() {
    let list = json!({"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]});
    let schema = Schema::parse_str(&list.to_string()).unwrap();
    let deep = vec![2; 1_000_000];
    let fault = decode_to_json(&deep, &schema, &[], &schema, Limits::default()).unwrap_err();
    assert_eq!(fault.code, ReasonCode::LimitExceeded);

    let nulls = Schema::parse_str(r#"{"type": "array", "items": "null"}"#).unwrap();
    // One block of 2^62 nulls: zigzag 2^63 in ten bytes.
    let bomb = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00];
    let fault = decode_to_json(&bomb, &nulls, &[], &nulls, Limits::default()).unwrap_err();
    assert_eq!(fault.code, ReasonCode::LimitExceeded);
}

#[test]
fn promotions_unions_enums_and_defaults_follow_the_specification() {
    let writer = json!({"type": "record", "name": "W", "fields": [
        {"name": "int_as_double", "type": "int"},
        {"name": "dropped", "type": {"type": "map", "values": "bytes"}},
        {"name": "old_name", "type": "bytes"},
        {"name": "union_as_plain", "type": ["null", "int"]},
        {"name": "plain_as_union", "type": "int"},
        {"name": "enum", "type": {"type": "enum", "name": "E", "symbols": ["A", "NEW"]}}]});
    let reader = json!({"type": "record", "name": "R", "fields": [
        {"name": "int_as_double", "type": "double"},
        {"name": "new_name", "aliases": ["old_name"], "type": "string"},
        {"name": "union_as_plain", "type": "long"},
        {"name": "plain_as_union", "type": ["null", "string", "long"]},
        {"name": "enum", "type": {"type": "enum", "name": "E", "symbols": ["A", "OTHER"], "default": "OTHER"}},
        {"name": "missing", "type": {"type": "array", "items": "int"}, "default": [7]}]});
    // -3; {"k": h'FF'} in one block, end; "hi"; branch 1, 4; 5; symbol 1
    let datum = [5, 2, 2, b'k', 2, 0xff, 0, 4, b'h', b'i', 2, 8, 10, 2];
    let parse = |schema: &Value| Schema::parse_str(&schema.to_string()).unwrap();
    let value = decode_to_json(&datum, &parse(&writer), &[], &parse(&reader), Limits::default()).unwrap();
    assert_eq!(
        value,
        json!({"int_as_double": -3.0, "new_name": "hi", "union_as_plain": 4, "plain_as_union": 5, "enum": "OTHER",
            "missing": [7]})
    );
}

#[test]
fn a_framed_notification_becomes_the_plain_one() {
    // A writer with its own order, name, an int id and no catName.
    let (decoder, id) =
        Fixed::with(json!({"type": "record", "name": "Notification", "namespace": "com.example", "fields": [
        {"name": "eventType", "type": "string"}, {"name": "eventId", "type": "int"},
        {"name": "eventTime", "type": "int"}, {"name": "dbName", "type": "string"},
        {"name": "message", "type": "string"}, {"name": "extra", "type": ["null", "string"]}]}));
    let mut bytes = start_frame(id);
    bytes.extend([4, b'D', b'B', 14, 4, 6, b's', b'h', b'p', 4, b'{', b'}', 0]);
    let json: Value = serde_json::from_slice(&decoder.raw_json(RawSubject::HmsNotifications, &bytes).unwrap()).unwrap();
    assert_eq!(json, json!({"eventType": "DB", "eventId": 7, "eventTime": 2, "dbName": "shp", "message": "{}"}));
}

#[test]
fn a_framed_lineage_event_becomes_the_plain_one() {
    let decoder = decoder();
    let schema = Schema::parse_str(subject_of("openlineage.events").unwrap().current()).unwrap();
    let frame = |value: Value| {
        let avro = avro(&value).resolve(&schema).unwrap();
        let mut bytes = start_frame(id_of("openlineage.events"));
        let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
        writer.write_value(&mut bytes, avro).unwrap();
        bytes
    };
    let dataset =
        |facets: Value| json!({"namespace": "n", "name": "t", "facets": facets, "inputFacets": {}, "outputFacets": {}});
    let event = json!({"event": null, "eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": "p",
        "schemaURL": null, "run": {"runId": "r", "facets": {"x": "{\"a\":[1]}"}},
        "job": {"namespace": "n", "name": "j", "facets": {}}, "dataset": null,
        "inputs": [dataset(json!({}))], "outputs": []});
    let plain: Value =
        serde_json::from_slice(&decoder.raw_json(RawSubject::OpenLineageEvents, &frame(event.clone())).unwrap())
            .unwrap();
    assert_eq!(
        plain,
        json!({"eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": "p",
            "run": {"runId": "r", "facets": {"x": {"a": [1]}}}, "job": {"namespace": "n", "name": "j", "facets": {}},
            "inputs": [{"namespace": "n", "name": "t", "facets": {}}], "outputs": []})
    );

    let mut broken = event;
    broken["inputs"] = json!([dataset(json!({"schema": "{oops"}))]);
    let Err(DecodeError::Rejected(fault)) = decoder.raw_json(RawSubject::OpenLineageEvents, &frame(broken)) else {
        panic!("accepted")
    };
    assert_eq!((fault.code, fault.path.as_str()), (ReasonCode::InvalidJson, "/inputs/0/facets/schema"));

    let whole = json!({"event": "{\"eventType\": \"START\"}", "eventType": null, "eventTime": null, "producer": null,
        "schemaURL": null, "run": null, "job": null, "dataset": null, "inputs": [], "outputs": []});
    let plain = decoder.raw_json(RawSubject::OpenLineageEvents, &frame(whole)).unwrap();
    assert_eq!(plain, b"{\"eventType\": \"START\"}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), topic in 0..13_usize) {
        let topic = CatalogTopic::ALL[topic];
        let framed = [start_frame(id_of(topic.name())), bytes.clone()].concat();
        let _ = decoder().record(topic, &framed);
        let framed = [start_frame(id_of("openlineage.events")), bytes].concat();
        let _ = decoder().raw_json(RawSubject::OpenLineageEvents, &framed);
    }

    #[test]
    fn any_text_survives(fill in ".{1,40}") {
        for record in records(&fill) {
            let bytes = encode_record(&record, id_of(record.topic().name())).unwrap();
            prop_assert_eq!(decoder().record(record.topic(), &bytes).unwrap(), record);
        }
    }
}
