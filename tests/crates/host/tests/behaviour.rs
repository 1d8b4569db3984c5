//! What the macros make of a backfill, seen from a host.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use data_drip::backfill::{Backfill, Hook, Mode};
use data_drip::options::{self, Choice, Kind, Options, Raw};
use data_drip::run::RunBatch;
use data_drip::sqlite::prelude::*;
use data_drip::{BatchStatus, RunStatus, testing};
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

#[derive(Clone, Copy, Debug, PartialEq, OptionEnum)]
enum Fate {
    /// Leave it.
    Keep,
    #[option(rename = "rm", label = "Remove it")]
    Delete,
}

async fn towns(conn: &mut Connection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("SELECT DISTINCT town FROM people ORDER BY town").fetch_all(conn).await
}

/// What the functions were given.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn push(&self, what: impl Into<String>) {
        self.0.lock().expect("nobody panicked").push(what.into());
    }
}

/// Greets people.
///
/// Once each.
#[backfill(queue = "slow", concurrency = 2, max_attempts = 1, timeout = "5s", lock = none)]
struct GreetPeople {
    /// Where they live.
    #[option(choices = towns)]
    town: String,
    #[option(default = 7, min = -10, max = 10, label = "How often")]
    times: i8,
    fate: Option<Vec<Fate>>,
    #[option(default = Fate::Delete)]
    then: Fate,
    #[option(masked)]
    r#type: Option<String>,
    loud: bool,
}

#[backfill]
impl GreetPeople {
    fn scope(&self) -> Scope {
        Scope::table("people").filter(col("town").eq(&self.town)).columns(["name"])
    }

    async fn before_run(&self, run: &Run, conn: &mut Connection, seen: State<Arc<Seen>>) -> sqlx::Result<()> {
        let people: i64 = sqlx::query_scalar("SELECT count(*) FROM people").fetch_one(conn).await?;
        seen.push(format!("before run {} over {people}", run.id));
        Ok(())
    }

    async fn process_element(
        &self,
        (name,): (String,),
        conn: &mut Connection,
        run: &Run,
        seen: State<Arc<Seen>>,
    ) -> Result<(), String> {
        if name == "Nobody" {
            return Err(format!("there is no {name}"));
        }
        let update = sqlx::query("UPDATE people SET greeted = greeted + ? WHERE name = ?").bind(self.times).bind(&name);
        update.execute(conn).await.map_err(|error| error.to_string())?;
        seen.push(format!("{name} in {}", run.backfill));
        Ok(())
    }

    async fn on_run_failed(&self, run: &Run, seen: State<Arc<Seen>>) {
        seen.push(format!("run {}", run.status));
    }

    async fn on_batch_failed(&self, run: &Run, batch: &RunBatch, seen: State<Arc<Seen>>) {
        seen.push(format!("batch {} of {}", batch.status, run.backfill));
    }
}

fn given(pairs: &[(&str, Value)]) -> HashMap<String, Raw> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Raw::Json(value.clone()))).collect()
}

async fn people(names: &[&str]) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.expect("a database");
    let table = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, town TEXT, greeted INTEGER DEFAULT 0)";
    sqlx::raw_sql(table).execute(&pool).await.expect("a table");
    for name in names {
        let insert = sqlx::query("INSERT INTO people (name, town) VALUES (?, 'Ulm')").bind(*name);
        insert.execute(&pool).await.expect("a row");
    }
    pool
}

fn greeting() -> GreetPeople {
    options::parse(&given(&[("town", json!("Ulm")), ("loud", json!(false))])).expect("good options")
}

#[test]
fn the_struct_says_name_description_and_settings() {
    assert_eq!(GreetPeople::NAME, "greet_people");
    assert_eq!(GreetPeople::DESCRIPTION, "Greets people.\n\nOnce each.");
    let settings = GreetPeople::SETTINGS;
    assert_eq!((settings.batch_size, settings.sleep_ms, settings.timeout_ms), (None, None, Some(5_000)));
    assert_eq!((settings.queue, settings.concurrency, settings.lock), (Some("slow"), Some(2), false));
}

