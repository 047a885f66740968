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
fn a_body_may_begin_with_the_mark_of_utf_8() {
    let mut lab = Lab::new();
    let target = format!("/users/{}", lab.member("kari"));
    let body = "\u{feff}{\"jobTitle\":\"Leder på nattevakt\"}";
    assert_eq!(written(&mut lab, Method::Patch, &target, "application/json", body).status, 204);
    assert_eq!(lab.get(&format!("{target}?$select=jobTitle")).json["jobTitle"], "Leder på nattevakt");
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
    assert_eq!(lab.patch(&one, json!({"skills": ["chess"]})).status, 501);
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

const CREATION: &str = r#"{
    "accountEnabled": false, "displayName": "Zoe", "mailNickname": "zo", "userPrincipalName": "zoe@contoso.com",
    "passwordProfile": {"password": "xWwvJ]6NMw+bWH-d"}, "mail": "zoe.zimmer@contoso.com", "givenName": "Zoe",
    "surname": "Zimmer", "userType": "Guest", "department": "HR", "jobTitle": "Head", "companyName": "Contoso",
    "country": "Norway", "employeeType": "leaver", "usageLocation": "DE", "onPremisesImmutableId": "abc",
    "businessPhones": ["+47 1"], "otherMails": ["z@example.com"], "mobilePhone": "+47 2", "city": "Oslo",
    "officeLocation": "4", "preferredLanguage": "nb-NO", "employeeId": "77", "showInAddressList": false,
    "employeeHireDate": "2020-01-01T00:00:00Z", "onPremisesExtensionAttributes": {"extensionAttribute1": "x"}
}"#;

#[test]
fn a_created_user_has_all_that_was_written_and_can_be_found_by_it() {
    let mut lab = Lab::new();
    let written: Value = serde_json::from_str(CREATION).expect("JSON");
    let created = lab.post("/users", written.clone());
    assert_eq!(created.status, 201, "{}", created.json);
    assert_eq!(
        (created.json["givenName"].as_str(), created.json["mobilePhone"].as_str()),
        (Some("Zoe"), Some("+47 2"))
    );
    let expected: serde_json::Map<String, Value> = written
        .as_object()
        .expect("an object")
        .clone()
        .into_iter()
        .filter(|(name, _)| name != "passwordProfile")
        .collect();
    let names = expected.keys().cloned().collect::<Vec<_>>().join(",");
    let read = lab.get(&format!("/users/zoe@contoso.com?$select={names},proxyAddresses")).json;
    for (name, value) in &expected {
        assert_eq!(&read[name], value, "{name}");
    }
    assert_eq!(read["proxyAddresses"], json!(["SMTP:zoe.zimmer@contoso.com"]));
    for filter in [
        "city eq 'Oslo'",
        "employeeId eq '77'",
        "otherMails/any(o:o eq 'z@example.com')",
        "businessPhones/any(p:p eq '%2B47 1')",
        "mailNickname eq 'zo'",
        "employeeHireDate ge 2020-01-01T00:00:00Z",
        "showInAddressList eq false",
        "onPremisesExtensionAttributes/extensionAttribute1 eq 'x'",
    ] {
        let found = lab.get_eventual(&format!("/users?$count=true&$select=id&$filter={filter}"));
        assert_eq!(found.ids(), [created.json["id"].as_str().expect("an id")], "{filter}");
    }
}

