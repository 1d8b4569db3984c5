//! Whose name resolves where, and at which place errors are shown.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Path;

/// Resolves like generated code, is shown at the user's token.
///
/// With a span of the user's own, rustc takes the generated call for theirs and proposes to edit it.
pub(super) fn located(at: Span) -> Span {
    Span::call_site().located_at(at)
}

/// The user's tokens as part of generated code, each shown where it stands.
pub(super) fn relocate(tokens: &impl ToTokens) -> TokenStream {
    moved(tokens.to_token_stream(), located)
}

/// Generated tokens shown at the user's token, all of them: an error is shown from the first to the last of a path.
pub(super) fn shown_at(at: Span, tokens: TokenStream) -> TokenStream {
    moved(tokens, |_| located(at))
}

/// `::data_drip::__private`, shown at the user's token.
pub(super) fn private(krate: &Path, at: Span) -> TokenStream {
    shown_at(at, quote!(#krate::__private))
}

fn moved(tokens: TokenStream, to: impl Fn(Span) -> Span + Copy) -> TokenStream {
    let move_tree = |tree| match tree {
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), moved(group.stream(), to));
            inner.set_span(to(group.span()));
            TokenTree::Group(inner)
        }
        // `$crate` is found by its span alone.
        TokenTree::Ident(ident) if ident == "$crate" => TokenTree::Ident(ident),
        mut tree => {
            tree.set_span(to(tree.span()));
            tree
        }
    };
    tokens.into_iter().map(move_tree).collect()
}
