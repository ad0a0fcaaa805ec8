//! What becomes of an upload until it can be played.
