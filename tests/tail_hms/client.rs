//! Changes to a metastore, through the project's own connection.

use std::time::Duration;

use serde_json::{Value, json};
use tributary::codec::hms::thrift::{DATABASE, FUNCTION, Object, PARTITION, SQL_NOT_NULL, SQL_PRIMARY_KEY, TABLE};
use tributary::metastore::{Address, Arg, Connection, Metastore, Notification, Options};

pub struct Client {
    connection: Connection,
    reader: Metastore,
}

fn object(value: Value) -> Object {
    Object(value.as_object().unwrap().clone())
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap()
}

impl Client {
    pub fn connect(address: &str) -> Self {
        let addresses = Address::parse_all(address).unwrap();
        let options = Options { read_timeout: Duration::from_secs(60), ..Options::default() };
        let connection = Connection::open(&addresses[0], &options).unwrap();
        Self { connection, reader: Metastore::new(addresses, options) }
    }

    fn call(&mut self, method: &str, args: &[(i16, Arg<'_>)]) {
        self.connection.call(method, args, None, &["1", "2", "3", "4"]).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The whole notification log.
    pub fn log(&mut self) -> Vec<Notification> {
        self.reader.notifications(0, 100_000).unwrap()
    }

    pub fn table_names(&mut self, database: &str) -> Vec<String> {
        self.reader.tables(Some("hive"), database).unwrap().tables
    }

    /// A database with a partitioned table, a plain one, a view, constraints and a function; one table is altered.
    pub fn lake(&mut self, database: &str) {
        let location = format!("s3://lake/{database}.db");
        let parameters = json!({ "team": "data" });
        let described = json!({
            "name": database, "description": "a lake", "parameters": parameters, "ownerName": "ann", "ownerType": 1,
        });
        self.call("create_database", &[(1, Arg::Object(&DATABASE, &object(described)))]);
        self.table(&format!("{database}.orders"), &["id", "amount"], &["dt"]);
        let days = ["2024-01-01", "2024-01-02", "2024-01-03"];
        self.partitions(&format!("{database}.orders"), &days);
        self.partitions(&format!("{database}.orders"), &["a b/c=d", "größe"]);
        self.table(&format!("{database}.plain"), &["id"], &[]);
        self.view(&format!("{database}.recent"), &format!("select id from {database}.orders"));
        let function = object(json!({
            "functionName": "mask", "dbName": database, "className": "org.example.Mask", "ownerName": "ann",
            "ownerType": 1, "functionType": 1, "createTime": 1, "resourceUris": [{ "resourceType": 1, "uri": location }],
        }));
        self.call("create_function", &[(1, Arg::Object(&FUNCTION, &function))]);
        // As the metastore has it, so with its location.
        let names = ["plain".to_owned()];
        let mut altered = self.reader.tables_by_name(Some("hive"), database, &names).unwrap().remove(0);
        let columns = described_table(&format!("{database}.plain"), &["id", "extra"], &[]).0["sd"]["cols"].take();
        altered.0["sd"]["cols"] = columns;
        altered.0.insert("parameters".to_owned(), json!({ "comment": "größer", "k": "v" }));
        let args = [(1, Arg::Text(database)), (2, Arg::Text("plain")), (3, Arg::Object(&TABLE, &altered))];
        self.call("alter_table", &args);
        // Last: 3.1 forgets the columns of a table's constraints when its columns change.
        self.constraints(database);
    }

    pub fn table(&mut self, name: &str, columns: &[&str], keys: &[&str]) {
        let table = described_table(name, columns, keys);
        self.call("create_table", &[(1, Arg::Object(&TABLE, &table))]);
    }

    fn view(&mut self, name: &str, text: &str) {
        let mut view = described_table(name, &["id"], &[]);
        for (field, value) in [("viewOriginalText", text), ("viewExpandedText", text), ("tableType", "VIRTUAL_VIEW")] {
            view.0.insert(field.to_owned(), json!(value));
        }
        self.call("create_table", &[(1, Arg::Object(&TABLE, &view))]);
    }

    fn partitions(&mut self, name: &str, values: &[&str]) {
        let (database, table) = split(name);
        let sd = described_table(name, &["id", "amount"], &[]).0.remove("sd").unwrap();
        let partition = |value: &&str| {
            let mut sd = sd.clone();
            sd["location"] = json!(null);
            sd.as_object_mut().unwrap().remove("location");
            object(
                json!({ "values": [value], "dbName": database, "tableName": table, "sd": sd, "parameters": { "p": "1" } }),
            )
        };
        let partitions: Vec<Object> = values.iter().map(partition).collect();
        self.call("add_partitions", &[(1, Arg::Objects(&PARTITION, &partitions))]);
    }

    fn constraints(&mut self, database: &str) {
        let common = json!({
            "catName": "hive", "table_db": database, "table_name": "plain", "column_name": "id", "enable_cstr": 0,
            "validate_cstr": 0, "rely_cstr": 1,
        });
        let with = |extra: Value| {
            let mut all = common.as_object().unwrap().clone();
            all.extend(extra.as_object().unwrap().clone());
            vec![Object(all)]
        };
        let keys = with(json!({ "pk_name": format!("pk_{database}"), "key_seq": 1 }));
        let request = Arg::Record(vec![(1, Arg::Objects(&SQL_PRIMARY_KEY, &keys))]);
        self.call("add_primary_key", &[(1, request)]);
        let not_null = with(json!({ "nn_name": format!("nn_{database}") }));
        let request = Arg::Record(vec![(1, Arg::Objects(&SQL_NOT_NULL, &not_null))]);
        self.call("add_not_null_constraint", &[(1, request)]);
    }

    pub fn drop_table(&mut self, name: &str) {
        let (database, table) = split(name);
        self.call("drop_table", &[(1, Arg::Text(database)), (2, Arg::Text(table)), (3, Arg::Bool(false))]);
    }

    pub fn drop_partition(&mut self, name: &str, values: &[&str]) {
        let (database, table) = split(name);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let args = [(1, Arg::Text(database)), (2, Arg::Text(table)), (3, Arg::Texts(&values)), (4, Arg::Bool(false))];
        self.call("drop_partition", &args);
    }

    pub fn drop_database(&mut self, name: &str) {
        self.call("drop_database", &[(1, Arg::Text(name)), (2, Arg::Bool(false)), (3, Arg::Bool(true))]);
    }
}

fn described_table(name: &str, columns: &[&str], keys: &[&str]) -> Object {
    let (database, table) = split(name);
    let column = |name: &&str| json!({ "name": name, "type": "string", "comment": format!("the {name}") });
    let columns: Vec<Value> = columns.iter().map(column).collect();
    let keys: Vec<Value> = keys.iter().map(column).collect();
    object(json!({
        "tableName": table, "dbName": database, "owner": "ann", "createTime": 1_700_000_000, "lastAccessTime": 0,
        "retention": 0, "tableType": "MANAGED_TABLE", "partitionKeys": keys, "parameters": { "k": "v" },
        "sd": {
            "cols": columns, "inputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat", "compressed": 0,
            "numBuckets": -1, "bucketCols": [], "sortCols": [], "parameters": {},
            "serdeInfo": {
                "name": table, "serializationLib": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                "parameters": { "serialization.format": "1" },
            },
            "storedAsSubDirectories": 0,
        },
    }))
}
