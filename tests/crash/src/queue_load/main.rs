//! `queue-load`: how much the lease queue takes and how soon it hands out, on a PostgreSQL of its
//! own that writes as in earnest. Run by `cargo xtask bench queue`; one JSON object a line on
//! stdout.
//!
//! Knows how a load is made and what is counted. Refuses to judge: bounds are the bench's.

mod guests;
mod plain;
mod profile;
mod publishers;

use anyhow::{Context as _, Result, bail};
use crash::ground::Ground;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// What was asked for.
struct Options {
    /// Of each measurement.
    length: Duration,
    /// The host's program; without one only the queue itself is measured.
    program: Option<PathBuf>,
    /// Tell on stderr what each statement costs, which costs something itself.
    is_profiled: bool,
}

const USAGE: &str = "queue-load [--seconds <number>] [--program <host>] [--profile]";

fn main() -> Result<()> {
    let options = options()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the threads")?;
    runtime.block_on(measure(&options))
}

async fn measure(options: &Options) -> Result<()> {
    let ground = prepare(options).await?;
    plain::measure(&ground, options.length).await?;
    ground.end().await;
    if let Some(program) = &options.program {
        // A fresh one: what the first part has left must not slow the second.
        let ground = prepare(options).await?;
        guests::measure(&ground, program, options.length).await?;
        ground.end().await;
    }
    Ok(())
}

async fn prepare(options: &Options) -> Result<Ground> {
    let ground = Ground::prepare().await?;
    crash::journal::furnish(&ground).await?;
    if options.is_profiled {
        profile::begin(&ground).await?;
    }
    Ok(ground)
}

fn options() -> Result<Options> {
    let length = Duration::from_secs(10);
    let mut options = Options { length, program: None, is_profiled: false };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--profile" {
            options.is_profiled = true;
            continue;
        }
        let value = words.next().context(USAGE)?;
        match word.as_str() {
            "--seconds" => {
                options.length = Duration::from_secs(value.parse().context("read --seconds")?);
            }
            "--program" => options.program = Some(value.into()),
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

/// One measured value, on stdout at once.
fn tell(metric: &str, unit: &str, value: f64) {
    println!("{}", json!({ "metric": metric, "unit": unit, "value": value }));
}

/// The value below which a part of the samples lie; none for no samples.
fn percentile(samples: &mut [f64], part: f64) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let at = (last as f64 * part).round() as usize;
    samples.get(at).copied()
}
