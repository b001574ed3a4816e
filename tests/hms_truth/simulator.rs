//! A metastore in a few maps: does what a metastore does to its objects, writes the notifications it would write, and
//! answers with its state. Written from the observed behaviour, not from the code under test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Write as _;

use base64::Engine;
use serde_json::{Map, Value, json};

use tributary::codec::hms::thrift::{self, Struct, Wire};

/// Thrift JSON of an object given by names.
pub fn tjson(schema: &Struct, object: &Value) -> String {
    let mut fields = Vec::new();
    for field in schema.fields {
        if let Some(value) = object.get(field.name) {
            fields.push(format!("\"{}\":{{\"{}\":{}}}", field.id, code(&field.wire), encoded(&field.wire, value)));
        }
    }
    format!("{{{}}}", fields.join(","))
}

fn code(wire: &Wire) -> &'static str {
    match wire {
        Wire::Bool => "tf",
        Wire::Int => "i32",
        Wire::Double => "dbl",
        Wire::Text => "str",
        Wire::Struct(_) => "rec",
        Wire::List(_) => "lst",
        Wire::Map(_) => "map",
    }
}

fn encoded(wire: &Wire, value: &Value) -> String {
    match wire {
        Wire::Struct(schema) => tjson(schema, value),
        Wire::List(element) => {
            let items = value.as_array().unwrap();
            let mut text = format!("[\"{}\",{}", code(element), items.len());
            for item in items {
                write!(text, ",{}", encoded(element, item)).unwrap();
            }
            text + "]"
        }
        Wire::Map(element) => {
            let items = value.as_object().unwrap();
            let entries: Vec<String> =
                items.iter().map(|(key, item)| format!("{}:{}", json!(key), encoded(element, item))).collect();
            format!("[\"str\",\"{}\",{},{{{}}}]", code(element), items.len(), entries.join(","))
        }
        _ => value.to_string(),
    }
}

type Name = (String, String, String);

/// A table with what hangs on it.
#[derive(Clone)]
struct Table {
    object: Value,
    partitions: BTreeMap<Vec<String>, Value>,
    constraints: BTreeMap<String, Value>,
}

/// The metastore.
#[derive(Default)]
pub struct Simulator {
    pub lines: Vec<String>,
    gzip: bool,
    databases: BTreeMap<(String, String), Value>,
    tables: BTreeMap<Name, Table>,
    functions: BTreeMap<Name, Value>,
}

impl Simulator {
    pub fn new(gzip: bool) -> Self {
        Self { gzip, ..Self::default() }
    }

    fn emit(&mut self, kind: &str, catalog: &str, database: &str, table: Option<&str>, mut message: Value) {
        let id = self.lines.len() + 1;
        // Several events fall into one second, as they do in a metastore.
        let time = 1_795_000_000 + id / 5;
        message["server"] = json!("thrift://hms-1.lake:9083");
        message["timestamp"] = json!(time);
        let (message, format) = match self.gzip {
            false => (message.to_string(), "json-0.2"),
            true => {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(message.to_string().as_bytes()).unwrap();
                (base64::engine::general_purpose::STANDARD.encode(packer.finish().unwrap()), "gzip(json-2.0)")
            }
        };
        let envelope = json!({
            "eventId": id, "eventTime": time, "eventType": kind, "catName": catalog, "dbName": database,
            "tableName": table, "message": message, "messageFormat": format,
        });
        self.lines.push(envelope.to_string());
    }

    pub fn create_database(&mut self, catalog: &str, database: &str) {
        let object = json!({
            "name": database, "locationUri": format!("viewfs://lake/warehouse/{database}.db"),
            "parameters": { "made": "here" }, "ownerName": "root", "ownerType": 1, "catalogName": catalog,
        });
        let message = json!({ "db": database, "dbJson": tjson(&thrift::DATABASE, &object) });
        self.databases.insert((catalog.to_owned(), database.to_owned()), object);
        self.emit("CREATE_DATABASE", catalog, database, None, message);
    }

    /// Cascades without a word on partitions.
    pub fn drop_database(&mut self, catalog: &str, database: &str) {
        let names: Vec<Name> = self.tables.keys().filter(|n| n.0 == catalog && n.1 == database).cloned().collect();
        for name in names {
            self.drop_table(&name);
        }
        let names: Vec<Name> = self.functions.keys().filter(|n| n.0 == catalog && n.1 == database).cloned().collect();
        for name in names {
            self.drop_function(&name);
        }
        if self.databases.remove(&(catalog.to_owned(), database.to_owned())).is_some() {
            self.emit("DROP_DATABASE", catalog, database, None, json!({ "db": database }));
        }
    }

    pub fn has_database(&self, catalog: &str, database: &str) -> bool {
        self.databases.contains_key(&(catalog.to_owned(), database.to_owned()))
    }

    pub fn has_table(&self, name: &Name) -> bool {
        self.tables.contains_key(name)
    }

