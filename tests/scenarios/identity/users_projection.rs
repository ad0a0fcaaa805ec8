//! What every host knows that somebody may do is what the roles say, whatever was done, and by how
//! many at once. The definition is computed here from the rows, without the service's help.

use super::users_stage::{ADMINISTRATOR, BINDINGS, MEMBER, ORGANISATIONS, ROLES, Stage, USERS};
use nexus_harness::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const ROUNDS: usize = 40;
const AT_ONCE: usize = 3;

/// A reproducible die (xorshift64*).
struct Die(u64);

impl Die {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn one<'a>(&mut self, of: &'a [String]) -> &'a str {
        &of[self.below(of.len())]
    }
}

/// Who and what there is to play with.
struct Cast {
    people: Vec<String>,
    roles: Vec<String>,
    organisations: Vec<String>,
    organisation_roles: Vec<String>,
    groups: Vec<String>,
}

/// Permissions by subject and, for organisations, by subject and organisation.
type Known = BTreeMap<(String, Option<String>), BTreeSet<String>>;

/// What the platform was told.
async fn told(stage: &Stage) -> Known {
    let all = "select subject, null as organisation, permissions from platform.subject
               union all
               select subject, organisation, permissions from platform.subject_organisation";
    let rows = stage.rows(all).await;
    rows.iter()
        .map(|row| {
            let permissions: Vec<String> = row.get(2);
            ((row.get(0), row.get(1)), permissions.into_iter().collect())
        })
        .collect()
}

/// What the roles say.
async fn defined(stage: &Stage) -> Known {
    let mut known = Known::new();
    for row in stage.rows("select id::text from users.account").await {
        known.insert((row.get(0), None), BTreeSet::new());
    }
    let members = "select user_id::text, organisation_id::text from users.membership";
    for row in stage.rows(members).await {
        known.insert((row.get(0), row.get(1)), BTreeSet::new());
    }
    let held = "select b.user_id::text, b.organisation_id::text, r.permissions
                from users.binding b join users.role r on r.id = b.role_id
                union all
                select m.user_id::text, null, r.permissions from users.group_member m
                join users.group_role g on g.group_id = m.group_id
                join users.role r on r.id = g.role_id";
    for row in stage.rows(held).await {
        let permissions: Vec<String> = row.get(2);
        known.entry((row.get(0), row.get(1))).or_default().extend(permissions);
    }
    for may in known.values_mut() {
        // Everything is everything, and needs no other word beside it.
        if may.contains("*") {
            *may = BTreeSet::from(["*".to_owned()]);
        }
    }
    known
}

impl Cast {
    async fn assemble(stage: &Stage, admin: &Client) -> Self {
        let mut cast = Self {
            people: vec![stage.first_administrator("root@example.org").await],
            roles: vec![ADMINISTRATOR.into(), MEMBER.into()],
            organisations: Vec::new(),
            organisation_roles: Vec::new(),
            groups: Vec::new(),
        };
        for number in 0..4 {
            cast.people.push(stage.register(&format!("p{number}@example.org")).await);
            let role =
                json!({ "name": format!("r{number}"), "permissions": [format!("a:p{number}")] });
            cast.roles.push(made(admin.post(ROLES, role).await));
        }
        for number in 0..2 {
            let role = json!({
                "name": format!("o{number}"), "scope": "organisation",
                "permissions": [format!("o:p{number}")],
            });
            cast.organisation_roles.push(made(admin.post(ROLES, role).await));
            let group = json!({ "displayName": format!("G{number}") });
            let group: Value = admin.post("/scim/v2/Groups", group).await.status(201).json();
            cast.groups.push(group["id"].as_str().unwrap().to_owned());
            let founder = super::users_stage::somebody(
                nexus_runtime::DEFAULT_TENANT,
                &cast.people[number],
                &[],
            );
            let draft = json!({ "name": "O", "slug": format!("o{number}") });
            let made = stage.ask(None, &founder, "POST", ORGANISATIONS, Some(draft)).await;
            cast.organisations.push(made.status(201)["id"].as_str().unwrap().to_owned());
        }
        cast
    }

