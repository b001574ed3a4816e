//! What clients of the reference rely on beyond paths and codes: scopes, versions asked for, deletes, contexts, paging.

use serde_json::{Value, json};

use super::tests::{BAD, Client, V1, V2, code};

fn message(answer: (u16, Value)) -> String {
    answer.1["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn settings_hold_for_their_scope_alone() {
    let client = Client::new();
    client.put("/config", json!({"compatibility": "NONE"})).await;
    client.register("s", V1).await;
    assert_eq!(client.register("s", BAD).await, 2, "the default context's level");
    client.register(":.c:s", V1).await;
    let refused = client.post("/subjects/:.c:s/versions", json!({"schema": BAD})).await;
    assert_eq!(code(refused), (409, 40901), "is not another context's");
    client.put("/config/:.__GLOBAL:", json!({"compatibility": "NONE"})).await;
    assert_eq!(client.register(":.c:s", BAD).await, 2, "the global level is");
    client.put("/config/:.c:", json!({"compatibility": "FULL"})).await;
    let level = json!({"compatibilityLevel": "FULL"});
    assert_eq!(client.get("/config/:.c:s?defaultToGlobal=true").await, (200, level.clone()));
    assert_eq!(client.get("/config/:.c").await, (200, level), "a context needs no second colon");
    // Beside a setting of its own a subject's level is the default one again.
    client.put("/config/s", json!({"normalize": true})).await;
    let own = json!({"normalize": true, "compatibilityLevel": "BACKWARD"});
    assert_eq!(client.get("/config/s").await, (200, own));
    // `:.:` is the default context, as no subject is.
    client.put("/config/:.:", json!({"compatibility": "FORWARD"})).await;
    assert_eq!(client.get("/config").await, (200, json!({"compatibilityLevel": "FORWARD"})));
    assert_eq!(client.get("/mode/:.:").await, (200, json!({"mode": "READWRITE"})));
    assert_eq!(client.get("/config/:.__GLOBAL:").await, (200, json!({"compatibilityLevel": "NONE"})));
    assert_eq!(client.get("/mode/:.__GLOBAL:").await, (200, json!({"mode": "READWRITE"})));
}

#[tokio::test]
async fn a_setting_that_is_null_is_cleared() {
    let client = Client::new();
    client.put("/config/s", json!({"compatibility": "FULL", "alias": "t", "normalize": true})).await;
    let left = json!({"normalize": true, "compatibility": "FULL"});
    assert_eq!(client.put("/config/s", json!({"alias": null})).await, (200, left), "all that is set now");
    let left = json!({"normalize": true, "compatibilityLevel": "FULL"});
    assert_eq!(client.get("/config/s").await, (200, left));
    client.put("/mode/s", json!({"mode": "READONLY"})).await;
    assert_eq!(client.put("/mode/s", json!({"mode": null})).await, (200, json!({"mode": null})));
    assert_eq!(code(client.get("/mode/s").await), (404, 40409));
}

#[tokio::test]
async fn a_version_can_be_asked_for() {
    let client = Client::new();
    let at = |version: i32, schema: &str| json!({"schema": schema, "version": version});
    let path = "/subjects/s/versions";
    let (_, first) = client.post(path, at(1, V1)).await;
    assert_eq!(
        (&first["version"], &first["metadata"]),
        (&json!(1), &json!({"properties": {"confluent:version": "1"}}))
    );
    let taken = client.post(path, at(1, V1)).await;
    assert_eq!(message(taken.clone()), "Version is not one more than previous version");
    assert_eq!(code(taken), (422, 42201));
    assert_eq!(code(client.post(path, at(3, V2)).await), (422, 42201));
    assert_eq!(client.post(path, at(2, V2)).await.1["version"], json!(2));
    // -1 is "the next, unless the latest is this".
    assert_eq!(client.post(path, at(-1, V2)).await.1["version"], json!(2));
    let (_, again) = client.post(path, at(-1, V1)).await;
    assert_eq!((&again["version"], &again["id"]), (&json!(3), &json!(3)), "the property is a part of the content");
    assert_eq!(client.post("/subjects/s", json!({"schema": V2})).await.1["version"], json!(2));
    // A producer that starts again and again adds nothing.
    for _ in 0..2 {
        assert_eq!(client.post(path, json!({"schema": V1})).await.1["version"], json!(3));
    }
    assert_eq!(client.get(path).await, (200, json!([1, 2, 3])));
    let owned = json!({"schema": V1, "version": 1, "metadata": {"properties": {"owner": "me"}}});
    client.post("/subjects/owned/versions", owned).await;
    assert_eq!(client.post("/subjects/owned", json!({"schema": V1})).await.1["version"], json!(1));
}

#[tokio::test]
async fn what_was_registered_before_a_contract_is_still_there() {
    let client = Client::new();
    client.register("s", V1).await;
    let contract = json!({"schema": V2, "metadata": {"properties": {"owner": "me"}}});
    client.post("/subjects/s/versions", contract).await;
    assert_eq!(client.post("/subjects/s/versions", json!({"schema": V1})).await.1["version"], json!(1));
    client.put("/mode/s", json!({"mode": "READONLY"})).await;
    assert_eq!(client.post("/subjects/s/versions", json!({"schema": V1})).await.1["version"], json!(1));
    // A text of blanks is none: the previous schema under other rules.
    client.put("/mode/s", json!({"mode": "READWRITE"})).await;
    let blank = json!({"schema": " ", "metadata": {"properties": {"owner": "you"}}});
    let (_, body) = client.post("/subjects/s/versions", blank).await;
    assert_eq!((&body["version"], &body["schema"]), (&json!(3), &json!(V2)));
}

#[tokio::test]
async fn a_schema_is_found_without_saying_its_contract() {
    let client = Client::new();
    let owner = |name: &str| json!({"properties": {"owner": name}});
    client.post("/subjects/s/versions", json!({"schema": V1, "metadata": owner("me")})).await;
    assert_eq!(client.post("/subjects/s", json!({"schema": V1})).await.1["version"], json!(1), "the latest's contract");
    client.post("/subjects/s/versions", json!({"schema": V2, "metadata": owner("you")})).await;
    assert_eq!(code(client.post("/subjects/s", json!({"schema": V1})).await), (404, 40403));
    let asked = json!({"schema": V1, "metadata": owner("me")});
    assert_eq!(client.post("/subjects/s", asked).await.1["version"], json!(1));
    assert_eq!(
        code(client.post("/subjects/none", json!({"schema": "{"})).await),
        (422, 42201),
        "read before looked for"
    );
    assert_eq!(code(client.post("/subjects/s", json!({"schema": ""})).await), (404, 40403));
    assert_eq!(code(client.post("/subjects/none", json!({})).await), (404, 40401));
}

#[tokio::test]
async fn references_written_out_are_the_same_schema() {
    let client = Client::new();
    client.register("item", r#"{"type":"record","name":"Item","fields":[]}"#).await;
    let order = r#"{"type":"record","name":"Order","fields":[{"name":"i","type":"Item"}]}"#;
    let references = json!([{"name": "Item", "subject": "item", "version": -1}]);
    client.post("/subjects/order/versions", json!({"schema": order, "references": references})).await;
    let whole = r#"{"type":"record","name":"Order","fields":[{"name":"i","type":{"type":"record","name":"Item","fields":[]}}]}"#;
    assert_eq!(client.register("order", whole).await, 2);
    assert_eq!(client.post("/subjects/order", json!({"schema": whole})).await.1["version"], json!(1));
    // A deleted version cannot be built on, though what was built on it stays readable.
    assert_eq!(code(client.delete("/subjects/item/versions/1").await), (422, 42206));
    client.delete("/subjects/order").await;
    assert_eq!(client.delete("/subjects/item/versions/1").await, (200, json!(1)));
    let other = json!({"schema": order, "references": [{"name": "Item", "subject": "item", "version": 1}]});
    let refused = client.post("/subjects/other/versions", other).await;
    assert_eq!(message(refused), "No schema reference found for subject \"item\" and version 1");
    assert_eq!(client.get("/subjects/order/versions/1?deleted=true&format=resolved").await.1["schema"], json!(whole));
}

#[tokio::test]
async fn deletes_look_before_they_refuse() {
    let client = Client::new();
    client.register("s", V1).await;
    client.delete("/subjects/s/versions/1").await;
    assert_eq!(code(client.get("/subjects/s/versions/latest?deleted=true").await), (404, 40402));
    assert_eq!(code(client.delete("/subjects/s/versions/latest").await), (404, 40402));
    client.put("/config/s", json!({"compatibility": "FULL"})).await;
    client.put("/mode/s", json!({"mode": "READONLY"})).await;
    assert_eq!(code(client.delete("/subjects/s/versions/7").await), (404, 40402), "before the mode is looked at");
    assert_eq!(code(client.delete("/subjects/s/versions/1?permanent=true").await), (422, 42205));
    client.put("/mode/s", json!({"mode": "READWRITE"})).await;
    assert_eq!(client.delete("/subjects/s/versions/1?permanent=true").await, (200, json!(1)));
    assert_eq!(code(client.get("/config/s").await), (404, 40408), "with the last version");
    assert_eq!(code(client.get("/mode/s").await), (404, 40409));
    // Versions of one subject that refer to each other go together.
    client.register("r", r#"{"type":"record","name":"Item","fields":[]}"#).await;
    let refers = json!({"schema": r#"{"type":"array","items":"Item"}"#,
        "references": [{"name": "Item", "subject": "r", "version": 1}]});
    assert_eq!(client.post("/subjects/r/versions?force=true", refers).await.0, 200);
    assert_eq!(code(client.delete("/subjects/r/versions/1").await), (422, 42206));
    assert_eq!(client.delete("/subjects/r").await, (200, json!([1, 2])));
    assert_eq!(client.delete("/subjects/r?permanent=true").await, (200, json!([1, 2])));
}

#[tokio::test]
async fn deleted_versions_are_listed_as_asked() {
    let client = Client::new();
    client.register("s", V1).await;
    assert_eq!(client.get("/subjects/s/versions?deletedOnly=true").await, (200, json!([])));
    client.register("s", V2).await;
    client.delete("/subjects/s/versions/1").await;
    assert_eq!(client.get("/subjects/s/versions?deletedAsNegative=true").await, (200, json!([-1, 2])));
    client.delete("/subjects/s").await;
    assert_eq!(code(client.get("/subjects/s/versions?deletedAsNegative=true").await), (404, 40401));
}

#[tokio::test]
async fn import_starts_from_nothing_and_keeps_ids() {
    let client = Client::new();
    client.register("s", V1).await;
    assert_eq!(code(client.put("/mode", json!({"mode": "IMPORT"})).await), (422, 42205));
    client.register(":.c:s", V1).await;
    client.delete("/subjects/s").await;
    assert_eq!(code(client.put("/mode", json!({"mode": "IMPORT"})).await), (422, 42205), "live in another context");
    client.delete("/subjects/:.c:s").await;
    assert_eq!(client.put("/mode", json!({"mode": "IMPORT"})).await, (200, json!({"mode": "IMPORT"})));
    assert_eq!(client.get("/subjects?deleted=true").await, (200, json!([])), "what was deleted is forgotten");
    let with_id = |id: i32, version: i32, schema: &str| json!({"schema": schema, "id": id, "version": version});
    let path = "/subjects/s/versions";
    assert_eq!(client.post(path, with_id(1, 4, V2)).await.1["id"], json!(1), "an id of before, with another schema");
    let taken = client.post(path, with_id(1, 5, V1)).await;
    assert_eq!(message(taken), "Overwrite new schema with id 1 in context  is not permitted.");
    let without = client.post(path, json!({"schema": V1})).await;
    assert_eq!(message(without), "Subject s in context  is not in read-write mode");
    // What comes from elsewhere stays as it is.
    let spelled = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"int"}}]}"#;
    let (_, kept) = client.post("/subjects/t/versions?normalize=true", with_id(9, 1, spelled)).await;
    assert_eq!((&kept["id"], &kept["version"]), (&json!(9), &json!(1)));
    assert_eq!(code(client.put("/mode/s", json!({"mode": "FORWARD"})).await), (422, 42204));
    let forward = client.put("/mode/:.__GLOBAL:", json!({"mode": "FORWARD"})).await;
    assert_eq!(forward, (200, json!({"mode": "FORWARD"})));
}

