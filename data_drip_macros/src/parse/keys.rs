//! `key = value` lists: every key known, none twice.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, Token};

use crate::error::Errors;
use crate::suggest::hint;

/// The keys that an attribute knows, each as one has to write it.
pub(crate) struct Known {
    /// `#[backfill]`.
    pub(crate) attribute: &'static str,
    /// Name and example.
    pub(crate) keys: &'static [(&'static str, &'static str)],
}

impl Known {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|(name, _)| *name)
    }

    /// How the key is written.
    fn example(&self, name: &str) -> &'static str {
        self.keys.iter().find(|(known, _)| *known == name).map_or("", |(_, example)| example)
    }
}

/// `key` or `key = value`.
pub(crate) struct Key {
    pub(crate) name: Ident,
    value: Option<Expr>,
    example: &'static str,
}

impl Parse for Key {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("write `key = value`"));
        }
        let name = Ident::parse_any(input)?;
        let assigned: Option<Token![=]> = input.parse()?;
        if assigned.is_none() && !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error(format!("write `{name} = …`")));
        }
        let value = assigned.map(|_| input.parse()).transpose()?;
        Ok(Self { name, value, example: "" })
    }
}

impl Key {
    /// The value of a key that has to have one.
    pub(crate) fn value(&self) -> syn::Result<&Expr> {
        self.value.as_ref().ok_or_else(|| {
            syn::Error::new_spanned(&self.name, format!("`{}` needs a value: `{}`", self.name, self.example))
        })
    }

    /// That a key which is a mere word has no value.
    pub(crate) fn word(&self) -> syn::Result<()> {
        match &self.value {
            None => Ok(()),
            Some(value) => {
                Err(syn::Error::new_spanned(value, format!("`{}` takes no value: write `{}`", self.name, self.name)))
            }
        }
    }

    /// The value is no such thing as this key takes.
    pub(crate) fn refuse(&self, wanted: &str) -> syn::Error {
        let message = format!("`{}` takes {wanted}: `{}`", self.name, self.example);
        match &self.value {
            Some(value) => syn::Error::new_spanned(value, message),
            None => syn::Error::new_spanned(&self.name, message),
        }
    }
}

/// The keys of one attribute.
pub(crate) struct Keys(Vec<Key>);

impl Keys {
    /// Parses the lists, refuses unknown and repeated keys.
    pub(crate) fn parse(lists: impl IntoIterator<Item = TokenStream>, known: &Known, errors: &mut Errors) -> Self {
        let mut keys: Vec<Key> = Vec::new();
        for list in lists {
            let parsed = Punctuated::<Key, Token![,]>::parse_terminated.parse2(list);
            for mut key in errors.ok(parsed).into_iter().flatten() {
                let name = key.name.to_string();
                key.example = known.example(&name);
                if key.example.is_empty() {
                    errors.at(&key.name, unknown(&name, known));
                } else if keys.iter().any(|earlier| earlier.name == key.name) {
                    errors.at(&key.name, format!("`{name}` is given twice: keep one"));
                } else {
                    keys.push(key);
                }
            }
        }
        Self(keys)
    }

    /// The key of this name, if it was given.
    pub(crate) fn take(&mut self, name: &str) -> Option<Key> {
        let index = self.0.iter().position(|key| key.name == name)?;
        Some(self.0.swap_remove(index))
    }

    /// The keys that nobody took.
    pub(crate) fn rest(self) -> Vec<Key> {
        self.0
    }
}

fn unknown(name: &str, known: &Known) -> String {
    let hint = hint(name, known.names());
    let all: Vec<_> = known.names().map(|name| format!("`{name}`")).collect();
    format!("unknown {} key `{name}`{hint} (known: {})", known.attribute, all.join(", "))
}
