//! Answers of the reference down to fields, headers and the order in which it refuses.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use super::tests::{BAD, Client, V1, V2, code};

fn fields(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

fn message(answer: &(u16, Value)) -> &str {
    answer.1["message"].as_str().unwrap()
}

#[tokio::test]
async fn schemas_have_the_references_fields() {
    let client = Client::new();
    let (_, registered) = client.post("/subjects/s/versions", json!({"schema": V1})).await;
    assert_eq!(fields(&registered), ["guid", "id", "schema", "schemaType", "ts", "version"]);
    assert_eq!(registered["schemaType"], json!("AVRO"));
    let all = ["deleted", "guid", "id", "schema", "schemaType", "subject", "ts", "version"];
    let (_, version) = client.get("/subjects/s/versions/1").await;
    assert_eq!((fields(&version), &version["deleted"]), (all.to_vec(), &json!(false)));
    assert_eq!(fields(&client.get("/schemas").await.1[0]), all);
    assert_eq!(fields(&client.post("/subjects/s", json!({"schema": V1})).await.1), all);
    let by_id = ["deleted", "guid", "schema", "schemaType", "subject", "ts", "version"];
    assert_eq!(fields(&client.get("/schemas/ids/1").await.1), by_id);
    assert_eq!(fields(&client.get("/schemas/ids/1?fetchMaxId=true").await.1), {
        let mut with_max: Vec<&str> = by_id.to_vec();
        with_max.insert(2, "maxId");
        with_max
    });
    let guid = version["guid"].as_str().unwrap();
    let by_guid = client.get(&format!("/schemas/guids/{guid}")).await.1;
    assert_eq!(fields(&by_guid), ["deleted", "guid", "schema", "schemaType", "ts"]);
    client.delete("/subjects/s/versions/1").await;
    assert_eq!(client.get("/subjects/s/versions/1?deleted=true").await.1["deleted"], json!(true));
    assert_eq!(client.get("/schemas/ids/1").await.1["deleted"], json!(true));
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let client = Client::new();
    for (method, path, status) in [
        (Method::OPTIONS, "/subjects", 200),
        (Method::OPTIONS, "/config/s", 200),
        (Method::POST, "/subjects", 405),
        (Method::DELETE, "/contexts/.", 405),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        let response = client.respond(request).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        if path != "/contexts/." {
            let allowed = response.headers().get_all("allow").iter().map(|value| value.to_str().unwrap());
            let allowed = allowed.collect::<Vec<_>>().join(",");
            let expected: &[&str] = if path == "/subjects" { &["GET", "HEAD"] } else { &["GET", "PUT", "DELETE"] };
            for name in expected.iter().chain(&["OPTIONS"]) {
                assert!(allowed.split(',').any(|one| one == *name), "{method} {path}: {allowed}");
            }
        }
    }
    assert_eq!(code(client.put("/subjects", json!({})).await), (405, 405));
    let head = Request::builder().method(Method::HEAD).uri("/subjects").body(Body::empty()).unwrap();
    assert_eq!(client.respond(head).await.status(), 200);
}

#[tokio::test]
async fn bodies_are_read_as_leniently_as_the_reference_reads_them() {
    let client = Client::new();
    client.register("s", V1).await;
    let path = "/subjects/s/versions";
    let raw = |text: &str| {
        let request = Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
        client.send(request.body(Body::from(text.to_owned())).unwrap())
    };
    assert_eq!(raw(r#"{"schema":"x","schema":"\"int\"","version":"1"}"#).await.2["error_code"], json!(42201));
    assert_eq!(raw(r#"{"schema":"x","schema":"{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}"}"#).await.0, 200);
    // A number is taken for its text, which is no schema; an object is not.
    assert_eq!(code(client.post(path, json!({"schema": 5})).await), (422, 42201));
    assert_eq!(code(client.post(path, json!({"schema": {}})).await), (400, 400));
    assert_eq!(code(client.post(path, json!({"schema": V1, "version": "two"})).await), (400, 400));
    assert_eq!(code(client.post(path, json!([])).await), (400, 400));
    assert_eq!(
        code(client.post("/subjects/t/versions", json!({"schema": null, "references": null})).await),
        (422, 42201)
    );
    for text in ["", "  ", "null"] {
        assert_eq!((raw(text).await.0, raw(text).await.2["error_code"].clone()), (422, json!(422)), "{text:?}");
    }
    assert_eq!(code(client.put("/config", json!({"normalize": {}})).await), (400, 400));
    assert_eq!(code(client.put("/config", json!({"compatibility": 1})).await), (422, 42203));
}

#[tokio::test]
async fn settings_are_answered_as_they_are_now() {
    let client = Client::new();
    client.put("/config/s", json!({"compatibility": "full", "compatibilityGroup": "g"})).await;
    let whole = json!({"compatibility": "FULL", "compatibilityGroup": "g", "compatibilityPolicy": "LENIENT"});
    assert_eq!(client.put("/config/s", json!({"compatibilityPolicy": "lenient"})).await, (200, whole));
    let without = json!({"compatibility": "FULL", "compatibilityGroup": "g"});
    assert_eq!(client.put("/config/s", json!({"compatibilityPolicy": "odd"})).await, (200, without));
    assert_eq!(client.put("/mode/s", json!({"mode": "readonly"})).await, (200, json!({"mode": "readonly"})));
    assert_eq!(client.get("/mode/s").await, (200, json!({"mode": "READONLY"})));
    let odd = client.put("/mode/s", json!({"mode": "ODD"})).await;
    assert_eq!(message(&odd), "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.");
    for path in ["/mode/__GLOBAL", "/mode/:.c:__EMPTY", "/mode/a%01"] {
        assert_eq!(code(client.put(path, json!({"mode": "ODD"})).await), (422, 42208), "{path}");
    }
    assert_eq!(code(client.put("/config/a%01", json!({"compatibility": "ODD"})).await), (422, 42203), "read first");
    let control = client.put("/config/a%01", json!({"compatibility": "FULL"})).await;
    assert_eq!(message(&control), "The specified subject 'a\u{1}' is not a valid.");
    assert_eq!(code(client.get("/config/a%01").await), (404, 40408), "what cannot be is not there");
    assert_eq!(code(client.get("/subjects/a%01/versions").await), (404, 40401));
}

#[tokio::test]
async fn the_scope_of_all_contexts_has_settings_before_they_are_set() {
    let client = Client::new();
    let global = ":.__GLOBAL:";
    let level = |level: &str| (200, json!({"compatibilityLevel": level}));
    assert_eq!(client.delete(&format!("/config/{global}")).await, level("BACKWARD"));
    assert_eq!(client.delete(&format!("/mode/{global}")).await, (200, json!({"mode": "READWRITE"})));
    client.put(&format!("/config/{global}"), json!({"compatibility": "NONE"})).await;
    client.put(&format!("/mode/{global}"), json!({"mode": "READONLY"})).await;
    assert_eq!(client.get("/config").await, level("BACKWARD"));
    assert_eq!(client.get("/config?defaultToGlobal=true").await, level("NONE"));
    assert_eq!(client.get("/mode?defaultToGlobal=true").await, (200, json!({"mode": "READONLY"})));
    let refused = client.post("/subjects/s/versions", json!({"schema": V1})).await;
    assert_eq!(code(refused), (422, 42205));
    assert_eq!(client.delete(&format!("/mode/{global}")).await, (200, json!({"mode": "READONLY"})));
    assert_eq!(client.delete("/mode/s?recursive=true").await, (200, json!({})));
    assert_eq!(code(client.delete("/mode/s").await), (404, 40401));
}

#[tokio::test]
async fn a_subject_that_is_read_only_says_so_before_other_reasons() {
    let client = Client::new();
    client.register("s", V1).await;
    let order = r#"{"type":"record","name":"O","fields":[{"name":"r","type":"R"}]}"#;
    let references = json!([{"name": "R", "subject": "s", "version": 1}]);
    client.post("/subjects/o/versions", json!({"schema": order, "references": references})).await;
    assert_eq!(code(client.delete("/subjects/s/versions/1?permanent=true").await), (422, 42206));
    client.put("/mode/s", json!({"mode": "READONLY"})).await;
    for path in ["/subjects/s", "/subjects/s?permanent=true", "/subjects/s/versions/1", "/subjects/s/versions/latest"] {
        let refused = client.delete(path).await;
        assert_eq!(message(&refused), "Subject s in context  is in read-only mode", "{path}");
        assert_eq!(code(refused), (422, 42205));
    }
    assert_eq!(code(client.delete("/subjects/s/versions/9").await), (404, 40402));
    client.put("/mode/s", json!({"mode": "READWRITE"})).await;
    client.delete("/subjects/o").await;
    client.delete("/subjects/s").await;
    // What is left of `o` still refers to it.
    assert_eq!(code(client.put("/mode/:.:", json!({"mode": "IMPORT"})).await), (422, 42206));
    assert_eq!(client.put("/mode/:.:?force=true", json!({"mode": "IMPORT"})).await.0, 200);
}

#[tokio::test]
async fn tags_come_with_a_registration() {
    let client = Client::new();
    let path = "/subjects/s/versions";
    client.register("s", V1).await;
    let entity = |path: &str, kind: &str, tags: &[&str]| json!([{"schemaEntity": {"entityPath": path, "entityType": kind}, "tags": tags}]);
    let record = |tags: &[&str]| entity("R", "sr_record", tags);
    let text = |fields: &str, tags: &str| {
        json!(format!(r#"{{"type":"record","name":"R","fields":[{fields}],"confluent:tags":[{tags}]}}"#))
    };
    let a = r#"{"name":"a","type":"int"}"#;
    let add = json!({"schema": V1, "schemaTagsToAdd": record(&["T1", "T2"])});
    let (_, body) = client.post(path, add).await;
    assert_eq!((&body["schema"], &body["version"]), (&text(a, r#""T1","T2""#), &json!(2)));
    assert_eq!(body["metadata"]["properties"]["confluent:version"], json!("2"));
    let remove = json!({"schema": body["schema"], "version": 3, "schemaTagsToRemove": record(&["T2"])});
    assert_eq!(client.post(path, remove).await.1["schema"], text(a, r#""T1""#));
    let found = client.get("/subjects/s/versions/latest?findTags=*").await.1;
    assert_eq!(found["schemaTags"], record(&["T1"]));
    // Tags of the previous version are kept on request.
    let kept = json!({"schema": V2, "propagateSchemaTags": true});
    let both = format!(r#"{a},{{"name":"b","type":"int","default":0}}"#);
    let (_, body) = client.post(path, kept.clone()).await;
    assert_eq!((&body["schema"], &body["version"]), (&text(&both, r#""T1""#), &json!(4)));
    assert_eq!(client.post(path, kept).await.1["version"], json!(4), "and then it is there already");
    let nowhere = json!({"schema": V1, "schemaTagsToAdd": entity("no.such", "sr_field", &["T"])});
    assert_eq!(code(client.post(path, nowhere).await), (422, 42201));
    let late = json!({"schema": V1, "version": 9, "schemaTagsToAdd": record(&["T"])});
    assert_eq!(code(client.post(path, late).await), (422, 42201));
}

#[tokio::test]
async fn changed_tags_tell_their_version_and_keep_the_latest_rules() {
    let client = Client::new();
    let path = "/subjects/s/versions";
    let rule = |name: &str| json!({"name": name, "kind": "CONDITION", "mode": "WRITE", "type": "CEL"});
    client.register("s", V1).await;
    client.post(path, json!({"schema": V2, "ruleSet": {"domainRules": [rule("a"), rule("b")]}})).await;
    let add = json!([{"schemaEntity": {"entityPath": "R", "entityType": "sr_record"}, "tags": ["T"]}]);
    let (_, body) = client.post("/subjects/s/versions/1/tags", json!({"tagsToAdd": add})).await;
    assert_eq!((&body["version"], &body["metadata"]["properties"]["confluent:version"]), (&json!(3), &json!("3")));
    let names = |body: &Value| {
        let rules = body["ruleSet"]["domainRules"].as_array().unwrap().clone();
        rules.iter().map(|rule| rule["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&body), ["a", "b"], "the second version's");
    let change = json!({"rulesToMerge": {"domainRules": [rule("c")]}, "rulesToRemove": ["a"]});
    assert_eq!(names(&client.post("/subjects/s/versions/1/tags", change).await.1), ["b", "c"]);
    let both = json!({"ruleSet": {}, "rulesToRemove": ["b"]});
    let refused = client.post("/subjects/s/versions/1/tags", both).await;
    assert_eq!(message(&refused), "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove");
    let invalid = json!({"rulesToMerge": {"domainRules": [rule("1")]}});
    assert_eq!(code(client.post("/subjects/s/versions/1/tags", invalid).await), (422, 42210));
}

#[tokio::test]
async fn a_file_may_be_referred_to_by_two_names() {
    let client = Client::new();
    let json_schema = |text: Value| json!({"schemaType": "JSON", "schema": text.to_string()});
    client.post("/subjects/item/versions", json_schema(json!({"type": "string"}))).await;
    let mut pair = json_schema(json!({"type": "object", "properties": {
        "x": {"$ref": "one.json"}, "y": {"$ref": "two.json"}}}));
    pair["references"] = json!([{"name": "one.json", "subject": "item", "version": 1},
        {"name": "two.json", "subject": "item", "version": 1}]);
    let (status, body) = client.post("/subjects/pair/versions", pair).await;
    assert_eq!((status, &body["version"]), (200, &json!(1)), "{body}");
}

#[tokio::test]
async fn a_context_has_no_colon_in_its_name() {
    let client = Client::new();
    let refused = client.get("/contexts/:.a:b:/subjects").await;
    assert_eq!(message(&refused), "Context name '.a:b' cannot contain a colon");
    assert_eq!(code(refused), (400, 400));
    client.register(":.a:s", V1).await;
    for context in [".a", "a", ":.a:"] {
        assert_eq!(client.get(&format!("/contexts/{context}/subjects")).await, (200, json!([":.a:s"])), "{context}");
    }
}

#[tokio::test]
async fn numbers_out_of_range_are_no_numbers() {
    let client = Client::new();
    client.register("s", V1).await;
    assert_eq!(code(client.get("/subjects?limit=99999999999").await), (404, 404));
    assert_eq!(code(client.get("/schemas/ids/99999999999").await), (404, 404));
    assert_eq!(code(client.get("/subjects/s/versions/99999999999").await), (422, 42202));
    assert_eq!(client.get("/subjects?limit=%20").await, (200, json!(["s"])));
    assert_eq!(client.get("/schemas?resourceType=topic").await, (200, json!([])));
    assert_eq!(client.get("/schemas?lifecycle=STRONG&lifecycle=NONE").await.1.as_array().unwrap().len(), 1);
    assert_eq!(code(client.post("/subjects/s/versions", json!({"schema": BAD})).await), (409, 40901));
}