#[tokio::test]
async fn a_contexts_modes_go_together() {
    let client = Client::new();
    for scope in [":.c:", ":.c:s", "s"] {
        client.put(&format!("/mode/{scope}"), json!({"mode": "READONLY"})).await;
    }
    assert_eq!(client.delete("/mode/:.c:?recursive=true").await, (200, json!({"mode": "READONLY"})));
    assert_eq!(code(client.get("/mode/:.c:s").await), (404, 40409));
    assert_eq!(client.get("/mode/s").await, (200, json!({"mode": "READONLY"})));
    assert_eq!(client.delete("/mode/:.c:?recursive=true").await, (200, json!({})));
}

#[tokio::test]
async fn contexts_stay_until_they_are_deleted() {
    let client = Client::new();
    client.register(":.c:s", V1).await;
    assert_eq!(code(client.delete("/contexts/.c").await), (422, 42211));
    client.delete("/subjects/:.c:s").await;
    assert_eq!(message(client.delete("/contexts/.c").await), "The specified context ':.c:' is not empty.");
    client.delete("/subjects/:.c:s?permanent=true").await;
    assert_eq!(client.get("/contexts").await, (200, json!([".", ".c"])));
    assert_eq!(code(client.delete("/contexts/c:x").await), (422, 42208));
    assert_eq!(client.gone("/contexts/.c").await, 204);
    assert_eq!(client.get("/contexts").await, (200, json!(["."])));
}

