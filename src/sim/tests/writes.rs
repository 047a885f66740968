//! What every write must have, whatever it writes.

use serde_json::json;

use super::*;

/// A write with this type and body; empty stands for none.
fn written(lab: &mut Lab, method: Method, target: &str, kind: &str, body: &str) -> Reply {
    let mut request = lab.request(method, target);
    if !kind.is_empty() {
        request = request.with_header("content-type", kind);
    }
    request.body = body.as_bytes().to_vec();
    lab.send(request)
}

#[test]
fn a_write_says_that_it_is_json() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let target = format!("/users/{user}");
    let body = r#"{"usageLocation":"DE"}"#;
    let missing = "Write requests (excluding DELETE) must contain the Content-Type header declaration.";
    let wrong = "Entity only allows writes with a JSON Content-Type header.";
    for (kind, expected) in
        [("", missing), ("text/plain", wrong), ("application/x-www-form-urlencoded", wrong)]
    {
        let reply = written(&mut lab, Method::Patch, &target, kind, body);
        assert_eq!((reply.status, reply.code(), reply.message()), (400, "BadRequest", expected), "{kind}");
    }
    assert_eq!(written(&mut lab, Method::Patch, &target, "", "").message(), missing);
    assert_eq!(lab.get(&format!("{target}?$select=usageLocation")).json["usageLocation"], "NO");
    assert!(lab.tenant.writes().is_empty());
    for kind in ["application/json", "Application/JSON; charset=utf-8; odata.metadata=full"] {
        assert_eq!(written(&mut lab, Method::Patch, &target, kind, body).status, 204, "{kind}");
    }
    assert_eq!(written(&mut lab, Method::Delete, &target, "", "").status, 204);
    let restore = format!("/directory/deletedItems/{user}/restore");
    assert_eq!(written(&mut lab, Method::Post, &restore, "", "{}").message(), missing);
    assert_eq!(written(&mut lab, Method::Post, &restore, "", "").status, 200, "nothing to declare");
}

#[test]
fn bodies_that_do_not_fit_are_refused_in_words_of_graph() {
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let gone = lab.member("gone");
    lab.delete(&format!("/users/{gone}"));
    let (assign, one) = (format!("/users/{user}/assignLicense"), format!("/users/{user}"));
    let restore = format!("/directory/deletedItems/{gone}/restore");
    let unreadable = "Please ensure Content-Type header is set and payload is of valid JSON format.";
    let more = "is not a valid parameter for the operation";
    let twice = "is specified more than once.";
    let sku = json!({"skuId": SPE_E3});
    let cases = [
        (&restore, json!({"autoReconcileProxyConflict": "yes"}), unreadable),
        (&restore, json!({"bogus": 1}), more),
        (&restore, json!([true, null]), unreadable),
        (&assign, json!([[sku], []]), unreadable),
        (&assign, json!({"addLicenses": [[SPE_E3, []]], "removeLicenses": []}), unreadable),
        (&assign, json!({"addLicenses": [{"skuId": "E3"}], "removeLicenses": []}), unreadable),
        (&assign, json!({"addLicenses": [sku], "removeLicenses": [], "bogus": 1}), more),
        (&assign, json!({"addLicenses": [sku, sku], "removeLicenses": []}), twice),
        (&assign, json!({"addLicenses": [sku], "removeLicenses": [SPE_E3]}), twice),
        (
            &assign,
            json!({"addLicenses": [{"skuId": SPE_E3, "bogus": 1}], "removeLicenses": []}),
            "does not exist on type 'microsoft.graph.assignedLicense'.",
        ),
    ];
    for (target, body, text) in cases {
        let reply = lab.post(target, body);
        assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"), "{text}");
        assert!(reply.message().contains(text), "{}", reply.message());
    }
    assert_eq!(lab.patch(&one, json!({"bogus": 1})).code(), "Request_BadRequest");
    assert_eq!(lab.patch(&one, json!({"city": "Oslo"})).status, 501);
    assert!(lab.tenant.writes().iter().skip(1).all(|write| !write.applied));
    let annotated =
        json!({"addLicenses@odata.type": "#Collection", "addLicenses": [sku], "removeLicenses": []});
    assert_eq!(lab.post(&assign, annotated).status, 200, "annotations are no parameters");
}

#[test]
fn a_body_may_be_compressed() {
    use std::io::Write;
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let body = json!({"addLicenses": [{"skuId": SPE_E3}], "removeLicenses": []}).to_string();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(body.as_bytes()).expect("into memory");
    let packed = packer.finish().expect("into memory");
    let broken = packed[..packed.len() / 2].to_vec();
    for (encoding, body, status) in
        [("br", packed.clone(), 415), ("gzip", broken, 400), ("GZip", packed, 200)]
    {
        let request = lab
            .request(Method::Post, &format!("/users/{user}/assignLicense"))
            .with_body("application/json", body)
            .with_header("content-encoding", encoding);
        assert_eq!(lab.send(request).status, status, "{encoding}");
    }
    assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(1));
}
