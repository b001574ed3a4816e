//! A record as no well-behaved client would send it: one Produce request, written byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn varint(n: i64, out: &mut Vec<u8>) {
    let mut rest = ((n << 1) ^ (n >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as i64, out);
    out.extend(bytes);
}

/// CRC-32C, which record batches carry.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn batch(key: &[u8], value: &[u8], header: (&[u8], &[u8])) -> Vec<u8> {
    let mut record = vec![0, 0, 0]; // attributes, and the differences of timestamp and offset
    sized(key, &mut record);
    sized(value, &mut record);
    varint(1, &mut record);
    sized(header.0, &mut record);
    sized(header.1, &mut record);
    let mut checked = Vec::new();
    checked.extend(0_i16.to_be_bytes()); // attributes
    checked.extend(0_i32.to_be_bytes()); // last offset in the batch
    checked.extend([0; 16]); // first and last timestamp
    checked.extend((-1_i64).to_be_bytes()); // producer id
    checked.extend((-1_i16).to_be_bytes()); // its epoch
    checked.extend((-1_i32).to_be_bytes()); // its sequence
    checked.extend(1_i32.to_be_bytes()); // records
    sized(&record, &mut checked);
    let mut rest = (-1_i32).to_be_bytes().to_vec(); // leader's epoch
    rest.push(2); // format
    rest.extend(crc32c(&checked).to_be_bytes());
    rest.extend(checked);
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend((rest.len() as i32).to_be_bytes());
    batch.extend(rest);
    batch
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Produces one record whose header has these bytes as its name; returns its offset.
pub fn produce(server: &str, topic: &str, partition: i32, key: &[u8], value: &[u8], header: (&[u8], &[u8])) -> i64 {
    let records = batch(key, value, header);
    let mut request = Vec::new();
    request.extend(0_i16.to_be_bytes()); // Produce
    request.extend(3_i16.to_be_bytes()); // in its version 3
    request.extend(7_i32.to_be_bytes()); // correlation
    text("tests", &mut request);
    request.extend((-1_i16).to_be_bytes()); // no transaction
    request.extend((-1_i16).to_be_bytes()); // acknowledged by all
    request.extend(10_000_i32.to_be_bytes()); // milliseconds
    request.extend(1_i32.to_be_bytes());
    text(topic, &mut request);
    request.extend(1_i32.to_be_bytes());
    request.extend(partition.to_be_bytes());
    request.extend((records.len() as i32).to_be_bytes());
    request.extend(records);
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&(request.len() as i32).to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; i32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).unwrap();
    // Correlation, one topic by name, one partition with its number, and then what became of it.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    let (error, offset) = (&answer[at..at + 2], &answer[at + 2..at + 10]);
    assert_eq!(error, [0, 0], "the broker refuses the record");
    i64::from_be_bytes(offset.try_into().unwrap())
}
