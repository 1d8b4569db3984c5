//! The parser against what forms, JSON and code can give it.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hour {
    Earlier,
    Later,
}

impl OptionEnum for Hour {
    const CHOICES: &'static [(&'static str, &'static str)] = &[("earlier", "The earlier one"), ("later", "Later")];

    fn value(&self) -> &'static str {
        match self {
            Self::Earlier => "earlier",
            Self::Later => "later",
        }
    }

    fn from_value(value: &str) -> Option<Self> {
        [Self::Earlier, Self::Later].into_iter().find(|hour| hour.value() == value)
    }
}

impl OptionValue for Hour {
    fn kind() -> Kind {
        enum_kind::<Self>()
    }

    fn parse(raw: &Raw, _: &Field) -> Result<Self, String> {
        parse_enum(raw)
    }

    fn to_json(&self) -> Value {
        Value::from(self.value())
    }
}

/// One option called `it`, parsed by `field`.
fn parse_one<T: OptionValue>(field: Field, raw: Option<Raw>) -> Result<T, String> {
    let raw: HashMap<_, _> = raw.into_iter().map(|raw| ("it".to_owned(), raw)).collect();
    let fields = [field];
    let mut input = Input::new(&fields, &raw);
    input.take("it").ok_or_else(|| input.errors()[0].message.clone())
}

fn plain<T: OptionValue>(raw: Option<Raw>) -> Result<T, String> {
    parse_one(Field::of::<T>("it"), raw)
}

#[expect(clippy::unnecessary_wraps, reason = "what the parser takes")]
fn json_of(value: Value) -> Option<Raw> {
    Some(Raw::Json(value))
}

#[expect(clippy::unnecessary_wraps, reason = "what a parser takes")]
fn form(texts: &[&str]) -> Option<Raw> {
    Some(Raw::Form(texts.iter().map(|text| (*text).to_owned()).collect()))
}

fn refused<T>(message: &str) -> Result<T, String> {
    Err(message.to_owned())
}

#[test]
fn an_option_without_default_is_required_unless_it_is_optional() {
    assert_eq!(plain::<i64>(None), refused("is required"));
    assert_eq!(plain::<i64>(form(&[" "])), refused("is required"));
    assert_eq!(plain::<i64>(json_of(Value::Null)), refused("is required"));
    assert_eq!(plain::<Hour>(form(&[""])), refused("is required"));
    assert_eq!(plain::<Option<i64>>(None), Ok(None));
    assert_eq!(plain::<Option<i64>>(form(&[""])), Ok(None));
    assert_eq!(plain::<Option<i64>>(json_of(Value::Null)), Ok(None));
}

#[test]
fn what_is_not_given_has_its_default() {
    let field = || Field::of::<i64>("it").default(18_i64);
    assert!(!field().required);
    assert_eq!(parse_one::<i64>(field(), None), Ok(18));
    assert_eq!(parse_one::<i64>(field(), form(&[""])), Ok(18));
    assert_eq!(
        parse_one::<i64>(field(), json_of(Value::Null)),
        refused("must not be null; leave it out to get the default")
    );
    let optional = || Field::of::<Option<i64>>("it").default(18_i64);
    assert_eq!(parse_one::<Option<i64>>(optional(), form(&[""])), Ok(Some(18)));
    assert_eq!(parse_one::<Option<i64>>(optional(), json_of(Value::Null)), Ok(None));
}

#[test]
fn text_is_kept_to_the_letter_and_blank_text_is_not_enough() {
    assert_eq!(plain::<String>(form(&["  Sales\r\n"])), Ok("  Sales\r\n".to_owned()));
    assert_eq!(plain::<String>(json_of(json!("  "))), refused("must not be blank"));
    assert_eq!(plain::<String>(form(&["  "])), refused("is required"));
    assert_eq!(plain::<Option<String>>(json_of(json!(""))), Ok(Some(String::new())));
    assert_eq!(plain::<Option<String>>(form(&["  "])), Ok(None));
    assert_eq!(plain::<String>(json_of(json!(5))), refused("must be text"));
    assert_eq!(plain::<String>(form(&["a", "b"])), refused("takes one value only"));
}

