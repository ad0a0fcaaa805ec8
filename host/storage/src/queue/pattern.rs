//! Which topics a subscription's pattern covers: the twin of `platform.topic_matches`.

/// Whether the text is a pattern rather than one topic.
pub fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

/// `*` is any one segment; `**` at the end is any rest of at least one segment; `*` alone is
/// everything.
pub fn topic_matches(pattern: &str, topic: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (mut wanted, mut segments) = (pattern.split('.').peekable(), topic.split('.'));
    while let Some(want) = wanted.next() {
        let segment = segments.next();
        if want == "**" && wanted.peek().is_none() {
            return segment.is_some();
        }
        match segment {
            Some(segment) if want == "*" || want == segment => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_the_topics_it_says() {
        let topic = "commerce.product.created.v1";
        for (pattern, covers) in [
            ("*", true),
            ("**", true),
            ("commerce.**", true),
            ("commerce.product.created.v1", true),
            ("commerce.*.created.v1", true),
            ("*.*.*.*", true),
            ("commerce.product.created.**", true),
            ("commerce.product.created.v1.**", false),
            ("commerce.product.*", false),
            ("*.*", false),
            ("commerce", false),
            ("commerce.product.created.v2", false),
            ("finance.**", false),
            ("", false),
        ] {
            assert_eq!(topic_matches(pattern, topic), covers, "{pattern:?}");
        }
    }
}
