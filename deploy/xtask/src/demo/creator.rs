//! Somebody who uploads: an account made as people make theirs (a form, a mail, a link), which the
//! next demo uses again. Its password is made here and kept in the home: there is no default.

use super::film::POLL;
use crate::http::{self, Reply, Request};
use crate::workspace::{Workspace, hex, read};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The role that may upload.
const ROLE: &str = "creator";
/// What such a role may do, as far as the demo needs it.
const NEEDED: [&str; 2] = ["uploader:create", "content-cms:create"];
/// A worker has to start before it can write mail.
const MAIL_LIMIT: Duration = Duration::from_secs(60);
/// A role is known everywhere in less than a second.
const ROLE_LIMIT: Duration = Duration::from_secs(20);

/// An account with its session.
pub struct Creator {
    pub email: String,
    pub password: String,
    address: SocketAddr,
    cookie: String,
}

impl Creator {
    /// The account of an earlier demo, or a new one; with the role that it needs.
    pub fn enter(ws: &Workspace, address: SocketAddr, administrator: &str) -> Result<Creator> {
        let kept = ws.home().join("demo/account.json");
        let creator = match known(&kept)
            .and_then(|(email, password)| Creator::sign_in(address, email, password).ok())
        {
            Some(creator) => creator,
            None => Creator::register(ws, address, &kept)?,
        };
        creator.take_role(administrator)?;
        Ok(creator)
    }

    fn sign_in(address: SocketAddr, email: String, password: String) -> Result<Creator> {
        let asked = json!({ "email": email, "password": password }).to_string();
        let reply = post(address, "/api/user-auth/v1/login", &asked)?;
        let cookie = session(&reply).context("sign in with the account of the last demo")?;
        Ok(Creator { email, password, address, cookie })
    }

    fn register(ws: &Workspace, address: SocketAddr, kept: &Path) -> Result<Creator> {
        let password = random()?;
        let email = format!("creator-{}@demo.example", &random()?[..8]);
        let asked = json!({
            "email": email, "password": password, "display_name": "Demo Creator",
        });
        let reply = post(address, "/api/user-auth/v1/register", &asked.to_string())?;
        expect(&reply, 202, "register a creator")?;
        let token = mailed_token(&ws.home().join("mail"), &email)?;
        let asked = json!({ "token": token }).to_string();
        let reply = post(address, "/api/user-auth/v1/verify", &asked)?;
        let cookie = session(&reply).context("come in by the mailed link")?;
        keep(kept, &email, &password)?;
        Ok(Creator { email, password, address, cookie })
    }

