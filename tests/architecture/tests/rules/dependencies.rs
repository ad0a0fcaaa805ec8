//! Who may depend on whom. The table below is the architecture's; a new kind of crate gets a
//! line here before it gets a dependency.

use crate::graph::{self, Edge};

/// First the folder that depends, then the folders it may depend on; `*` stands for one name.
/// The first line that matches a crate is its own.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    // The host: everything ends in `nexus`, everything stands on `observability`.
    ("host/nexus", &["host/*", "host/capabilities/*", "triggers/*"]),
    ("host/admin", &UPPER_HOST),
    ("host/rollout", &UPPER_HOST),
    // What is deployed is bytes and judgements over them: it knows no engine and no database.
    ("host/artifact", &[UNIFY]),
    ("host/configuration", &LOWER_HOST),
    ("host/runtime", &["host/observability", UNIFY]),
    ("host/storage", &["host/observability", CALENDAR, UNIFY]),
    ("host/observability", &[UNIFY]),
    ("host/redis_link", &[UNIFY]),
    (CALENDAR, &[]),
    (LAYOUT, &[]),
    (UNIFY, &[]),
    // Ways in and interfaces never know one another.
    ("host/capabilities/*", &LOWER_HOST),
    ("triggers/*", &LOWER_HOST),
    // Guests: the SDK and public contracts, never a neighbour, never the host.
    ("components/sdk/nexus-sdk", &["components/sdk/macros"]),
    ("components/sdk/macros", &[]),
    ("components/*/contract", &["components/sdk/nexus-sdk"]),
    // What all front ends are made of is a crate of its own, and theirs alone.
    (KIT, &["components/sdk/nexus-sdk"]),
    ("components/web/*", &["components/sdk/nexus-sdk", "components/*/contract", KIT]),
    ("components/*/*", &["components/sdk/nexus-sdk", "components/*/contract"]),
    // Native workers talk to the host by the job protocol alone.
    ("media-native/protocol", &[]),
    ("media-native/nx-media", &["media-native/*"]),
    // What those that call ffmpeg share, and what their tests are made of.
    ("media-native/ffmpeg", &["media-native/protocol", "media-native/probe"]),
    ("media-native/corpus", &["media-native/protocol", "tests/harness"]),
    ("media-native/transcode", &FILM),
    ("media-native/thumbnail", &FILM),
    ("media-native/*", &["media-native/protocol", "components/*/contract"]),
    // Probes show that a guest needs nothing of ours; one shows what the SDK makes of messages.
    ("tests/conformance/probes/journal", &["components/sdk/nexus-sdk"]),
    // What of ours is measured beside what others serve, and a test that they do the same.
    ("tests/conformance/probes/measured", &["components/sdk/nexus-sdk"]),
    ("tests/conformance/probes/*", &[]),
    ("tests/harness", &["host/*", "host/capabilities/*", "triggers/*"]),
    // Every route is read out of the services themselves.
    ("tests/architecture", &["components/*/*", "host/*", "tests/harness", "deploy/xtask"]),
    ("tests/conformance", &["host/*", "tests/harness", "tests/peers"]),
    ("tests/*", &["host/*", "tests/harness", "deploy/xtask", "components/*/contract"]),
    ("deploy/xtask", &[LAYOUT]),
];

const LOWER_HOST: [&str; 6] =
    ["host/runtime", "host/storage", "host/observability", "host/redis_link", CALENDAR, UNIFY];

/// `admin` is written over `rollout`, and never the other way round.
const UPPER_HOST: [&str; 7] = [
    "host/rollout",
    "host/artifact",
    "host/configuration",
    "host/runtime",
    "host/storage",
    "host/observability",
    UNIFY,
];

/// What a worker that makes something of a film may know.
const FILM: [&str; 4] =
    ["media-native/protocol", "media-native/ffmpeg", "media-native/probe", "media-native/corpus"];

/// Pages: document, forms, style; no service.
const KIT: &str = "components/web/kit";

/// Pure: what a schedule's words mean.
const CALENDAR: &str = "host/calendar";

/// Pure: where functions stand in a component's code.
const LAYOUT: &str = "host/layout";

/// No code: the features that native crates agree on.
const UNIFY: &str = "host/unify";

/// What any crate's tests may use besides; guests that are rolled out want a database.
const TESTS_MAY_USE: [&str; 2] = ["tests/harness", "host/capabilities/postgres"];

#[test]
fn every_crate_depends_on_its_own_layer_downwards_only() {
    let wrong: Vec<_> = graph::edges().iter().filter_map(complaint).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_has_its_line_in_the_table() {
    let members = graph::workspace().packages;
    let folders = members.iter().map(graph::folder);
    let without: Vec<_> = folders.filter(|folder| allowed(folder).is_none()).collect();
    assert!(without.is_empty(), "add a line to MAY_DEPEND for {without:?}");
}

#[test]
fn the_table_itself_refuses_what_it_should() {
    let refused = [
        ("triggers/http", "triggers/queue"),
        ("host/capabilities/redis", "host/capabilities/key_value"),
        ("host/runtime", "host/storage"),
        ("components/commerce/cart", "components/commerce/catalog"),
        ("components/commerce/cart", "host/runtime"),
        ("host/nexus", "components/sdk/nexus-sdk"),
        ("media-native/probe", "host/storage"),
        ("components/commerce/cart", "components/web/kit"),
    ];
    for (from, to) in refused {
        let edge = Edge { from: from.into(), to: to.into(), test_only: false };
        assert!(complaint(&edge).is_some(), "{from} may not depend on {to}");
    }
    let edge = Edge {
        from: "components/commerce/cart".into(),
        to: "components/identity/contract".into(),
        test_only: false,
    };
    assert!(complaint(&edge).is_none(), "a contract is public");
}

/// Otherwise the tests would compile the engine and the whole host a second time. What is missing
/// belongs into `host/unify`.
#[test]
fn the_tests_are_built_on_the_very_crates_that_the_programs_are_built_on() {
    let programs = graph::features(&["-p", "nexus", "-p", "nx-media", "-e", "normal,build"]);
    let probes: Vec<_> = graph::workspace().packages.into_iter().map(|it| it.name).collect();
    let mut tests = vec!["--workspace", "-e", "normal,build,dev"];
    for probe in probes.iter().filter(|name| name.starts_with("probe-")) {
        tests.extend(["--exclude", probe]);
    }
    let tests = graph::features(&tests);
    assert!(programs.iter().any(|line| line.starts_with("wasmtime v")), "cargo names them");
    let other: Vec<_> = programs.difference(&tests).cloned().collect();
    assert!(other.is_empty(), "with other features in the tests:\n{}", other.join("\n"));
}

fn complaint(edge: &Edge) -> Option<String> {
    let Edge { from, to, test_only } = edge;
    let known = allowed(from)?;
    let allowed = known.iter().any(|pattern| matches(pattern, to));
    let for_tests = *test_only && (TESTS_MAY_USE.contains(&to.as_str()) || from == to);
    let words = || format!("{from} may not depend on {to}; it may on {known:?}");
    (!allowed && !for_tests).then(words)
}

fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    let line = MAY_DEPEND.iter().find(|(pattern, _)| matches(pattern, folder));
    line.map(|(_, allowed)| *allowed)
}

fn matches(pattern: &str, folder: &str) -> bool {
    let same = |(want, have): (&str, &str)| want == "*" || want == have;
    pattern.split('/').count() == folder.split('/').count()
        && pattern.split('/').zip(folder.split('/')).all(same)
}
