//! Whose name resolves where, and at which place errors are shown.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// Resolves like generated code, is shown at the user's token.
///
/// With a span of the user's own, rustc takes the generated call for theirs and proposes to edit it.
pub(super) fn located(at: Span) -> Span {
    Span::call_site().located_at(at)
}

/// `::data_drip::__private`, all of it shown at the user's token: an error is shown from a path's first token to its last.
pub(super) fn private(krate: &Path, at: Span) -> TokenStream {
    let path = krate.to_token_stream().into_iter().map(|tree| match tree {
        TokenTree::Ident(ident) if ident == "$crate" => TokenTree::Ident(ident),
        mut tree => {
            tree.set_span(located(at));
            tree
        }
    });
    let path: TokenStream = path.collect();
    quote_spanned!(located(at)=> #path::__private)
}

/// The user's tokens as part of generated code.
pub(super) fn relocate(tokens: &impl ToTokens) -> TokenStream {
    tokens.to_token_stream().into_iter().map(relocate_tree).collect()
}

fn relocate_tree(tree: TokenTree) -> TokenTree {
    match tree {
        TokenTree::Group(group) => {
            let mut moved = Group::new(group.delimiter(), group.stream().into_iter().map(relocate_tree).collect());
            moved.set_span(located(group.span()));
            TokenTree::Group(moved)
        }
        // `$crate` is found by its span alone.
        TokenTree::Ident(ident) if ident == "$crate" => TokenTree::Ident(ident),
        mut tree => {
            tree.set_span(located(tree.span()));
            tree
        }
    }
}
