//! The pages, a file each. A page asks the API and shows its answer; where there is no answer it
//! says why, and stands.

mod audit;
mod component;
mod configuration;
mod deploy;
mod grants;
mod health;
mod hosts;
mod invocations;
mod jobs;
mod letters;
mod logs;
mod operators;
mod overview;
mod queues;
mod revision;
mod rollout;
mod rollouts;
mod schedules;

use super::parts::{self, trouble};
use super::{Visit, document};
use crate::problems;
use http::StatusCode;
use maud::{Markup, html};

/// The page of a path, or the page that says there is none.
pub(super) async fn show(visit: &Visit<'_>) -> (StatusCode, Markup) {
    let path = visit.path.clone();
    let pieces: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|piece| percent_encoding::percent_decode_str(piece).decode_utf8_lossy().into_owned())
        .collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let (title, body) = match &pieces[..] {
        [""] => ("Overview", overview::page(visit).await),
        ["components", name] => (*name, component::page(visit, name).await),
        ["components", name, "deploy"] => (*name, deploy::page(visit, name).await),
        ["components", name, "revisions", number] => {
            (*name, revision::page(visit, name, number).await)
        }
        ["rollouts"] => ("Rollouts", rollouts::page(visit).await),
        ["rollouts", id] => ("Rollout", rollout::page(visit, id).await),
        ["queues"] => ("Queues", queues::page(visit).await),
        ["queues", service, queue] => (*queue, queues::one(visit, service, queue).await),
        ["dead-letters"] => ("Dead letters", letters::page(visit).await),
        ["schedules"] => ("Schedules", schedules::page(visit).await),
        ["schedules", id] => ("Schedule", schedules::one(visit, id).await),
        ["jobs"] => ("Jobs", jobs::page(visit).await),
        ["jobs", id] => ("Job", jobs::one(visit, id).await),
        ["invocations"] => ("Calls", invocations::page(visit).await),
        ["invocations", id] => ("Call", invocations::one(visit, id).await),
        ["logs"] => ("Logs", logs::page(visit).await),
        ["configuration"] => ("Configuration", configuration::page(visit).await),
        ["configuration", name] => (*name, configuration::one(visit, name).await),
        ["health-matrix"] => ("Health", health::page(visit).await),
        ["hosts"] => ("Hosts", hosts::page(visit).await),
        ["audit"] => ("Journal", audit::page(visit).await),
        ["operators"] => ("Operators", operators::page(visit).await),
        _ => {
            let body = html! {
                (parts::title("There is no such page", "", None))
                (trouble(&problems::NOT_FOUND))
            };
            return (StatusCode::NOT_FOUND, document::show(visit, "No such page", &body));
        }
    };
    (StatusCode::OK, document::show(visit, title, &body))
}