#[tokio::test]
async fn prefixes_and_names_choose_contexts() {
    let client = Client::new();
    client.register("a", V1).await;
    client.register(":.c:a", V2).await;
    client.register(":.c:b", V2).await;
    assert_eq!(client.get("/subjects").await, (200, json!([":.c:a", ":.c:b", "a"])));
    assert_eq!(client.get("/subjects?subjectPrefix=").await, (200, json!(["a"])));
    assert_eq!(client.get("/subjects?subjectPrefix=:*:b").await, (200, json!([":.c:b"])));
    assert_eq!(client.get("/contexts/.c/subjects?subjectPrefix=:.c:b").await, (200, json!([":.c:b"])));
    assert_eq!(client.get("/schemas").await.1.as_array().unwrap().len(), 1);
    // A subject that the default context lacks is looked for in the others.
    assert_eq!(client.get("/subjects/b/versions/1").await.1["subject"], json!(":.c:b"));
    assert_eq!(client.post("/subjects/b", json!({"schema": V2})).await.1["subject"], json!(":.c:b"));
    assert_eq!(code(client.get("/subjects/b/versions").await), (404, 40401), "its list is not");
    assert_eq!(client.get("/schemas/ids/1?subject=b").await.1["schema"], json!(V2));
    assert_eq!(code(client.get("/schemas/ids/1?subject=:.c:z").await), (404, 40403));
    assert_eq!(client.get("/schemas/ids/1?subject=z").await.1["schema"], json!(V1));
    assert_eq!(client.get("/schemas/ids/1/subjects?subject=:.c:a").await, (200, json!([":.c:a", ":.c:b"])));
    assert_eq!(code(client.post("/subjects/__GLOBAL/versions", json!({"schema": V1})).await), (422, 42208));
}

