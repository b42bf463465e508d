//! Reads crates into modules: what each defines, imports and names. Code that only tests see is left out.

use std::collections::{BTreeMap, BTreeSet};

use syn::buffer::{Cursor, TokenBuffer};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility};

/// A module by its path, such as `kube_prepull::plan::capacity`.
pub type Id = Vec<String>;

/// All modules of some crates.
#[derive(Default)]
pub struct Crates {
    pub modules: BTreeMap<Id, Module>,
}

/// What a module says. A module within braces has the file of the one around it.
#[derive(Default)]
pub struct Module {
    pub file: String,
    /// The names that it defines, besides modules.
    pub items: BTreeSet<String>,
    /// Those that are structs, enums or names of other types.
    pub types: Vec<String>,
    pub imports: Vec<Import>,
    /// The paths in its code, but for those of its imports.
    pub paths: BTreeSet<Vec<String>>,
}

/// One name of a `use`; `*` for all that there are.
pub struct Import {
    pub path: Vec<String>,
    pub name: String,
    /// Whether it is offered to others as well.
    pub offered: bool,
}

impl Crates {
    /// Reads a crate from its root file on. `read` returns the text of a file, if it exists.
    pub fn read(&mut self, name: &str, root: &str, read: &dyn Fn(&str) -> Option<String>) {
        let (folder, _) = root.rsplit_once('/').unwrap_or_default();
        self.read_file(vec![name.to_owned()], root, folder, read);
    }

    /// `folder` is where the files of its child modules are.
    fn read_file(&mut self, id: Id, file: &str, folder: &str, read: &dyn Fn(&str) -> Option<String>) {
        let text = read(file).unwrap_or_else(|| panic!("{file} does not exist"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.read_items(id, file, folder, &parsed.items, read);
    }

    fn read_items(&mut self, id: Id, file: &str, folder: &str, items: &[Item], read: &dyn Fn(&str) -> Option<String>) {
        let mut reader = Reader { module: Module { file: file.to_owned(), ..Module::default() }, children: Vec::new() };
        items.iter().for_each(|item| reader.visit_item(item));
        self.modules.insert(id.clone(), reader.module);
        for child in reader.children {
            let name = child.ident.unraw().to_string();
            let id: Id = id.iter().cloned().chain([name.clone()]).collect();
            let below = format!("{folder}/{name}");
            match &child.content {
                Some((_, items)) => self.read_items(id, file, &below, items, read),
                None => {
                    let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
                    let found = candidates.iter().find(|path| read(path).is_some());
                    let found = found.unwrap_or_else(|| panic!("{file}: there is no file for its module {name}"));
                    self.read_file(id, found, &below, read);
                }
            }
        }
    }
}

/// Reads one module. Child modules are left to whoever knows where they are.
struct Reader<'ast> {
    module: Module,
    children: Vec<&'ast ItemMod>,
}

impl<'ast> Visit<'ast> for Reader<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(it) => (&it.attrs, Some(&it.ident)),
            Item::Enum(it) => (&it.attrs, Some(&it.ident)),
            Item::Fn(it) => (&it.attrs, Some(&it.sig.ident)),
            Item::Impl(it) => (&it.attrs, None),
            Item::Macro(it) => (&it.attrs, None),
            Item::Mod(it) => (&it.attrs, None),
            Item::Static(it) => (&it.attrs, Some(&it.ident)),
            Item::Struct(it) => (&it.attrs, Some(&it.ident)),
            Item::Trait(it) => (&it.attrs, Some(&it.ident)),
            Item::Type(it) => (&it.attrs, Some(&it.ident)),
            Item::Union(it) => (&it.attrs, Some(&it.ident)),
            Item::Use(it) => (&it.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if attributes.iter().any(only_for_tests) {
            return;
        }
        if let Some(name) = name {
            let name = name.unraw().to_string();
            if matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Type(_)) {
                self.module.types.push(name.clone());
            }
            self.module.items.insert(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.children.push(item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let offered = !matches!(item.vis, Visibility::Inherited);
        flatten(&item.tree, &[], offered, &mut self.module.imports);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.module.paths.insert(names(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.visit_path(&it.path);
        scan(TokenBuffer::new2(it.tokens.clone()).begin(), &mut self.module.paths);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // Others say nothing of code, documentation least of all. Those of serde name functions, in strings.
        if attribute.path().is_ident("serde") {
            let named = attribute.parse_nested_meta(|meta| {
                if let Ok(value) = meta.value() {
                    let expression: syn::Expr = value.parse()?;
                    if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = expression
                        && let Ok(path) = text.parse::<syn::Path>()
                    {
                        self.module.paths.insert(names(&path));
                    }
                }
                Ok(())
            });
            drop(named);
        }
    }
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect()
}

fn only_for_tests(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg") && (condition == "test" || condition.replace(' ', "").starts_with("all(test,"))
}

fn flatten(tree: &UseTree, before: &[String], offered: bool, imports: &mut Vec<Import>) {
    let with =
        |name: &syn::Ident| -> Vec<String> { before.iter().cloned().chain([name.unraw().to_string()]).collect() };
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(&path.ident), offered, imports),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, offered, imports)),
        UseTree::Glob(_) => imports.push(Import { path: before.to_vec(), name: "*".to_owned(), offered }),
        UseTree::Name(name) if name.ident == "self" => {
            let name = before.last().cloned().unwrap_or_default();
            imports.push(Import { path: before.to_vec(), name, offered });
        }
        UseTree::Name(name) => {
            imports.push(Import { path: with(&name.ident), name: name.ident.unraw().to_string(), offered });
        }
        UseTree::Rename(renamed) => {
            let path = if renamed.ident == "self" { before.to_vec() } else { with(&renamed.ident) };
            imports.push(Import { path, name: renamed.rename.unraw().to_string(), offered });
        }
    }
}

/// The paths among the tokens that a macro is given: they need not be Rust.
fn scan(mut cursor: Cursor, paths: &mut BTreeSet<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    while !cursor.eof() {
        if let Some((name, rest)) = cursor.ident() {
            path.push(name.unraw().to_string());
            cursor = rest;
            match colons(cursor).filter(|after| after.ident().is_some()) {
                Some(after) => cursor = after,
                None => drop(paths.insert(std::mem::take(&mut path))),
            }
        } else if let Some((inside, _, _, rest)) = cursor.any_group() {
            scan(inside, paths);
            cursor = rest;
        } else if let Some((_, rest)) = cursor.token_tree() {
            cursor = rest;
        }
    }
}

fn colons(cursor: Cursor) -> Option<Cursor> {
    let (first, rest) = cursor.punct()?;
    let (second, rest) = rest.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(rest)
}
