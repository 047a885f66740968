//! Settings as operators write them, well and badly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::policy::{Format, render};

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("CREDENTIALS_DIRECTORY".to_owned(), "/run/credentials/mailkeeper".to_owned())])
}

#[test]
fn the_shipped_settings_are_good_and_observe() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mailkeeper.yaml");
    let settings = Settings::load(&path, &environment())
        .unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)));
    assert_eq!(settings.mode, Mode::Observe);
    assert_eq!(settings.warnings, []);
    let secret = PathBuf::from("/run/credentials/mailkeeper/contoso-secret");
    let Auth::Application { credential, .. } = &settings.tenants[0].auth else { panic!("an application") };
    assert_eq!(*credential, Credential::SecretFile(secret));
}
