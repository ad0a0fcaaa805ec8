//! From a template and a model to subject, HTML and text. Pure: the same in, the same out.
//!
//! Knows MiniJinja, the layout and what may not come out of a model: markup, other addresses than
//! the caller's own links, and line breaks where a header will stand. Refuses to know mail.

use crate::words::{self, Language, Words};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value as Json};

nexus_sdk::refusals! {
    TemplateUnknown = 422, "there is no template of this name";
    TemplateBroken = 422, "the template cannot be rendered";
    ModelForm = 422, "a model takes at most 16 KiB of JSON, by name";
    ModelLink = 422, "a link is an absolute http or https address without spaces";
    ModelWithoutLink = 422, "this message needs a link";
    MessageSize = 422, "a message takes at most 256 KiB"
}

const MODEL_BYTES_MAX: usize = 16 * 1024;
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Names are as long as this; more is somebody's attempt to say something else.
const NAME_CHARS_MAX: usize = 80;
const ADDRESS_CHARS_MAX: usize = 254;
const LINK_BYTES_MAX: usize = 2048;
/// Of a header line's length (RFC 5322 §2.1.1), with room for its encoding.
const SUBJECT_CHARS_MAX: usize = 200;
/// Instructions of one template: the longest built-in one takes some hundreds.
const FUEL: u64 = 50_000;
/// Templates inside of one another.
const DEPTH_MAX: usize = 16;

/// What people have told us about themselves, and others may read.
const NAMES: [&str; 4] = ["name", "organisation", "inviter", "device"];

const FILES: [(&str, &str); 4] = [
    ("layout.html", include_str!("../templates/layout.html")),
    ("parts.html", include_str!("../templates/parts.html")),
    ("words.html", include_str!("../templates/words.html")),
    ("words.txt", include_str!("../templates/words.txt")),
];

/// A template of a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    pub subject: String,
    /// May extend `layout.html` and import from `parts.html`.
    pub html: String,
    pub plain: String,
}

/// What surrounds every message.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// By whom it is sent, for people.
    pub brand: String,
    /// As asked for; the words come in the nearest language there is.
    pub locale: String,
    pub unsubscribe: Option<String>,
}

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rendered {
    pub subject: String,
    pub html: String,
    pub plain: String,
}

/// A model that has passed the checks.
#[derive(Debug, Clone)]
pub struct Model(Map<String, Json>);

impl Model {
    /// Checks links and disarms names.
    pub fn read(given: Map<String, Json>) -> Result<Model, Refusal> {
        let bytes = serde_json::to_vec(&given).map_or(usize::MAX, |json| json.len());
        if bytes > MODEL_BYTES_MAX {
            return Err(ModelForm.at("model"));
        }
        let mut model = Map::new();
        for (key, value) in given {
            let value = match value {
                Json::String(text) if is_link(&key) => {
                    Json::String(link(text).map_err(|why| why.at(format!("model/{key}")))?)
                }
                value if is_link(&key) && !value.is_null() => {
                    return Err(ModelLink.at(format!("model/{key}")));
                }
                Json::String(text) if NAMES.contains(&key.as_str()) => Json::String(name(&text)),
                Json::String(text) if key == "address" => Json::String(address(&text)),
                value => value,
            };
            model.insert(key, value);
        }
        Ok(Model(model))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }
}

fn is_link(key: &str) -> bool {
    key == "link" || key.ends_with("_link") || key.ends_with("_url")
}

fn link(text: String) -> Result<String, Refusal> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"'`\\".contains(&b));
    match rest {
        Some(rest) if !rest.is_empty() && is_plain && text.len() <= LINK_BYTES_MAX => Ok(text),
        _ => Err(ModelLink),
    }
}

/// One line of at most so many characters in which no mail program finds an address to click on:
/// otherwise whoever registers as `win at evil.example` has us send that to anybody.
fn name(text: &str) -> String {
    let line = one_line(text);
    let mut plain = String::new();
    let mut letters = line.replace("://", " ").chars().take(NAME_CHARS_MAX).collect::<Vec<_>>();
    letters.push(' ');
    for pair in letters.windows(2) {
        match pair {
            // A dot between a character and a letter makes a domain.
            ['.', next] if next.is_alphabetic() => plain.push_str(". "),
            [one, _] => plain.push(*one),
            _ => {}
        }
    }
    plain.trim().to_owned()
}

/// An e-mail address or one of a network: never more than a word, and none that leads anywhere.
fn address(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_graphic() && !"/<>\"'`\\".contains(*c);
    text.chars().filter(fits).take(ADDRESS_CHARS_MAX).collect()
}

