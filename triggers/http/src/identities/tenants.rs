//! The tenants of the platform: which host name is whose, and who is suspended. Refuses to know
//! what a tenant may do.

use crate::principal::Identity;
use nexus_runtime::Principal;
use nexus_storage::identity::Tenant;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// All of them, as of one look.
#[derive(Default)]
pub(crate) struct Brands {
    by_host: HashMap<String, Uuid>,
    anonymous: HashMap<Uuid, Identity>,
    suspended: HashSet<Uuid>,
}

impl Brands {
    pub(crate) fn new(tenants: &[Tenant]) -> Self {
        let mut brands = Self::default();
        for tenant in tenants {
            let nobody = Identity::new(Principal::anonymous(tenant.id));
            brands.anonymous.insert(tenant.id, nobody);
            if tenant.suspended {
                brands.suspended.insert(tenant.id);
            }
            for host in &tenant.hosts {
                let owner = brands.by_host.entry(host.to_ascii_lowercase()).or_insert(tenant.id);
                if *owner != tenant.id {
                    // Nobody is served under another's name: ids tell who was there first.
                    tracing::error!(host, one = %owner, other = %tenant.id, "claimed twice");
                    *owner = tenant.id.min(*owner);
                }
            }
        }
        brands
    }

    /// No host names a tenant.
    pub(crate) fn name_none(&self) -> bool {
        self.by_host.is_empty()
    }

    /// The tenant that `host` (without port) names.
    pub(crate) fn named(&self, host: &str) -> Option<Uuid> {
        self.by_host.get(&host.to_ascii_lowercase()).copied()
    }

    pub(crate) fn anonymous(&self, tenant: Uuid) -> Option<&Identity> {
        self.anonymous.get(&tenant)
    }

    pub(crate) fn is_suspended(&self, tenant: Uuid) -> bool {
        !self.suspended.is_empty() && self.suspended.contains(&tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(id: u128, hosts: &[&str], suspended: bool) -> Tenant {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Tenant { id: Uuid::from_u128(id), slug: format!("t{id}"), hosts, suspended }
    }

    #[test]
    fn a_host_name_belongs_to_the_tenant_that_had_it_first() {
        let (one, two) = (tenant(1, &["a.example"], false), tenant(2, &["A.example"], true));
        for order in [[one.clone(), two.clone()], [two, one]] {
            let brands = Brands::new(&order);
            assert_eq!(brands.named("A.EXAMPLE"), Some(Uuid::from_u128(1)));
            assert_eq!(brands.named("b.example"), None);
            assert!(brands.is_suspended(Uuid::from_u128(2)));
            assert!(!brands.is_suspended(Uuid::from_u128(1)));
        }
    }
}
