//! Signatures by Standard Webhooks, v1. Pure: time is an argument.

use ringpost_model::{Text, Timestamp};
use standardwebhooks::Webhook;

/// Why a request could not be signed. The secret is in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not `whsec_` and base64.
    #[error("the secret is not whsec_ followed by base64")]
    Secret,
    /// The payload is no UTF-8; none that we render is.
    #[error("the payload is not UTF-8")]
    Payload,
}

/// Value of `webhook-signature`: one signature per secret, in their order, so that a receiver that knows
/// either secret of a rotation accepts it.
///
/// # Errors
/// See [`SignError`].
pub fn signature(secrets: &[Text], id: &str, now: Timestamp, payload: &[u8]) -> Result<String, SignError> {
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        let key = Webhook::new(secret).map_err(|_| SignError::Secret)?;
        signatures.push(key.sign(id, now.seconds(), payload).map_err(|_| SignError::Payload)?);
    }
    Ok(signatures.join(" "))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

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
