//! `impl OptionEnum` and the `impl OptionValue` that comes with it.

use proc_macro2::TokenStream;
use quote::quote;

use super::span::relocate;
use crate::model::OptionEnum;

pub(crate) fn option_enum(model: &OptionEnum) -> TokenStream {
    let krate = &model.krate;
    let ident = relocate(&model.ident);
    let idents: Vec<_> = model.variants.iter().map(|variant| &variant.ident).collect();
    let values: Vec<_> = model.variants.iter().map(|variant| &variant.value).collect();
    let labels = model.variants.iter().map(|variant| &variant.label);
    // The stub of an enum with mistakes has no variants to match.
    let value = if idents.is_empty() { quote!("") } else { quote!(match self { #(Self::#idents => #values),* }) };
    quote! {
        #[automatically_derived]
        impl #krate::__private::OptionEnum for #ident {
            const CHOICES: &'static [(&'static str, &'static str)] = &[#((#values, #labels)),*];

            fn value(&self) -> &'static str {
                #value
            }

            fn from_value(value: &str) -> #krate::__private::Option<Self> {
                match value {
                    #(#values => #krate::__private::Option::Some(Self::#idents),)*
                    _ => #krate::__private::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl #krate::__private::OptionValue for #ident {
            fn kind() -> #krate::__private::Kind {
                #krate::__private::enum_kind::<Self>()
            }

            fn parse(
                raw: &#krate::__private::Raw,
                _: &#krate::__private::Field,
            ) -> #krate::__private::Result<Self, #krate::__private::String> {
                #krate::__private::parse_enum(raw)
            }

            fn to_json(&self) -> #krate::__private::Value {
                #krate::__private::Value::from(#krate::__private::OptionEnum::value(self))
            }
        }
    }
}
