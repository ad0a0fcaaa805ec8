//! Brings the published WIT of `spin:key-value` to where `bindgen!` reads it.

#[path = "../../../wit/outside.rs"]
mod outside;

fn main() {
    outside::outside_wit(&["spin-key-value@3.0.0"]);
}