    pub fn create_table(&mut self, name: &Name, keys: usize, managed: bool, comment: Option<&str>) {
        let all = [("region", "string"), ("dt", "date")];
        let keys: Vec<Value> = all.iter().take(keys).map(|(k, t)| json!({ "name": k, "type": t })).collect();
        let kind = if managed { "MANAGED_TABLE" } else { "EXTERNAL_TABLE" };
        let mut parameters = Map::new();
        parameters.insert("k \"v\"".to_owned(), json!("\u{1}x\n"));
        parameters.extend(comment.map(|comment| ("comment".to_owned(), json!(comment))));
        let object = json!({
            "tableName": name.2, "dbName": name.1, "catName": name.0, "owner": "alice", "createTime": 7,
            "lastAccessTime": 0, "retention": 0, "partitionKeys": keys, "parameters": parameters, "tableType": kind,
            "rewriteEnabled": 0, "ownerType": 1,
            "sd": {
                "cols": [{ "name": "id", "type": "bigint" }, { "name": "größe", "type": "struct<a:int>", "comment": "c" }],
                "location": format!("viewfs://lake/warehouse/{}.db/{}", name.1, name.2),
                "inputFormat": "org.apache.hadoop.mapred.TextInputFormat", "outputFormat": "o", "compressed": 0,
                "numBuckets": 4, "bucketCols": ["id"], "sortCols": [{ "col": "id", "order": 1 }], "parameters": {},
                "serdeInfo": { "name": "s", "serializationLib": "l", "parameters": { "field.delim": "\u{1}" } },
                "skewedInfo": { "skewedColNames": ["id"], "skewedColValues": [["1"], ["2"]], "skewedColValueLocationMaps": {} },
                "storedAsSubDirectories": 0,
            },
        });
        // The client's spelling is in the event, the stored one in the metastore.
        let mut told = object.clone();
        told["sd"]["cols"][1]["name"] = json!("Größe");
        let message = json!({ "db": name.1, "table": name.2, "tableObjJson": tjson(&thrift::TABLE, &told) });
        let table = Table { object, partitions: BTreeMap::new(), constraints: BTreeMap::new() };
        self.tables.insert(name.clone(), table);
        self.emit("CREATE_TABLE", &name.0, &name.1, Some(&name.2), message);
    }

    pub fn drop_table(&mut self, name: &Name) {
        if let Some(table) = self.tables.remove(name) {
            let message =
                json!({ "db": name.1, "table": name.2, "tableObjJson": tjson(&thrift::TABLE, &table.object) });
            self.emit("DROP_TABLE", &name.0, &name.1, Some(&name.2), message);
        }
    }

