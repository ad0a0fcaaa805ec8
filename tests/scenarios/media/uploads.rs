//! Files on their way here.

mod concatenation;
mod direct;
mod ground;
mod kept;
mod protocol;
mod refused;
mod turns;
