//! Where an artifact is in the world: `registry.example:5000/repository:tag@sha256:…`. Refuses a
//! reference without its registry: nobody's is the one that is meant by default.
//! Source: the grammar of OCI distribution specification 1.1, "Pulling manifests".

use crate::digest::Digest;
use crate::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A registry, a repository in it, and which of its manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// With its port, where it has one.
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const TAG_BYTES_MAX: usize = 128;
const REPOSITORY_BYTES_MAX: usize = 255;

impl Reference {
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same place, nailed to these bytes.
    pub fn at(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// Where registries without the referrers API keep what refers to `digest`.
    pub(crate) fn referrers_tag(digest: &Digest) -> String {
        format!("sha256-{}", digest.hex())
    }

    /// What a request names the manifest by.
    pub(crate) fn manifest_name(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".into(),
        }
    }

    /// Whether the registry is this machine's own.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.host.split(':').next().unwrap_or_default(),
        };
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Reference(text.chars().take(200).collect());
        let short = ["oci://", "docker://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let (host, rest) = short.unwrap_or(text).split_once('/').ok_or_else(wrong)?;
        if !is_host(host) {
            return Err(wrong());
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let sound = is_repository(repository) && tag.is_none_or(is_tag);
        let (repository, tag) = (repository.to_owned(), tag.map(str::to_owned));
        if !sound {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), repository, tag, digest })
    }
}

/// A name with a dot, a port, or `localhost`: otherwise it is the first part of a repository.
fn is_host(host: &str) -> bool {
    let telling = host == "localhost" || host.contains(['.', ':']);
    let url = url::Url::parse(&format!("https://{host}/"));
    telling
        && url.is_ok_and(|url| url.path() == "/" && url.username().is_empty())
        && !host.contains(['@', '?', '#', '\\', ' '])
}

fn is_repository(repository: &str) -> bool {
    let part = |part: &str| {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(word)
            && part.ends_with(word)
            && part.chars().all(|c| word(c) || matches!(c, '.' | '_' | '-'))
            && !part.contains("..")
    };
    repository.len() <= REPOSITORY_BYTES_MAX && repository.split('/').all(part)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=TAG_BYTES_MAX).contains(&tag.len())
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_it_is_written() {
        let digest = Digest::of(b"x");
        for text in [
            "localhost:5000/catalog:1.0",
            "localhost/catalog",
            "registry.example/team/a_b/c-d:v1.0-rc.1",
            "[::1]:5000/catalog",
            &format!("127.0.0.1:5000/catalog@{digest}"),
            &format!("registry.example/catalog:1@{digest}"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), *text);
            let same: Reference = format!("oci://{text}").parse().unwrap();
            assert_eq!(same, reference);
        }
        let one: Reference = "registry.example/c:1".parse().unwrap();
        assert_eq!(one.at(digest).manifest_name(), digest.to_string());
        assert_eq!("a.b/c".parse::<Reference>().unwrap().manifest_name(), "latest");
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_reference() {
        for text in [
            "",
            "catalog",
            "team/catalog:1",
            "registry.example/",
            "registry.example/../v2/secret:1",
            "registry.example/a//b",
            "registry.example/A",
            "registry.example/a:",
            "registry.example/a:.b",
            "registry.example/a:b/c",
            "registry.example/a@sha256:12",
            "user@registry.example/a",
            "registry.example:99999/a",
            "registry.example?x/a",
            "https://registry.example/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machines_own_names_are_loopback() {
        let own = |text: &str| text.parse::<Reference>().unwrap().is_loopback();
        assert!(own("localhost:5000/a") && own("127.0.0.2/a") && own("[::1]:5000/a"));
        assert!(
            !own("localhost.example/a") && !own("127.0.0.1.example/a") && !own("[2001:db8::1]/a")
        );
    }
}
