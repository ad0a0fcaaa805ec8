//! How long somebody waits who opens a title: from opening its page until the first picture is on
//! the screen (`requestVideoFrameCallback` says so), in Chromium, by both engines, with an empty
//! cache of the browser and with a full one. The host has answered before, as it has for any but
//! the first.
//!
//! Prints one JSON object a line: `{"metric": …, "value": …}`, by rounds. Run by
//! `cargo xtask bench media`; `SHAPED=1` puts a line of 10 Mb/s and 80 ms between.
#![allow(clippy::unwrap_used)]

#[path = "../cinema.rs"]
#[allow(dead_code)]
mod cinema;
#[path = "../tools.rs"]
#[allow(dead_code)]
mod tools;

use cinema::{TITLES, creator, film, installation, person, published, ready, watch};
use nexus_harness::prelude::*;

/// Of each engine and kind in a round.
const STARTS: usize = 20;

fn main() {
    let rounds = std::env::args().skip_while(|arg| arg != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let (nexus, origin) = installation().await;
        let owner = creator(&nexus).await;
        let asset = ready(&owner, film(20, "1280x720")).await;
        let draft = json!({ "name": "The Sea", "asset": asset });
        let title = published(&owner, TITLES, draft).await;
        for _ in 0..rounds {
            let mut person = person(&origin, &title, &title);
            person.env("MEASURE", STARTS.to_string());
            let measured = watch(person).await;
            for engine in ["hls", "dash"] {
                for kind in ["cold", "warm"] {
                    tell(&format!("picture_{engine}_{kind}"), &measured[engine][kind]);
                }
            }
        }
        nexus.stop().await.expect("the host ends");
    });
}

/// The middle of the waits, and what all but one of twenty stay below, in milliseconds.
fn tell(name: &str, starts: &Value) {
    let waits = starts.as_array().unwrap().iter().map(|start| start["page_ms"].as_f64().unwrap());
    let mut waits: Vec<f64> = waits.collect();
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize];
    for (word, share) in [("p50", 0.5), ("p95", 0.95)] {
        println!("{}", json!({ "metric": format!("{name}_{word}"), "value": at(share) }));
    }
}
