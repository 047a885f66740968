//! The description of the service: well formed, complete, and of Microsoft's types.

use super::*;

/// An element: the names around it, its own, and its attributes.
type Element = (Vec<String>, String, Vec<(String, String)>);

/// All of them; panics where one is not closed.
fn elements(xml: &str) -> Vec<Element> {
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>").expect("an XML declaration");
    let mut open: Vec<(String, String)> = Vec::new();
    let mut found = Vec::new();
    for tag in body.split('<').skip(1) {
        let tag = tag.strip_suffix('>').expect("nothing stands between the tags");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().map(|(element, _)| element).as_deref(), Some(name));
            continue;
        }
        let is_empty = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let (element, rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let parts: Vec<&str> = rest.split('"').collect();
        let attributes: Vec<(String, String)> = parts
            .chunks_exact(2)
            .map(|pair| (pair[0].trim().trim_end_matches('=').to_owned(), pair[1].to_owned()))
            .collect();
        let path = open.iter().map(|(_, name)| name.clone()).collect();
        let name = attributes.iter().find(|(name, _)| name == "Name").map(|(_, value)| value.clone());
        found.push((path, element.to_owned(), attributes));
        if !is_empty {
            open.push((element.to_owned(), name.unwrap_or_default()));
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

fn attribute<'a>(attributes: &'a [(String, String)], wanted: &str) -> &'a str {
    attributes.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
}

fn fetch(lab: &mut Lab) -> String {
    let reply = lab.send(HttpRequest::new(Method::Get, format!("{ROOT}/$metadata")));
    assert_eq!((reply.status, reply.response.header("content-type")), (200, Some("application/xml")));
    String::from_utf8(reply.response.body).expect("UTF-8")
}

#[test]
fn the_service_describes_itself_without_a_token() {
    let mut lab = Lab::new();
    let xml = fetch(&mut lab);
    let elements = elements(&xml);
    let types: Vec<&str> = elements
        .iter()
        .filter(|(_, element, _)| matches!(&**element, "EntityType" | "ComplexType" | "EnumType"))
        .map(|(_, _, attributes)| attribute(attributes, "Name"))
        .collect();
    for (_, _, attributes) in &elements {
        for name in ["Type", "BaseType", "EntityType"] {
            let text = attribute(attributes, name);
            let text = text.strip_prefix("Collection(").map_or(text, |rest| rest.trim_end_matches(')'));
            let kind = text.strip_prefix("graph.").or(text.strip_prefix("microsoft.graph."));
            assert!(
                text.is_empty() || text.starts_with("Edm.") || kind.is_some_and(|kind| types.contains(&kind)),
                "{text}"
            );
        }
    }
    for (place, element, name) in [
        ("user", "Property", "assignedLicenses"),
        ("user", "NavigationProperty", "memberOf"),
        ("group", "NavigationProperty", "owners"),
        ("", "Action", "assignLicense"),
        ("", "Function", "delta"),
        ("GraphService", "EntitySet", "users"),
    ] {
        let is_it = |(path, kind, attributes): &Element| {
            path.last().is_some_and(|last| last == place)
                && kind == element
                && attribute(attributes, "Name") == name
        };
        assert_eq!(
            elements.iter().filter(|entry| is_it(entry)).count(),
            if name == "assignLicense" { 2 } else { 1 },
            "{name}"
        );
    }
}

#[test]
fn what_is_described_can_be_selected() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let xml = fetch(&mut lab);
    let of = |kind: &str| -> String {
        let all = elements(&xml);
        let names = all.iter().filter(|(path, element, _)| {
            element == "Property" && path.last().is_some_and(|last| last == kind)
        });
        names.map(|(_, _, attributes)| attribute(attributes, "Name").to_owned()).collect::<Vec<_>>().join(",")
    };
    let targets = [
        ("user", format!("/users/{user}")),
        ("group", "/groups".to_owned()),
        ("subscribedSku", "/subscribedSkus".to_owned()),
        ("companySubscription", "/directory/subscriptions".to_owned()),
        ("organization", "/organization".to_owned()),
        ("licenseDetails", format!("/users/{user}/licenseDetails")),
        ("mailboxSettings", format!("/users/{user}/mailboxSettings")),
    ];
    for (kind, target) in targets {
        let reply = lab.get(&format!("{target}?$select={}", of(kind)));
        assert_eq!(reply.status, 200, "{kind}: {}", reply.json);
    }
}

#[test]
fn types_are_those_of_microsoft() {
    let Ok(path) = std::env::var("MAILKEEPER_GRAPH_SHAPES") else { return };
    let shapes: Value = serde_json::from_slice(&std::fs::read(path).expect("the file")).expect("JSON");
    let xml = fetch(&mut Lab::new());
    let mut compared = 0;
    for (path, element, attributes) in elements(&xml) {
        let kind = path.last().map(String::as_str).unwrap_or_default();
        if element != "Property" || shapes["types"][kind].is_null() {
            continue;
        }
        let name = attribute(&attributes, "Name");
        assert_eq!(
            attribute(&attributes, "Type"),
            shapes["types"][kind]["properties"][name]["type"],
            "{kind}.{name}"
        );
        compared += 1;
    }
    assert!(compared > 150, "{compared}");
}
