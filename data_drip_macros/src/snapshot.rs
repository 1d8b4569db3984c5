//! What the macros emit, on record: a change of it is made on purpose and seen in review.

use std::fs;
use std::path::PathBuf;

use proc_macro2::TokenStream;
use quote::quote;

/// A backfill with one of each: settings, a default, a bound, choices, states, hooks.
fn expanded() -> TokenStream {
    let structure = super::struct_half(
        quote!(batch_size = 1_000, sleep = "500ms", lock = none),
        syn::parse_quote! {
            /// Gives employees a role.
            #[derive(Debug)]
            pub struct AddRole {
                /// Only of this department.
                #[option(choices = departments, masked)]
                pub department: String,
                #[option(default = 18, min = 0, label = "Least age")]
                pub age: Option<i64>,
            }
        },
    );
    let implementation = super::impl_half(
        TokenStream::new(),
        syn::parse_quote! {
            impl AddRole {
                fn scope(&self) -> Scope { Scope::table("employees") }
                async fn process_element(&self, row: Row, conn: &mut Connection, mailer: State<Mailer>, run: &Run) -> data_drip::Result { Ok(()) }
                async fn before_run(&self, run: &Run, conn: &mut Connection) {}
                async fn on_run_failed(&self, run: &Run, mailer: State<Mailer>) {}
                async fn on_batch_failed(&self, run: &Run, batch: &RunBatch) -> Result<(), Oops> { Ok(()) }
            }
        },
    );
    let set_wise = super::impl_half(
        TokenStream::new(),
        syn::parse_quote! {
            impl Touch {
                fn scope(&self) -> Scope { Scope::table("employees") }
                async fn process_batch(&self, batch: &mut Batch<'_>) {}
            }
        },
    );
    let choices = super::derive_half(syn::parse_quote! {
        enum Hour {
            /// Refuse such rows.
            Reject,
            #[option(rename = "first")]
            Earlier,
        }
    });
    let broken = super::struct_half(
        quote!(nmae = "fix"),
        syn::parse_quote!(
            struct Fix {
                #[option(defualt = 1)]
                age: i64,
            }
        ),
    );
    quote!(#structure #implementation #set_wise #choices #broken)
}

/// Write the record anew with `DATA_DRIP_BLESS=1 cargo test -p data_drip_macros`.
#[test]
fn the_expansion_is_the_one_on_record() {
    let file = syn::parse2(expanded()).expect("generated code parses");
    let actual = prettyplease::unparse(&file);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/snapshots/expansion.rs");
    if std::env::var_os("DATA_DRIP_BLESS").is_some() {
        fs::write(&path, &actual).expect("the record can be written");
    }
    let recorded = fs::read_to_string(&path).expect("tests/snapshots/expansion.rs").replace("\r\n", "\n");
    assert!(recorded == actual, "the expansion has changed; if on purpose, DATA_DRIP_BLESS=1 records it:\n{actual}");
}