#[test]
fn an_unticked_box_is_false_and_a_missing_boolean_is_an_error() {
    assert_eq!(plain::<bool>(form(&[])), Ok(false));
    assert_eq!(plain::<bool>(form(&["on"])), Ok(true));
    assert_eq!(plain::<bool>(form(&["false", "true"])), Ok(true));
    assert_eq!(plain::<bool>(None), refused("is required"));
    assert_eq!(plain::<bool>(json_of(json!("true"))), refused("must be true or false"));
    let ticked = Field::of::<bool>("it").default(true);
    assert_eq!(parse_one::<bool>(ticked.clone(), None), Ok(true));
    assert_eq!(parse_one::<bool>(ticked, form(&[])), Ok(false));
    assert_eq!(plain::<Option<bool>>(form(&[])), Ok(None));
    assert_eq!(plain::<Option<bool>>(form(&["false"])), Ok(Some(false)));
}

#[test]
fn whole_numbers_are_whole_and_in_range() {
    assert_eq!(plain::<u8>(form(&[" 42 "])), Ok(42));
    assert_eq!(plain::<u8>(json_of(json!(42.0))), Ok(42));
    assert_eq!(plain::<u8>(json_of(json!(4.5))), refused("must be a whole number"));
    assert_eq!(plain::<u8>(json_of(json!("42"))), refused("must be a whole number"));
    assert_eq!(plain::<u8>(form(&["4.5"])), refused("must be a whole number"));
    assert_eq!(plain::<u8>(form(&["1_000"])), refused("must be a whole number"));
    assert_eq!(plain::<u8>(json_of(json!(256))), refused("must be between 0 and 255"));
    assert_eq!(plain::<u8>(form(&["-1"])), refused("must be between 0 and 255"));
    assert_eq!(plain::<i8>(form(&["9".repeat(60).as_str()])), refused("must be between -128 and 127"));
    assert_eq!(plain::<i8>(json_of(json!(1e300))), refused("must be between -128 and 127"));
    assert_eq!(plain::<u64>(json_of(json!(u64::MAX))), Ok(u64::MAX));
    assert_eq!(plain::<i64>(json_of(json!(i64::MIN))), Ok(i64::MIN));
    assert_eq!(plain::<i64>(form(&[&u64::MAX.to_string()])), plain::<i64>(json_of(json!(u64::MAX))));
}

#[test]
fn bounds_hold_for_every_way_in_and_for_the_default() {
    let field = || Field::of::<Option<i64>>("it").min(1_i64).max(10_i64);
    assert_eq!(parse_one::<Option<i64>>(field(), form(&["10"])), Ok(Some(10)));
    assert_eq!(parse_one::<Option<i64>>(field(), form(&["11"])), refused("must be at most 10"));
    assert_eq!(parse_one::<Option<i64>>(field(), json_of(json!(0))), refused("must be at least 1"));
    assert_eq!(parse_one::<Option<i64>>(field().default(0_i64), None), refused("must be at least 1"));
    let ratio = Field::of::<f64>("it").max(0.5);
    assert_eq!(parse_one::<f64>(ratio, form(&["0.75"])), refused("must be at most 0.5"));
}

#[test]
fn floats_are_finite() {
    assert_eq!(plain::<f64>(form(&["1e3"])), Ok(1000.0));
    assert_eq!(plain::<f64>(json_of(json!(3))), Ok(3.0));
    assert_eq!(plain::<f64>(form(&["NaN"])), refused("must be a finite number"));
    assert_eq!(plain::<f64>(form(&["much"])), refused("must be a number"));
    assert_eq!(plain::<f64>(json_of(json!("3"))), refused("must be a number"));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(plain::<f64>(json_of(value.to_json())), refused("must be a finite number"), "built in code");
        assert_eq!(plain::<Option<f64>>(json_of(Some(value).to_json())), refused("must be a finite number"));
    }
    assert!(plain::<f32>(json_of(json!(1e300))).unwrap_err().starts_with("must be between -3.4"));
    assert_eq!(0.1_f32.to_json(), json!(0.1));
}

#[cfg(feature = "decimal")]
#[test]
fn decimals_are_exact() {
    use rust_decimal::Decimal;
    assert_eq!(plain::<Decimal>(form(&["0.10"])).unwrap().to_string(), "0.10");
    assert_eq!(plain::<Decimal>(json_of(json!(0.1))), Ok(Decimal::new(1, 1)));
    assert_eq!(plain::<Decimal>(json_of(json!("7"))), Ok(Decimal::from(7)));
    assert_eq!(plain::<Decimal>(json_of(json!(7))), Ok(Decimal::from(7)));
    assert!(plain::<Decimal>(form(&[&format!("0.{}", "1".repeat(40))])).is_err(), "would be rounded");
    let field = Field::of::<Decimal>("it").max(Decimal::new(5, 1));
    assert_eq!(parse_one::<Decimal>(field, form(&["0.6"])), refused("must be at most 0.5"));
}

