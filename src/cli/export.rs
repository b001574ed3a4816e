//! `tributary export`: a part of the catalog in the shape of its source.

use std::collections::BTreeSet;

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::SettingFlags;
use super::context::Context;
use super::digest::decoder;
use super::exit::{Because, Failure, Reason};
use crate::catalog::export_hms::export_hms;
use crate::kafka::{Isolation, LogReader};
use crate::model::record::{CatalogRecord, CatalogTopic};
use crate::topology::snapshot::latest;

/// What to export.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// The catalog's view of a Hive metastore, as one JSON document with all Thrift fields by name
    Hms(HmsArgs),
}

/// Which metastore.
#[derive(Debug, Args)]
pub struct HmsArgs {
    /// Its instance, such as hive://host:9083; may be left out if there is only one
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
}

pub(super) fn run(flags: &SettingFlags, command: &ExportCommand) -> Result<(), Failure> {
    let ExportCommand::Hms(args) = command;
    let context = Context::load(flags)?;
    let reader = LogReader::new(&context.kafka, Isolation::Committed).because(Reason::Unavailable)?;
    let decoder = decoder(&context)?;
    let read = |topic| latest(&reader, &decoder, topic);

    let mut containers = Vec::new();
    for record in read(CatalogTopic::Containers)?.into_values() {
        if let CatalogRecord::Container(container) = record {
            containers.push(*container);
        }
    }
    let mut datasets = Vec::new();
    for record in read(CatalogTopic::Datasets)?.into_values() {
        if let CatalogRecord::Dataset(dataset) = record {
            datasets.push(*dataset);
        }
    }
    let mut partitions = Vec::new();
    for record in read(CatalogTopic::Partitions)?.into_values() {
        if let CatalogRecord::Partition(partition) = record {
            partitions.push(*partition);
        }
    }
    let mut functions = Vec::new();
    for record in read(CatalogTopic::Functions)?.into_values() {
        if let CatalogRecord::Function(function) = record {
            functions.push(*function);
        }
    }
    let found: BTreeSet<String> = datasets
        .iter()
        .map(|dataset| &dataset.id)
        .chain(containers.iter().map(|container| &container.id))
        .filter_map(|id| {
            let host = id.strip_prefix("hive://")?.split('/').next()?;
            Some(format!("hive://{host}"))
        })
        .collect();
    let instance = match (&args.instance, found.len()) {
        (Some(instance), _) => instance.clone(),
        (None, 1) => found.into_iter().next().unwrap_or_default(),
        (None, 0) => return Err(anyhow!("the catalog knows no metastore")).because(Reason::Usage),
        (None, _) => {
            let names: Vec<_> = found.into_iter().collect();
            return Err(anyhow!("say which: --instance {}", names.join(" | --instance "))).because(Reason::Usage);
        }
    };
    let document = export_hms(&instance, &containers, &datasets, &partitions, &functions);
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}
