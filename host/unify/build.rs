//! Exists so that the build-dependencies are part of the graph.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
