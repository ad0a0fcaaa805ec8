//! What a host reads outside of the database: one layer for each file, folder and Vault, with
//! values for all components and for single ones. Refuses to know which names are declared.

use crate::{ALL, Error};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A file of configuration is some kilobytes; more is a mistake, such as a disk image.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Names in one folder.
const FILES_MAX: usize = 2_000;

/// The values of one source, by scope (`_` is all components) and name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Layer {
    /// Where it comes from, for people.
    pub place: String,
    scopes: BTreeMap<String, BTreeMap<String, String>>,
}

/// Names only.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            self.scopes.iter().map(|(scope, values)| (scope, values.keys().collect::<Vec<_>>()));
        write!(f, "{} ", self.place)?;
        f.debug_map().entries(names).finish()
    }
}

impl Layer {
    pub fn new(place: impl Into<String>) -> Self {
        Self { place: place.into(), scopes: BTreeMap::new() }
    }

    /// Adds a value; a later one of the same place replaces.
    pub fn put(&mut self, scope: &str, name: &str, value: String) {
        self.scopes.entry(scope.to_owned()).or_default().insert(name.to_owned(), value);
    }

    /// The value for a component: its own, otherwise that of all.
    pub fn get(&self, component: &str, name: &str) -> Option<&str> {
        let of = |scope: &str| self.scopes.get(scope)?.get(name);
        of(component).or_else(|| of(ALL)).map(String::as_str)
    }

    /// Every scope and name with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.scopes.iter().flat_map(|(scope, values)| {
            values.iter().map(move |(name, value)| (&**scope, &**name, &**value))
        })
    }

    /// Reads a TOML file: texts, numbers and booleans at the top are for all, tables are
    /// components.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] when it is not there, is too large or is something else.
    pub fn of_file(file: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::Source { place: file.display().to_string(), reason };
        let text = text_of(file).map_err(&fail)?;
        // A syntax error's own words would show the line, and with it perhaps a secret.
        let table: toml::Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |span| text[..span.start].lines().count());
            fail(format!("it is no TOML (line {})", at.max(1)))
        })?;
        let mut layer = Self::new(file.display().to_string());
        for (key, value) in &table {
            match value {
                toml::Value::Table(own) => {
                    for (name, value) in own {
                        layer.put(key, name, plain(value).ok_or_else(|| fail(odd(key, name)))?);
                    }
                }
                value => layer.put(ALL, key, plain(value).ok_or_else(|| fail(odd(ALL, key)))?),
            }
        }
        Ok(layer)
    }

    /// Reads a folder with a file for each name; a folder in it is a component. Names that begin
    /// with a dot are not looked at: Kubernetes keeps what it swaps under such.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] when it is not there, or a file in it cannot be read or is no text.
    pub fn of_folder(folder: &Path) -> Result<Self, Error> {
        let mut layer = Self::new(folder.display().to_string());
        for (name, is_folder) in entries(folder)? {
            let path = folder.join(&name);
            match is_folder {
                false => layer.put(ALL, &name, value_in(&path)?),
                true => {
                    for (inner, is_folder) in entries(&path)? {
                        if !is_folder {
                            layer.put(&name, &inner, value_in(&path.join(&inner))?);
                        }
                    }
                }
            }
        }
        Ok(layer)
    }
}

/// Layers, the strongest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers(pub Vec<Layer>);

impl Layers {
    /// The strongest value for a component, and its place.
    pub fn get(&self, component: &str, name: &str) -> Option<(&str, &str)> {
        self.0.iter().find_map(|layer| Some((layer.get(component, name)?, &*layer.place)))
    }

