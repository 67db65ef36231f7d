//! `auth` of a trigger: how we identify ourselves to its receiver.

use ringpost_model::Auth;

use super::super::fields::Fields;

#[derive(Clone, Copy)]
enum Kind {
    None,
    Basic,
    Bearer,
    Oauth2,
    Certificate,
}

const KINDS: [(&str, Kind); 5] = [
    ("none", Kind::None),
    ("basic", Kind::Basic),
    ("bearer", Kind::Bearer),
    ("oauth2", Kind::Oauth2),
    ("certificate", Kind::Certificate),
];

pub(super) fn auth(fields: &mut Fields<'_, '_, '_>) -> Auth {
    let Some(mut inner) = fields.nested("auth") else { return Auth::None };
    let kind = inner.required("kind").map(|_| ()).and_then(|()| inner.one_of("kind", &KINDS));
    // Where the kind is unknown, so is which keys belong to it.
    let Some(kind) = kind else { return Auth::None };
    let auth = of_kind(kind, &mut inner);
    inner.finish();
    auth
}

fn of_kind(kind: Kind, inner: &mut Fields<'_, '_, '_>) -> Auth {
    match kind {
        Kind::None => Auth::None,
        Kind::Basic => {
            let user = inner.secret_required("user");
            let password = inner.secret_required("password");
            Auth::Basic { user, password }
        }
        Kind::Bearer => Auth::Bearer { token: inner.secret_required("token") },
        Kind::Oauth2 => Auth::Oauth2 {
            token_url: inner.secret_required("tokenUrl"),
            client_id: inner.secret_required("clientId"),
            client_secret: inner.secret_required("clientSecret"),
            scope: inner.secret("scope").unwrap_or_default().into(),
            parameters: inner.pairs("parameters"),
        },
        Kind::Certificate => {
            let chain = inner.secret_required("chain");
            let key = inner.secret_required("key");
            Auth::Certificate { chain, key }
        }
    }
}
