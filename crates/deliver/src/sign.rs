//! Signatures by Standard Webhooks, v1. Pure: time is an argument.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ringpost_model::{Text, Timestamp};

/// How Standard Webhooks mark a secret.
const PREFIX: &str = "whsec_";

/// Why a request could not be signed. The secret is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not `whsec_` and base64.
    #[error("the secret is not whsec_ followed by base64")]
    Secret,
}

/// Length of one signature and what joins it to the one before.
const SIGNATURE_BYTES: usize = 48;

/// Value of `webhook-signature`: one signature per secret, in their order, so that a receiver that knows
/// either secret of a rotation accepts it.
///
/// # Errors
/// See [`SignError`].
pub fn signature(secrets: &[Text], id: &str, now: Timestamp, payload: &[u8]) -> Result<String, SignError> {
    let mut signatures = String::new();
    Keys::of(secrets)?.sign(&format!("{id}.{}.", now.seconds()), payload, &mut signatures);
    Ok(signatures)
}

/// The keys of a trigger's secrets: each is taken apart and hashed once, and not for every request.
pub(crate) struct Keys(Vec<hmac::Key>);

impl Keys {
    pub(crate) fn of(secrets: &[Text]) -> Result<Self, SignError> {
        let key = |secret: &Text| {
            let key = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret));
            key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)).map_err(|_| SignError::Secret)
        };
        secrets.iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Room for their signatures.
    pub(crate) fn room(&self) -> usize {
        self.0.len() * SIGNATURE_BYTES
    }

    /// Puts the signatures of `<id>.<seconds>.<payload>` behind a text; `head` is what is before the payload.
    pub(crate) fn sign(&self, head: &str, payload: &[u8], signatures: &mut String) {
        for (at, key) in self.0.iter().enumerate() {
            let mut signed = hmac::Context::with_key(key);
            signed.update(head.as_bytes());
            signed.update(payload);
            signatures.push_str(if at == 0 { "v1," } else { " v1," });
            STANDARD.encode_string(signed.sign(), signatures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vector that the Standard Webhooks libraries of all languages test with.
    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const PAYLOAD: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000 + 999_999)
    }

    #[test]
    fn a_receiver_with_a_standard_webhooks_library_accepts_the_signature() {
        assert_eq!(signature(&[SECRET.into()], ID, at(1_649_367_553), PAYLOAD).unwrap(), SIGNATURE);
    }

    /// The library of Standard Webhooks is what many receivers verify with.
    #[test]
    fn the_signature_is_that_of_the_library_for_any_secret_id_and_body() {
        for length in [1, 24, 63, 64, 65, 200] {
            let secret = format!("whsec_{}", STANDARD.encode(vec![length; usize::from(length)]));
            let payload = "é".repeat(usize::from(length) * 7);
            let theirs = standardwebhooks::Webhook::new(&secret).unwrap();
            let theirs = theirs.sign(ID, 1_649_367_553, payload.as_bytes()).unwrap();
            let ours = signature(&[secret.into()], ID, at(1_649_367_553), payload.as_bytes()).unwrap();
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn during_a_rotation_old_and_new_secret_both_verify() {
        let new = format!("whsec_{}", STANDARD.encode([7_u8; 32]));
        let both = signature(&[new.as_str().into(), SECRET.into()], ID, at(1_649_367_553), PAYLOAD).unwrap();
        let alone = signature(&[new.as_str().into()], ID, at(1_649_367_553), PAYLOAD).unwrap();
        assert_eq!(both, format!("{alone} {SIGNATURE}"));
    }

    #[test]
    fn a_changed_byte_or_second_or_id_changes_the_signature() {
        let signed =
            |id, seconds, payload: &[u8]| signature(&[SECRET.into()], id, at(seconds), payload).unwrap();
        assert_ne!(signed(ID, 1_649_367_553, b"{}"), SIGNATURE);
        assert_ne!(signed(ID, 1_649_367_554, PAYLOAD), SIGNATURE);
        assert_ne!(signed("msg_2", 1_649_367_553, PAYLOAD), SIGNATURE);
    }

    #[test]
    fn a_secret_that_is_none_is_an_error_that_does_not_tell_it() {
        let error = signature(&["whsec_***not base64***".into()], ID, at(0), PAYLOAD).unwrap_err();
        assert_eq!(error, SignError::Secret);
        assert!(!error.to_string().contains("***"));
    }
}
