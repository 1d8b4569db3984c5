//! Names made from identifiers.

use syn::Ident;
use syn::ext::IdentExt;

/// `AddRoleToEmployee` is stored as `add_role_to_employee`, `HTTPRetry` as `http_retry`.
pub(crate) fn snake_case(ident: &Ident) -> String {
    let letters: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut name = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let after = letters.get(i + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before != '_' && (!before.is_uppercase() || after.is_some_and(|c| c.is_lowercase()))
            });
        if starts_word {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// `NextMonday` is shown as "Next monday".
pub(crate) fn label(ident: &Ident) -> String {
    let words = snake_case(ident).replace('_', " ");
    let mut letters = words.trim().chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(name: &str) -> Ident {
        syn::parse_str(name).unwrap()
    }

    #[test]
    fn a_type_is_stored_in_snake_case() {
        for (name, stored) in [
            ("AddRoleToEmployee", "add_role_to_employee"),
            ("HTTPRetry", "http_retry"),
            ("FixUtf8Names2", "fix_utf8_names2"),
            ("Already_Split", "already_split"),
            ("r#Type", "type"),
            ("ÄndereÖl", "ändere_öl"),
        ] {
            assert_eq!(snake_case(&ident(name)), stored);
        }
    }

    #[test]
    fn a_variant_is_shown_as_words() {
        assert_eq!(label(&ident("NextMonday")), "Next monday");
        assert_eq!(label(&ident("Later")), "Later");
    }
}