#[tokio::test]
async fn an_alias_is_another_name_of_a_subject() {
    let client = Client::new();
    client.register("real", V1).await;
    client.put("/config/other", json!({"alias": "real"})).await;
    assert_eq!(client.get("/subjects/other/versions").await, (200, json!([1])));
    assert_eq!(client.get("/subjects/other/versions/latest").await.1["subject"], json!("real"));
    assert_eq!(client.register("other", V2).await, 2);
    assert_eq!(client.get("/schemas?aliases=true&latestOnly=true").await.1[0]["aliases"], json!(["other"]));
    assert_eq!(client.get("/subjects").await, (200, json!(["real"])));
    let check = client.post("/compatibility/subjects/other/versions/latest", json!({"schema": BAD})).await;
    assert_eq!(check, (200, json!({"is_compatible": false})));
    assert_eq!(client.get("/config/other").await.1["alias"], json!("real"), "settings are the name's own");
    assert_eq!(code(client.put("/config/other", json!({"alias": "a\u{1}"})).await), (422, 42208));
}

#[tokio::test]
async fn pages_paths_and_bodies() {
    let client = Client::new();
    for name in ["a", "b", "c"] {
        client.register(name, V1).await;
    }
    assert_eq!(client.get("/subjects?offset=1&limit=1").await, (200, json!(["b"])));
    assert_eq!(client.get("/subjects?limit=0").await, (200, json!(["a", "b", "c"])));
    assert_eq!(client.get("/subjects?limit=-1&offset=2").await, (200, json!(["c"])));
    assert_eq!(code(client.get("/subjects?limit=x").await), (404, 404));
    assert_eq!(client.get("/subjects/").await, (200, json!(["a", "b", "c"])));
    assert_eq!(client.get("/subjects/a/versions/%201").await.0, 200);
    assert_eq!(code(client.post("/subjects/a/versions", Value::Null).await), (422, 422));
    assert_eq!(client.get("/v1/metadata/deployment").await, (200, json!({"attributes": []})));
    let guid = client.get("/schemas/ids/1").await.1["guid"].as_str().unwrap().to_owned();
    let (_, by_guid) = client.get(&format!("/schemas/guids/{}", guid.replace('-', ""))).await;
    assert_eq!(
        (&by_guid["schema"], &by_guid["subject"], &by_guid["version"]),
        (&json!(V1), &Value::Null, &Value::Null)
    );
    let unknown = uuid::Uuid::nil();
    assert_eq!(client.get(&format!("/schemas/guids/{unknown}/ids")).await, (200, json!([])));
    let missing = client.get(&format!("/schemas/guids/{unknown}")).await;
    assert_eq!(message(missing.clone()), format!("Schema {unknown} not found"));
    assert_eq!(code(missing), (404, 40403));
    assert_eq!(message(client.get("/schemas/ids/9/versions").await), "Schema not found");
}

