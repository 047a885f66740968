//! A changed policy: most changes count at once, one that would release, expose or add many, or loosen the rails, waits
//! for a person, and nothing is written before.

use mailkeeper::model::UserId;
use mailkeeper::sim::scenario::{Role, products};
use serde_json::Value;

use super::memory::rows;
use crate::site::{Site, now};

/// Limits as in the example, and a rule that only reports.
fn policy(site: &Site) -> String {
    let text =
        site.policy().replace("share: 50%, floor: 20", "share: 5%, floor: 3, seats_reserved: { SPE_E5: 2 }");
    let frontline = "  - name: frontline\n    match: { user_type: member, department: Butikk }\n    licenses: \
                     [EXCHANGESTANDARD]\n    on_license_lost: report\n    on_deleted: report\n  - name: staff\n";
    text.replacen("  - name: staff\n", frontline, 1)
}

/// Observed under the good policy; a leaver and an administrator without a licence, and two of the staff.
struct Scene {
    site: Site,
    good: String,
    staff: Vec<UserId>,
}

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let good = policy(&site);
        site.set_policy(&good);
        let site = site.with_observation();
        for role in [Role::Leaver, Role::Administrator] {
            let person = site.company.of(role).next().expect("the company has some").id;
            let mut tenant = site.tenant();
            for sku in tenant.licences_of(person) {
                tenant.remove_licence(now(), person, sku).expect("held directly");
            }
        }
        let staff = site.unlicense(2);
        assert_eq!(site.run(&["plan"]).code, Some(0), "noticed");
        Self { site, good, staff }
    }

    fn apply(&self) {
        let ran = self.site.run(&["apply"]);
        assert!(matches!(ran.code, Some(0 | 64)), "{ran}");
    }

    fn asks(&self) -> Vec<Value> {
        rows(&self.site, &["asks"])
    }
}

#[test]
fn a_slip_in_the_policy_is_stopped_before_the_first_write() {
    let scene = Scene::new();
    let other_group = scene.site.company.licensing_group.to_string();
    let administrators = scene.site.company.administrators.to_string();
    let slips: [(&str, &str, &str); 11] = [
        ("a leaver of another spelling", "employee_type: leaver", "employee_type: leavers"),
        (
            "an inverted leaver",
            "match: { employee_type: leaver }",
            "match: { not: { employee_type: leaver } }",
        ),
        (
            "no off-boarded list",
            "offboarded:\n  - match: { employee_type: leaver }\n    reason: leavers are released by HR\n",
            "",
        ),
        ("another group", &administrators, &other_group),
        ("another domain", "*@contoso.com", "*@contosso.com"),
        (
            "an inverted rule",
            "match: { user_type: member, mail: \"*@contoso.com\" }",
            "match: { not: { mail: \"*@contoso.com\" } }",
        ),
        ("a digit too many", "per_pass: 25, per_day: 100", "per_pass: 250, per_day: 1000"),
        ("a share without its point", "share: 5%", "share: 50%"),
        ("a floor above all", "floor: 3", "floor: 300"),
        ("no reserve", "seats_reserved: { SPE_E5: 2 }", "seats_reserved: { SPE_E5: 0 }"),
        ("a margin in hours", "version: 1\n", "version: 1\nretention: { margin: 2h }\n"),
    ];
    for (slip, from, to) in slips {
        let bad = scene.good.replacen(from, to, 1);
        assert_ne!(bad, scene.good, "{slip}");
        scene.site.set_policy(&bad);
        scene.apply();
        scene.apply();
        assert!(scene.site.writes().is_empty(), "{slip}: {:?}", scene.site.writes());
        let asks = scene.asks();
        assert!(asks.iter().any(|ask| ask["reason"] == "policy_change"), "{slip}: {asks:?}");
    }
    scene.site.set_policy(&scene.good);
    scene.apply();
    assert_eq!(scene.asks(), [] as [Value; 0], "taken back");
    assert_eq!(scene.site.licensed(), scene.staff.iter().copied().collect(), "and the good policy goes on");
}

