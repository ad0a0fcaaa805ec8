//! The kind `probe`.
