//! A new root key: every secret of the history under it, a page at a time. What the secrets say is
//! not looked at, and any number of hosts may do it at once.

use crate::Error;
use crate::configuration::Configuration;
use crate::keys::Place;

/// Secrets of one look into the database.
const PAGE: u32 = 200;

impl Configuration {
    /// Puts every secret under the current root key; returns how many were under another.
    ///
    /// # Errors
    ///
    /// [`Error::NoKey`]; [`Error::OtherKey`] when one is under a key that this host does not have:
    /// the others are done all the same.
    pub async fn rotate(&self) -> Result<u64, Error> {
        let (store, keys) = (self.store()?, self.keys()?);
        let (mut done, mut skipped) = (0, None);
        loop {
            let stale = store.stale(keys.key_id(), PAGE).await?;
            let mut moved = 0;
            for secret in &stale {
                let place =
                    Place { scope: &secret.component, name: &secret.name, version: secret.version };
                match keys.rewrap(place, &secret.sealed) {
                    Ok(sealed) => moved += u64::from(store.reseal(secret, &sealed).await?),
                    Err(error) => skipped = Some(error),
                }
            }
            done += moved;
            // A page of which nothing can be moved would come again for ever.
            if stale.len() < PAGE as usize || moved == 0 {
                break;
            }
        }
        match skipped {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }
}
