//! Tables grow under limits, too. Rust cannot grow one, so these guests are written in
//! WebAssembly's own text, for the older `wasi:http/incoming-handler`, which needs the fewest
//! words.

use nexus_harness::prelude::*;
use std::path::Path;
use tempfile::TempDir;

/// A component that does `bomb` with a table of its own, and traps once that was refused.
fn guest(bomb: &str) -> String {
    format!(
        r#"
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $code
    (table $bomb 1 funcref)
    (func (export "handle") (param i32 i32)
      {bomb}
      unreachable))
  (core instance $running (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $running "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"#
    )
}

/// One leap far beyond any limit, tried until it is refused.
const LEAP: &str = "(loop $again (br_if $again (i32.ne (i32.const -1)
    (table.grow $bomb (ref.null func) (i32.const 1000000)))))";

/// Small steps until one is refused.
const STEPS: &str = "(loop $again (br_if $again (i32.ne (i32.const -1)
    (table.grow $bomb (ref.null func) (i32.const 100)))))";

fn written(folder: &Path, name: &str, bomb: &str) -> String {
    let file = folder.join(format!("{name}.wasm"));
    std::fs::write(&file, wat::parse_str(guest(bomb)).unwrap()).unwrap();
    file.display().to_string()
}

async fn host(folder: &TempDir) -> Nexus {
    let (leap, steps) =
        (written(folder.path(), "leap", LEAP), written(folder.path(), "steps", STEPS));
    let files = [leap, steps, probe("hello").display().to_string()];
    let nexus = Nexus::setup().components(&files).without_database().start().await;
    nexus.expects_log("instance lost");
    nexus
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_grows_no_further_than_its_limit_and_the_neighbours_notice_nothing() {
    let folder = TempDir::new().unwrap();
    let nexus = host(&folder).await;
    let client = nexus.anonymous();
    // Again and again: whatever a lost instance held has come back.
    for _ in 0..20 {
        client.get("/leap").await.problem(500, "trapped");
        client.get("/steps").await.problem(500, "trapped");
        assert_eq!(client.get("/hello").await.ok().text(), "hello");
    }
    for name in ["leap", "steps"] {
        let bomb = || {
            let all = nexus.runtime().snapshot();
            all.into_iter().find(|component| component.component.as_str() == name).unwrap()
        };
        let counts = bomb().counts;
        assert_eq!((counts.traps, counts.cpu_kills, counts.timeouts), (20, 0, 0), "{name}");
        eventually("no instance is left", seconds(10), async || bomb().instances == 0).await;
    }
}
