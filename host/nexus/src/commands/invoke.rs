//! `nexus invoke` and `nexus call-queue`: trying a component by hand, as a client or an event
//! would.

use super::Failure;
use super::host_api::{HostApi, MISSING};
use super::table::{cell, list_of, say, say_json};
use crate::config::{CallQueueOptions, InvokeOptions};
use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::io::{Read as _, Write as _};

/// The component answered, and not well.
pub(super) const UNWELL: u8 = 8;

pub(super) fn invoke(options: &InvokeOptions) -> Result<(), Failure> {
    let order = request(options)?;
    let api = HostApi::new(&options.host)?;
    let answer = api.post(&["components", &options.component, "invoke"], &order)?;
    if options.host.json {
        say_json(&answer)?;
    } else {
        show(&answer, options.include)?;
    }
    match answer["status"].as_u64() {
        Some(status) if status >= 400 => Err(Failure::Told {
            words: format!(
                "{} answered {status}; `nexus logs {}` says what it logged",
                options.component, options.component
            ),
            code: UNWELL,
        }),
        _ => Ok(()),
    }
}

/// What the API is asked to send.
fn request(options: &InvokeOptions) -> Result<Value, Failure> {
    if !options.path.starts_with('/') {
        return Err(Failure::Setting(anyhow!(
            "{}: write the path as a client would, with the component's route",
            options.path
        )));
    }
    let mut headers = Map::new();
    for header in &options.headers {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::Setting(anyhow!("-H '{header}': write it like 'accept: text/plain'"))
        })?;
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().into());
    }
    let body = options.body.as_deref().map(content).transpose()?;
    let mut order = Map::new();
    if let Some(bytes) = &body {
        let json = serde_json::from_slice::<Value>(bytes).is_ok();
        if json && !headers.contains_key("content-type") {
            headers.insert("content-type".into(), "application/json".into());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => order.insert("body".into(), text.into()),
            Err(_) => order.insert("body_base64".into(), STANDARD.encode(bytes).into()),
        };
    }
    let method = options.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
    order.insert("method".into(), method.to_ascii_uppercase().into());
    order.insert("path".into(), (&*options.path).into());
    order.insert("headers".into(), headers.into());
    if let Some(revision) = options.revision {
        order.insert("revision".into(), revision.into());
    }
    Ok(order.into())
}

/// What an option says, or the file or the stdin it names.
fn content(text: &str) -> Result<Vec<u8>, Failure> {
    if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("read stdin")?;
        return Ok(bytes);
    }
    match text.strip_prefix('@') {
        Some(file) => Ok(std::fs::read(file).with_context(|| format!("read {file}"))?),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// The body as it is, so that it can go on into a pipe; with what stood before it when asked.
fn show(answer: &Value, include: bool) -> Result<(), Failure> {
    if include {
        let mut head = format!("{}\n", cell(&answer["status"]));
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            head += &super::table::line(&format!("{name}: {}", cell(value)));
            head.push('\n');
        }
        say(&format!("{head}\n"))?;
    }
    let body = match answer["body_base64"].as_str() {
        Some(text) => STANDARD.decode(text).context("read the answer's body")?,
        None => cell(&answer["body"]).into_bytes(),
    };
    let mut out = std::io::stdout().lock();
    let ends = body.last().is_none_or(|last| *last == b'\n');
    let wrote =
        out.write_all(&body).and_then(|()| if ends { Ok(()) } else { out.write_all(b"\n") });
    match wrote {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(anyhow::Error::new(error).context("write the answer")))
        }
        _ => Ok(()),
    }
}

pub(super) fn call_queue(options: &CallQueueOptions) -> Result<(), Failure> {
    let payload: Value = serde_json::from_slice(&content(&options.payload)?)
        .map_err(|error| Failure::Setting(anyhow!("-d: the payload is no JSON: {error}")))?;
    let api = HostApi::new(&options.host)?;
    let queues = queues(&api, &options.queue)?;
    if options.dry_run {
        return told(options, &queues, &[]);
    }
    let mut sent = Vec::new();
    for (service, queue) in &queues {
        let topic = options.topic.clone().or_else(|| topic(&options.queue));
        let order = json!({ "payload": payload, "topic": topic, "key": options.key });
        sent.push(api.post(&["queues", service, queue, "send"], &order)?);
    }
    told(options, &queues, &sent)
}

