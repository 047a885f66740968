//! Settings and policy for a simulated company: what `simulate` writes and `demo` runs with.

use std::path::Path;

use crate::model::TenantId;
use crate::sim::scenario::{Company, FRONTLINE_DEPARTMENT, GROUP_LICENSED_DEPARTMENT};

/// The policy of the simulated company, as an operator would write it.
pub fn policy(company: &Company) -> String {
    let Company { licensing_group, executives, administrators, domain, .. } = company;
    format!(
        r#"# What must survive at {domain}, a simulated company.
version: 1

retention:
  days: 30
  margin: 2d

offboarded:
  - match: {{ employee_type: leaver }}
    reason: leavers are released by HR

protected:
  - match: {{ group: {administrators} }}
    reason: holders of directory roles

keep:
  - name: executives
    match: {{ group: {executives} }}
    licenses: [SPE_E5, SPE_E3]
    on_license_lost: act
    on_deleted: act
    settle: 30m
    priority: 100

  - name: shared and room mailboxes
    match: {{ mailbox: [shared, room] }}
    on_deleted: act
    settle: 1h

  - name: staff licensed by group
    match: {{ user_type: member, department: {GROUP_LICENSED_DEPARTMENT} }}
    licenses: [SPE_E3]
    assign: {{ group: {licensing_group} }}
    usage_location: "NO"
    on_license_lost: act
    on_deleted: act
    settle: 2h

  - name: frontline
    match: {{ user_type: member, department: {FRONTLINE_DEPARTMENT} }}
    licenses: [EXCHANGESTANDARD]
    usage_location: "NO"
    on_license_lost: act
    on_deleted: act
    settle: 2h

  - name: staff
    match: {{ user_type: member, mail: "*@{domain}" }}
    licenses: [SPE_E3]
    usage_location: "NO"
    on_license_lost: act
    on_deleted: act
    settle: 2h

limits:
  per_pass: 25
  per_day: 100
  share: 5%
  floor: 10
"#
    )
}

/// Settings for a simulated tenant at `origin` (`http://127.0.0.1:8443`), with everything below `directory`.
/// `authority`: the certificate that vouches for an `origin` with https.
pub fn settings(
    tenant: TenantId,
    origin: &str,
    authority: Option<&Path>,
    directory: &Path,
    mode: &str,
) -> String {
    let directory = directory.display();
    let authority = authority.map(|file| format!(", ca_file: \"{}\"", file.display())).unwrap_or_default();
    format!(
        r#"# A simulated tenant on loopback. Secrets of simulated tenants are not secret.
mode: {mode}
schedule: "*/30 * * * * *"
full_schedule: "0 30 2 * * *"
state: {directory}/state
control_socket: {directory}/control.sock
http: {{ listen: 127.0.0.1:9464 }}
tenants:
  - name: simulated
    id: {tenant}
    policy: {directory}/policy.yaml
    auth:
      client_id: 4b2b8a50-0000-4000-8000-3c2f2d6b7f10
      client_secret_file: {directory}/secret
    endpoints: {{ graph: "{origin}/v1.0", login: "{origin}"{authority} }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::settings::{ProcessEnvironment, Settings};

    #[test]
    fn the_simulated_company_has_a_good_policy_and_good_settings() {
        let company = Company::build(100, 7);
        let parsed = Policy::parse("policy.yaml", &policy(&company)).expect("the policy is good");
        assert!(parsed.needs_mailbox_kind());
        let directory = Path::new("/nowhere");
        let authority = Some(Path::new("/nowhere/ca.pem"));
        for (origin, authority) in [("http://127.0.0.1:8443", None), ("https://127.0.0.1:8443", authority)] {
            let text = settings(TenantId::from_u128(1), origin, authority, directory, "act");
            let settings = Settings::parse("mailkeeper.yaml", &text, directory, &ProcessEnvironment)
                .expect("the settings are good");
            let endpoints = settings.tenants[0].endpoints.as_ref().expect("they are written");
            assert_eq!(endpoints.ca_file.as_deref(), authority);
        }
    }
}
