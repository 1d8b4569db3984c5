//! The registry, and what `assert_backfills!` finds.

use super::*;
use crate::backfill::{Context, State};
use crate::batch::Batch;
use crate::options::{Field, Input, Options};
use crate::scope::Scope;

/// A backfill that does nothing, with a name and fields.
macro_rules! backfill {
    ($type:ident, $name:literal, [$($field:expr),*], [$($state:ty),*]) => {
        struct $type;

        impl Options for $type {
            const NAME: &'static str = $name;

            fn fields() -> Vec<Field> {
                vec![$($field),*]
            }

            fn parse(input: &mut Input<'_>) -> Option<Self> {
                let _: Option<i64> = input.take("age");
                Some(Self)
            }
        }

        impl Backfill for $type {
            type Database = sqlx::Sqlite;

            fn states() -> Vec<StateType> {
                vec![$(StateType::of::<$state>()),*]
            }

            fn scope(&self) -> Scope<sqlx::Sqlite> {
                Scope::table("people")
            }

            async fn process(&self, _: &mut Batch<'_, sqlx::Sqlite>, context: &Context) -> crate::error::Result {
                $(let _: State<$state> = context.state();)*
                let _ = context;
                Ok(())
            }
        }
    };
}

struct Mailer;

fn age() -> Field {
    Field::of::<i64>("age")
}

backfill!(Sound, "sound", [age().default(18_i64).min(0_i64)], []);
backfill!(Namesake, "sound", [age()], []);
backfill!(Needy, "needy", [age()], [Mailer]);
backfill!(BelowMin, "below_min", [age().default(5_i64).min(18_i64)], []);
backfill!(Crossed, "crossed", [age().min(10_i64).max(1_i64)], []);
backfill!(Twice, "twice", [age(), age()], []);

fn problems_of(registrations: Vec<Registration>) -> Vec<String> {
    problems(registrations, &[]).err().unwrap_or_default()
}

#[test]
fn backfills_are_found_by_name() {
    let registry = Registry::new([Registration::of::<Sound>(), Registration::of::<Needy>()]).unwrap();
    assert_eq!(registry.get("needy").unwrap().info.type_name, type_name::<Needy>());
    assert_eq!(registry.get("sound").unwrap().info.module, module_path!());
    assert!(registry.get("nobody").is_none());
    let names: Vec<_> = registry.iter().map(|registration| registration.info.name).collect();
    assert_eq!(names, ["needy", "sound"]);
}

#[test]
fn one_type_twice_is_harmless_and_two_types_under_one_name_are_not() {
    assert!(Registry::new([Registration::of::<Sound>(), Registration::of::<Sound>()]).is_ok());
    let error = Registry::new([Registration::of::<Sound>(), Registration::of::<Namesake>()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for name in ["`sound`", type_name::<Sound>(), type_name::<Namesake>()] {
        assert!(error.to_string().contains(name), "{error} does not name {name}");
    }
}

#[test]
fn a_definition_is_there_for_its_own_database() {
    let registration = Registration::of::<Sound>();
    let definition = registration.definition::<sqlx::Sqlite>().expect("written for SQLite");
    let given = std::collections::HashMap::new();
    assert_eq!(definition.parse(&given).unwrap().values(), crate::options::Values::new());
}

#[test]
fn an_empty_registry_says_how_to_link_the_crate() {
    let problems = problems_of(vec![]);
    assert!(problems[0].contains("use my_backfills as _;"), "{problems:?}");
}

#[test]
fn sound_backfills_have_no_problems() {
    assert_eq!(problems_of(vec![Registration::of::<Sound>(), Registration::of::<Sound>()]), Vec::<String>::new());
    assert!(problems([Registration::of::<Needy>()], &[StateType::of::<Mailer>()]).is_ok());
}

#[test]
fn every_problem_is_told() {
    let all = vec![
        Registration::of::<Sound>(),
        Registration::of::<Namesake>(),
        Registration::of::<Needy>(),
        Registration::of::<BelowMin>(),
        Registration::of::<Crossed>(),
        Registration::of::<Twice>(),
    ];
    let found = problems_of(all).join("\n");
    for expected in [
        "two backfills are named `sound`",
        "asks for `State<data_drip::registry::tests::Mailer>`",
        "BelowMin`, option `age`: its default must be at least 18",
        "Crossed`, option `age`: `min` and `max` leave nothing between them: `min` must be at most 1",
        "Twice`, option `age`: two options have this name",
    ] {
        assert!(found.contains(expected), "no \"{expected}\" in:\n{found}");
    }
}

#[test]
fn the_slice_is_never_empty() {
    assert!(!DATA_DRIP_BACKFILLS_V0_1.is_empty());
}