/// `service/queue` as it stands; otherwise the queues of every subscription of the topic.
fn queues(api: &HostApi, name: &str) -> Result<Vec<(String, String)>, Failure> {
    if let Some((service, queue)) = name.split_once('/') {
        return Ok(vec![(service.to_owned(), queue.to_owned())]);
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let query = [("limit", Some("200".to_owned())), ("cursor", cursor)];
        let answer = api.get(&["queues"], &query)?;
        for queue in list_of(&answer["queues"]).filter(|queue| queue["retired"] != true) {
            if matches(&cell(&queue["queue"]), name) {
                found.push((cell(&queue["service"]), cell(&queue["queue"])));
            }
        }
        cursor = answer["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Failure::Told {
            words: format!("nobody subscribes to {name}; `nexus queue ls` lists the queues"),
            code: MISSING,
        }),
    }
}

/// A topic's own words are the message's topic; of `service/queue` the host takes the queue's.
fn topic(name: &str) -> Option<String> {
    (!name.contains('/')).then(|| name.to_owned())
}

/// Whether a subscription's pattern takes a topic: `*` is one word of it, `**` at the end the rest.
fn matches(pattern: &str, topic: &str) -> bool {
    let (mut patterns, mut words) = (pattern.split('.'), topic.split('.'));
    loop {
        match (patterns.next(), words.next()) {
            (Some("**"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(pattern), Some(word)) if pattern == word => {}
            _ => return false,
        }
    }
}

fn told(
    options: &CallQueueOptions,
    queues: &[(String, String)],
    sent: &[Value],
) -> Result<(), Failure> {
    if options.host.json {
        let named: Vec<Value> = queues
            .iter()
            .map(|(service, queue)| json!({ "service": service, "queue": queue }))
            .collect();
        return say_json(&json!({ "dry_run": options.dry_run, "queues": named, "sent": sent }));
    }
    for (at, (service, queue)) in queues.iter().enumerate() {
        let id = sent.get(at).map(|answer| cell(&answer["id"])).unwrap_or_default();
        say(format!("{service}/{queue}  {id}").trim_end())?;
        say("\n")?;
    }
    if !options.dry_run {
        eprintln!("`nexus queue dlq` lists what failed for good");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Command, CommandLine};

    fn options(arguments: &[&str]) -> InvokeOptions {
        let line = ["nexus", "invoke", "catalog"].iter().chain(arguments);
        match CommandLine::read_from(line).unwrap().command {
            Command::Invoke(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_makes_it_a_post_of_json_unless_said_otherwise() {
        let order = request(&options(&["/a?b=c"])).unwrap();
        assert_eq!(order, json!({ "method": "GET", "path": "/a?b=c", "headers": {} }));
        let order = request(&options(&["/a", "-d", "{\"title\":\"Lamp\"}"])).unwrap();
        assert_eq!(
            (&order["method"], &order["body"]),
            (&json!("POST"), &json!("{\"title\":\"Lamp\"}"))
        );
        assert_eq!(order["headers"]["content-type"], "application/json");
        let plain = ["/a", "-X", "put", "-d", "lamp", "-H", "Content-Type: text/plain"];
        let order = request(&options(&plain)).unwrap();
        assert_eq!((&order["method"], &order["body"]), (&json!("PUT"), &json!("lamp")));
        assert_eq!(order["headers"]["content-type"], "text/plain");
        assert!(request(&options(&["a"])).is_err());
        assert!(request(&options(&["/a", "-H", "accept"])).is_err());
    }

    #[test]
    fn a_topic_reaches_the_subscriptions_whose_pattern_takes_it() {
        let topic = "commerce.order.placed.v1";
        for pattern in [topic, "commerce.**", "**", "commerce.*.placed.v1"] {
            assert!(matches(pattern, topic), "{pattern}");
        }
        for pattern in ["commerce.order", "commerce.order.placed.v2", "commerce.*", "media.**"] {
            assert!(!matches(pattern, topic), "{pattern}");
        }
    }
}