    pub fn alter_table(&mut self, name: &Name, change: impl FnOnce(&mut Value)) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let before = table.object.clone();
        change(&mut table.object);
        let after = table.object.clone();
        self.emit_alter(name, name, &before, &after);
    }

    fn emit_alter(&mut self, old: &Name, new: &Name, before: &Value, after: &Value) {
        let message = json!({
            "db": old.1, "table": old.2, "isTruncateOp": "false",
            "tableObjBeforeJson": tjson(&thrift::TABLE, before), "tableObjAfterJson": tjson(&thrift::TABLE, after),
        });
        self.emit("ALTER_TABLE", &new.0, &new.1, Some(&new.2), message);
    }

    pub fn rename_table(&mut self, old: &Name, new: &Name) {
        if self.tables.contains_key(new) || !self.has_database(&new.0, &new.1) {
            return;
        }
        let Some(mut table) = self.tables.remove(old) else { return };
        let before = table.object.clone();
        table.object["tableName"] = json!(new.2);
        table.object["dbName"] = json!(new.1);
        if before["tableType"] == "MANAGED_TABLE" {
            let from = before["sd"]["location"].as_str().unwrap().to_owned();
            let to = format!("viewfs://lake/warehouse/{}.db/{}", new.1, new.2);
            table.object["sd"]["location"] = json!(to);
            for partition in table.partitions.values_mut() {
                let location = partition["sd"]["location"].as_str().unwrap().to_owned();
                if let Some(below) = location.strip_prefix(&format!("{from}/")) {
                    partition["sd"]["location"] = json!(format!("{to}/{below}"));
                }
            }
        }
        for constraint in table.constraints.values_mut() {
            constraint["table_db"] = json!(new.1);
            constraint["table_name"] = json!(new.2);
        }
        let after = table.object.clone();
        self.tables.insert(new.clone(), table);
        self.emit_alter(old, new, &before, &after);
    }

    pub fn add_partitions(&mut self, name: &Name, values: &[Vec<String>], elsewhere: bool) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let keys = table.object["partitionKeys"].as_array().unwrap().len();
        let mut added = Vec::new();
        for (index, values) in values.iter().enumerate() {
            if values.len() != keys || keys == 0 || table.partitions.contains_key(values) {
                continue;
            }
            let root = if elsewhere { "viewfs://lake/else" } else { table.object["sd"]["location"].as_str().unwrap() };
            let mut sd = table.object["sd"].clone();
            sd["location"] = json!(format!("{root}/p{index}/{}", table.partitions.len()));
            let partition = json!({
                "values": values, "dbName": name.1, "tableName": name.2, "catName": name.0, "createTime": index,
                "sd": sd, "parameters": { "numRows": "3" },
            });
            table.partitions.insert(values.clone(), partition.clone());
            added.push(tjson(&thrift::PARTITION, &partition));
        }
        let message = json!({ "tableObjJson": tjson(&thrift::TABLE, &table.object), "partitionListJson": added });
        self.emit("ADD_PARTITION", &name.0, &name.1, Some(&name.2), message);
    }

    /// Changes parameters, and the values too if `to` is new.
    pub fn alter_partition(&mut self, name: &Name, nth: usize, to: &[String]) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let Some(values) = table.partitions.keys().nth(nth).cloned() else { return };
        let before = table.partitions.remove(&values).unwrap();
        let mut after = before.clone();
        after["parameters"] = json!({ "numRows": "4", "altered": "yes" });
        let free = to.len() == values.len() && !table.partitions.contains_key(to);
        let values = if free { to.to_vec() } else { values };
        after["values"] = json!(values);
        table.partitions.insert(values, after.clone());
        let message = json!({
            "tableObjJson": tjson(&thrift::TABLE, &table.object), "isTruncateOp": "false",
            "partitionObjBeforeJson": tjson(&thrift::PARTITION, &before),
            "partitionObjAfterJson": tjson(&thrift::PARTITION, &after),
        });
        self.emit("ALTER_PARTITION", &name.0, &name.1, Some(&name.2), message);
    }

    pub fn drop_partition(&mut self, name: &Name, nth: usize) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let Some(values) = table.partitions.keys().nth(nth).cloned() else { return };
        table.partitions.remove(&values);
        let keys = table.object["partitionKeys"].as_array().unwrap();
        let named: Map<String, Value> = keys
            .iter()
            .zip(&values)
            .map(|(key, value)| (key["name"].as_str().unwrap().to_owned(), json!(value)))
            .collect();
        let message = json!({ "tableObjJson": tjson(&thrift::TABLE, &table.object), "partitions": [named] });
        self.emit("DROP_PARTITION", &name.0, &name.1, Some(&name.2), message);
    }

    pub fn add_unique(&mut self, name: &Name, constraint: &str) {
        let Some(table) = self.tables.get_mut(name) else { return };
        let object = json!({
            "catName": name.0, "table_db": name.1, "table_name": name.2, "column_name": "id", "key_seq": 1,
            "uk_name": constraint, "enable_cstr": 0, "validate_cstr": 0, "rely_cstr": 1,
        });
        let text = tjson(&thrift::SQL_UNIQUE, &object);
        if table.constraints.insert(constraint.to_owned(), object).is_none() {
            let message = json!({ "uniqueConstraintListJson": [text] });
            self.emit("ADD_UNIQUECONSTRAINT", &name.0, &name.1, Some(&name.2), message);
        }
    }

    pub fn drop_constraint(&mut self, name: &Name, constraint: &str) {
        let Some(table) = self.tables.get_mut(name) else { return };
        if table.constraints.remove(constraint).is_some() {
            let message = json!({ "dbName": name.1, "tableName": name.2, "constraintName": constraint });
            self.emit("DROP_CONSTRAINT", &name.0, &name.1, Some(&name.2), message);
        }
    }

    pub fn create_function(&mut self, name: &Name) {
        let object = json!({
            "functionName": name.2, "dbName": name.1, "catName": name.0, "className": "a.B", "createTime": 3,
            "functionType": 1, "resourceUris": [{ "resourceType": 1, "uri": "viewfs://lake/f.jar" }],
        });
        let message = json!({ "db": name.1, "functionObjJson": tjson(&thrift::FUNCTION, &object) });
        self.functions.insert(name.clone(), object);
        self.emit("CREATE_FUNCTION", &name.0, &name.1, None, message);
    }

    pub fn drop_function(&mut self, name: &Name) {
        if self.functions.remove(name).is_some() {
            self.emit("DROP_FUNCTION", &name.0, &name.1, None, json!({ "db": name.1, "functionName": name.2 }));
        }
    }

    /// The state as the recorded metastores answered it.
    pub fn truth(&self) -> Value {
        let mut tables = Vec::new();
        for (name, table) in &self.tables {
            let mut entry = json!({ "catName": name.0, "dbName": name.1, "tableName": name.2, "table": table.object });
            entry["constraints"] = match table.constraints.is_empty() {
                true => json!({}),
                false => json!({ "unique": table.constraints.values().collect::<Vec<_>>() }),
            };
            if !table.object["partitionKeys"].as_array().unwrap().is_empty() {
                let partition = |p: &Value| {
                    json!({
                        "values": p["values"], "location": p["sd"]["location"], "parameters": p["parameters"],
                        "cols": p["sd"]["cols"], "inputFormat": p["sd"]["inputFormat"], "createTime": p["createTime"],
                    })
                };
                entry["partitionCount"] = json!(table.partitions.len());
                entry["partitions"] = table.partitions.values().map(partition).collect();
            }
            tables.push(entry);
        }
        json!({
            "databases": self.databases.values().collect::<Vec<_>>(), "tables": tables,
            "functions": self.functions.values().collect::<Vec<_>>(),
        })
    }
}
