//! `mailkeeper schema`: JSON Schema of the two files that people write.

use crate::cli::{Exit, SchemaArgs, SchemaDocument};
use crate::policy::policy_schema;
use crate::settings::settings_schema;

pub fn schema(arguments: &SchemaArgs) -> Exit {
    let schema = match arguments.document {
        SchemaDocument::Policy => policy_schema(),
        SchemaDocument::Settings => settings_schema(),
    };
    println!("{}", serde_json::to_string_pretty(&schema).expect("a schema is plain data"));
    Exit::Done
}
