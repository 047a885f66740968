//! `mailkeeper simulate`: the simulated tenant on loopback, for trying policies out.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::cli::{Exit, SimulateArgs};
use crate::clock::{Clock, SystemClock};
use crate::model::TenantId;
use crate::sim::faults::Faults;
use crate::sim::network::SimTransport;
use crate::sim::scenario::Company;
use crate::sim::serve::serve;
use crate::sim::tenant::{Tenant, TenantOptions};

use super::sample;

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
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let company = Company::build(arguments.users, arguments.seed);
    let mut tenant = Tenant::new(TenantOptions::new(arguments.seed));
    company.move_in(&mut tenant, clock.now());
    let id = tenant.id();
    let faults = if arguments.polite { Faults::polite(arguments.seed) } else { Faults::new(arguments.seed) };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("{} cannot be used: {error}", arguments.listen))?;
    let origin = format!("http://{}", listener.local_addr().map_err(|error| error.to_string())?);
    if let Some(directory) = &arguments.write_config {
        write_config(directory, id, &origin, &company)
            .map_err(|error| format!("{} cannot be written: {error}", directory.display()))?;
    }
    introduce(arguments, &origin, id);
    let transport = SimTransport::new(tenant, clock, faults);
    let stopped = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, transport, stopped).await.map_err(|error| error.to_string())
}

fn introduce(arguments: &SimulateArgs, origin: &str, id: TenantId) {
    let manners = if arguments.polite { "polite" } else { "throttles, answers late and loses replies" };
    eprintln!("simulated tenant {id} with {} users ({manners})", arguments.users);
    eprintln!("  Graph    {origin}/v1.0");
    eprintln!("  sign-in  {origin}/{id}/oauth2/v2.0/token, any client id and secret");
    if let Some(directory) = &arguments.write_config {
        eprintln!("  try      mailkeeper --config {}/mailkeeper.yaml plan", directory.display());
    }
    eprintln!("Ctrl-C ends it.");
}

fn write_config(directory: &Path, id: TenantId, origin: &str, company: &Company) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let directory = std::fs::canonicalize(directory)?;
    std::fs::write(directory.join("policy.yaml"), sample::policy(company))?;
    std::fs::write(directory.join("mailkeeper.yaml"), sample::settings(id, origin, &directory, "observe"))?;
    std::fs::write(directory.join("secret"), "simulated\n")
}