    /// An administrator gives the role, where it is not there yet.
    fn take_role(&self, administrator: &str) -> Result<()> {
        let asked = |path: &str| {
            let request = Request { path, token: Some(administrator), ..Request::default() };
            json_of(&http::send(self.address, &request)?, 200, path)
        };
        let query = format!("/api/users/v1/users?q={}", self.email.replace('@', "%40"));
        let user = asked(&query)?["items"][0].clone();
        let has = |user: &Value, permission: &&str| {
            let held = user["permissions"].as_array().into_iter().flatten();
            held.filter_map(Value::as_str).any(|held| held == *permission)
        };
        if NEEDED.iter().all(|permission| has(&user, permission)) {
            return Ok(());
        }
        let roles = asked("/api/users/v1/roles?limit=100")?;
        let role = roles["items"].as_array().into_iter().flatten();
        let role = role.clone().find(|role| role["name"] == ROLE);
        let role = role.with_context(|| format!("find the role {ROLE}"))?;
        let draft = json!({ "user_id": user["id"], "role_id": role["id"] }).to_string();
        let path = "/api/users/v1/bindings";
        let token = Some(administrator);
        let request =
            Request { method: "POST", path, token, json: Some(&draft), ..Request::default() };
        expect(&http::send(self.address, &request)?, 201, "give the role creator")?;
        let began = Instant::now();
        while self.get("/api/uploader/v1/quota")?.status != 200 {
            if began.elapsed() > ROLE_LIMIT {
                bail!("the role {ROLE} is not known after {} s", ROLE_LIMIT.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn get(&self, path: &str) -> Result<Reply> {
        self.send(&Request { path, ..Request::default() }, &[])
    }

    /// What is told at `path`.
    pub fn read(&self, path: &str) -> Result<Value> {
        json_of(&self.get(path)?, 200, path)
    }

    /// Asks with a JSON body and reads the answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value, status: u16) -> Result<Value> {
        let text = body.to_string();
        let request = Request { method, path, json: Some(&text), ..Request::default() };
        json_of(&self.send(&request, &[])?, status, &format!("{method} {path}"))
    }

    /// Any request, as this account: with its cookie, and as pages of our own send it.
    pub fn send(&self, request: &Request, headers: &[(&str, &str)]) -> Result<Reply> {
        let own = [("cookie", self.cookie.as_str()), ("sec-fetch-site", "same-origin")];
        let headers: Vec<_> = own.iter().chain(headers).copied().collect();
        http::send(self.address, &Request { headers: &headers, ..*request })
    }
}

fn post(address: SocketAddr, path: &str, json: &str) -> Result<Reply> {
    let headers = [("sec-fetch-site", "same-origin")];
    let request =
        Request { method: "POST", path, headers: &headers, json: Some(json), ..Request::default() };
    http::send(address, &request)
}

/// Refuses any other status, with what the service said.
pub fn expect(reply: &Reply, status: u16, what: &str) -> Result<()> {
    if reply.status == status {
        return Ok(());
    }
    let problem: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let name = problem["type"].as_str().unwrap_or_default();
    let words = problem["detail"].as_str().or(problem["title"].as_str()).unwrap_or_default();
    bail!("{what}: answered {} {name} {words}", reply.status)
}

fn json_of(reply: &Reply, status: u16, what: &str) -> Result<Value> {
    expect(reply, status, what)?;
    if reply.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&reply.body).with_context(|| format!("read the answer to {what}"))
}

/// The session that an answer brings, as a cookie to send back.
fn session(reply: &Reply) -> Result<String> {
    let cookies = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
    let pair = cookies.filter_map(|(_, cookie)| cookie.split(';').next());
    let session = pair.clone().find(|pair| pair.contains("session") && !pair.ends_with('='));
    match session {
        Some(session) if (200..300).contains(&reply.status) => Ok(session.to_owned()),
        _ => {
            expect(reply, 200, "sign in")?;
            bail!("the account asks for a second step")
        }
    }
}

fn known(file: &Path) -> Option<(String, String)> {
    let kept: Value = serde_json::from_str(&read(file).ok()?).ok()?;
    Some((kept["email"].as_str()?.to_owned(), kept["password"].as_str()?.to_owned()))
}

/// For its owner alone.
fn keep(file: &Path, email: &str, password: &str) -> Result<()> {
    let text = json!({ "email": email, "password": password }).to_string();
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(file);
    let mut opened = opened.with_context(|| format!("write {}", file.display()))?;
    opened.write_all(text.as_bytes()).with_context(|| format!("write {}", file.display()))
}

/// 32 letters that nobody guesses.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 32];
    let mut source = std::fs::File::open("/dev/urandom").context("open the source of chance")?;
    source.read_exact(&mut bytes).context("read chance")?;
    let digest = Sha256::digest(bytes);
    Ok(hex(&digest[..16]))
}

/// The token of the link in the letter to `email`, once it is there.
fn mailed_token(folder: &Path, email: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        for letter in letters(folder) {
            let text = unquoted(&std::fs::read_to_string(&letter).unwrap_or_default());
            if text.contains(email)
                && let Some(token) = token_in(&text)
            {
                return Ok(token);
            }
        }
        if began.elapsed() > MAIL_LIMIT {
            let seconds = MAIL_LIMIT.as_secs();
            bail!("no letter to {email} in {} after {seconds} s", folder.display());
        }
        std::thread::sleep(POLL);
    }
}

fn letters(folder: &Path) -> Vec<PathBuf> {
    let boxes = ["new", "cur"].map(|name| std::fs::read_dir(folder.join(name)));
    boxes.into_iter().flatten().flatten().flatten().map(|entry| entry.path()).collect()
}

fn token_in(text: &str) -> Option<String> {
    let (_, after) = text.split_once("/account/verify?token=")?;
    let is_part = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let token: String = after.chars().take_while(is_part).collect();
    (!token.is_empty()).then_some(token)
}

/// Quoted-printable (RFC 2045 section 6.7), as far as links need it.
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "").replace("=\n", "");
    joined.replace("=3D", "=").replace("=3d", "=").replace("=2E", ".").replace("=5F", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_in_a_letter_whose_lines_are_folded() {
        let letter = "To: a@demo.example\r\n\r\nhttp://localhost:8080/account/verify?tok=\r\n\
                      en=3Dnx_ab-9 and more";
        assert_eq!(token_in(&unquoted(letter)).as_deref(), Some("nx_ab-9"));
        assert_eq!(token_in("no link"), None);
    }

    #[test]
    fn an_account_is_kept_for_its_owner_alone_and_found_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("account.json");
        assert_eq!(known(&file), None);
        keep(&file, "a@demo.example", "secret").unwrap();
        assert_eq!(known(&file), Some(("a@demo.example".into(), "secret".into())));
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_a_service_refuses_is_told_by_its_name() {
        let body = r#"{ "type": "/problems/users/x", "title": "t", "detail": "because" }"#;
        let reply = Reply { status: 409, headers: vec![], body: body.into() };
        let told = expect(&reply, 201, "give it").unwrap_err().to_string();
        assert_eq!(told, "give it: answered 409 /problems/users/x because");
    }
}
