//! What outsiders' clients ask in their own ways: filters, searches, orders, spellings of paths, and what is no
//! question.

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;

/// What stands before the @ in a list of users, in its order.
fn names(reply: &Reply) -> Vec<String> {
    let name = |user: &Value| {
        let name = user["userPrincipalName"].as_str().expect("text");
        name.split('@').next().expect("a name").to_owned()
    };
    reply.json["value"].as_array().expect("a list").iter().map(name).collect()
}

/// Names of the users that a query finds, in its order. `is_advanced`: with both marks of an advanced query.
fn found(lab: &mut Lab, query: &str, is_advanced: bool) -> Result<Vec<String>, String> {
    let encoded = query.replace(' ', "%20").replace('\'', "%27");
    let target = format!("/users?$select=userPrincipalName&{encoded}");
    let target = if is_advanced { format!("{target}&$count=true") } else { target };
    let mut request = lab.request(Method::Get, &target);
    if is_advanced {
        request = request.with_header("ConsistencyLevel", "eventual");
    }
    let reply = lab.send(request);
    if reply.status != 200 {
        return Err(reply.code().to_owned());
    }
    Ok(names(&reply))
}

#[test]
fn a_search_finds_words_and_knows_or() {
    let mut lab = people();
    for name in ["Amina Björklund", "Anders Berg", "OneWebApp"] {
        let first = name.split(' ').next().expect("a word").to_lowercase();
        let mut new = NewUser::new(&format!("{first}@contoso.com"), name, UserKind::Member);
        new.licences.push((SPE_E3, Vec::new()));
        lab.tenant.add_user(START, new);
    }
    for (search, expected) in [
        (r#""displayName:amina" OR "mail:anders""#, "amina anders"),
        (r#""displayName:Amina Björklund""#, "amina"),
        (r#""displayName:björ AMI""#, "amina"),
        (r#""displayName:amina berg""#, ""),
        (r#""displayName:WebApp""#, "onewebapp"),
        (r#""displayName:a" AND ("mail:amina" OR "mail:bo")"#, "amina"),
        (r#""mail:bo" OR "displayName:a" AND "mail:anders""#, "anders bo"),
        (r#""proxyAddresses:smtp:anders""#, "anders"),
        (r#""mail:erg""#, ""),
    ] {
        assert_eq!(
            found(&mut lab, &format!("$search={search}"), true).expect(search).join(" "),
            expected,
            "{search}"
        );
    }
}

#[test]
fn each_property_is_asked_by_its_own_rules() {
    let mut lab = people();
    let mut synced = NewUser::new("sync@contoso.com", "Sync", UserKind::WithoutMailbox);
    synced.on_premises_synced = true;
    synced.usage_location = Some("SE".to_owned());
    lab.tenant.add_user(START, synced);
    let plan = format!(
        "assignedPlans/any(p:p/servicePlanId eq {EXCHANGE_S_ENTERPRISE} and p/capabilityStatus eq 'Enabled')"
    );
    for (filter, is_advanced, expected) in [
        ("assignedPlans/any(p:p/service eq 'exchange')", true, "anna bo"),
        (&plan, true, "anna bo"),
        ("assignedPlans/any(p:p/service eq 'exchange' and p/capabilityStatus eq 'Deleted')", true, ""),
        ("usageLocation ge 'O'", false, "sync"),
        ("usageLocation eq null", true, ""),
        ("onPremisesSyncEnabled eq true", false, "sync"),
        ("onPremisesSyncEnabled eq null", true, "anna bo carl dina"),
        ("onPremisesSyncEnabled ne true", true, "anna bo carl dina"),
        ("onPremisesSyncEnabled eq false", false, ""),
        ("deletedDateTime ge 2020-01-01T00:00:00Z", false, ""),
        ("createdDateTime in (2027-01-15T08:00:00Z)", true, "anna bo carl dina sync"),
        ("id in ('7e06b566-15f3-4013-8bf8-79874d52e68a')", false, ""),
        ("identities/any(c:c/issuerAssignedId eq 'x' and c/issuer eq 'contoso.com')", false, ""),
        ("otherMails/any(x:x eq 'a@b.example')", false, ""),
        ("officeLocation eq 'Oslo'", true, ""),
        ("mobilePhone eq '1'", true, ""),
        ("onPremisesImmutableId eq 'x'", true, ""),
        ("creationType eq 'Invitation'", false, ""),
        ("employeeId eq '7'", false, ""),
        ("city eq 'Oslo'", false, ""),
        ("city eq null and startswith(displayName,'s')", true, "sync"),
        ("proxyAddresses/any(p:endswith(p,'contoso.com'))", true, "anna bo dina"),
        ("proxyAddresses/$count eq 0", true, "carl sync"),
        ("displayName ge 'd'", true, "dina sync"),
        ("NOT startsWith(displayName, 'a')", true, "bo carl dina sync"),
    ] {
        let names = found(&mut lab, &format!("$filter={filter}"), true).expect(filter);
        assert_eq!(names.join(" "), expected, "{filter}");
        let plain = found(&mut lab, &format!("$filter={filter}"), false);
        let expected = if is_advanced { Err("Request_UnsupportedQuery".to_owned()) } else { Ok(names) };
        assert_eq!(plain, expected, "{filter}");
    }
    let named = lab.get("/users?$filter=mail eq 'x' and assignedPlans/any(p:p/service eq 'exchange')");
    assert!(named.message().contains("'assignedPlans' of resource 'User'"), "{}", named.message());
    for bad in [
        "displayName eq anna",
        "id eq anna",
        "assignedPlans/any(p:p/service eq exchange)",
        "proxyAddresses/any(p:p eq anna)",
        "accountEnabled eq 'true'",
        "createdDateTime ge '2027-01-15T08:00:00Z'",
        "createdDateTime ge yesterday",
        "assignedPlans/any(p:p/nosuch eq 'x')",
        "assignedLicenses/$count gt 0",
        "licenseAssignmentStates/any(s:s/state eq 'Error')",
        "not(nosuch eq 'x')",
    ] {
        let refused = found(&mut lab, &format!("$filter={bad}"), true);
        assert_eq!(refused, Err("Request_UnsupportedQuery".to_owned()), "{bad}");
    }
}

fn people() -> Lab {
    let mut lab = Lab::new();
    lab.member("anna");
    lab.member("bo");
    lab.add("carl", UserKind::WithoutMailbox, false);
    lab.add("dina", UserKind::Guest, false);
    lab
}

#[test]
fn filters_find_whom_they_mean() {
    let mut lab = people();
    let cases = [
        ("mail eq 'ANNA@contoso.com'", false, "anna"),
        ("mail eq 'anna@contoso.com' or userPrincipalName eq 'carl@contoso.com'", false, "anna carl"),
        ("userPrincipalName in ('bo@contoso.com', 'carl@contoso.com')", false, "bo carl"),
        ("proxyAddresses/any(p:p eq 'SMTP:bo@contoso.com')", false, "bo"),
        ("proxyAddresses/any(p:startswith(p,'smtp:a'))", false, "anna"),
        ("startswith(displayName,'b')", false, "bo"),
        ("userType eq 'Guest'", false, "dina"),
        ("createdDateTime lt 2000-01-01T00:00:00Z", false, ""),
        ("createdDateTime gt 2000-01-01T00:00:00Z and accountEnabled eq true", false, "anna bo carl dina"),
        ("endswith(userPrincipalName,'contoso.com') and userType ne 'Guest'", true, "anna bo carl"),
        ("department eq null", true, "anna bo carl dina"),
        ("department ne null", true, ""),
        ("companyName eq 'x'", true, ""),
    ];
    for (filter, is_advanced, expected) in cases {
        let names = found(&mut lab, &format!("$filter={filter}"), true).expect(filter);
        assert_eq!(names.join(" "), expected, "{filter}");
        let plain = found(&mut lab, &format!("$filter={filter}"), false);
        let expected = if is_advanced { Err("Request_UnsupportedQuery".to_owned()) } else { Ok(names) };
        assert_eq!(plain, expected, "{filter}");
    }
    for bad in [
        "nosuch eq 1",
        "accountEnabled eq 'maybe'",
        "department gt 'a'",
        "contains(mail,'a')",
        "usertype in ()",
    ] {
        let refused = found(&mut lab, &format!("$filter={bad}"), true);
        assert_eq!(refused, Err("Request_UnsupportedQuery".to_owned()), "{bad}");
    }
}

#[test]
fn another_order_is_kept_from_page_to_page() {
    let mut lab = people();
    let query = "$orderby=userPrincipalName desc";
    assert_eq!(found(&mut lab, query, false).expect("sorted"), ["dina", "carl", "bo", "anna"]);
    let walked = lab.walk("/users?$select=userPrincipalName&$top=1&$orderby=displayName%20desc");
    let names: Vec<&str> =
        walked.iter().filter_map(|user| user["userPrincipalName"].as_str()?.split('@').next()).collect();
    assert_eq!(names, ["dina", "carl", "bo", "anna"]);
    let unsupported = Err("Request_UnsupportedQuery".to_owned());
    assert_eq!(found(&mut lab, "$orderby=department", false), unsupported);
    assert_eq!(found(&mut lab, "$orderby=displayName up", false), unsupported);
    let both = "$orderby=displayName&$filter=accountEnabled eq true";
    assert_eq!(found(&mut lab, both, false), unsupported, "together only in an advanced query");
    assert_eq!(found(&mut lab, both, true).expect("advanced").len(), 4);
}

#[test]
fn a_search_needs_its_header() {
    let mut lab = people();
    assert_eq!(found(&mut lab, "$search=\"displayName:a\"", true).expect("found"), ["anna"]);
    assert_eq!(found(&mut lab, "$search=\"mail:b\" AND \"displayName:bo\"", true).expect("found"), ["bo"]);
    assert_eq!(
        found(&mut lab, "$search=\"displayName:a\"", false),
        Err("Request_UnsupportedQuery".to_owned())
    );
    for bad in ["anna", "\"nosuch:a\"", "\"displayName:a\" \"mail:b\"", "\"displayName:a\" OR"] {
        let refused = found(&mut lab, &format!("$search={bad}"), true);
        assert_eq!(refused, Err("Request_BadRequest".to_owned()), "{bad}");
    }
}

#[test]
fn what_a_list_of_users_does_not_take_is_refused_and_never_ignored() {
    let mut lab = people();
    for (query, status) in [
        ("$skip=1", 400),
        ("$apply=aggregate", 400),
        ("$expand=nosuch", 400),
        ("$expand=memberOf,manager", 400),
        ("$expand=memberOf($top=1)", 400),
        ("$expand=memberOf", 200),
        ("$expand=manager", 200),
        ("$select=id&$select=mail", 400),
        ("$format=xml", 400),
        ("$format=json", 200),
        ("skip=1", 400),
        ("$count=maybe", 400),
        ("$count=FALSE", 200),
        ("bogus=1", 200),
    ] {
        assert_eq!(lab.get(&format!("/users?{query}")).status, status, "{query}");
    }
}

#[test]
fn paths_are_read_in_any_spelling() {
    let mut lab = people();
    let anna = lab.get("/users/anna@contoso.com").json["id"].as_str().expect("found").to_owned();
    for path in [
        format!("/uSers/{anna}"),
        format!("/users('{anna}')"),
        "/users(userPrincipalName='anna@contoso.com')".to_owned(),
        format!("/USERS/{anna}/LicenseDetails"),
        "/directory/deleteditems/microsoft.graph.user".to_owned(),
    ] {
        assert_eq!(lab.get(&path).status, 200, "{path}");
    }
    let sets = lab.get("/").json["value"].clone();
    assert!(sets.as_array().is_some_and(|sets| sets.iter().any(|set| set["name"] == "users")), "{sets}");
}

#[test]
fn what_an_application_cannot_ask_is_answered_in_graphs_words() {
    let mut lab = people();
    let me = lab.get("/me");
    assert_eq!(
        (me.status, me.message()),
        (400, "/me request is only valid with delegated authentication flow.")
    );
    let manager = lab.get("/users/anna@contoso.com/manager");
    assert_eq!((manager.status, manager.code()), (404, "Request_ResourceNotFound"));
    let beta = ROOT.replace("v1.0", "beta");
    let reply = lab.send(HttpRequest::new(Method::Get, format!("{beta}/users")));
    assert_eq!((reply.status, reply.message()), (400, "Invalid version: beta."));
}

#[test]
fn a_delta_comes_in_pages_of_the_wanted_size_and_says_that_a_date_is_gone() {
    let mut lab = people();
    let request = lab
        .request(Method::Get, "/users/delta?$select=id,deletedDateTime")
        .with_header("Prefer", "return=minimal, odata.maxpagesize=3");
    let page = lab.send(request);
    assert_eq!(page.json["value"].as_array().map(Vec::len), Some(3));
    assert_eq!(page.response.header("preference-applied"), Some("odata.maxpagesize=3"));
    assert!(page.json["@odata.nextLink"].is_string());
    let anna = lab.get("/users/anna@contoso.com").json["id"].as_str().expect("found").parse().expect("an id");
    let (_, link) = lab.round("/users/delta?$select=id,deletedDateTime");
    lab.tenant.delete_user(lab.now, anna, DeletedFrom::Graph);
    lab.tenant.restore_user(lab.now, anna).expect("in the bin");
    assert_eq!(lab.round(&link).0, [json!({"id": anna, "deletedDateTime": null})]);
}

#[test]
fn every_answer_has_the_headers_of_graph() {
    let mut lab = Lab::new();
    for (target, status, kind) in [
        ("/users", 200, "application/json;odata.metadata=minimal;"),
        ("/users?$top=0", 400, "application/json"),
        ("/auditLogs/nonsense", 400, "application/json"),
        ("https://graph.microsoft.com/users", 400, "application/json"),
        ("https://graph.microsoft.com/", 400, "application/json"),
    ] {
        let reply = lab.get(target);
        let header = |name: &str| reply.response.header(name).unwrap_or_default();
        assert_eq!((reply.status, header("odata-version")), (status, "4.0"), "{target}");
        assert_eq!((header("cache-control"), header("vary")), ("no-cache", "Accept-Encoding"), "{target}");
        assert!(header("content-type").starts_with(kind), "{target}");
        assert_eq!(header("content-type").contains("odata"), status == 200, "{target}");
        assert!(!header("request-id").is_empty(), "{target}");
    }
    assert_eq!(lab.get("https://graph.microsoft.com/users").message(), "Invalid version: users.");
    assert!(lab.get("/auditLogs/nonsense").message().ends_with("'nonsense'."));
}

#[test]
fn who_wants_no_metadata_gets_links_and_counts_only() {
    let mut lab = Lab::new();
    for name in ["anna", "bo"] {
        lab.member(name);
    }
    let group = lab.tenant.add_group(
        lab.now,
        crate::sim::groups::NewGroup {
            id: None,
            name: "All".to_owned(),
            membership: crate::sim::groups::Membership::Assigned,
            licences: Vec::new(),
        },
    );
    let user = lab.member("carl");
    lab.tenant.add_member(lab.now, group, user);
    for accept in ["application/json;odata.metadata=none", "application/json; Metadata=None, */*"] {
        let get = |lab: &mut Lab, target: &str| {
            let request = lab.request(Method::Get, target).with_header("accept", accept);
            lab.send(request.with_header("consistencylevel", "eventual"))
        };
        let page = get(&mut lab, "/users?$top=1&$count=true&$select=id");
        let names: Vec<&str> = page.json.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["@odata.count", "@odata.nextLink", "value"]);
        let kind = page.response.header("content-type").unwrap_or_default();
        assert!(kind.contains("odata.metadata=none"), "{kind}");
        let members = get(&mut lab, &format!("/groups/{group}/members?$select=id"));
        assert_eq!(members.json, serde_json::json!({"value": [{"id": user.to_string()}]}));
    }
}
