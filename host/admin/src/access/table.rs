//! Every route of `/api/v1`, with who may call it and what it takes. The door lets nothing through
//! that is not here, and the OpenAPI document is written from these rows: so neither can know a
//! route that the other does not.

use nexus_storage::audit::Role;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What is sent along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sends {
    Nothing,
    /// JSON with these members, each `name:type`; `!` behind a name: it must be there.
    Json(&'static [&'static str]),
    /// Bytes of one of these media types, at most so many.
    Bytes(&'static [&'static str], usize),
}

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Json(u16),
    /// No body.
    Nothing,
    /// A stream or a file of this media type.
    Media(&'static str),
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// Below `/api/v1/`; `{…}` stands for one piece.
    pub(crate) path: &'static str,
    pub(crate) role: Role,
    pub(crate) says: &'static str,
    /// Words of the query, each `name:type`.
    pub(crate) query: &'static [&'static str],
    pub(crate) sends: Sends,
    pub(crate) answers: Answers,
}

/// A thousand ids to filter by, and what is around them.
const ORDER_BYTES_MAX: usize = 64 << 10;
/// A component of WebAssembly with its migrations, many times over.
const ARTIFACT_BYTES_MAX: usize = 256 << 20;
/// A value may have 64 KiB of characters that take six bytes each as JSON.
const VALUE_BYTES_MAX: usize = 512 << 10;
/// What an operator tries a component with.
const INVOKE_BYTES_MAX: usize = 8 << 20;

const fn row(method: &'static str, path: &'static str, says: &'static str, role: Role) -> Route {
    let (sends, answers) = (Sends::Nothing, Answers::Json(200));
    Route { method, path, role, says, query: &[], sends, answers }
}

const fn get(path: &'static str, says: &'static str) -> Route {
    row("GET", path, says, Role::Viewer)
}

const fn post(path: &'static str, says: &'static str, members: &'static [&'static str]) -> Route {
    row("POST", path, says, Role::Operator).sending(Sends::Json(members))
}

impl Route {
    const fn query(mut self, words: &'static [&'static str]) -> Self {
        self.query = words;
        self
    }

    const fn sending(mut self, sends: Sends) -> Self {
        self.sends = sends;
        self
    }

    const fn for_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    const fn answering(mut self, answers: Answers) -> Self {
        self.answers = answers;
        self
    }

    /// The role that one call needs: what it asks for may take more than the path does.
    pub(crate) fn needed(&self, query: &str, body: &[u8]) -> Role {
        // Payloads are the tenants' business first.
        if self.method == "GET" && query.split('&').any(|word| word == "payload=true") {
            return self.role.max(Role::Operator);
        }
        let grave = |word: &str| {
            let body: Option<Value> = serde_json::from_slice(body).ok();
            body.is_some_and(|body| body.get(word) == Some(&Value::Bool(true)))
        };
        let decides = matches!(self.sends, Sends::Json(_)) && GRAVE.iter().any(|word| grave(word));
        if decides { Role::Admin } else { self.role }
    }

    /// Most bytes of a body.
    pub(crate) fn bytes_max(&self) -> usize {
        match (self.sends, self.path) {
            (Sends::Bytes(_, bytes_max), _) => bytes_max,
            (_, "configuration/{component}/{name}") => VALUE_BYTES_MAX,
            (_, "components/{id}/invoke" | "queues/{service}/{queue}/send") => INVOKE_BYTES_MAX,
            _ => ORDER_BYTES_MAX,
        }
    }

    /// Its name in the journal.
    pub(crate) fn action(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// What stands at the braces of this row in `path`.
    pub(crate) fn subject(&self, path: &str) -> Option<String> {
        let pieces = self.path.split('/').zip(path.split('/'));
        let named = pieces.filter(|(pattern, _)| is_open(pattern));
        let named: Vec<_> =
            named.map(|(_, piece)| percent_decode_str(piece).decode_utf8_lossy()).collect();
        (!named.is_empty()).then(|| named.join("/"))
    }

    fn matches(&self, path: &str) -> bool {
        let (mut pattern, mut pieces) = (self.path.split('/'), path.split('/'));
        loop {
            match (pattern.next(), pieces.next()) {
                (None, None) => return true,
                (Some(pattern), Some(piece)) if is_open(pattern) && !piece.is_empty() => {}
                (Some(pattern), Some(piece)) if pattern == piece => {}
                _ => return false,
            }
        }
    }

    fn open_pieces(&self) -> usize {
        self.path.split('/').filter(|piece| is_open(piece)).count()
    }
}

