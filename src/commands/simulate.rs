//! `mailkeeper simulate`: the simulated tenant on loopback, for trying policies out.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::cli::{Exit, SimulateArgs};
use crate::clock::{Clock, SystemClock};
use crate::errors::chain;
use crate::model::TenantId;
use crate::sim::faults::Faults;
use crate::sim::network::SimTransport;
use crate::sim::scenario::{Company, Person, Role};
use crate::sim::serve::serve;
use crate::sim::tenant::{Tenant, TenantOptions};
use crate::sim::tls::Identity;

use super::{private, sample};

/// Serves until interrupted.
pub async fn simulate(arguments: &SimulateArgs) -> Exit {
    match try_simulate(arguments).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("mailkeeper: {error}");
            Exit::Failed
        }
    }
}

async fn try_simulate(arguments: &SimulateArgs) -> Result<(), String> {
    // Before anything is printed or written.
    if !arguments.listen.ip().is_loopback() {
        return Err(format!("{} is not on loopback: a simulated tenant lets everybody in", arguments.listen));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let company = Company::build(arguments.users, arguments.seed);
    let mut options = TenantOptions::new(arguments.seed);
    options.application.roles.extend(arguments.grant.iter().cloned());
    options.application.client_secret.clone_from(&arguments.client_secret);
    let mut tenant = Tenant::new(options);
    company.move_in(&mut tenant, clock.now());
    let id = tenant.id();
    let faults = if arguments.polite { Faults::polite(arguments.seed) } else { Faults::new(arguments.seed) };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("{} cannot be used: {error}", arguments.listen))?;
    let identity = arguments.tls.as_deref().map(vouched_for).transpose()?;
    let scheme = if identity.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{}", listener.local_addr().map_err(|error| error.to_string())?);
    if let Some(directory) = &arguments.write_config {
        write_config(directory, id, &origin, arguments, &company)
            .map_err(|error| format!("nothing was written to {}: {error}", directory.display()))?;
    }
    introduce(arguments, &origin, id, &company);
    let transport = SimTransport::new(tenant, clock, faults);
    let stopped = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, identity.as_ref(), transport, stopped).await.map_err(|error| error.to_string())
}

/// Writes the certificate that clients must trust.
fn vouched_for(file: &Path) -> Result<Identity, String> {
    let identity = Identity::generate().map_err(|error| chain(&error))?;
    // A certificate is no secret, and those who must trust it are others.
    let readable = Permissions::from_mode(0o644);
    std::fs::write(file, &identity.authority)
        .and_then(|()| std::fs::set_permissions(file, readable))
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    Ok(identity)
}

fn introduce(arguments: &SimulateArgs, origin: &str, id: TenantId, company: &Company) {
    let manners = if arguments.polite { "polite" } else { "throttles, answers late and loses replies" };
    eprintln!("simulated tenant {id} with {} users ({manners})", arguments.users);
    eprintln!("  Graph    {origin}/v1.0");
    let secret = if arguments.client_secret.is_some() { "the one secret" } else { "any secret" };
    eprintln!("  sign-in  {origin}/{id}/oauth2/v2.0/token, any client id, {secret}");
    if let Some(file) = &arguments.tls {
        eprintln!("  trust    {} (SSL_CERT_FILE, REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS)", file.display());
        eprintln!(
            "  switch off the question whether Microsoft knows this authority: instance_discovery=False (msal), \
             disable_instance_discovery (azure-identity), knownAuthorities (msal-node)"
        );
    }
    if let Some(directory) = &arguments.write_config {
        eprintln!("  try      mailkeeper --config {}/mailkeeper.yaml plan", directory.display());
    }
    // Whose account comes from on premises is changed there only.
    let is_ours = |person: &&Person| !person.user.on_premises_synced;
    if let Some(person) = company.of(Role::Staff).find(is_ours) {
        let secret = arguments.client_secret.as_deref().unwrap_or("x");
        eprint!("{}", accidents(origin, id, secret, &person.user.user_principal_name));
    }
    eprintln!("Ctrl-C ends it.");
}

/// How to lose a mailbox by hand. `curl -k`: with --tls the authority is known to nobody.
fn accidents(origin: &str, id: TenantId, secret: &str, upn: &str) -> String {
    format!(
        r#"  accident a token, then whatever an administrator does wrong, for example with {upn}:
    T=$(curl -sk -d 'grant_type=client_credentials&client_id=me&client_secret={secret}&scope={origin}/.default' \
        {origin}/{id}/oauth2/v2.0/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
    curl -sk -H "authorization: Bearer $T" -X DELETE {origin}/v1.0/users/{upn}
    curl -sk -H "authorization: Bearer $T" -H 'content-type: application/json' -X PATCH -d '{{"employeeType":"leaver"}}' \
        {origin}/v1.0/users/{upn}    # needs --grant User.ReadWrite.All
"#
    )
}

fn is_other(path: &Path, text: &str) -> bool {
    path.symlink_metadata().is_ok() && std::fs::read_to_string(path).ok().as_deref() != Some(text)
}

fn write_config(
    directory: &Path,
    id: TenantId,
    origin: &str,
    arguments: &SimulateArgs,
    company: &Company,
) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let directory = std::fs::canonicalize(directory)?;
    let authority = arguments.tls.as_deref().map(std::fs::canonicalize).transpose()?;
    let settings = sample::settings(id, origin, authority.as_deref(), &directory, "observe");
    let files = [
        ("policy.yaml", sample::policy(company)),
        ("mailkeeper.yaml", settings),
        ("secret", format!("{}\n", arguments.client_secret.as_deref().unwrap_or("simulated"))),
    ];
    let files = files.map(|(name, text)| (directory.join(name), text));
    // Somebody's policy, or one that was edited to try something.
    if let Some((path, _)) = files.iter().find(|(path, text)| is_other(path, text)) {
        let text = format!("{} is there and differs; remove it, or name another directory", path.display());
        return Err(std::io::Error::other(text));
    }
    files.iter().try_for_each(|(path, text)| private::write(path, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_says_how_to_lose_a_mailbox() {
        let told = accidents("http://127.0.0.1:8443", TenantId::from_u128(1), "x", "anna@contoso.com");
        assert!(told.contains("-X DELETE http://127.0.0.1:8443/v1.0/users/anna@contoso.com\n"), "{told}");
        assert!(told.contains(r#"-d '{"employeeType":"leaver"}'"#) && told.contains("--grant"), "{told}");
        assert!(told.contains(r#"sed 's/.*"access_token":"\([^"]*\)".*/\1/'"#), "{told}");
    }
}
