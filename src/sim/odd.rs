//! An entry of an answer that does not have the documented shape. Graph has not been seen to send one; a client must
//! not fall over it, nor take it for news.

use serde_json::{Value, json};

use super::rng::Rng;

/// Puts something else in the place of one property of one user in the answer, chosen by the seed. An answer without a
/// user stays as it is.
pub(super) fn spoil(body: &[u8], seed: u64) -> Option<Vec<u8>> {
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    let mut rng = Rng::stream(seed, "odd entry");
    let mut users = Vec::new();
    find(&mut answer, &mut users);
    let chosen = usize::try_from(rng.below(users.len().max(1) as u64)).ok()?;
    let user = users.into_iter().nth(chosen)?;
    let (property, odd) = match rng.below(6) {
        0 => ("assignedLicenses", Value::Null),
        1 => ("assignedLicenses", json!("SPE_E3")),
        2 => ("assignedLicenses", json!([{ "skuId": null, "disabledPlans": [] }])),
        3 => ("accountEnabled", json!("yes")),
        4 => ("deletedDateTime", json!("9999-12-31T23:59:59Z")),
        _ => ("userPrincipalName", Value::Null),
    };
    *user.get_mut(property)? = odd;
    serde_json::to_vec(&answer).ok()
}

/// Users, alone, in a list, or in the parts of a batch.
fn find<'v>(value: &'v mut Value, users: &mut Vec<&'v mut Value>) {
    if value.get("userPrincipalName").is_some() {
        return users.push(value);
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| find(item, users)),
        Value::Object(members) => members.values_mut().for_each(|member| find(member, users)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_property_of_one_user_is_odd() {
        let user = |upn: &str| {
            json!({ "id": upn, "userPrincipalName": upn, "assignedLicenses": [], "accountEnabled": true,
                "deletedDateTime": null })
        };
        let page = json!({ "@odata.nextLink": "x", "value": [user("a"), user("b")] });
        let mut spoiled = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let body = spoil(page.to_string().as_bytes(), seed).expect("there are users");
            let body: Value = serde_json::from_slice(&body).expect("still JSON");
            assert_eq!(
                (&body["@odata.nextLink"], body["value"].as_array().map(Vec::len)),
                (&json!("x"), Some(2))
            );
            let odd = [0, 1].map(|index| body["value"][index] != page["value"][index]);
            assert!(odd[0] != odd[1], "one of them: {body}");
            spoiled.insert(body.to_string());
        }
        assert_eq!(spoiled.len(), 12, "each property of each user");
        assert_eq!(spoil(br#"{"value":[{"skuId":"x"}]}"#, 1), None);
        assert_eq!(spoil(b"<html>", 1), None);
    }
}
