//! What `nexus dev` watches: one component in a folder of its own, or every component of a checkout
//! of Nexus. Knows where sources are; refuses to know how they are built.

use crate::commands::scaffold;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A component under development.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) component: String,
    /// Where its Cargo.toml is.
    pub(super) folder: PathBuf,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) sources: Vec<Source>,
    /// Whether it is a checkout of Nexus, whose components are built and staged already.
    pub(super) is_checkout: bool,
}

impl Project {
    /// Finds out what a folder is.
    ///
    /// # Errors
    ///
    /// When it holds neither a component with its spin.toml nor a checkout.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if scaffold::checkout(folder).as_deref() == Some(folder) {
            let sources = in_checkout(folder)?;
            return Ok(Self { folder: folder.into(), sources, is_checkout: true });
        }
        let shown = folder.display();
        if !folder.join("spin.toml").is_file() || !folder.join("Cargo.toml").is_file() {
            bail!(
                "{shown} holds no component (Cargo.toml and spin.toml): \
                 `nexus init <domain>/<name>` begins one"
            );
        }
        let manifest = nexus_runtime::Manifest::read(&folder.join("spin.toml"))?;
        let [component] = manifest.components.as_slice() else {
            bail!("the spin.toml in {shown} must have one component");
        };
        let source = Source { component: component.id.to_string(), folder: folder.into() };
        Ok(Self { folder: folder.into(), sources: vec![source], is_checkout: false })
    }

    /// Folders to watch, each with whether what lies below it is watched, too.
    pub(super) fn watched(&self) -> Result<Vec<(PathBuf, bool)>> {
        if self.is_checkout {
            return Ok(vec![(self.folder.join("components"), true)]);
        }
        // Not what cargo and the host write: thousands of folders that change all the time.
        let mut watched = vec![(self.folder.clone(), false)];
        for entry in std::fs::read_dir(&self.folder).context("look into the folder")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && !name.starts_with('.') && name != "target" {
                watched.push((entry.path(), true));
            }
        }
        Ok(watched)
    }

    /// Whose sources these paths are. What belongs to no component (the SDK, a contract) is second.
    pub(super) fn whose(&self, paths: &BTreeSet<PathBuf>) -> (BTreeSet<Source>, BTreeSet<PathBuf>) {
        let (mut sources, mut others) = (BTreeSet::new(), BTreeSet::new());
        for path in paths.iter().filter(|path| self.is_source(path)) {
            match self.sources.iter().find(|source| path.starts_with(&source.folder)) {
                Some(source) => drop(sources.insert(source.clone())),
                None => drop(others.insert(path.clone())),
            }
        }
        (sources, others)
    }

    /// Editors leave files of their own beside those they change; builds leave archives.
    fn is_source(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(&self.folder) else { return false };
        let words = inside.components().map(|word| word.as_os_str().to_string_lossy());
        let ours = words.enumerate().all(|(at, word)| {
            !word.starts_with('.') && !(at == 0 && word == "target") && word != "Cargo.lock"
        });
        let known = ["rs", "toml", "wit", "sql", "html", "css", "js", "ts", "json", "txt", "md"];
        let end = path.extension().map(|end| end.to_string_lossy().into_owned());
        ours && end.is_some_and(|end| known.contains(&&*end))
    }
}

/// Each folder with a fragment, `components/<domain>/<service>`.
fn in_checkout(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let components = root.join("components");
    for domain in std::fs::read_dir(&components).context("look into components")?.flatten() {
        for service in std::fs::read_dir(domain.path()).into_iter().flatten().flatten() {
            let folder = service.path();
            if folder.join("component.toml").is_file() {
                let component = service.file_name().to_string_lossy().into_owned();
                sources.push(Source { component, folder });
            }
        }
    }
    sources.sort();
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(is_checkout: bool) -> Project {
        let source =
            |name: &str| Source { component: name.into(), folder: format!("/p/{name}").into() };
        let sources = vec![source("cart"), source("shop")];
        Project { folder: "/p".into(), sources, is_checkout }
    }

    #[test]
    fn only_what_an_author_writes_is_a_source() {
        let project = project(false);
        let inside = |path: &str| project.is_source(Path::new(path));
        for path in ["/p/src/lib.rs", "/p/spin.toml", "/p/migrations/cart/0001_a.sql"] {
            assert!(inside(path), "{path}");
        }
        for path in [
            "/p/target/x/lib.rs",
            "/p/.nexus/a.json",
            "/p/src/.lib.rs.swp",
            "/p/src/4913",
            "/p/src/lib.rs~",
            "/p/cart.oci.tar",
            "/p/Cargo.lock",
            "/q/src/lib.rs",
        ] {
            assert!(!inside(path), "{path}");
        }
    }

    #[test]
    fn a_path_is_the_source_of_the_component_whose_folder_it_is_in() {
        let paths = ["/p/cart/src/lib.rs", "/p/cart/src/store.rs", "/p/sdk/src/lib.rs"];
        let paths = paths.map(PathBuf::from).into();
        let (sources, others) = project(true).whose(&paths);
        assert_eq!(sources.iter().map(|it| &*it.component).collect::<Vec<_>>(), ["cart"]);
        assert_eq!(others.len(), 1);
    }
}
