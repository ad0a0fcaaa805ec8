//! The architecture as tests: who may depend on whom, under which licences, in which form. The
//! rules are in `tests/rules`; there is nothing to link against. A rule that no test here (or in
//! `cargo xtask tidy`, which one of them asks) enforces is a wish.
