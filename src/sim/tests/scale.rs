//! Size: index structures, not scans. Absolute times are not asserted, ratios and counts are.

use super::*;
use crate::sim::scenario::Company;

#[test]
fn a_company_of_ten_thousand_is_walked_in_eleven_pages_and_its_shards_add_up() {
    let mut lab = Lab::new();
    lab.tenant = Tenant::new(TenantOptions::new(1));
    Company::build(10_000, 1).move_in(&mut lab.tenant, START);
    lab.tenant.set_quota(Quota::Unlimited);
    lab.token = lab.tenant.issue_token(START, Span::from_days(1));
    let before = lab.tenant.counters().requests;
    let select = "id,userPrincipalName,displayName,mail,accountEnabled,userType,usageLocation,onPremisesSyncEnabled,proxyAddresses,assignedLicenses,assignedPlans";
    let all = lab.walk(&format!("/users?$select={select}&$top=999")).len();
    assert_eq!((all, lab.tenant.counters().requests - before), (10_000, 11));
    let letters: Vec<char> = ('a'..='z').collect();
    let shards: usize = letters
        .iter()
        .map(|letter| {
            lab.walk(&format!("/users?$select=id&$top=999&$filter=startswith(userPrincipalName,'{letter}')"))
                .len()
        })
        .sum();
    let rest: Vec<String> =
        letters.iter().map(|letter| format!("not(startswith(userPrincipalName,'{letter}'))")).collect();
    let others =
        lab.walk(&format!("/users?$select=id&$top=999&$count=true&$filter={}", rest.join(" and "))).len();
    assert_eq!(shards + others, 10_000);
}

/// Measured by hand: `cargo test --release --lib sim::tests::scale -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn measure_a_hundred_thousand() {
    let mut lab = Lab::new();
    lab.tenant = Tenant::new(TenantOptions::new(1));
    let size =
        std::env::var("MAILKEEPER_SIM_USERS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let company = Company::build(size, 1);
    let started = std::time::Instant::now();
    company.move_in(&mut lab.tenant, START);
    eprintln!("{size} users moved in: {:?}", started.elapsed());
    drop(company);
    lab.tenant.set_quota(Quota::Unlimited);
    lab.token = lab.tenant.issue_token(START, Span::from_days(1));
    let select = "id,userPrincipalName,displayName,mail,accountEnabled,userType,usageLocation,onPremisesSyncEnabled,createdDateTime,proxyAddresses,assignedLicenses,assignedPlans,licenseAssignmentStates";
    let mut next = Some(format!("/users?$select={select}&$top=999"));
    let (mut pages, mut bytes, mut spent) = (0, 0, std::time::Duration::ZERO);
    while let Some(target) = next {
        let request = lab.request(Method::Get, &target);
        let started = std::time::Instant::now();
        let response = lab.tenant.handle(lab.now, &request);
        spent += started.elapsed();
        pages += 1;
        bytes += response.body.len();
        let page: Value = serde_json::from_slice(&response.body).expect("JSON");
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    eprintln!("{pages} pages, {bytes} bytes, {spent:?} inside the tenant; {memory}");
}
