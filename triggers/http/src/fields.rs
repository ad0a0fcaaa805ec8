//! The fields of a request's head, and at a glance which are not among them.
//!
//! The door asks for some twenty that most requests do not have, and a map of fields takes a hash
//! of the name for each.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields of a head.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    all: &'a HeaderMap,
    names: Names,
}

/// What the names of a head's fields look like: a bit for each look. It stays true when fields are
/// taken away.
#[derive(Clone, Copy)]
pub(crate) struct Names(u64);

impl Names {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self(headers.keys().fold(0, |looks, name| looks | look(name)))
    }

    /// False where no field has that name.
    pub(crate) fn may_have(self, name: &HeaderName) -> bool {
        self.0 & look(name) != 0
    }
}

/// One of 64 bits: length, first and last letter tell most names apart.
fn look(name: &HeaderName) -> u64 {
    let name = name.as_str().as_bytes();
    let [first, .., last] = name else { return 1 };
    1 << ((name.len() ^ usize::from(*first) << 1 ^ usize::from(*last) << 2) % 64)
}

impl<'a> Fields<'a> {
    pub(crate) fn new(all: &'a HeaderMap, names: Names) -> Self {
        Self { all, names }
    }

    /// The first of that name.
    pub(crate) fn get(self, name: &HeaderName) -> Option<&'a HeaderValue> {
        if self.names.may_have(name) { self.all.get(name) } else { None }
    }

    pub(crate) fn get_all(
        self,
        name: &HeaderName,
    ) -> impl Iterator<Item = &'a HeaderValue> + use<'a> {
        let may_have = self.names.may_have(name);
        may_have.then(|| self.all.get_all(name)).into_iter().flatten()
    }

    pub(crate) fn has(self, name: &HeaderName) -> bool {
        self.names.may_have(name) && self.all.contains_key(name)
    }
}

#[cfg(test)]
impl<'a> From<&'a HeaderMap> for Fields<'a> {
    fn from(all: &'a HeaderMap) -> Self {
        Self::new(all, Names::of(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT, COOKIE, HOST};

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "a"), ("cookie", "b"), ("cookie", "c"), ("x-own", "d")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let fields = Fields::from(&headers);
        let own = HeaderName::from_static("x-own");
        assert_eq!(fields.get(&HOST).unwrap(), "a");
        assert_eq!(fields.get_all(&COOKIE).collect::<Vec<_>>(), ["b", "c"]);
        assert!(fields.has(&own) && !fields.has(&ACCEPT));
        assert!(fields.get(&ACCEPT).is_none() && fields.get_all(&ACCEPT).next().is_none());
        // Another name with the same look.
        let twin = HeaderName::from_static("xaown");
        assert!(fields.names.may_have(&twin) && !fields.has(&twin));
        assert!(fields.get(&twin).is_none() && fields.get_all(&twin).next().is_none());
    }

    #[test]
    fn every_name_is_found_that_a_head_has() {
        let names = ["a", "ab", "abc", "content-length", "x-request-id", "nexus-revision"];
        for name in names.map(HeaderName::from_static) {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("1"))]);
            assert!(Names::of(&headers).may_have(&name), "{name}");
        }
    }
}
