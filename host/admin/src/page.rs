//! The page at `/`: what runs and where to read more, for a person with a browser. No script.

use crate::{Condition, Facts};
use nexus_runtime::ComponentSnapshot;
use std::fmt::Write as _;

const STYLE: &str = "\
body{font:16px/1.5 Inter,system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;\
color:#0f172a;background:#fff}\
h1{color:#1e40af}a{color:#1e40af}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #cbd5e1;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.bad{color:#b91c1c;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#e2e8f0;background:#0f172a}h1,a{color:#93c5fd}\
th,td{border-color:#334155}.bad{color:#fca5a5}}";

pub(crate) fn render(facts: &Facts) -> String {
    let components = facts.runtime().map(|runtime| runtime.snapshot()).unwrap_or_default();
    let version = escaped(facts.0.version);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Nexus COS host</title>\
         <style>{STYLE}</style></head><body><main><h1>Nexus COS host</h1>\
         <p>Version {version}, up for {} seconds. {}</p>\
         <p><a href=\"/metrics\">Metrics</a> (Prometheus). With the token as \
         <code>authorization: Bearer …</code>: <code>/api/v1/host</code>, \
         <code>/api/v1/components</code>, <code>/api/v1/queues</code>, \
         <code>/api/v1/dead-letters</code>, <code>/api/v1/schedules</code>, \
         <code>/api/v1/jobs</code>; or the commands <code>nexus queue</code>, \
         <code>nexus cron</code>, <code>nexus jobs</code>.</p>\
         <h2>Conditions</h2>{}<h2>Components</h2>{}</main></body></html>\n",
        facts.0.started.elapsed().as_secs(),
        readiness(facts),
        conditions(facts),
        table(&components),
    )
}

fn readiness(facts: &Facts) -> &'static str {
    if facts.0.conditions.why_not_ready().is_none() {
        "It is ready."
    } else {
        "<span class=\"bad\">It is not ready.</span>"
    }
}

fn conditions(facts: &Facts) -> String {
    let mut list = String::from("<ul>");
    for (name, condition) in facts.0.conditions.all() {
        let (class, words) = match &condition {
            Condition::Met(words) => ("", words),
            Condition::Waiting(words) => (" class=\"bad\"", words),
        };
        append(&mut list, format_args!("<li{class}>{}: {}</li>", escaped(name), escaped(words)));
    }
    list + "</ul>"
}

fn table(components: &[ComponentSnapshot]) -> String {
    if components.is_empty() {
        return "<p>None are loaded.</p>".into();
    }
    let mut table = String::from(
        "<table><thead><tr><th scope=\"col\">Component</th><th scope=\"col\">State</th>\
         <th scope=\"col\" class=\"n\">Calls</th><th scope=\"col\" class=\"n\">Failures</th>\
         <th scope=\"col\" class=\"n\">In flight</th><th scope=\"col\" class=\"n\">Instances</th>\
         <th scope=\"col\" class=\"n\">Memory (MiB)</th></tr></thead><tbody>",
    );
    for component in components {
        let limits = component.counts.timeouts + component.counts.cpu_kills + component.counts.refused;
        let failures = component.counts.traps + limits + component.counts.failures;
        let state = match &component.inactive_reason {
            None => "active".to_owned(),
            Some(reason) => format!("<span class=\"bad\">inactive</span>: {}", escaped(reason)),
        };
        append(
            &mut table,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{state}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{failures}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{:.1}</td></tr>",
                escaped(component.component.as_str()),
                component.counts.calls,
                component.inflight,
                component.instances,
                component.memory_bytes as f64 / f64::from(1 << 20),
            ),
        );
    }
    table + "</tbody></table>"
}

fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string cannot fail");
}

/// Reasons quote manifests and compilers: nothing of them may become markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Conditions;

    #[test]
    fn what_a_reason_says_never_becomes_markup() {
        let conditions = Conditions::default();
        conditions.set("components", Condition::Waiting("<script>alert(1)</script>".into()));
        let page = render(&Facts::new("1.2.3", 100, conditions));
        assert!(page.contains("&lt;script&gt;"));
        assert!(!page.contains("<script>"));
        assert!(page.contains("It is not ready."));
    }
}