#[test]
fn a_person_puts_a_changed_policy_into_force_or_keeps_it_out() {
    let scene = Scene::new();
    let bad = scene.good.replace("employee_type: leaver", "employee_type: nobody");
    scene.site.set_policy(&bad);
    scene.apply();
    let status = scene.site.run(&["status"]).stdout;
    assert!(status.contains("A CHANGED POLICY WAITS FOR APPROVAL"), "{status}");
    let check = scene.site.run(&["check", "--against", "state"]);
    assert!(check.stdout.contains("the policy in force ("), "compared with what is in force: {check}");
    assert!(!check.stderr.contains("is the policy in force"), "{check}");
    let asks = scene.asks();
    let ask = asks[0]["id"].as_str().expect("an id").to_owned();
    assert!(
        asks[0]["question"].as_str().is_some_and(|question| question.contains("off-boarded")),
        "{asks:?}"
    );

    assert_eq!(scene.site.run(&["deny", &ask]).code, Some(0));
    scene.apply();
    assert!(scene.site.writes().is_empty(), "denied: nothing starts until the files change again");
    assert!(scene.asks().is_empty());
    let status = scene.site.run(&["status"]).stdout.replace('\n', " ");
    assert!(status.contains("A CHANGED POLICY WAS DENIED"), "{status}");
    assert!(status.contains(&format!("mailkeeper approve {ask}")), "a wrong click is taken back: {status}");

    scene.site.set_policy(&format!("{bad}# reviewed again\n"));
    scene.apply();
    let asks = scene.asks();
    let again = asks[0]["id"].as_str().expect("an id").to_owned();
    assert_ne!(again, ask, "another text is another question");
    assert_eq!(scene.site.run(&["approve", &again]).code, Some(0));
    scene.apply();
    scene.apply();
    let licensed = scene.site.licensed();
    assert!(scene.staff.iter().all(|user| licensed.contains(user)), "{licensed:?}");
    let status = scene.site.run(&["status"]).stdout;
    assert!(!status.contains("WAITS FOR APPROVAL"), "{status}");
}

#[test]
fn a_mistyped_group_is_named_before_it_is_asked_about_and_a_real_one_is_judged() {
    let scene = Scene::new();
    let administrators = scene.site.company.administrators.to_string();
    let mistyped = "11111111-1111-4111-8111-111111111111";
    scene.site.set_policy(&scene.good.replace(&administrators, mistyped));
    scene.apply();
    let question = scene.asks()[0]["question"].as_str().expect("a question").to_owned();
    assert!(question.contains(&format!("group {mistyped} of the protected entry")), "{question}");
    assert!(question.contains("does not exist in the tenant"), "{question}");
    assert!(question.contains("could not be judged: membership of group"), "{question}");
    assert!(!question.contains("no rule keeps 0"), "{question}");
    let status = scene.site.run(&["status"]).stdout.replace('\n', " ");
    assert!(status.contains("does not exist in the tenant"), "{status}");
    let doctor = scene.site.run(&["doctor"]).stdout;
    assert!(doctor.contains("a changed policy waits for approval: group"), "{doctor}");

    // A group that nobody has read yet is read first: who is in it is known before anybody is asked.
    let licensing = scene.site.company.licensing_group.to_string();
    let rule = format!(
        "  - name: group\n    match: {{ group: {licensing} }}\n    licenses: [SPE_E3]\n    \
                        on_license_lost: report\n    on_deleted: report\n  - name: staff\n"
    );
    scene.site.set_policy(&scene.good.replacen("  - name: staff\n", &rule, 1));
    scene.apply();
    let status = scene.site.run(&["status"]).stdout;
    assert!(!status.contains("WAITS FOR APPROVAL"), "{status}");
}

