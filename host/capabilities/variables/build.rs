//! Brings the published WIT of `spin:variables` to where `bindgen!` reads it.

#[path = "../../../wit/outside.rs"]
mod outside;

fn main() {
    outside::outside_wit(&["spin-variables@3.0.0"]);
}