#[test]
fn fields_become_form_fields() {
    let fields = GreetPeople::fields();
    let labels: Vec<_> = fields.iter().map(|field| (field.name, field.label.as_str(), field.required)).collect();
    assert_eq!(
        labels,
        [
            ("town", "Town", true),
            ("times", "How often", false),
            ("fate", "Fate", false),
            ("then", "Then", false),
            ("type", "Type", false),
            ("loud", "Loud", true),
        ]
    );
    assert_eq!((fields[0].help, fields[0].has_choices, fields[0].kind == Kind::Text), ("Where they live.", true, true));
    assert_eq!(
        (&fields[1].default, &fields[1].min, &fields[1].max),
        (&Some(json!(7)), &Some(json!(-10)), &Some(json!(10)))
    );
    assert_eq!(fields[3].default, Some(json!("rm")));
    assert!(fields[4].masked);
    let offered = |value: &str, label: &str| Choice { value: value.to_owned(), label: label.to_owned() };
    let choices = vec![offered("keep", "Leave it"), offered("rm", "Remove it")];
    assert_eq!(fields[2].kind, Kind::MultiSelect { choices: choices.clone() });
    assert_eq!(fields[3].kind, Kind::Select { choices });
}

#[test]
fn options_are_parsed_and_given_back() {
    let built = greeting();
    assert_eq!((built.town.as_str(), built.times, built.then, built.loud), ("Ulm", 7, Fate::Delete, false));
    assert!(built.fate.is_none() && built.r#type.is_none());
    let values = built.values();
    assert_eq!(
        Value::Object(values.clone()),
        json!({ "town": "Ulm", "times": 7, "fate": null, "then": "rm", "type": null, "loud": false })
    );
    let again: GreetPeople =
        options::parse(&values.iter().map(|(name, value)| (name.clone(), Raw::Json(value.clone()))).collect())
            .expect("what it gave");
    assert_eq!(again.values(), values);
}

#[test]
fn every_refusal_is_told_in_the_order_of_the_form() {
    let errors =
        options::parse::<GreetPeople>(&given(&[("times", json!(11)), ("lout", json!(true)), ("then", json!(1))]));
    let errors = errors.err().expect("refused");
    let told: Vec<_> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
    assert_eq!(
        told,
        [
            "town is required",
            "times must be at most 10",
            "then must be one of keep, rm",
            "loud is required",
            "lout is not an option of this backfill; did you mean `loud`?",
        ]
    );
}

#[test]
fn the_impl_says_mode_and_hooks() {
    assert_eq!(GreetPeople::MODE, Mode::Element);
    assert_eq!(GreetPeople::HOOKS, [Hook::RunFailed, Hook::BatchFailed]);
    assert_eq!(GreetPeople::states().len(), 1, "each state once");
}

#[tokio::test]
async fn choices_come_from_the_database() {
    let pool = people(&["Ann"]).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let choices = GreetPeople::choices("town", &mut conn).await.expect("an answer");
    assert_eq!(choices, Some(vec![Choice::from("Ulm")]));
    assert_eq!(GreetPeople::choices("times", &mut conn).await.expect("an answer"), None);
}

#[tokio::test]
async fn functions_get_what_their_arguments_ask_for() {
    let pool = people(&["Ann", "Bob"]).await;
    let seen = Arc::new(Seen::default());
    let done = testing::Runner::new(&pool).state(Arc::clone(&seen)).run(greeting()).await.expect("a run");
    assert_eq!((done.run.status, done.run.counts.processed), (RunStatus::Completed, 2));
    let before = format!("before run {} over 2", done.run.id);
    assert_eq!(*seen.0.lock().expect("nobody panicked"), [&before, "Ann in greet_people", "Bob in greet_people"]);
    let greeted: i64 = sqlx::query_scalar("SELECT sum(greeted) FROM people").fetch_one(&pool).await.expect("a sum");
    assert_eq!(greeted, 14);
}

#[tokio::test]
async fn an_error_of_an_element_names_the_key_of_its_row() {
    let pool = people(&["Ann", "Nobody"]).await;
    let done = testing::Runner::new(&pool).state(Arc::new(Seen::default())).run(greeting()).await.expect("a run");
    assert_eq!((done.run.status, done.batches[0].status), (RunStatus::Failed, BatchStatus::Failed));
    assert_eq!(done.errors().collect::<Vec<_>>(), ["row with key 2: there is no Nobody"]);
    let greeted: i64 = sqlx::query_scalar("SELECT sum(greeted) FROM people").fetch_one(&pool).await.expect("a sum");
    assert_eq!(greeted, 0, "the batch was rolled back");
}
