//! Brings the published WIT of `spin:redis` to where `bindgen!` reads it.

#[path = "../../../wit/outside.rs"]
mod outside;

fn main() {
    outside::outside_wit(&["spin-redis@3.0.0"]);
}