#[test]
fn a_small_change_counts_at_once() {
    let scene = Scene::new();
    let id = scene.staff[0];
    let entry = format!("offboarded:\n  - id: {id}\n    reason: HR-1\n");
    scene.site.set_policy(&scene.good.replace("offboarded:\n", &entry));
    scene.apply();
    assert_eq!(scene.site.licensed(), [scene.staff[1]].into());
    let sku = products::SPE_E3;
    assert!(!scene.site.tenant().licences_of(id).contains(&sku));
}

/// One slip a line and kind: a key misspelt, a line lost or doubled, a number ten times as large, a word turned round.
fn mutations(good: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = good.lines().collect();
    let with = |index: usize, line: Option<String>| {
        let changed = lines.iter().enumerate().filter_map(|(at, text)| match at == index {
            true => line.clone(),
            false => Some((*text).to_owned()),
        });
        changed.map(|line| line + "\n").collect::<String>()
    };
    let mut mutated = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        mutated.push((format!("line {} lost", index + 1), with(index, None)));
        mutated.push((format!("line {} twice", index + 1), with(index, Some(format!("{line}\n{line}")))));
        for (at, _) in line.match_indices(": ") {
            let text = format!("{}{}", &line[..at - 1], &line[at..]);
            mutated.push((format!("key misspelt in {text:?}"), with(index, Some(text))));
        }
        let numbers =
            line.split(|c: char| !c.is_ascii_digit()).filter(|digits| (1..4).contains(&digits.len()));
        for digits in numbers.filter(|_| line.starts_with("limits")) {
            let text = line.replacen(digits, &format!("{digits}0"), 1);
            mutated.push((format!("ten times {digits} in {text:?}"), with(index, Some(text))));
        }
        for (from, to) in [
            ("report", "act"),
            ("act", "report"),
            ("leaver }", "staff }"),
            ("member", "guest"),
            ("@contoso.com", "@*"),
            ("[SPE_E3, EXCHANGESTANDARD]", "[VISIOCLIENT]"),
            ("[SPE_E3,", "[SPE_E4,"),
            ("match: {", "match: { not: {"),
            ("0s", "0x"),
            ("offboarded:", "protected:"),
            ("protected:", "keep:"),
            ("  - ", "\t- "),
            ("staff", "frontline"),
            ("shared, room", "user"),
        ] {
            if let Some(at) = line.find(from) {
                let mut text = format!("{}{to}{}", &line[..at], &line[at + from.len()..]);
                if to.ends_with("not: {") {
                    text += " }";
                }
                mutated.push((format!("{from:?} is {to:?} in {text:?}"), with(index, Some(text))));
            }
        }
    }
    mutated
}

#[test]
fn no_mutated_policy_makes_a_step_that_the_good_one_would_not() {
    let scene = Scene::new();
    let steps = || -> Vec<(String, Value)> {
        let ran = scene.site.run(&["plan", "--output", "json"]);
        let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let steps = rows.into_iter().filter(|row| row["decision"] == "step");
        steps.map(|row| (row["id"].as_str().expect("an id").to_owned(), row["step"].clone())).collect()
    };
    let good = steps();
    assert_eq!(good.len(), 2, "{good:?}");
    let mutated = mutations(&scene.good);
    assert!(mutated.len() >= 100, "{}", mutated.len());
    let (mut refused, mut asked, mut harmless, mut wrong) = (0, 0, 0, Vec::new());
    for (what, text) in mutated {
        scene.site.set_policy(&text);
        if scene.site.run(&["check"]).code != Some(0) {
            refused += 1;
            continue;
        }
        let made = steps();
        if scene.asks().iter().any(|ask| ask["reason"] == "policy_change") {
            assert!(made.is_empty(), "{what}: {made:?}");
            asked += 1;
        } else if made.iter().all(|step| good.contains(step)) {
            harmless += 1;
        } else {
            wrong.push(what);
        }
        scene.site.set_policy(&scene.good);
        steps();
    }
    println!("{refused} refused, {asked} asked first, {harmless} without a wrong step");
    assert_eq!(wrong, [] as [String; 0]);
    assert!(refused >= 50 && asked >= 10, "{refused} refused, {asked} asked first");
}