    /// Every name that a component has a value for.
    pub fn of(&self, component: &str) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for layer in &self.0 {
            for (scope, name, _) in layer.iter() {
                if scope != component && scope != ALL || values.contains_key(name) {
                    continue;
                }
                if let Some(value) = layer.get(component, name) {
                    values.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        values
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, bool)>, Error> {
    let fail = |reason: String| Error::Source { place: folder.display().to_string(), reason };
    let listed = std::fs::read_dir(folder).map_err(|error| fail(error.to_string()))?;
    let mut entries = Vec::new();
    for entry in listed {
        let name = entry.map_err(|error| fail(error.to_string()))?.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        // Kubernetes: a link to a file behind a link to a folder.
        let Ok(is) = std::fs::metadata(folder.join(name)) else { continue };
        entries.push((name.to_owned(), is.is_dir()));
        if entries.len() > FILES_MAX {
            return Err(fail(format!("it has more than {FILES_MAX} files")));
        }
    }
    entries.sort();
    Ok(entries)
}

/// The content of a file without the end of its last line, which editors add.
fn value_in(file: &Path) -> Result<String, Error> {
    let fail = |reason| Error::Source { place: file.display().to_string(), reason };
    let mut text = text_of(file).map_err(fail)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn text_of(file: &Path) -> Result<String, String> {
    let bytes = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("it has {bytes} bytes, at most {FILE_BYTES_MAX} are read"));
    }
    std::fs::read_to_string(file).map_err(|error| error.to_string())
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn odd(scope: &str, name: &str) -> String {
    format!("{name} of {scope} is neither text, number nor true or false")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_has_values_for_all_and_for_single_components() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nexus.toml");
        let text = "greeting = \"hello\"\nlimit = 7\n[catalog]\ngreeting = \"servus\"\non = true\n";
        std::fs::write(&file, text).unwrap();
        let layer = Layer::of_file(&file).unwrap();
        assert_eq!(layer.get("catalog", "greeting"), Some("servus"));
        assert_eq!(layer.get("orders", "greeting"), Some("hello"));
        assert_eq!(
            (layer.get("catalog", "limit"), layer.get("catalog", "on")),
            (Some("7"), Some("true"))
        );
        assert_eq!(layer.get("orders", "on"), None);
        let shown = format!("{layer:?}");
        assert!(shown.contains("greeting") && !shown.contains("servus"), "{shown}");
    }

    #[test]
    fn a_file_that_is_none_is_refused_without_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nexus.toml");
        for text in [
            "greeting = \"hello\"\napi_key = s3cret\n",
            "a = [\"s3cret\"]",
            "[c]\nx.y = \"s3cret\"",
        ] {
            std::fs::write(&file, text).unwrap();
            let words = Layer::of_file(&file).unwrap_err().to_string();
            assert!(!words.contains("s3cret") && words.contains("nexus.toml"), "{words}");
        }
        assert!(Layer::of_file(&folder.path().join("none.toml")).is_err());
        std::fs::File::create(&file).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(Layer::of_file(&file).unwrap_err().to_string().contains("bytes"));
    }

    /// As the kubelet lays a mounted secret out.
    fn mounted(folder: &Path, generation: &str, values: &[(&str, &str)]) {
        let now = folder.join(generation);
        std::fs::create_dir_all(&now).unwrap();
        for (name, value) in values {
            std::fs::write(now.join(name), value).unwrap();
            let link = folder.join(name);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        symlink(generation, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    }

    #[test]
    fn a_mounted_secret_is_read_anew_after_its_link_was_swapped() {
        let folder = tempfile::tempdir().unwrap();
        mounted(folder.path(), "..2026_01", &[("api_key", "first\n"), ("greeting", "hello")]);
        std::fs::create_dir(folder.path().join("catalog")).unwrap();
        std::fs::write(folder.path().join("catalog/greeting"), "servus\r\n").unwrap();
        let first = Layer::of_folder(folder.path()).unwrap();
        assert_eq!(first.get("orders", "api_key"), Some("first"));
        assert_eq!(first.get("catalog", "greeting"), Some("servus"));
        assert_eq!(first, Layer::of_folder(folder.path()).unwrap());
        mounted(folder.path(), "..2026_02", &[("api_key", "second"), ("greeting", "hello")]);
        let second = Layer::of_folder(folder.path()).unwrap();
        assert_ne!(first, second);
        assert_eq!(second.get("orders", "api_key"), Some("second"));
    }

    #[test]
    fn the_strongest_layer_wins_for_each_name() {
        let (mut strong, mut weak) = (Layer::new("file"), Layer::new("vault"));
        strong.put(ALL, "a", "1".into());
        weak.put("catalog", "a", "2".into());
        weak.put("catalog", "b", "3".into());
        weak.put("orders", "c", "4".into());
        let layers = Layers(vec![strong, weak]);
        assert_eq!(layers.get("catalog", "a"), Some(("1", "file")));
        assert_eq!(layers.get("catalog", "b"), Some(("3", "vault")));
        let of = |component: &str| layers.of(component).into_iter().collect::<Vec<_>>();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of("catalog"), [pair("a", "1"), pair("b", "3")]);
        assert_eq!(of("orders"), [pair("a", "1"), pair("c", "4")]);
    }
}
