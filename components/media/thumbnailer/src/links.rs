//! Addresses of pictures in other sizes. Each is signed, so that nobody can have pictures made in
//! sizes that nobody needs; the key is kept by `kms` and never seen here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use media_contract::AssetId;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use subtle::ConstantTimeEq as _;

nexus_sdk::refusals! {
    ImageSize = 422, "a side takes 16 to 2048 points";
    SignatureWrong = 403, "this address was not made here, or was altered"
}

const SIDES: std::ops::RangeInclusive<i32> = 16..=2048;
/// Named within this service.
const KEY: &str = "images";
/// Of the MAC's 32: enough that nobody guesses one.
const SIGNATURE_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Fills the size; what stands over is cut off.
    Cover,
    /// As large as fits into it.
    Contain,
}

impl Fit {
    pub fn name(self) -> &'static str {
        match self {
            Fit::Cover => "cover",
            Fit::Contain => "contain",
        }
    }
}

impl ToParam for Fit {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// In points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    pub width: i32,
    pub height: i32,
    pub fit: Fit,
}

impl Size {
    pub fn check(&self) -> Result<(), Refusal> {
        for (side, field) in [(self.width, "width"), (self.height, "height")] {
            if !SIDES.contains(&side) {
                return Err(ImageSize.at(field));
            }
        }
        Ok(())
    }
}

/// The query of an address.
///
/// # Errors
/// 503 when kms is away.
pub async fn query(tenant: TenantId, asset: AssetId, size: &Size) -> Result<String> {
    let mac = mac(tenant, asset, size).await?;
    let signature = URL_SAFE_NO_PAD.encode(mac);
    let Size { width, height, fit } = size;
    Ok(format!("w={width}&h={height}&fit={}&sig={signature}", fit.name()))
}

/// # Errors
/// 403 for a signature that is not ours; 503 when kms is away.
pub async fn verify(tenant: TenantId, asset: AssetId, size: &Size, signature: &str) -> Result<()> {
    let told = URL_SAFE_NO_PAD.decode(signature).map_err(|_| SignatureWrong)?;
    let own = mac(tenant, asset, size).await?;
    match bool::from(told.ct_eq(&own)) {
        true => Ok(()),
        false => Err(SignatureWrong.into()),
    }
}

/// What is signed: nothing that could be read in two ways.
fn text(tenant: TenantId, asset: AssetId, size: &Size) -> String {
    let Size { width, height, fit } = size;
    format!("{tenant}/{asset}/{width}x{height}/{}", fit.name())
}

#[derive(Deserialize)]
struct Mac {
    hmac: String,
}

async fn mac(tenant: TenantId, asset: AssetId, size: &Size) -> Result<Vec<u8>> {
    let asked = json!({ "input": STANDARD.encode(text(tenant, asset, size)), "version": 1 });
    let path = format!("/api/kms/v1/internal/keys/{KEY}/hmac");
    let ask = async || call("kms").post(path.clone()).json(&asked).send().await;
    let mut reply = ask().await?;
    if reply.status == StatusCode::NOT_FOUND {
        let kind = json!({ "type": "hmac" });
        let path = format!("/api/kms/v1/internal/keys/{KEY}");
        let _made: Value = call("kms").post(path).json(&kind).read().await?;
        reply = ask().await?;
    }
    if !reply.status.is_success() {
        let failure = Failure::msg(format!("kms answered {}", reply.status));
        return Err(Error::unavailable(failure));
    }
    let mac: Mac = serde_json::from_slice(&reply.body).map_err(Failure::new)?;
    let mut mac = STANDARD.decode(mac.hmac).map_err(Failure::new)?;
    mac.truncate(SIGNATURE_BYTES);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_names_all_that_decides_what_is_seen() {
        let size = Size { width: 320, height: 180, fit: Fit::Cover };
        let tenant = TenantId::from(Uuid::from_u128(1));
        let of = |asset: u128, size| text(tenant, AssetId::from(Uuid::from_u128(asset)), &size);
        assert!(of(2, size).ends_with("/320x180/cover"), "{}", of(2, size));
        assert_ne!(of(2, size), of(3, size));
        assert_ne!(of(2, size), of(2, Size { fit: Fit::Contain, ..size }));
    }

    #[test]
    fn sizes_are_bounded() {
        let check = |width, height| Size { width, height, fit: Fit::Cover }.check();
        assert!(check(16, 2048).is_ok());
        assert!(check(15, 100).is_err() && check(100, 2049).is_err());
    }
}
