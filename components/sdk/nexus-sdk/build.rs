//! Brings the published WIT of `spin:postgres` to where `generate!` reads it.

#[path = "../../../wit/outside.rs"]
mod outside;

fn main() {
    outside::outside_wit(&["spin-postgres@4.2.0"]);
}