/// Members of a body that, when true, make it an administrator's decision.
const GRAVE: [&str; 3] = ["secret", "override_freeze", "skip_signature"];

fn is_open(pattern: &str) -> bool {
    pattern.starts_with('{')
}

/// The row of a call; otherwise the methods that its path has, which may be none.
pub(crate) fn find(method: &str, path: &str) -> Result<&'static Route, Vec<&'static str>> {
    let method = if method == "HEAD" { "GET" } else { method };
    let there: Vec<&Route> = ROUTES.iter().filter(|route| route.matches(path)).collect();
    let fitting = there.iter().filter(|route| route.method == method);
    match fitting.min_by_key(|route| route.open_pieces()) {
        Some(route) => Ok(*route),
        None => {
            let mut methods: Vec<&str> = there.iter().map(|route| route.method).collect();
            methods.sort_unstable();
            methods.dedup();
            Err(methods)
        }
    }
}

const PAGE: &[&str] = &["limit:integer", "cursor:string"];
const BY: &[&str] = &["by:string"];
const REASON: &[&str] = &["reason:string", "by:string"];
const GO_ON: &[&str] = &["reason:string", "override_freeze:boolean", "by:string"];
const MOVE: &[&str] = &["reason:string", "override_freeze:boolean", "by:string"];
const ARTIFACT: Sends = Sends::Bytes(
    &["application/vnd.oci.image.layout.v1.tar", "application/wasm"],
    ARTIFACT_BYTES_MAX,
);

