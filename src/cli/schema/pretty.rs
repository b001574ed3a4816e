//! JSON schemas indented, keys in their order. Pure.

use crate::schema::json::{Json, write_string};

/// The text indented if it is JSON, and as it is if it is not.
pub(super) fn pretty(text: &str) -> String {
    let Ok(json) = Json::parse(text) else { return text.trim_end().to_owned() };
    let mut out = String::with_capacity(text.len() * 2);
    write(&json, 0, &mut out);
    out
}

fn write(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Array(items) if !items.is_empty() => {
            between('[', ']', depth, items, out, |item, out| write(item, depth + 1, out));
        }
        Json::Object(members) if !members.is_empty() => {
            between('{', '}', depth, members, out, |(key, value), out| {
                write_string(key, out);
                out.push_str(": ");
                write(value, depth + 1, out);
            });
        }
        other => other.write(out),
    }
}

fn between<T>(open: char, close: char, depth: usize, items: &[T], out: &mut String, each: impl Fn(&T, &mut String)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        out.push_str(&"  ".repeat(depth + 1));
        each(item, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_in_its_order_and_other_text_stays() {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"]},{}],"aliases":[]}"#;
        let expected = r#"{
  "type": "record",
  "name": "R",
  "fields": [
    {
      "name": "a",
      "type": [
        "null",
        "int"
      ]
    },
    {}
  ],
  "aliases": []
}"#;
        assert_eq!(pretty(text), expected);
        assert_eq!(pretty("\"int\""), "\"int\"");
        assert_eq!(pretty("syntax = \"proto3\";\n"), "syntax = \"proto3\";");
    }
}
