use super::*;

fn canonical(text: &str) -> String {
    ColumnType::parse(text).canonical()
}

#[test]
fn synonyms_become_one_spelling() {
    for (written, expected) in [
        ("long", "bigint"),
        ("INT8", "bigint"),
        ("integer", "int"),
        ("int4", "int"),
        ("numeric(16, 2)", "decimal(16,2)"),
        ("character varying(20)", "varchar(20)"),
        ("varchar", "string"),
        ("double precision", "double"),
        ("timestamp without time zone", "timestamp"),
        ("timestamp(3) with time zone", "timestamptz"),
        ("text[]", "array<string>"),
        ("array(row(a bigint, \"B c\" varchar(3)))", "array<struct<a:bigint,b c:varchar(3)>>"),
        ("struct<a:int,b:map<string,array<long>>>", "struct<a:int,b:map<string,array<bigint>>>"),
        ("struct<a: int not null comment 'x, y', b: date>", "struct<a:int,b:date>"),
        ("uniontype<int,string>", "union<int,string>"),
        ("geometry(point,4326)", "geometry(4326)"),
        ("enum('a','b')", "enum('a','b')"),
        ("", ""),
    ] {
        assert_eq!(canonical(written), expected, "{written}");
    }
}

#[test]
fn unknown_parts_agree_with_anything() {
    for (a, b) in [("decimal", "decimal(10,2)"), ("", "bigint"), ("array", "array<int>"), ("int8", "long")] {
        assert!(ColumnType::parse(a).agrees_with(&ColumnType::parse(b)), "{a} {b}");
    }
    assert!(!ColumnType::parse("int").agrees_with(&ColumnType::parse("string")));
}

#[test]
fn changes_are_judged_for_a_reader() {
    for (before, after, expected) in [
        ("int", "bigint", TypeChange::Widened),
        ("bigint", "int", TypeChange::Narrowed),
        ("decimal(10,2)", "decimal(12,2)", TypeChange::Widened),
        ("decimal(10,2)", "decimal(10,4)", TypeChange::Changed),
        ("varchar(20)", "string", TypeChange::Widened),
        ("int", "string", TypeChange::Changed),
        ("array<int>", "array<bigint>", TypeChange::Widened),
        ("struct<a:int>", "struct<a:int,b:int>", TypeChange::Changed),
    ] {
        let change = ColumnType::parse(before).change_to(&ColumnType::parse(after));
        assert_eq!(change, expected, "{before} -> {after}");
    }
}

#[test]
fn nested_text_and_nested_lists_flatten_alike() {
    let text = Column { name: "a.b".into(), data_type: "array<struct<x:int,y:string>>".into(), ..Column::default() };
    let field = |name: &str, kind: &str| Column { name: name.into(), data_type: kind.into(), ..Column::default() };
    let element = Column { fields: vec![field("x", "int"), field("y", "string")], ..field("[]", "struct") };
    let nested = Column { fields: vec![element], ..field("a.b", "array") };
    let paths = |column: &Column| -> Vec<(String, String)> {
        flatten(std::slice::from_ref(column)).into_iter().map(|f| (f.path, f.kind.canonical())).collect()
    };
    assert_eq!(paths(&text), paths(&nested));
    let only: Vec<String> = paths(&text).into_iter().map(|(path, _)| path).collect();
    assert_eq!(only, ["a%2Eb", "a%2Eb.[]", "a%2Eb.[].x", "a%2Eb.[].y"]);
}

#[test]
fn hostile_depth_is_kept_as_text() {
    let deep = "array<".repeat(500);
    assert!(matches!(ColumnType::parse(&deep), ColumnType::Plain { .. }));
    let postgres = format!("int{}", "[]".repeat(100_000));
    assert!(matches!(ColumnType::parse(&postgres), ColumnType::Plain { .. }));
    assert_eq!(ColumnType::parse("int[][]"), ColumnType::parse("array<array<int>>"));
}
