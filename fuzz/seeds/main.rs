//! Writes what the targets start from into `corpus/`, out of the recorded events of `../tests/fixtures` and the schemas of [`schemas`]. Linked as a target,
//! so that one build serves for all; it ends before anything is fuzzed.
#![no_main]

mod schemas;

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tributary::codec::avro::{HEADER_BYTES, SUBJECTS, encode_fact, start_frame};
use tributary::model::raw::Normalized;
use tributary::normalize::openlineage::{OpenLineageConfig, OpenLineageNormalizer};
use tributary_fuzz::FACTS;

/// Larger ones would only slow the fuzzer down.
const LARGEST: usize = 16 << 10;

struct Corpus {
    folder: PathBuf,
    written: usize,
}

impl Corpus {
    fn put(&mut self, target: &str, seed: &[u8]) -> Result<(), Box<dyn Error>> {
        if seed.len() <= LARGEST {
            let folder = self.folder.join(target);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("recorded-{}", self.written)), seed)?;
            self.written += 1;
        }
        Ok(())
    }
}

fn lines(folder: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".jsonl.gz") {
            for line in BufReader::new(MultiGzDecoder::new(fs::File::open(path)?)).lines() {
                all.push(line?);
            }
        }
    }
    Ok(all)
}

fn write() -> Result<(), Box<dyn Error>> {
    let fixtures = Path::new("../tests/fixtures");
    let mut corpus = Corpus { folder: PathBuf::from("corpus"), written: 0 };
    for line in lines(&fixtures.join("hms"))? {
        corpus.put("hms_notification", line.as_bytes())?;
        let event: Value = serde_json::from_str(&line)?;
        let Some(message) = event["message"].as_str().filter(|text| text.starts_with('{')) else { continue };
        corpus.put("gzip", &[&[1, 0], message.as_bytes()].concat())?;
        let message: Value = serde_json::from_str(message)?;
        for (choice, field) in [(0, "dbJson"), (1, "tableObjJson"), (1, "tableObjAfterJson"), (3, "functionObjJson")] {
            if let Some(text) = message[field].as_str() {
                corpus.put("thrift_json", &[&[choice], text.as_bytes()].concat())?;
            }
        }
    }
    for line in lines(&fixtures.join("airflow"))? {
        corpus.put("airflow", line.as_bytes())?;
    }
    for line in lines(&fixtures.join("dbt"))? {
        corpus.put("dbt", line.as_bytes())?;
    }
    for line in lines(&fixtures.join("query_logs"))? {
        corpus.put("query_log", line.as_bytes())?;
        let line: Value = serde_json::from_str(&line)?;
        let text = line["message"].as_str().and_then(|message| message.split_once("statement: "));
        if let Some((_, text)) = text {
            // Postgres is the fifth of the dialects.
            corpus.put("sql", &[&[4], text.as_bytes()].concat())?;
        }
    }
    let normalizer = OpenLineageNormalizer::new(OpenLineageConfig::default());
    for line in lines(&fixtures.join("openlineage"))? {
        corpus.put("openlineage", line.as_bytes())?;
        let raw = tributary_fuzz::raw("openlineage.events", line.as_bytes());
        if let Ok(Normalized::Facts(facts)) = normalizer.normalize(&raw) {
            for fact in facts {
                let framed = encode_fact(&fact, *FACTS)?;
                let choice = u8::try_from(*FACTS)?;
                corpus.put("avro_datum", &[&[choice], framed.get(HEADER_BYTES..).unwrap_or_default()].concat())?;
            }
        }
    }
    for id in 0..u32::try_from(SUBJECTS.len())? {
        corpus.put("avro_frame", &start_frame(id))?;
    }
    for (target, seed) in schemas::all() {
        corpus.put(target, &seed)?;
    }
    println!("{} seeds in {}", corpus.written, corpus.folder.display());
    Ok(())
}

fuzz_target!(
    init: {
        write().expect("the recorded events are readable, the folder of this package is writable");
        std::process::exit(0)
    },
    |_data: &[u8]| {}
);