#[tokio::test]
async fn rules_are_completed_and_judged() {
    let client = Client::new();
    let with = |kind: &str, rule: Value| json!({"schema": V1, "ruleSet": {kind: [rule]}});
    let (_, body) = client.post("/subjects/s/versions", with("domainRules", json!({"name": "a", "type": "CEL"}))).await;
    let full = json!({"name": "a", "kind": "TRANSFORM", "mode": "WRITEREAD", "type": "CEL", "disabled": false});
    assert_eq!(body["ruleSet"], json!({"domainRules": [full]}));
    for (kind, rule, said) in [
        (
            "migrationRules",
            json!({"name": "a", "type": "CEL"}),
            "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN",
        ),
        ("domainRules", json!({"type": "CEL"}), "Missing rule name"),
        ("domainRules", json!({"name": "a"}), "Missing rule type"),
        ("domainRules", json!({"name": "1a", "type": "CEL"}), "Illegal initial character in rule name: 1a"),
        ("domainRules", json!({"name": "a b", "type": "CEL"}), "Illegal character in rule name: a b"),
        (
            "domainRules",
            json!({"name": "a", "type": "CEL", "mode": "READ", "onFailure": "ERROR,NONE"}),
            "Multiple actions only valid with WRITEREAD and UPDOWN",
        ),
    ] {
        let refused = client.post("/subjects/s/versions", with(kind, rule)).await;
        assert_eq!((code(refused.clone()), message(refused)), ((422, 42210), said.to_owned()));
    }
    let twice = json!({"schema": V1, "ruleSet": {"domainRules": [full, full]}});
    assert_eq!(message(client.post("/subjects/s/versions", twice).await), "Found rule with duplicate name 'a'");
}

#[tokio::test]
async fn reserved_fields_stay_free_and_reserved() {
    let client = Client::new();
    client.put("/config/s", json!({"validateFields": true})).await;
    let reserving = |fields: &str, schema: &str| json!({"schema": schema, "metadata": {"properties": {"confluent:reserved": fields}}});
    let path = "/subjects/s/versions";
    assert_eq!(client.post(path, reserving("b, z", V1)).await.0, 200);
    let refused = client.post(path, reserving("b,z", V2)).await;
    assert!(message(refused).contains("The new schema has field that conflicts with the reserved field b."));
    let refused = client.post(path, reserving("z", V2)).await;
    assert!(message(refused.clone()).contains("reserved field b removed from its metadata"), "{refused:?}");
    assert!(message(refused).contains("{validateFields: 'true', compatibility: 'BACKWARD'}"));
    client.put("/config/s", json!({"compatibility": "NONE"})).await;
    assert_eq!(code(client.post(path, reserving("b,z", V2)).await), (409, 40901), "at any level");
}

