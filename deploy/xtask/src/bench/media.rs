//! What making and giving films costs. A ladder: CPU seconds for each second of film, all that the
//! worker does included, beside one plain call of ffmpeg that makes the same sizes. The origin:
//! answers a second and their CPU time, beside nginx with the same files. A film on its way: how
//! long its creator waits; and whoever opens its page, until the first picture. Knows the aims; the
//! benchmarks `ladder` of `media-native/transcode`, `origin` of `triggers/http`, `film` of
//! `tests/scenarios` and `picture` of `tests/outside` take samples.

use super::figure::{Aim, Figure, Samples};
use super::{Bench, require};
use crate::workspace::Workspace;
use anyhow::Result;

const AIMS: &[Aim] = &[
    Aim::watch("ladder_cpu_per_second", "s"),
    Aim::watch("ladder_children_per_second", "s"),
    Aim::watch("plain_cpu_per_second", "s"),
    Aim::at_most("ladder_over_plain", "x", 1.05),
    Aim::watch("origin_2_kib", "/s"),
    Aim::watch("nginx_2_kib", "/s"),
    Aim::at_least("origin_over_nginx_2_kib", "x", 1.0),
    Aim::watch("origin_2_kib_cpu", "us"),
    Aim::watch("nginx_2_kib_cpu", "us"),
    Aim::at_most("origin_cpu_over_nginx_2_kib", "x", 1.0),
    Aim::watch("origin_100_kib", "/s"),
    Aim::watch("nginx_100_kib", "/s"),
    Aim::at_least("origin_over_nginx_100_kib", "x", 1.0),
    Aim::watch("origin_100_kib_cpu", "us"),
    Aim::watch("nginx_100_kib_cpu", "us"),
    Aim::watch("origin_cpu_over_nginx_100_kib", "x"),
    Aim::watch("origin_1_mib", "/s"),
    Aim::watch("nginx_1_mib", "/s"),
    Aim::at_least("origin_over_nginx_1_mib", "x", 0.8),
    Aim::watch("origin_1_mib_cpu", "us"),
    Aim::watch("nginx_1_mib_cpu", "us"),
    Aim::watch("origin_cpu_over_nginx_1_mib", "x"),
    Aim::watch("copied_begun_p50", "ms"),
    Aim::at_most("copied_begun_p95", "ms", 5_000.0),
    Aim::at_most("copied_playable_p50", "ms", 2_000.0),
    Aim::watch("copied_playable_p95", "ms"),
    Aim::watch("copied_ready_p50", "ms"),
    Aim::watch("copied_ready_p95", "ms"),
    Aim::watch("encoded_begun_p50", "ms"),
    Aim::at_most("encoded_begun_p95", "ms", 5_000.0),
    Aim::at_most("encoded_playable_p50", "ms", 2_000.0),
    Aim::watch("encoded_playable_p95", "ms"),
    Aim::watch("encoded_ready_p50", "ms"),
    Aim::watch("encoded_ready_p95", "ms"),
    Aim::watch("upload_speed", "MiB/s"),
    Aim::at_most("picture_hls_cold_p50", "ms", 500.0),
    Aim::at_most("picture_hls_cold_p95", "ms", 2_000.0),
    Aim::at_most("picture_hls_warm_p50", "ms", 500.0),
    Aim::at_most("picture_hls_warm_p95", "ms", 2_000.0),
    Aim::at_most("picture_dash_cold_p50", "ms", 500.0),
    Aim::at_most("picture_dash_cold_p95", "ms", 2_000.0),
    Aim::at_most("picture_dash_warm_p50", "ms", 500.0),
    Aim::at_most("picture_dash_warm_p95", "ms", 2_000.0),
];

/// The peer, and who asks both: programs, and the Debian packages that bring them.
const OTHERS: [(&str, &str); 2] = [("nginx", "nginx-light"), ("wrk", "wrk")];

pub(super) fn run(ws: &Workspace, bench: &Bench) -> Result<Vec<Figure>> {
    require(ws, &OTHERS)?;
    let mut samples = Samples::default();
    samples.take_from(ws, bench, "nexus-media-transcode", "ladder")?;
    samples.take_from(ws, bench, "trigger-http", "origin")?;
    samples.take_from(ws, bench, "scenarios", "film")?;
    samples.take_from(ws, bench, "outside", "picture")?;
    Ok(samples.figures("media", AIMS, bench))
}