/// Sorted by what they are about.
pub(crate) const ROUTES: &[Route] = &[
    get("host", "This host: version, engine, process, stores, conditions"),
    get("hosts", "Every host of this database"),
    get("openapi.json", "This description"),
    get("health-matrix", "Health of every name there is: services, modules, front ends, aliases"),
    // Components
    get("components", "Every component: state, limits, counters"),
    get("components/{id}", "One component"),
    get("components/{id}/revisions", "What the component has ever been").query(PAGE),
    get("components/{id}/revisions/{number}", "One revision"),
    get("components/{id}/traffic", "Which revisions serve, with which shares of 10,000"),
    row(
        "PUT",
        "components/{id}/traffic",
        "Serves these revisions with these shares",
        Role::Operator,
    )
    .sending(Sends::Json(&["weights!:object", "reason:string", "by:string"])),
    post(
        "components/{id}/deploy",
        "Brings an artifact into service by steps, at once, or staged",
        &[
            "artifact:string",
            "revision:integer",
            "strategy:any",
            "note:string",
            "dry_run:boolean",
            "override_freeze:boolean",
            "by:string",
        ],
    )
    .answering(Answers::Json(202)),
    post(
        "components/{id}/rollback",
        "Serves the last good revision, or a named one, at once",
        &["to:integer", "reason:string", "dry_run:boolean", "by:string"],
    ),
    post(
        "components/{id}/invoke",
        "Calls the component as this operator; its answer as JSON",
        &[
            "method:string",
            "path!:string",
            "headers:object",
            "body:any",
            "body_base64:string",
            "revision:integer",
        ],
    ),
    // Artifacts
    get("artifacts", "What was stored here").query(&[
        "component:string",
        "limit:integer",
        "cursor:string",
    ]),
    row("POST", "artifacts", "Stores an OCI archive or a component", Role::Operator)
        .query(&["component:string"])
        .sending(ARTIFACT),
    post(
        "artifacts/pull",
        "Stores what a registry has under a name",
        &["reference!:string", "insecure:boolean"],
    ),
    get("artifacts/{digest}", "One artifact"),
    get("artifacts/{digest}/archive", "Its bytes, as an OCI archive")
        .answering(Answers::Media("application/vnd.oci.image.layout.v1.tar")),
    // Rollouts
    get("rollouts", "Changes of traffic, the latest first").query(&[
        "component:string",
        "state:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("rollouts/{id}", "One rollout with what happened in it"),
    post("rollouts/{id}/promote", "Goes on to the last step", GO_ON),
    post("rollouts/{id}/pause", "Stays at this step", MOVE),
    post("rollouts/{id}/resume", "Goes on", GO_ON),
    post("rollouts/{id}/abort", "Goes back to what served before", MOVE),
    get("freezes", "What may not be changed now"),
    post(
        "freezes",
        "Lets nobody change a component, or any",
        &["component:string", "reason!:string", "by:string"],
    ),
    row("DELETE", "freezes/{id}", "Ends a freeze", Role::Admin),
    // Queues
    get("queues", "Every queue with its depth").query(&[
        "service:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("queues/{service}/{queue}", "One queue: depth, settings, rates"),
    get("queues/{service}/{queue}/messages", "What lies in a queue").query(&[
        "state:string",
        "payload:boolean",
        "limit:integer",
        "cursor:string",
    ]),
    post(
        "queues/{service}/{queue}/send",
        "Puts a message into a queue",
        &["payload!:any", "topic:string", "key:string", "by:string"],
    )
    .answering(Answers::Json(202)),
    post(
        "queues/{service}/{queue}/redrive",
        "Sends dead letters back to work",
        &["filter:object", "dry_run:boolean", "rate_per_second:number", "by:string"],
    ),
    post(
        "queues/{service}/{queue}/purge",
        "Throws messages away",
        &["state:string", "filter:object", "dry_run:boolean", "by:string"],
    )
    .for_role(Role::Admin),
    post("queues/{service}/{queue}/pause", "Hands nothing of it out any more", BY),
    post("queues/{service}/{queue}/resume", "Hands it out again", BY),
    get("dead-letters", "Dead letters of every queue, the latest death first").query(&[
        "service:string",
        "queue:string",
        "topic:string",
        "tenant_id:string",
        "reason:string",
        "since:string",
        "before:string",
        "payload:boolean",
        "limit:integer",
        "cursor:string",
    ]),
    // Schedules and jobs
    get("schedules", "Every schedule").query(&[
        "service:string",
        "name:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("schedules/{id}", "One schedule"),
    get("schedules/{id}/next", "Its next instants").query(&[
        "count:integer",
        "zone:string",
        "after:string",
    ]),
    get("schedules/{id}/runs", "What became of its runs").query(PAGE),
    post("schedules/{id}/run", "Runs it now", &["overlap:string", "by:string"])
        .answering(Answers::Json(202)),
    post("schedules/{id}/pause", "Fires it no more", MOVE),
    post("schedules/{id}/resume", "Fires it again", BY),
    post(
        "schedules/{id}/backfill",
        "Fires it for a stretch of time again",
        &["from!:string", "to!:string", "overlap:string", "preview:boolean", "by:string"],
    ),
    get("jobs", "Jobs of native workers").query(&[
        "state:string",
        "kind:string",
        "service:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("jobs/{id}", "One job with its arguments, output and checkpoint"),
    post("jobs/{id}/cancel", "Ends a job", BY),
    // What happens
    get("invocations", "The last calls of this host").query(&[
        "component:string",
        "trigger:string",
        "outcome:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("invocations/{id}", "One call, with the calls of its trace and their lines"),
    get("logs", "The last lines of this host").query(&[
        "component:string",
        "level:string",
        "since:string",
        "request_id:string",
        "trace_id:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("stream", "What happens, as server-sent events")
        .query(&["topics:string", "component:string", "level:string"])
        .answering(Answers::Media("text/event-stream")),
    // Configuration
    get("configuration/{component}", "Names, versions and values; of secrets never the value"),
    row("PUT", "configuration/{component}/{name}", "Sets a value or a secret", Role::Operator)
        .sending(Sends::Json(&["value!:string", "secret:boolean", "reason:string", "by:string"])),
    row("DELETE", "configuration/{component}/{name}", "Unsets a name", Role::Operator)
        .query(&["reason:string", "by:string"]),
    get("configuration/{component}/versions", "Its history").query(PAGE),
    get("configuration/{component}/diff", "What differs between two versions")
        .query(&["from:integer", "to:integer"]),
    post("configuration/{component}/apply", "Makes a revision with the newest configuration", MOVE),
    post("configuration/{component}/rotate", "Puts all secrets under the current root key", REASON)
        .for_role(Role::Admin),
    // Operators and the journal
    get("operators", "Who may operate").for_role(Role::Admin),
    post("operators", "Lets somebody in; shows the token, once", &["name!:string", "role!:string"])
        .for_role(Role::Admin)
        .answering(Answers::Json(201)),
    row("DELETE", "operators/{name}", "Shuts somebody out", Role::Admin)
        .answering(Answers::Nothing),
    get("audit", "The journal, the latest entry first").query(&[
        "actor:string",
        "action:string",
        "subject:string",
        "outcome:string",
        "since:string",
        "before:string",
        "limit:integer",
        "cursor:string",
    ]),
    get("audit/verify", "Reads the whole journal and says where it was touched"),
    get("audit/export", "The journal from its first entry, a line each")
        .for_role(Role::Admin)
        .answering(Answers::Media("application/jsonl")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_row_and_the_literal_one_first() {
        assert_eq!(find("GET", "artifacts/sha256:1").unwrap().path, "artifacts/{digest}");
        assert_eq!(find("POST", "artifacts/pull").unwrap().path, "artifacts/pull");
        assert_eq!(find("GET", "audit/verify").unwrap().path, "audit/verify");
        assert_eq!(find("HEAD", "host").unwrap().path, "host");
        assert_eq!(find("POST", "host").unwrap_err(), ["GET"]);
        assert_eq!(find("DELETE", "components/a/traffic").unwrap_err(), ["GET", "PUT"]);
        for path in ["", "nowhere", "components/", "components//traffic", "jobs/1/2/3"] {
            assert!(find("GET", path).unwrap_err().is_empty(), "{path}");
        }
    }

    #[test]
    fn no_two_rows_are_the_same() {
        let mut seen: Vec<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        seen.sort_unstable();
        let all = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn looking_is_for_everybody_and_what_cannot_be_undone_for_administrators() {
        let needed = |method, path: &str, query: &str, body: &str| {
            find(method, path).unwrap().needed(query, body.as_bytes())
        };
        for (method, path, query, body, role) in [
            ("GET", "queues", "", "", Role::Viewer),
            ("GET", "dead-letters", "limit=1&payload=true", "", Role::Operator),
            ("POST", "queues/a/b/redrive", "", "{}", Role::Operator),
            ("POST", "queues/a/b/purge", "", "{}", Role::Admin),
            ("PUT", "configuration/a/b", "", r#"{"value":"x"}"#, Role::Operator),
            ("PUT", "configuration/a/b", "", r#"{"value":"x","secret":true}"#, Role::Admin),
            ("POST", "components/a/deploy", "", r#"{"override_freeze":true}"#, Role::Admin),
            ("GET", "audit", "", "", Role::Viewer),
            ("GET", "audit/export", "", "", Role::Admin),
            ("GET", "operators", "", "", Role::Admin),
        ] {
            assert_eq!(needed(method, path, query, body), role, "{method} {path} {query} {body}");
        }
        let only_admins_take_away = ROUTES.iter().filter(|route| route.method == "DELETE");
        assert!(only_admins_take_away.into_iter().all(|route| route.role >= Role::Operator));
        let orders = ROUTES.iter().filter(|route| route.method != "GET");
        assert!(orders.into_iter().all(|route| route.role >= Role::Operator));
    }

    #[test]
    fn what_stands_at_the_braces_is_what_it_was_done_to() {
        let route = find("POST", "queues/billing/late%20fees%2Feu/redrive").unwrap();
        let path = "queues/billing/late%20fees%2Feu/redrive";
        assert_eq!(route.subject(path).as_deref(), Some("billing/late fees/eu"));
        assert_eq!(route.action(), "POST queues/{service}/{queue}/redrive");
        assert_eq!(find("POST", "freezes").unwrap().subject("freezes"), None);
    }
}
