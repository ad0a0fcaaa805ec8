//! From a proven token or an opaque credential to a principal: its subject must be active, its
//! organisation must still have it as a member, its permissions are cut to what the credential may.
//! Refuses to know how a request carries any of them.

use super::directory::Away;
use super::held::Held;
use super::revocations::Revocable;
use super::versions::{AsOf, KEYS, Place};
use super::{Inner, machine_now};
use crate::permissions::{cut, of_scope};
use crate::principal::{Identity, Proven};
use nexus_runtime::{Principal, PrincipalKind};
use nexus_storage::identity::{CredentialKind, Membership, Subject};
use std::sync::Arc;
use uuid::Uuid;

/// Who a credential stands for, and how long that can be said without looking again.
pub(crate) struct Proof {
    pub(crate) identity: Identity,
    /// Unix seconds from which on it proves nothing.
    expires: i64,
    as_of: AsOf,
    places: Vec<Place>,
    revocable: Option<Revocable>,
    pub(crate) held: Option<Arc<Held>>,
    /// Of the key that must be shown to be there (RFC 9449).
    pub(crate) thumbprint: Option<String>,
    /// The platform had nothing to say about it: it is believed even while the database is away.
    own: bool,
    /// Made outside of the platform, by the machine's clock.
    by_machine: bool,
}

/// Why a credential proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such credential; to say more would tell strangers.
    Unknown,
    Revoked,
    /// Its subject is suspended, erased or not there.
    Subject,
    /// It acts for an organisation that its subject has left.
    Membership,
    /// The client asked for an organisation it is no member of.
    Choice,
    Away,
}

impl From<Away> for Refused {
    fn from(_: Away) -> Self {
        Self::Away
    }
}

/// Lives longer than any credential.
const NEVER: i64 = i64::MAX;

impl Inner {
    /// Whether `proof` still proves what it did.
    pub(crate) fn still_proves(&self, proof: &Proof) -> bool {
        let now = if proof.by_machine { machine_now() } else { self.now() };
        let unrevoked = || proof.revocable.as_ref().is_none_or(|it| self.revocations.let_pass(it));
        let busy = || proof.held.as_ref().is_none_or(|held| !held.is_idle(now));
        let stands = || match proof.own {
            true => true,
            false => self.stands(proof.as_of, &proof.places),
        };
        now < proof.expires && stands() && busy() && unrevoked()
    }

    /// What a token of the host's own keys proves where there is no platform to ask.
    pub(crate) fn of_own_token(&self, proven: Proven) -> Proof {
        Proof {
            revocable: None,
            identity: Identity::new(proven.principal),
            expires: proven.expires,
            as_of: self.versions.now(),
            places: Vec::new(),
            held: None,
            thumbprint: proven.terms.thumbprint,
            own: true,
            by_machine: true,
        }
    }

    /// What a verified token proves. One of the host's own keys (`by_machine`) that carries its
    /// permissions needs nothing of the platform but not to be revoked.
    pub(crate) async fn of_token(
        &self,
        proven: Proven,
        by_machine: bool,
    ) -> Result<Proof, Refused> {
        let as_of = self.versions.now();
        let revocable = Revocable::of(&proven);
        if !self.revocations.let_pass(&revocable) {
            return Err(Refused::Revoked);
        }
        let Proven { mut principal, expires, terms } = proven;
        let mut places = vec![KEYS];
        let own = by_machine && terms.carries_permissions;
        let held = match terms.carries_permissions {
            true => principal.permissions,
            false => {
                places.push(self.subject_place(principal.tenant, &principal.subject));
                let subject = self.active(principal.tenant, &principal.subject).await?;
                let organisation = principal.organisation.as_deref();
                permissions(&subject, organisation).ok_or(Refused::Membership)?
            }
        };
        principal.permissions = match &terms.scope {
            Some(scope) => of_scope(&held, scope),
            None => held,
        };
        if !own && !self.is_believed() {
            return Err(Refused::Away);
        }
        Ok(Proof {
            identity: Identity::new(principal),
            expires,
            as_of,
            places,
            revocable: Some(revocable),
            held: None,
            thumbprint: terms.thumbprint,
            own,
            by_machine,
        })
    }

    /// What an opaque credential proves; `chosen` is the organisation that the client asks for.
    pub(crate) async fn of_credential(
        &self,
        digest: &[u8; 32],
        kind: CredentialKind,
        chosen: Option<&str>,
    ) -> Result<Proof, Refused> {
        let as_of = self.versions.now();
        let held = self.credential(digest).await?.ok_or(Refused::Unknown)?;
        let row = &held.row;
        if row.kind != kind || held.has_expired(self.now()) {
            return Err(Refused::Unknown);
        }
        let subject = self.active(row.tenant, &row.subject).await?;
        let organisation = match (kind, chosen, row.organisation.as_deref()) {
            (CredentialKind::Session, Some(chosen), _) => {
                membership(&subject, chosen).ok_or(Refused::Choice)?;
                Some(chosen)
            }
            (CredentialKind::ApiKey, Some(chosen), own) => {
                Some(own.filter(|own| *own == chosen).ok_or(Refused::Choice)?)
            }
            // Whoever has left an organisation is still somebody.
            (CredentialKind::Session, None, own) => {
                own.filter(|own| membership(&subject, own).is_some())
            }
            (CredentialKind::ApiKey, None, own) => own,
        };
        let all = permissions(&subject, organisation).ok_or(Refused::Membership)?;
        let left = row.permission_limit.as_ref().map(|limit| cut(&all, limit));
        let principal = Principal {
            subject: row.subject.clone(),
            kind: match kind {
                CredentialKind::Session => PrincipalKind::User,
                CredentialKind::ApiKey => PrincipalKind::ApiKey,
            },
            tenant: row.tenant,
            organisation: organisation.map(str::to_owned),
            permissions: left.unwrap_or(all),
            session: (kind == CredentialKind::Session).then(|| row.id.to_string()),
            auth_time: row.auth_time,
            acr: row.acr.clone(),
            limited: row.permission_limit.is_some(),
        };
        let places =
            vec![self.credential_place(row.id), self.subject_place(row.tenant, &row.subject)];
        Ok(Proof {
            identity: Identity::new(principal),
            expires: row.expires_at.unwrap_or(NEVER),
            as_of,
            places,
            revocable: None,
            held: Some(held.clone()),
            thumbprint: None,
            own: false,
            by_machine: false,
        })
    }

    async fn active(&self, tenant: Uuid, subject: &str) -> Result<Arc<Subject>, Refused> {
        self.subject(tenant, subject).await?.ok_or(Refused::Subject)
    }
}

fn membership<'a>(subject: &'a Subject, organisation: &str) -> Option<&'a Membership> {
    subject.organisations.iter().find(|member| member.organisation == organisation)
}

/// All of it, each once; None for an organisation that the subject is no member of.
fn permissions(subject: &Subject, organisation: Option<&str>) -> Option<Vec<String>> {
    let mut all = subject.permissions.clone();
    if let Some(organisation) = organisation {
        let more = &membership(subject, organisation)?.permissions;
        all.extend(more.iter().filter(|more| !subject.permissions.contains(more)).cloned());
    }
    Some(all)
}
