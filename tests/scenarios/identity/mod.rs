//! Who people are, how they prove it, and what programs get for it.

mod oauth;
