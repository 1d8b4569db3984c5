//! What somebody asks for, before it becomes a run or a preview: every refusal that needs no row.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::backend::{Backend, KeySpec};
use crate::config::LONGEST_SLEEP;
use crate::core::Core;
use crate::error::{Error, ErrorKind, FieldError};
use crate::options::{Choice, DEFAULT_QUEUE, Field, Mask, Raw, Settings};
use crate::registry::{Definition, Instance, scope_of};
use crate::run::Backfiller;
use crate::scope::Scope;
use crate::store::int;
use crate::store::runs::NewRun;

/// What was asked for, apart from where to write it.
pub(super) struct Asked<'a, DB: Backend> {
    pub(super) core: &'a Core<DB>,
    pub(super) name: String,
    pub(super) options: Result<HashMap<String, Raw>, String>,
    pub(super) batch_size: Option<u64>,
    pub(super) sleep: Option<Duration>,
    pub(super) limit: Option<u64>,
    pub(super) queue: Option<String>,
    pub(super) start_at: Option<DateTime<Utc>>,
    pub(super) by: Option<Backfiller>,
}

/// A request that passed every check.
pub(super) struct Checked<DB: Backend> {
    pub(super) new: NewRun,
    pub(super) scope: Scope<DB>,
    pub(super) spec: KeySpec,
    /// Every column of the table.
    pub(super) columns: Vec<String>,
}

impl<'a, DB: Backend> Asked<'a, DB> {
    pub(super) fn new(core: &'a Core<DB>, name: &str, options: Result<HashMap<String, Raw>, String>) -> Self {
        Self {
            core,
            name: name.to_owned(),
            options,
            batch_size: None,
            sleep: None,
            limit: None,
            queue: None,
            start_at: None,
            by: None,
        }
    }

    /// Everything that can be refused by looking at the request, the code and the catalogue; all fields at once.
    pub(super) async fn checked(&self, conn: &mut DB::Connection) -> Result<Checked<DB>, Error> {
        let definition = self.core.definition(&self.name)?;
        let settings = self.core.registry.get(&self.name).map_or(Settings::DEFAULT, |r| r.info.settings);
        let config = &self.core.config;
        let batch_size = self.batch_size.unwrap_or_else(|| config.batch_size_for(&settings));
        let queue = self.queue.clone().unwrap_or_else(|| settings.queue.unwrap_or(DEFAULT_QUEUE).to_owned());

        let mut wrong = Vec::new();
        let instance = match &self.options {
            Ok(raw) => self.core.parse(&self.name, raw)?.map_err(|fields| wrong.extend(fields)).ok(),
            Err(message) => {
                wrong.push(FieldError::new("base", message.as_str()));
                None
            }
        };
        if batch_size < 1 {
            wrong.push(FieldError::new("batch_size", "must be at least 1"));
        } else if i64::try_from(batch_size).is_err() {
            wrong.push(FieldError::new("batch_size", "must be at most 2^63 - 1"));
        }
        if self.limit == Some(0) {
            wrong.push(FieldError::new("limit", "must be at least 1; leave it out for all rows"));
        }
        let sleep = self.sleep.unwrap_or_else(|| config.sleep_for(&settings));
        if sleep > LONGEST_SLEEP {
            wrong.push(FieldError::new("sleep", "must be at most a day"));
        }
        if queue.trim().is_empty() {
            wrong.push(FieldError::new("queue", "must not be blank"));
        }
        if let Some(instance) = &instance {
            wrong.extend(self.not_offered(&**definition, &**instance, conn).await?);
        }
        let Some(instance) = instance.filter(|_| wrong.is_empty()) else { return Err(Error::invalid(wrong)) };

        let scope = scope_of(&*instance).map_err(|failure| {
            let mask = Mask::of(self.fields(), &instance.values());
            Error::new(ErrorKind::Unsupported, mask.hide(&failure.full_message()).into_owned())
        })?;
        let described = scope.describe(conn).await?;
        let new = NewRun {
            backfill: self.name.clone(),
            options: instance.values(),
            batch_size,
            sleep,
            limit: self.limit.map(|limit| limit.min(int(u64::MAX).unsigned_abs())),
            queue,
            concurrency: settings.concurrency,
            max_attempts: settings.max_attempts.max(1),
            timeout_ms: settings.timeout_ms,
            backfiller: self.by.clone(),
            start_at: self.start_at,
        };
        Ok(Checked { new, scope, spec: described.key, columns: described.columns })
    }

    pub(super) fn fields(&self) -> &[Field] {
        self.core.registry.get(&self.name).map_or(&[], |registration| &registration.info.fields)
    }

    /// Values of options whose choices come from the database, and are none of those.
    async fn not_offered(
        &self,
        definition: &dyn Definition<DB>,
        instance: &dyn Instance<DB>,
        conn: &mut DB::Connection,
    ) -> Result<Vec<FieldError>, Error> {
        let mut wrong = Vec::new();
        let Some(registration) = self.core.registry.get(&self.name) else { return Ok(wrong) };
        let values = instance.values();
        for field in registration.info.fields.iter().filter(|field| field.has_choices) {
            let given = values.get(field.name).unwrap_or(&Value::Null);
            let many = given.as_array().map_or(std::slice::from_ref(given), Vec::as_slice);
            let given: Vec<_> = many.iter().filter(|value| !value.is_null()).map(plain).collect();
            if given.is_empty() {
                continue;
            }
            let Some(offered) = choices(definition, field.name, conn).await? else { continue };
            let strange = given.iter().find(|value| !offered.iter().any(|choice| choice.value == **value));
            if let Some(value) = strange {
                let shown = if field.masked { "the value".to_owned() } else { format!("`{value}`") };
                wrong.push(FieldError::new(field.name, format!("{shown} is not among the values to choose from")));
            }
        }
        Ok(wrong)
    }
}

/// A JSON value as a choice spells it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Asks user code for the values of an option.
pub(super) async fn choices<DB: Backend>(
    definition: &dyn Definition<DB>,
    field: &str,
    conn: &mut DB::Connection,
) -> Result<Option<Vec<Choice>>, Error> {
    definition.choices(field, conn).await.map_err(|failure| {
        let message = format!("the values of `{field}` could not be listed: {}", failure.full_message());
        Error::new(ErrorKind::Database, message)
    })
}
