//! The key that signs tokens, as sign-in libraries and resource servers fetch it. It is no secret: anybody may make
//! tokens of the simulated tenant, which is on loopback only and recognises its own by looking them up.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

pub(super) const KEY_ID: &str = "c2ltdWxhdGVkLXRlbmFudC1rZXk";

static KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::from_pkcs8(&document()).expect("the key is a key"));

/// The key, as PKCS #8.
pub(super) fn document() -> Vec<u8> {
    STANDARD.decode(PKCS8.replace(' ', "")).expect("the key is base64")
}

/// With its signature behind it: RS256 of RFC 7518.
pub(super) fn signed(content: &str) -> String {
    let mut signature = vec![0; KEY.public().modulus_len()];
    KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), content.as_bytes(), &mut signature)
        .expect("the signature has the length of the key");
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The document of keys.
pub(super) fn keys() -> Value {
    let parts = RsaPublicKeyComponents::<Vec<u8>>::from(KEY.public_key());
    let (n, e) = (URL_SAFE_NO_PAD.encode(parts.n), URL_SAFE_NO_PAD.encode(parts.e));
    json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "x5t": KEY_ID, "n": n, "e": e}]})
}

/// PKCS #8, made for this and used for nothing else.
const PKCS8: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCd+ifrBVPaUr86F8jDpaZDG8ccpKEdR/RzNf6H7yO9W5WgqSQXWIzaEKGq \
    RCixq7zcJ66vl6TWAPs+JNnevaH5zfQkVDtCS6hH2HmRKBUUlMpUnHZ6ETSQak6NwAmMc5sKpMrkERZvGTGJaO4Cl7jOqZoIhIKAnVgHgEUn \
    8UiOZaGwrQ32vt2FjIjwPG8xBaLOf2Q4HxHHgusT7h8/aA6nSiyXLxQcS6zOA4EupaPuIqA3YrbM5ibcE1aUklZwMXYwb0R/AmQYO1k1FdAk \
    3Ds8CzrE7udAaNORWzXrTNSTa0C7feVtTtNeOCprdfltqYccOWID36d7153SVoPWf271AgMBAAECggEAIIMkFYCYcBGBFRPhh/BuzhdorFqu \
    ZOAS7WYinvfGt3kii3jb+mkJPfTXzLqv1FcHrJiHIVC4himYC4NainalIAv0r8hdFMkM1lJ1PHxPEFgJ5w13bapeUs1qIs6vuGXvdeqR7gud \
    PhqlgQXlHAf9Kx0pHBEnaZBYVlzd/rkv6Uwqtwo0B/bAd3qmQ2/AGE8KYntVarxwuf5JXNYqjyOgw5xWQzddZjxoiHoeQPhyv+UgudnZjkcR \
    HizoLtvJAvpbWeT2FQ15X6zrYp19UzeDDVHMlVoCgdIlUHzisZatzqFxuoriNMj1Nqm0+BjHqKudw8E1i7MC4L9pWbbrW5/+kQKBgQDbyNMZ \
    uE18sKMlRF83oKSW1Y+KjUZJ/BlxpotTvLUDEzqeSR/85M5mtmVKmrkeHuyjN2Hf8yi8YBCPl8tzvMnXxRm4WC9vlFHMtkpbJcGY4BT33iUC \
    +p0gncpEHQ2+o8ywL1OwgReWhinNWlDLsnSJ77/lv5ggomoKAd1f2YdAcQKBgQC4AhytdXmtvCn/fz3PtUFI1PrECvmDMlsE1tM2OvcIug/a \
    O/CgE4LldPIKH+J8y/tZ+FkbvwcYImBfC//mVdNQzfVyTOWwonIjePco96q6B90Tk4j3yGGXrKNgKC1NoKNYd1AhEPVTArJUs0/cN5HGW03N \
    MzEAJFxugtp1yYRYxQKBgG4NMSc/0g0NpaOTiNoh5khgx29pLjj9sv/llP5pD3pqtn9rvkiziWaFDlM9BlS+x18y7B9nco5gy+oa6BUcAzW3 \
    zBkyjw4gBpWq8bCSR051Zgp3gbDsLKGYYR+aLLe47VWLXSyUd2s34tag0rQst44aLsysE1DEArTgGilUkxUBAoGAYvRfz7iZUyEZxNj8uLLV \
    BQHkSYFNZYyy/gs5UrSrHPpShB4v7SYRAqy9bUxwVISuC1hPM2irvALgqLyfRZNqLM5V7L4F19PEZecro9Bs89Y+wcRZqEcOlK62vYNduZ1l \
    urGPWfjwtU+B76Luk5MexflcAbpB472qJ5QfP7C7h7ECgYEAkbou8wnw+SYZ1tiWgu1xIxV5n6ibzezrQ7cXwld6t4YdBuPVHknP78JLhX5J \
    t0P4G7FfcQMNrqKcvfSr4TdTpsLY0l4bEovdnVRSpSTgVXT0qNphgigFNQ5Wb7ODw0x/OHtSlu+kJZWfE30jJK6LknoJm5136wGvbv/zXvXR \
    soQ=";