#[test]
fn dates_and_times_are_read_as_browsers_send_them() {
    let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let minute = NaiveTime::from_hms_opt(23, 59, 0).unwrap();
    assert_eq!(plain(form(&["2026-01-31"])), Ok(day));
    assert_eq!(plain(form(&["23:59"])), Ok(minute));
    assert_eq!(plain(form(&["23:59:00"])), Ok(minute));
    assert_eq!(plain(form(&["2026-01-31T23:59"])), Ok(day.and_time(minute)));
    assert_eq!(plain(form(&["2026-01-31T23:59"])), Ok(day.and_time(minute).and_utc()));
    assert_eq!(plain(json_of(json!("2026-01-31T23:59:00Z"))), Ok(day.and_time(minute).and_utc()));
    assert_eq!(plain(json_of(json!("2026-02-01T01:59:00+02:00"))), Ok(day.and_time(minute).and_utc()));
    assert_eq!(plain::<NaiveDate>(form(&["2026-02-30"])), refused("must be a date like 2026-01-31"));
    assert_eq!(plain::<NaiveTime>(json_of(json!(5))), refused("must be a time like 23:59:59"));
    assert_eq!(plain::<DateTime<Utc>>(form(&["now"])), refused("must be a moment like 2026-01-31T23:59:59Z"));
}

#[test]
fn a_choice_is_one_of_the_enum() {
    assert_eq!(plain(form(&["later"])), Ok(Hour::Later));
    assert_eq!(plain::<Hour>(json_of(json!("noon"))), refused("must be one of earlier, later"));
    assert_eq!(plain::<Hour>(json_of(json!(1))), refused("must be one of earlier, later"));
    let Kind::Select { choices } = Hour::kind() else { panic!("a select") };
    assert_eq!(choices[0], Choice { value: "earlier".to_owned(), label: "The earlier one".to_owned() });
}

#[test]
fn several_choices_may_be_none_in_a_form_and_have_to_be_given_in_json() {
    assert_eq!(plain(form(&["later", "earlier"])), Ok(vec![Hour::Later, Hour::Earlier]));
    assert_eq!(plain::<Vec<Hour>>(form(&[])), Ok(vec![]));
    assert_eq!(plain::<Vec<Hour>>(form(&["", "later"])), Ok(vec![Hour::Later]), "a hidden field in front");
    assert_eq!(plain::<Vec<Hour>>(json_of(json!([]))), Ok(vec![]));
    assert_eq!(plain::<Vec<Hour>>(None), refused("is required"));
    assert_eq!(plain::<Vec<Hour>>(json_of(json!("later"))), refused("must be a list"));
    assert_eq!(plain::<Vec<Hour>>(json_of(json!(["noon"]))), refused("must be one of earlier, later"));
    assert_eq!(plain::<Option<Vec<Hour>>>(form(&[])), Ok(None));
    assert_eq!(plain::<Option<Vec<Hour>>>(json_of(json!([]))), Ok(Some(vec![])));
}

#[derive(Debug)]
struct Two {
    age: i64,
    name: String,
}

impl Options for Two {
    const NAME: &'static str = "two";

    fn fields() -> Vec<Field> {
        vec![Field::of::<i64>("age"), Field::of::<String>("name")]
    }

    fn parse(input: &mut Input<'_>) -> Option<Self> {
        let (age, name) = (input.take("age"), input.take("name"));
        Some(Self { age: age?, name: name? })
    }

    fn values(&self) -> Values {
        Values::from_iter([("age".to_owned(), self.age.to_json()), ("name".to_owned(), self.name.to_json())])
    }
}

#[test]
fn every_error_is_told_at_once_and_unknown_names_are_errors() {
    let raw = [("nmae", json!("Ann")), ("age", json!("old")), ("zzz", json!(1))];
    let raw = raw.into_iter().map(|(name, value)| (name.to_owned(), Raw::Json(value))).collect();
    let errors: Vec<_> = parse::<Two>(&raw).unwrap_err().into_iter().map(|e| (e.field, e.message)).collect();
    let expected = [
        ("age", "must be a whole number"),
        ("name", "is required"),
        ("nmae", "is not an option of this backfill; did you mean `name`?"),
        ("zzz", "is not an option of this backfill"),
    ];
    assert_eq!(errors, expected.map(|(field, message)| (field.to_owned(), message.to_owned())));
}

