//! Writer of Thrift's JSON protocol, the reverse of [`super::tjson`]: as the metastore's own listener writes objects.

use serde_json::{Map, Number, Value, json};

use super::thrift::{Object, Struct, Wire};

/// The text of one object. Fields that `schema` does not have, and values that are not of a field's type, are left out;
/// the readers of [`super::thrift`] give neither.
pub fn write(schema: &Struct, object: &Object) -> String {
    Value::Object(structure(schema, &object.0)).to_string()
}

fn structure(schema: &Struct, object: &Map<String, Value>) -> Map<String, Value> {
    let fields = schema.fields.iter().filter_map(|field| {
        let value = object.get(field.name)?;
        let code = code(&field.wire, std::slice::from_ref(value));
        let value = json!({ code: self::value(&field.wire, value)? });
        Some((field.id.to_string(), value))
    });
    fields.collect()
}

/// The name of a type in the protocol. Which kind of integer it is, nobody who reads it cares; it has to fit.
fn code(wire: &Wire, values: &[Value]) -> &'static str {
    match wire {
        Wire::Bool => "tf",
        Wire::Int if values.iter().filter_map(Value::as_i64).all(|number| i32::try_from(number).is_ok()) => "i32",
        Wire::Int => "i64",
        Wire::Double => "dbl",
        Wire::Text => "str",
        Wire::Struct(_) => "rec",
        Wire::List(_) => "lst",
        Wire::Map(_) => "map",
    }
}

fn value(wire: &Wire, found: &Value) -> Option<Value> {
    Some(match (wire, found) {
        (Wire::Bool | Wire::Int, Value::Number(number)) => Value::from(number.as_i64()?),
        (Wire::Double, Value::Number(number)) => Value::Number(Number::from_f64(number.as_f64()?)?),
        (Wire::Text, Value::String(_)) => found.clone(),
        (Wire::Struct(schema), Value::Object(fields)) => Value::Object(structure(schema, fields)),
        (Wire::List(element), Value::Array(items)) => {
            let written: Vec<Value> = items.iter().filter_map(|item| value(element, item)).collect();
            let mut list = vec![json!(code(element, items)), json!(written.len())];
            list.extend(written);
            Value::Array(list)
        }
        (Wire::Map(element), Value::Object(entries)) => {
            let values: Vec<Value> = entries.values().cloned().collect();
            let entry = |(key, item): (&String, &Value)| Some((key.clone(), value(element, item)?));
            let written: Map<String, Value> = entries.iter().filter_map(entry).collect();
            json!(["str", code(element, &values), written.len(), written])
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::thrift::{DATABASE, FUNCTION, TABLE};
    use super::super::tjson;
    use super::*;
    use crate::codec::Limits;
    use crate::codec::json::Allowance;

    fn read(schema: &Struct, text: &str) -> Object {
        tjson::read(schema, text, &mut Allowance::new(Limits::default())).expect("it is Thrift JSON")
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let table = Object(
            json!({
                "tableName": "t", "dbName": "d", "createTime": 1_700_000_000, "retention": 0, "writeId": 5_000_000_000_i64,
                "sd": {
                    "cols": [{ "name": "a\"b", "type": "int", "comment": "größe\n" }, { "name": "c", "type": "string" }],
                    "compressed": 0, "bucketCols": [], "sortCols": [{ "col": "a", "order": 1 }],
                    "serdeInfo": { "name": "s", "parameters": { "serialization.format": "1" } },
                    "skewedInfo": { "skewedColNames": ["a"], "skewedColValues": [["1"], ["2"]],
                        "skewedColValueLocationMaps": { "[\"1\"]": "s3://b/1" } },
                },
                "partitionKeys": [], "parameters": {}, "privileges": { "userPrivileges": { "u": [{ "privilege": "ALL" }] } },
            })
            .as_object()
            .cloned()
            .unwrap_or_default(),
        );
        assert_eq!(read(&TABLE, &write(&TABLE, &table)), table);
    }

    #[test]
    fn the_form_is_the_protocols() {
        let of = |value: Value| Object(value.as_object().cloned().unwrap_or_default());
        let database = of(json!({ "name": "d", "parameters": { "k": "v" }, "ownerType": 1, "foreign": 7 }));
        let expected = r#"{"1":{"str":"d"},"4":{"map":["str","str",1,{"k":"v"}]},"7":{"i32":1}}"#;
        assert_eq!(write(&DATABASE, &database), expected);
        let function = of(json!({ "functionName": "f", "resourceUris": [{ "resourceType": 1, "uri": "u" }] }));
        let expected = r#"{"1":{"str":"f"},"8":{"lst":["rec",1,{"1":{"i32":1},"2":{"str":"u"}}]}}"#;
        assert_eq!(write(&FUNCTION, &function), expected);
    }
}