    /// Does one thing, which may rightly be refused.
    async fn act(&self, stage: &Stage, admin: &Client, die: &mut Die) -> Answer {
        let (who, role) = (die.one(&self.people), die.one(&self.roles));
        let organisation = die.one(&self.organisations);
        let group = die.one(&self.groups);
        match die.below(12) {
            0 | 1 => {
                let draft = json!({ "user_id": who, "role_id": role });
                admin.post(BINDINGS, draft).await
            }
            2 => {
                let held = stage.rows("select id::text from users.binding order by id").await;
                let id: String = held[die.below(held.len())].get(0);
                admin.delete(&format!("{BINDINGS}/{id}")).await
            }
            3 => {
                let url = format!("{ROLES}/{role}");
                let shown = admin.get(&url).await;
                let tag = shown.header("etag").unwrap_or("\"0\"").to_owned();
                let role: Value = shown.json();
                let (name, scope) = (&role["name"], &role["scope"]);
                let permissions: Vec<String> =
                    (0..die.below(4)).map(|_| format!("a:p{}", die.below(9))).collect();
                let draft = json!({ "name": name, "scope": scope, "permissions": permissions });
                let put = admin.request(http::Method::PUT, &url).json(draft);
                put.header("if-match", &tag).send().await
            }
            4 | 5 => {
                let role = die.one(&self.organisation_roles);
                let draft = json!({ "user_id": who, "role_id": role });
                admin.post(&format!("{ORGANISATIONS}/{organisation}/members"), draft).await
            }
            6 => admin.delete(&format!("{ORGANISATIONS}/{organisation}/members/{who}")).await,
            7 => {
                let roles: Vec<&str> = (0..die.below(3)).map(|_| die.one(&self.roles)).collect();
                let draft = json!({ "role_ids": roles });
                admin.put(&format!("/api/users/v1/groups/{group}/roles"), draft).await
            }
            8 | 9 => {
                let op = if die.below(2) == 0 { "add" } else { "remove" };
                let patch = json!({ "Operations": [
                    { "op": op, "path": "members", "value": [{ "value": who }] },
                ] });
                admin.patch(&format!("/scim/v2/Groups/{group}"), patch).await
            }
            10 => admin.post(&format!("{USERS}/{who}/suspend"), json!({})).await,
            _ => admin.post(&format!("{USERS}/{who}/reinstate"), json!({})).await,
        }
    }
}

fn made(answer: Answer) -> String {
    answer.created().json["id"].as_str().unwrap().to_owned()
}

async fn play(seed: u64) {
    let stage = Stage::start().await;
    let admin = stage.administrator().await;
    let cast = Cast::assemble(&stage, &admin).await;
    let mut done = 0;
    for round in 0..ROUNDS {
        let mut dice: Vec<Die> = (0..AT_ONCE as u64)
            .map(|lane| Die(seed + 1_000 * round as u64 + 77 * lane + 1))
            .collect();
        let (a, rest) = dice.split_first_mut().unwrap();
        let (b, rest) = rest.split_first_mut().unwrap();
        let answers = tokio::join!(
            cast.act(&stage, &admin, a),
            cast.act(&stage, &admin, b),
            cast.act(&stage, &admin, &mut rest[0]),
        );
        for answer in [answers.0, answers.1, answers.2] {
            assert!(answer.status.as_u16() < 500, "{answer:?}");
            done += usize::from(answer.status.is_success());
        }
        let (told, defined) = (told(&stage).await, defined(&stage).await);
        assert_eq!(told, defined, "after round {round} with seed {seed}");
        let active = told.iter().filter(|(key, may)| key.1.is_none() && may.contains("*"));
        assert!(active.count() > 0, "no administrator after round {round} with seed {seed}");
    }
    assert!(done > ROUNDS, "only {done} things were done with seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hosts_know_equals_what_roles_say_after_anything_was_done() {
    play(20_261_126).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hosts_know_equals_what_roles_say_with_another_seed() {
    play(4).await;
}
