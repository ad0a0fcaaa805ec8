//! Finds the route of a path. Patterns are Spin's: literal segments, `:name` for one segment, a
//! last `...` for everything below; at each segment a literal beats a name, a name beats `...`.
//! As in Spin, repeated and trailing slashes separate nothing. Refuses to know components.

use foldhash::fast::RandomState;
use std::collections::HashMap;

/// Routes as a tree of segments, each ending in the index it was added with.
#[derive(Default)]
pub(crate) struct Router {
    root: Node,
}

#[derive(Default)]
struct Node {
    literal: HashMap<Box<str>, Node, RandomState>,
    named: Option<Box<Node>>,
    here: Option<usize>,
    below: Option<usize>,
}

/// A path's route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Matched<'a> {
    pub(crate) index: usize,
    /// What stands for the pattern's names, in order.
    pub(crate) captured: Vec<&'a str>,
    /// What `...` stands for, with its leading slash; empty without one.
    pub(crate) tail: &'a str,
}

/// A pattern that this router cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("a route begins with a slash")]
    NoSlash,
    #[error("{0:?} must be the last segment of a route")]
    WildcardInside(String),
    #[error("{0:?} is no name: use letters, digits, - and _")]
    Name(String),
    #[error("{0:?} mixes literal characters with : or *")]
    Mixed(String),
}

impl Router {
    /// Adds a route and returns the names in its pattern, in order, and the index of the same
    /// pattern if it was there before (the new one wins, as in Spin).
    pub(crate) fn add(
        &mut self,
        pattern: &str,
        index: usize,
    ) -> Result<(Vec<String>, Option<usize>), PatternError> {
        let Some(rest) = pattern.strip_prefix('/') else {
            return Err(PatternError::NoSlash);
        };
        let mut segments = rest.split('/').filter(|segment| !segment.is_empty()).peekable();
        let mut names = Vec::new();
        let mut node = &mut self.root;
        while let Some(segment) = segments.next() {
            if matches!(segment, "..." | "*") {
                if segments.peek().is_some() {
                    return Err(PatternError::WildcardInside(segment.into()));
                }
                return Ok((names, node.below.replace(index)));
            }
            node = if let Some(name) = segment.strip_prefix(':') {
                let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                if name.is_empty() || !name.bytes().all(allowed) {
                    return Err(PatternError::Name(name.into()));
                }
                names.push(name.into());
                node.named.get_or_insert_default()
            } else if segment.contains([':', '*']) {
                return Err(PatternError::Mixed(segment.into()));
            } else {
                node.literal.entry(segment.into()).or_default()
            };
        }
        Ok((names, node.here.replace(index)))
    }

    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<Matched<'a>> {
        let mut captured = Vec::new();
        let (index, tail) = walk(&self.root, path, &mut captured)?;
        Some(Matched { index, captured, tail })
    }
}

fn walk<'a>(node: &Node, path: &'a str, captured: &mut Vec<&'a str>) -> Option<(usize, &'a str)> {
    let below = || node.below.map(|index| (index, path));
    let rest = path.trim_start_matches('/');
    if rest.is_empty() {
        return node.here.map(|index| (index, "")).or_else(below);
    }
    let (segment, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if let Some(next) = node.literal.get(segment)
        && let Some(found) = walk(next, after, captured)
    {
        return Some(found);
    }
    if let Some(next) = &node.named {
        captured.push(segment);
        if let Some(found) = walk(next, after, captured) {
            return Some(found);
        }
        captured.pop();
    }
    below()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[&str]) -> Router {
        let mut router = Router::default();
        for (index, pattern) in patterns.iter().enumerate() {
            router.add(pattern, index).unwrap();
        }
        router
    }

    fn check(patterns: &[&str], path: &str, expected: Option<(&str, &[&str], &str)>) {
        let router = router(patterns);
        let found = router.find(path);
        let found = found.as_ref().map(|m| (patterns[m.index], &m.captured[..], m.tail));
        assert_eq!(found, expected, "{path} in {patterns:?}");
    }

    #[test]
    fn a_literal_beats_a_name_and_a_name_beats_the_rest() {
        let patterns = ["/...", "/a/...", "/a/:id", "/a/b", "/a/:id/c", "/a/b/d/..."];
        check(&patterns, "/", Some(("/...", &[], "/")));
        check(&patterns, "/x/y", Some(("/...", &[], "/x/y")));
        check(&patterns, "/a", Some(("/a/...", &[], "")));
        check(&patterns, "/a/b", Some(("/a/b", &[], "")));
        check(&patterns, "/a/7", Some(("/a/:id", &["7"], "")));
        check(&patterns, "/a/7/c", Some(("/a/:id/c", &["7"], "")));
        check(&patterns, "/a/7/e", Some(("/a/...", &[], "/7/e")));
        check(&patterns, "/a/b/c", Some(("/a/:id/c", &["b"], "")));
        check(&patterns, "/a/b/d/e/f", Some(("/a/b/d/...", &[], "/e/f")));
        check(&patterns, "/a/b/x/y", Some(("/a/...", &[], "/b/x/y")));
    }

    #[test]
    fn a_trailing_slash_belongs_to_the_rest_and_matters_nowhere_else() {
        let patterns = ["/foo/...", "/bar", "/:id/baz"];
        check(&patterns, "/foo", Some(("/foo/...", &[], "")));
        check(&patterns, "/foo/", Some(("/foo/...", &[], "/")));
        check(&patterns, "/foo/bar/", Some(("/foo/...", &[], "/bar/")));
        check(&patterns, "/bar/", Some(("/bar", &[], "")));
        check(&patterns, "//bar", Some(("/bar", &[], "")));
        check(&patterns, "/1//baz", Some(("/:id/baz", &["1"], "")));
        check(&patterns, "/ba", None);
        check(&patterns, "/", None);
    }

    #[test]
    fn paths_are_compared_as_they_were_sent() {
        check(&["/a"], "/%61", None);
        check(&["/a/..."], "/a/../b", Some(("/a/...", &[], "/../b")));
        check(&["/A"], "/a", None);
    }

    #[test]
    fn the_later_of_two_equal_patterns_wins() {
        let mut router = Router::default();
        assert_eq!(router.add("/a/:x", 0), Ok((vec!["x".into()], None)));
        assert_eq!(router.add("/a/:y", 1), Ok((vec!["y".into()], Some(0))));
        assert_eq!(router.find("/a/1").unwrap().index, 1);
        assert_eq!(router.add("/b/*", 2), Ok((vec![], None)));
        assert_eq!(router.add("/b/...", 3), Ok((vec![], Some(2))));
    }

    #[test]
    fn patterns_it_cannot_read_are_refused() {
        for (pattern, error) in [
            ("a", PatternError::NoSlash),
            ("/.../a", PatternError::WildcardInside("...".into())),
            ("/:", PatternError::Name("".into())),
            ("/:a.b", PatternError::Name("a.b".into())),
            ("/a:b", PatternError::Mixed("a:b".into())),
            ("/a*", PatternError::Mixed("a*".into())),
        ] {
            assert_eq!(Router::default().add(pattern, 0), Err(error), "{pattern}");
        }
    }
}