/// Without control characters and runs of spaces.
pub fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A built-in message.
///
/// # Errors
/// [`TemplateUnknown`] and what is wrong with the model.
pub fn built_in(name: &str, model: &Model, frame: &Frame) -> Result<Rendered, Refusal> {
    let (language, words) = words::find(name, &frame.locale).ok_or(TemplateUnknown)?;
    if words::needs_link(name) && model.text("link").is_none() {
        return Err(ModelWithoutLink.at("model/link"));
    }
    let environment = environment();
    let scope = scope(model, frame, language);
    let say = |text: &str| {
        let said = environment.render_named_str("words", text, &scope).map_err(broken)?;
        Ok::<_, Refusal>(one_line(&said))
    };
    let subject = subject(&say(words.subject)?);
    let set = set(&say, words, language, model, frame, &subject)?;
    let with = |file: &str| {
        let template = environment.get_template(file).map_err(broken)?;
        template.render(&set).map_err(broken)
    };
    sized(Rendered { subject, html: with("words.html")?, plain: with("words.txt")? })
}

/// The parts of a built-in message, each said.
fn set(
    say: &impl Fn(&str) -> Result<String, Refusal>,
    words: &Words,
    language: &Language,
    model: &Model,
    frame: &Frame,
    subject: &str,
) -> Result<Value, Refusal> {
    let said = |texts: &[&str]| {
        let texts = texts.iter().map(|text| say(text)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Refusal>(texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>())
    };
    let greeting = match model.text("name") {
        Some(_) => say(language.greeting)?,
        None => language.greeting_nobody.to_owned(),
    };
    let facts = words.facts.iter();
    let facts = facts.filter_map(|(label, key)| {
        let own = model.text(key)?.to_owned();
        Some(vec![(*label).to_owned(), own])
    });
    let (lines, notes) = (said(words.lines)?, said(words.notes)?);
    Ok(context! {
        locale => language.code,
        brand => frame.brand.as_str(),
        subject => subject,
        preview => lines.first().cloned(),
        title => say(words.title)?,
        greeting => greeting,
        lines => lines,
        facts => facts.collect::<Vec<_>>(),
        action => words.action,
        link => model.text("link").map(str::to_owned),
        link_words => language.link,
        notes => notes,
        automatic => say(language.automatic)?,
        unsubscribe => frame.unsubscribe.clone(),
        unsubscribe_word => language.unsubscribe,
    })
}

/// A message in a tenant's own words.
///
/// # Errors
/// [`TemplateBroken`], with the template's own line.
pub fn own(source: &Source, model: &Model, frame: &Frame) -> Result<Rendered, Refusal> {
    let environment = environment();
    let language = words::language(&frame.locale);
    let scope = scope(model, frame, language);
    let said = environment.render_named_str("subject", &source.subject, &scope).map_err(broken)?;
    let subject = subject(&said);
    let automatic = environment.render_named_str("words", language.automatic, &scope);
    let set = context! {
        subject => subject.as_str(),
        automatic => automatic.map_err(broken)?,
        unsubscribe_word => language.unsubscribe,
        ..scope
    };
    let html = environment.render_named_str("template.html", &source.html, &set);
    let plain = environment.render_named_str("template.txt", &source.plain, &set);
    let (html, plain) = (html.map_err(broken)?, plain.map_err(broken)?);
    sized(Rendered { subject, html, plain })
}

/// Whether a template of a tenant's own can be read at all.
///
/// # Errors
/// [`TemplateBroken`], with the template's own line.
pub fn read(source: &Source) -> Result<(), Refusal> {
    let environment = environment();
    let texts = [
        ("subject", &source.subject),
        ("template.html", &source.html),
        ("template.txt", &source.plain),
    ];
    for (name, text) in texts {
        environment.template_from_named_str(name, text).map_err(broken)?;
    }
    Ok(())
}

/// The model, and what every template may use besides.
fn scope(model: &Model, frame: &Frame, language: &Language) -> Value {
    let minutes = model.0.get("expires_in_minutes").and_then(Json::as_u64);
    let expires_in = minutes.filter(|minutes| *minutes > 0).map(|it| language.span(it));
    context! {
        brand => frame.brand.as_str(),
        locale => language.code,
        expires_in => expires_in,
        unsubscribe => frame.unsubscribe.clone(),
        ..Value::from(Serde(&model.0))
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    for (name, text) in FILES {
        environment.add_template(name, text).expect("our own templates are well formed");
    }
    environment
}

/// What is wrong and in which line; never a value of the model.
fn broken(error: minijinja::Error) -> Refusal {
    let place = match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!(" ({name}, line {line})"),
        _ => String::new(),
    };
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it does not come to an end".to_owned(),
        ErrorKind::TemplateNotFound => "it names a template that does not exist".to_owned(),
        ErrorKind::SyntaxError => error.detail().unwrap_or("it is not well formed").to_owned(),
        kind => kind.to_string(),
    };
    TemplateBroken.because(format!("{what}{place}"))
}

fn subject(text: &str) -> String {
    one_line(text).chars().take(SUBJECT_CHARS_MAX).collect()
}

fn sized(rendered: Rendered) -> Result<Rendered, Refusal> {
    if rendered.subject.is_empty() {
        return Err(TemplateBroken.because("the subject is empty"));
    }
    match rendered.html.len() + rendered.plain.len() <= MESSAGE_BYTES_MAX {
        true => Ok(rendered),
        false => Err(MessageSize),
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
