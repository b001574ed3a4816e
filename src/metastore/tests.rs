//! What a client makes of servers that are not what it hopes for. What a real metastore answers is in `tests/tail_hms.rs`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::codec::hms::thrift::Wire;

/// Serves connections one after the other, each by one of `scripts`.
fn server(scripts: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for script in scripts {
            script(listener.accept().unwrap().0);
        }
    });
    address
}

/// Reads one request of the binary protocol without frames, and gives its name and number.
fn request(stream: &mut TcpStream) -> (Vec<u8>, [u8; 4]) {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..4], [0x80, 1, 0, 1], "a strict call");
    let length = u32::from_be_bytes(head[4..].try_into().unwrap()) as usize;
    let mut rest = vec![0; length + 4];
    stream.read_exact(&mut rest).unwrap();
    // Of the arguments only the calls without any are used here.
    let mut stop = [1];
    stream.read_exact(&mut stop).unwrap();
    assert_eq!(stop, [0]);
    let number = rest.split_off(length);
    (rest, number.try_into().unwrap())
}

/// A reply whose result struct has the bytes of `fields`.
fn reply(name: &[u8], number: [u8; 4], fields: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 1, 0, 2];
    bytes.extend((name.len() as u32).to_be_bytes());
    bytes.extend(name);
    bytes.extend(number);
    bytes.extend(fields);
    bytes.push(0);
    bytes
}

/// Field 0, a string.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![11, 0, 0];
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn address(socket: SocketAddr) -> Address {
    Address::parse_all(&format!("thrift://{socket}")).unwrap().remove(0)
}

fn quick() -> Options {
    Options { read_timeout: Duration::from_secs(20), ..Options::default() }
}

/// Answers the first question, then `fields` to the next.
fn after_greeting(fields: Vec<u8>) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(move |mut stream| {
        for fields in [text("hms"), fields] {
            let (name, number) = request(&mut stream);
            stream.write_all(&reply(&name, number, &fields)).unwrap();
        }
    })
}

#[test]
fn addresses_are_read_as_hive_writes_them() {
    let read = |text: &str| Address::parse_all(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(read("thrift://a:1, thrift://b").unwrap(), ["thrift://a:1", "thrift://b:9083"]);
    assert_eq!(read("thrift://[::1]:7/").unwrap(), ["thrift://[::1]:7"]);
    assert_eq!(read("host").unwrap(), ["thrift://host:9083"]);
    for wrong in ["http://a", "thrift://", "thrift://a:b", "thrift://a:70000", ""] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains("thrift://host:9083"), "{error}");
    }
}

#[test]
fn an_answer_is_read_by_the_type_it_should_have() {
    let at = address(server(vec![after_greeting(text("3.1"))]));
    let mut connection = Connection::open(&at, &quick()).unwrap();
    let answer = connection.call("getVersion", &[], Some(&Wire::Text), &[]).unwrap();
    assert_eq!(answer, Some("3.1".into()));
    let at = address(server(vec![after_greeting(text("3.1"))]));
    let error = Connection::open(&at, &quick()).unwrap().call("x", &[], Some(&Wire::Int), &[]).unwrap_err();
    assert!(error.to_string().contains("expected integer, found"), "{error}");
}

#[test]
fn exceptions_have_their_names() {
    // Field 2, a struct whose field 1 is a string.
    let mut fields = vec![12, 0, 2, 11, 0, 1, 0, 0, 0, 4];
    fields.extend(b"gone");
    fields.push(0);
    let at = address(server(vec![after_greeting(fields)]));
    let mut connection = Connection::open(&at, &quick()).unwrap();
    let error = connection.call("x", &[], Some(&Wire::Text), &["A", "NoSuchObjectException"]).unwrap_err();
    assert!(error.is_missing() && error.to_string().ends_with("NoSuchObjectException: gone"), "{error}");
}

#[test]
fn a_call_that_a_version_does_not_have_is_known_as_such() {
    let script = |mut stream: TcpStream| {
        let (name, number) = request(&mut stream);
        stream.write_all(&reply(&name, number, &text("hms"))).unwrap();
        let (name, number) = request(&mut stream);
        // An exception message whose field 2 is the kind, 1: unknown method.
        let mut bytes = reply(&name, number, &[8, 0, 2, 0, 0, 0, 1]);
        bytes[3] = 3;
        stream.write_all(&bytes).unwrap();
    };
    let at = address(server(vec![Box::new(script)]));
    let error = Connection::open(&at, &quick()).unwrap().call("get_catalogs", &[], None, &[]).unwrap_err();
    assert!(matches!(error, MetastoreError::UnknownCall { .. }), "{error}");
}

#[test]
fn frames_are_tried_where_the_metastore_hangs_up() {
    // A server with frames reads 0x80010001 as a negative length and closes.
    let hang_up = |mut stream: TcpStream| drop(stream.read_exact(&mut [0; 4]));
    let framed = |mut stream: TcpStream| {
        stream.read_exact(&mut [0; 4]).unwrap();
        let (name, number) = request(&mut stream);
        let answer = reply(&name, number, &text("hms"));
        stream.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&answer).unwrap();
    };
    let at = address(server(vec![Box::new(hang_up), Box::new(framed)]));
    Connection::open(&at, &quick()).unwrap();
}

#[test]
fn what_is_no_plain_thrift_is_named() {
    for (bytes, what) in [
        (b"\x04\x00\x00\x00\x13Invalid status -128".as_slice(), "Kerberos"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "TLS"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
    ] {
        let script = move |mut stream: TcpStream| {
            request(&mut stream);
            stream.write_all(bytes).unwrap();
        };
        let at = address(server(vec![Box::new(script)]));
        let error = Connection::open(&at, &quick()).err().unwrap();
        assert!(matches!(&error, MetastoreError::Protocol { .. }) && error.to_string().contains(what), "{error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn no_answer_is_larger_than_allowed() {
    let options = Options { max_answer_bytes: 100, ..quick() };
    let at = address(server(vec![after_greeting(text(&"x".repeat(2_000)))]));
    let error = Connection::open(&at, &options).unwrap().call("x", &[], Some(&Wire::Text), &[]).unwrap_err();
    assert!(error.breaks() && error.is_transient(), "{error}");
    // A list of two billion texts is not believed before they are there.
    let fields = vec![15, 0, 0, 11, 0x7f, 0xff, 0xff, 0xff];
    let at = address(server(vec![after_greeting(fields)]));
    let error =
        Connection::open(&at, &options).unwrap().call("x", &[], Some(&Wire::List(&Wire::Text)), &[]).unwrap_err();
    assert!(error.breaks(), "{error}");
}

#[test]
fn a_metastore_is_found_at_its_second_address() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let there = server(vec![after_greeting(text("3.1"))]);
    let addresses = Address::parse_all(&format!("thrift://{nobody},thrift://{there}")).unwrap();
    assert_eq!(Metastore::new(addresses, quick()).version().unwrap(), "3.1");
    let mut nowhere = Metastore::new(Address::parse_all(&format!("thrift://{nobody}")).unwrap(), quick());
    let error = nowhere.version().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(&nobody.to_string()), "{error}");
}