#[tokio::test]
async fn protobuf_files_with_their_imports() {
    let client = Client::new();
    let proto = |schema: &str| json!({"schemaType": "PROTOBUF", "schema": schema});
    let item = "syntax = \"proto3\";\npackage shop;\n\nmessage Item {\n  string sku = 1;\n}\n";
    let (status, body) = client.post("/subjects/item.proto/versions", proto(item)).await;
    assert_eq!((status, &body["schemaType"], &body["schema"]), (200, &json!("PROTOBUF"), &json!(item)), "{body}");
    let order = |field: &str| {
        let text = format!(
            "syntax = \"proto3\";\npackage shop;\n\nimport \"item.proto\";\n\nmessage Order {{\n  {field} = 1;\n}}\n"
        );
        json!({"schemaType": "PROTOBUF", "schema": text,
            "references": [{"name": "item.proto", "subject": "item.proto", "version": 1}]})
    };
    let (status, body) = client.post("/subjects/order-value/versions", order("Item item")).await;
    assert_eq!((status, &body["id"]), (200, &json!(2)), "{body}");
    assert_eq!(client.get("/subjects/item.proto/versions/1/referencedby").await, (200, json!([2])));
    assert_eq!(
        client.post("/subjects/order-value", order("Item  item")).await.1["version"],
        json!(1),
        "spelling is free"
    );
    // A client that registers descriptors finds the file that another one has written as text.
    let (_, shown) = client.get("/schemas/ids/1?format=serialized").await;
    let descriptor = shown["schema"].as_str().unwrap();
    assert_eq!(client.post("/subjects/item.proto", proto(descriptor)).await.1["version"], json!(1));
    let check = "/compatibility/subjects/order-value/versions/latest?verbose=true";
    let (_, body) = client.post(check, order("string item")).await;
    assert_eq!(body["is_compatible"], json!(false));
    assert!(body["messages"][0].as_str().unwrap().starts_with("{errorType:\"FIELD_KIND_CHANGED\""), "{body}");
    let (status, body) = client.post("/subjects/order-value/versions", proto("message M { string a = 1 }")).await;
    assert_eq!((status, &body["error_code"]), (422, &json!(42201)));
    let (_, body) = client.post(check, json!({"schema": "\"int\""})).await;
    assert_eq!(body["messages"][0], json!("Incompatible because of different schema type"));
}

#[tokio::test]
async fn json_schemas_with_their_references() {
    let client = Client::new();
    let schema = |text: &str| json!({"schemaType": "JSON", "schema": text});
    let item =
        r#"{"type":"object","title":"Item","properties":{"sku":{"type":"string"}},"additionalProperties":false}"#;
    let spelled = r#"{ "type": "object", "title": "Item", "properties": {"sku": {"type": "string"}},
        "additionalProperties": false }"#;
    let (status, body) = client.post("/subjects/item/versions", schema(spelled)).await;
    assert_eq!((status, &body["schemaType"], &body["schema"]), (200, &json!("JSON"), &json!(item)), "{body}");
    let order = |property: &str| {
        let text = format!(r#"{{"type":"object","properties":{{"item":{property}}},"additionalProperties":false}}"#);
        json!({"schemaType": "JSON", "schema": text,
            "references": [{"name": "item.json", "subject": "item", "version": 1}]})
    };
    let referring = || order(r#"{"$ref":"item.json"}"#);
    let (status, body) = client.post("/subjects/order-value/versions", referring()).await;
    assert_eq!((status, &body["id"]), (200, &json!(2)), "{body}");
    assert_eq!(client.post("/subjects/order-value", referring()).await.1["version"], json!(1));
    let check = "/compatibility/subjects/order-value/versions/latest?verbose=true";
    let (_, body) = client.post(check, order(r#"{"type":"string"}"#)).await;
    let first = body["messages"][0].as_str().unwrap();
    assert!(first.starts_with("{errorType:\"TYPE_CHANGED\"") && first.contains("#/properties/item"), "{body}");
    // What is open to other properties cannot take one in by name: there may be data with another type.
    let open = r#"{"type":"object","properties":{}}"#;
    let named = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    client.post("/subjects/open/versions", schema(open)).await;
    let refused = client.post("/subjects/open/versions", schema(named)).await;
    assert!(message(refused.clone()).contains("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL"), "{refused:?}");
    assert_eq!(code(refused), (409, 40901));
    for wrong in ["{", "[]", r#"{"type":"thing"}"#, r##"{"$ref":"#/$defs/none"}"##, r#"{"$ref":"http://nowhere/x"}"#] {
        assert_eq!(code(client.post("/subjects/wrong/versions", schema(wrong)).await), (422, 42201), "{wrong}");
    }
}
