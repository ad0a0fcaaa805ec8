//! Readings at intervals: whoever renders `/metrics` says how the same page is made, and a thread
//! of its own reads and posts it. A reading that cannot be delivered is left out; the next one says
//! all that it said, since numbers are cumulative.

use super::Metrics;
use super::numbers::request;
use super::post::{Failure, deliver};
use crate::{Error, Exposition};
use prost::Message as _;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How a page is made; None when its host has ended.
type Pages = Box<dyn Fn() -> Option<Exposition> + Send>;

/// One for the process, as its numbers are.
static PAGES: Mutex<Option<Pages>> = Mutex::new(None);

/// From now on readings are pages that `pages` makes, instead of those of a host before.
pub fn measured_by(pages: impl Fn() -> Option<Exposition> + Send + 'static) {
    *PAGES.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(pages));
}

fn page() -> Option<Exposition> {
    PAGES.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|pages| pages())
}

/// Starts the thread that pushes readings as long as the process lives.
pub(crate) fn push(settings: &Metrics) -> Result<(), Error> {
    let thread = |source| Error::Thread { name: "otlp-metrics", source };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread)?;
    let settings = settings.clone();
    std::thread::Builder::new()
        .name("otlp-metrics".into())
        .spawn(move || runtime.block_on(read_and_post(&settings)))
        .map_err(thread)?;
    Ok(())
}

async fn read_and_post(settings: &Metrics) {
    let began = crate::ProcessSample::read().started.unwrap_or_else(SystemTime::now);
    let mut due = interval_at(Instant::now() + settings.interval, settings.interval);
    // A slow collector must not be sent several readings at once.
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        due.tick().await;
        let Some(page) = page() else { continue };
        let body = request(&settings.collector, page, began, SystemTime::now()).encode_to_vec();
        let way = timeout(settings.patience, deliver(&settings.collector, body)).await;
        let outcome = way.unwrap_or(Err(Failure::Slow(settings.patience)));
        report(&outcome, &mut away);
    }
}

/// One line when the collector goes and one when it is back, not one per reading.
fn report(outcome: &Result<(), Failure>, away: &mut bool) {
    match outcome {
        Ok(()) if *away => tracing::info!("the metrics collector takes readings again"),
        Err(failure) if !*away => tracing::warn!(%failure, "metrics could not be exported"),
        _ => {}
    }
    *away = outcome.is_err();
}

#[cfg(test)]
mod tests {
    use super::super::numbers::{ExportMetricsServiceRequest, metric};
    use super::super::send::tests::collector;
    use super::super::{Metrics, Settings};
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn settings(port: u16) -> Metrics {
        let settings = Settings::read("1.0.0", |name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(format!("http://127.0.0.1:{port}")),
            "OTEL_METRIC_EXPORT_INTERVAL" => Some("20".into()),
            _ => None,
        });
        settings.unwrap().unwrap().metrics.unwrap()
    }

    /// The counter's value, when it was read, and since when it counts.
    fn told(body: &[u8]) -> (f64, u64, u64) {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let found = metrics.iter().find(|metric| metric.name == "nexus_readings_total").unwrap();
        let Some(metric::Points::Sum(sum)) = &found.points else { panic!("{found:?}") };
        let point = &sum.data_points[0];
        (point.as_double.unwrap(), point.time_unix_nano, point.start_time_unix_nano)
    }

    #[test]
    fn each_reading_says_all_that_was_counted_since_the_process_began() {
        let (port, thread) = collector(&["503 Service Unavailable", "200 OK", "200 OK"]);
        let readings = AtomicU32::new(0);
        measured_by(move || {
            let mut page = Exposition::new();
            let count = readings.fetch_add(1, Ordering::Relaxed) + 1;
            page.counter("nexus_readings_total", "So many.").sample(&[], f64::from(count));
            Some(page)
        });
        push(&settings(port)).unwrap();
        let taken = thread.join().unwrap();
        assert!(taken[0].0.starts_with("post /v1/metrics http/1.1"));
        assert!(taken[0].0.contains("content-type: application/x-protobuf"));
        let [first, again, second] = [0, 1, 2].map(|n: usize| told(&taken[n].1));
        assert_eq!(first, again, "a reading that was not taken is sent once more");
        assert_eq!((first.0, second.0), (1.0, 2.0));
        assert!(first.1 < second.1);
        assert_eq!(first.2, second.2, "counted since the same instant");
        assert!(first.2 < first.1);
    }
}
