//! What kind of option a type is, as far as its name tells; rustc knows the rest.

use syn::{GenericArgument, PathArguments, Type};

/// A type by its last name. Aliases and enums are `Other`: what is unsure is left to the type checker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text,
    Bool,
    Integer {
        min: i128,
        max: i128,
    },
    Float,
    Decimal,
    /// Dates and times, each with an expression that makes one.
    Temporal {
        example: &'static str,
    },
    List,
    Other,
}

impl Kind {
    pub(crate) fn of(ty: &Type) -> Self {
        let Some((name, argument)) = last_segment(ty) else { return Self::Other };
        match (name.as_str(), argument) {
            ("String", None) => Self::Text,
            ("bool", None) => Self::Bool,
            ("f32" | "f64", None) => Self::Float,
            ("Decimal", None) => Self::Decimal,
            ("NaiveDate", None) => Self::Temporal { example: "NaiveDate::from_ymd_opt(2026, 1, 31).unwrap()" },
            ("NaiveTime", None) => Self::Temporal { example: "NaiveTime::from_hms_opt(23, 59, 59).unwrap()" },
            ("NaiveDateTime", None) => Self::Temporal { example: "NaiveDate::MIN.and_time(NaiveTime::MIN)" },
            ("DateTime", Some(_)) => Self::Temporal { example: "Utc::now()" },
            ("Vec", Some(_)) => Self::List,
            (name, None) => integer(name).unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }
}

fn integer(name: &str) -> Option<Kind> {
    macro_rules! ranges {
        ($($type:ident),*) => {
            match name {
                $(stringify!($type) => Some(Kind::Integer { min: $type::MIN.into(), max: $type::MAX.into() }),)*
                // The width of the machine that compiles need not be that of the one that runs.
                "isize" => Some(Kind::Integer { min: i64::MIN.into(), max: i64::MAX.into() }),
                "usize" => Some(Kind::Integer { min: 0, max: u64::MAX.into() }),
                _ => None,
            }
        };
    }
    ranges!(i8, i16, i32, i64, u8, u16, u32, u64)
}

/// The `T` of an `Option<T>`.
pub(crate) fn inside_option(ty: &Type) -> Option<&Type> {
    match last_segment(ty) {
        Some((name, Some(inner))) if name == "Option" => Some(inner),
        _ => None,
    }
}

/// The name of a path's last segment and its one type argument.
fn last_segment(ty: &Type) -> Option<(String, Option<&Type>)> {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            let segment = path.path.segments.last()?;
            let argument = match &segment.arguments {
                PathArguments::AngleBracketed(list) => list.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                }),
                _ => None,
            };
            Some((segment.ident.to_string(), argument))
        }
        // What a `macro_rules!` fragment or parentheses put around it changes nothing.
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(ty: &str) -> Kind {
        Kind::of(&syn::parse_str(ty).unwrap())
    }

    #[test]
    fn kinds_are_known_by_the_last_name() {
        assert_eq!(kind("std::string::String"), Kind::Text);
        assert_eq!(kind("i8"), Kind::Integer { min: -128, max: 127 });
        assert_eq!(kind("(u8)"), Kind::Integer { min: 0, max: 255 });
        assert_eq!(kind("Vec<Weekday>"), Kind::List);
        assert_eq!(kind("Weekday"), Kind::Other);
        assert!(matches!(kind("chrono::DateTime<Utc>"), Kind::Temporal { .. }));
    }

    #[test]
    fn an_option_is_looked_into() {
        let ty: Type = syn::parse_str("std::option::Option<i64>").unwrap();
        assert_eq!(inside_option(&ty).map(Kind::of), Some(kind("i64")));
        assert!(inside_option(&syn::parse_str("Vec<i64>").unwrap()).is_none());
    }
}