#[test]
fn code_and_stored_runs_take_the_same_way() {
    let built = Two { age: 7, name: String::new() };
    let given = built.values().into_iter().map(|(name, value)| (name, Raw::Json(value))).collect();
    let errors = parse::<Two>(&given).unwrap_err();
    assert_eq!((errors[0].field.as_str(), errors[0].message.as_str()), ("name", "must not be blank"));
}

/// Through the JSON text that a run stores.
fn round_trip<T: OptionValue + PartialEq + std::fmt::Debug>(value: &T) -> Result<(), TestCaseError> {
    let stored = serde_json::to_string(&value.to_json()).expect("JSON");
    let raw = Raw::Json(serde_json::from_str(&stored).expect("JSON"));
    let parsed = plain::<T>(Some(raw));
    prop_assert_eq!(parsed.as_ref(), Ok(value));
    Ok(())
}

fn day() -> impl Strategy<Value = NaiveDate> {
    (i32::from(i16::MIN)..=i32::from(i16::MAX), 1_u32..=366)
        .prop_filter_map("no such day", |(y, d)| NaiveDate::from_yo_opt(y, d))
}

fn hour() -> impl Strategy<Value = NaiveTime> {
    // Nanoseconds beyond a second are leap seconds, which only the last second of a minute can have.
    (0_u32..86_400, 0_u32..1_000_000_000)
        .prop_filter_map("no such time", |(s, n)| NaiveTime::from_num_seconds_from_midnight_opt(s, n))
}

fn moment() -> impl Strategy<Value = NaiveDateTime> {
    (day(), hour()).prop_map(|(day, hour)| day.and_time(hour))
}

proptest! {
    #[test]
    fn parse_and_values_are_inverse_for_text(text in any::<String>()) {
        // Blank text is refused where it is required, and kept where it is optional.
        round_trip(&Some(text))?;
    }

    #[test]
    fn parse_and_values_are_inverse_for_whole_numbers(
        a in any::<i64>(), b in any::<u64>(), c in any::<i8>(), d in any::<Option<u16>>(), e in any::<isize>(),
    ) {
        for a in [a, i64::MIN, i64::MAX] { round_trip(&a)?; }
        for b in [b, u64::MAX, 0] { round_trip(&b)?; }
        round_trip(&c)?;
        round_trip(&d)?;
        round_trip(&e)?;
    }

    #[test]
    fn parse_and_values_are_inverse_for_floats(
        a in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        b in proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO,
    ) {
        round_trip(&a)?;
        round_trip(&b)?;
    }

    #[test]
    fn parse_and_values_are_inverse_for_dates_and_times(day in day(), hour in hour(), moment in moment()) {
        round_trip(&day)?;
        round_trip(&hour)?;
        round_trip(&moment)?;
        round_trip(&moment.and_utc())?;
    }

    #[test]
    fn parse_and_values_are_inverse_for_choices(picks in proptest::collection::vec(any::<bool>(), 0..5), some in any::<bool>()) {
        let hours: Vec<_> = picks.iter().map(|pick| if *pick { Hour::Earlier } else { Hour::Later }).collect();
        round_trip(&hours)?;
        round_trip(&some.then_some(hours))?;
        round_trip(&some)?;
    }

    #[cfg(feature = "decimal")]
    #[test]
    fn parse_and_values_are_inverse_for_decimals(digits in any::<i64>(), scale in 0_u32..=28) {
        let value = rust_decimal::Decimal::new(digits, scale);
        round_trip(&value)?;
        prop_assert_eq!(plain::<rust_decimal::Decimal>(json_of(value.to_json())).unwrap().scale(), scale);
    }

    #[test]
    fn whatever_a_form_sends_is_an_answer_and_not_a_panic(texts in proptest::collection::vec(any::<String>(), 0..3)) {
        let raw = || Some(Raw::Form(texts.clone()));
        let _ = (plain::<String>(raw()), plain::<i8>(raw()), plain::<f32>(raw()), plain::<bool>(raw()));
        let _ = (plain::<DateTime<Utc>>(raw()), plain::<NaiveTime>(raw()), plain::<Vec<Hour>>(raw()));
    }
}