#[test]
fn a_user_is_created_whole_or_not_at_all() {
    let mut lab = Lab::new();
    lab.member("kari");
    let with = |name: &str, value: Value| {
        let mut body: Value = serde_json::from_str(CREATION).expect("JSON");
        match value {
            Value::Null => drop(body.as_object_mut().expect("an object").remove(name)),
            value => body[name] = value,
        }
        body
    };
    let cases = [
        (
            "displayName",
            json!(null),
            400,
            "A value is required for property 'displayName' of resource 'User'.",
        ),
        (
            "mailNickname",
            json!(null),
            400,
            "A value is required for property 'mailNickname' of resource 'User'.",
        ),
        ("passwordProfile", json!(null), 400, "A password must be specified to create a new user."),
        (
            "accountEnabled",
            json!("yes"),
            400,
            "Cannot convert the literal 'yes' to the expected type 'Edm.Boolean'.",
        ),
        (
            "businessPhones",
            json!(["1", "2"]),
            400,
            "Invalid value specified for property 'businessPhones' of resource 'User'.",
        ),
        ("jobTitle", json!(""), 400, "Invalid value specified for property 'jobTitle' of resource 'User'."),
        ("mail", json!("no address"), 400, "Invalid value specified for property 'mail' of resource 'User'."),
        (
            "department",
            json!("d".repeat(65)),
            400,
            "Invalid value specified for property 'department' of resource 'User'.",
        ),
        (
            "userType",
            json!("Robot"),
            400,
            "Invalid value specified for property 'userType' of resource 'User'.",
        ),
        (
            "shoeSize",
            json!(44),
            400,
            "Property 'shoeSize' does not exist as a declared property or extension property.",
        ),
        ("assignedLicenses", json!([]), 400, "Property 'assignedLicenses' is read-only and cannot be set."),
        (
            "mail",
            json!("KARI@contoso.com"),
            400,
            "Another object with the same value for property proxyAddresses already exists.",
        ),
        (
            "manager@odata.bind",
            json!("x"),
            501,
            "The simulated tenant does not change 'manager@odata.bind' of a user.",
        ),
        ("identities", json!([]), 501, "The simulated tenant does not change 'identities' of a user."),
    ];
    for (name, value, status, text) in cases {
        let reply = lab.post("/users", with(name, value));
        assert_eq!((reply.status, reply.message()), (status, text), "{name}");
    }
    assert_eq!(lab.get("/users?$select=id").ids().len(), 1);
    assert_eq!(lab.post("/users", with("displayName@odata.type", json!("#String"))).status, 201);
}

#[test]
fn null_takes_a_property_away_and_a_delta_says_so() {
    let mut lab = Lab::new();
    assert_eq!(lab.post("/users", serde_json::from_str(CREATION).expect("JSON")).status, 201);
    let select = "jobTitle,city,businessPhones";
    let link = lab.get(&format!("/users/delta?$select={select}")).json["@odata.deltaLink"].clone();
    let path = "/users/zoe@contoso.com";
    let changes = json!({"jobTitle": null, "city": null, "businessPhones": [], "department": "IT"});
    assert_eq!(lab.patch(path, changes).status, 204);
    let read = lab.get(&format!("{path}?$select={select},department")).json;
    assert_eq!(
        (&read["jobTitle"], &read["city"], &read["department"]),
        (&Value::Null, &Value::Null, &json!("IT"))
    );
    assert_eq!(read["businessPhones"], json!([]));
    let round = lab.get(link.as_str().expect("a delta link")).json;
    let user = round["value"][0].as_object().expect("one user");
    assert_eq!((user.get("jobTitle"), user.get("city")), (Some(&Value::Null), Some(&Value::Null)), "{round}");
    for name in ["displayName", "usageLocation", "accountEnabled", "userType", "mailNickname"] {
        let reply = lab.patch(path, json!({name: null}));
        assert_eq!(
            reply.message(),
            format!("Invalid value specified for property '{name}' of resource 'User'.")
        );
    }
}

#[test]
fn a_new_address_is_the_primary_one_beside_the_old() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    assert_eq!(lab.patch(&format!("/users/{user}"), json!({"mail": "k@contoso.com"})).status, 204);
    let read = lab.get(&format!("/users/{user}?$select=mail,proxyAddresses")).json;
    assert_eq!(read["proxyAddresses"], json!(["SMTP:k@contoso.com", "smtp:kari@contoso.com"]));
    assert_eq!(read["mail"], "k@contoso.com");
}

#[test]
fn times_are_shown_as_graph_writes_them() {
    let mut lab = Lab::new();
    let path = format!("/users/{}", lab.member("kari"));
    for written in ["2020-01-01T10:00:00+02:00", "2020-01-01T08:00:00.000Z"] {
        assert_eq!(lab.patch(&path, json!({"employeeHireDate": written})).status, 204);
        let read = lab.get(&format!("{path}?$select=employeeHireDate")).json;
        assert_eq!(read["employeeHireDate"], "2020-01-01T08:00:00Z", "{written}");
    }
    assert_eq!(lab.patch(&path, json!({"employeeHireDate": "yesterday"})).status, 400);
}
