//! From paths in the code to the files that define what they name.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{Crates, Id, Module};

/// Which file takes which names from which other file.
pub type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What a path leads to.
#[derive(Clone, PartialEq, Eq)]
enum Target {
    Module(Id),
    Item(Item),
}

#[derive(Clone, PartialEq, Eq)]
struct Item {
    /// The module that defines it.
    module: Id,
    name: String,
    /// The modules that import it themselves, on the way from the one that names it.
    offered_by: Vec<Id>,
}

/// The names on the way to a path's target, so that names which stand for each other come to an end.
type Passed = BTreeSet<(Id, String)>;

impl Crates {
    /// It is no import when a module offers what its children define, or takes from a parent what that only offers, since it is the
    /// parent that is made of them. What a parent defines itself is imported from it as from any other module.
    pub fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (id, module) in &self.modules {
            let taken = module.imports.iter().filter(|it| it.name != "*").filter_map(|import| {
                let item = self.item(id, &import.path)?;
                (!(import.offered && item.module.starts_with(id))).then_some(item)
            });
            let named = module.paths.iter().filter_map(|path| self.item(id, path));
            for Item { module: definer, name, offered_by } in taken.chain(named) {
                let offered_by_others = offered_by.iter().filter(|from| !id.starts_with(from));
                for from in offered_by_others.chain([&definer]) {
                    let file = &self.modules[from].file;
                    if *file != module.file {
                        let from = imports.entry(module.file.clone()).or_default().entry(file.clone()).or_default();
                        from.insert(name.clone());
                    }
                }
            }
        }
        imports
    }

    fn item(&self, from: &Id, path: &[String]) -> Option<Item> {
        match self.resolve(from, path, &mut Passed::new())? {
            Target::Item(item) => Some(item),
            Target::Module(_) => None,
        }
    }

    fn resolve(&self, from: &Id, path: &[String], passed: &mut Passed) -> Option<Target> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => from[..1].to_vec(),
            "self" => from.clone(),
            "super" => {
                let mut at = parent(from)?;
                while let Some((next, after)) = rest.split_first()
                    && next == "super"
                {
                    (at, rest) = (parent(&at)?, after);
                }
                at
            }
            name => match self.look_up(from, name, rest.is_empty(), passed).or_else(|| self.root(name))? {
                Target::Module(id) => id,
                item @ Target::Item(_) => return Some(item),
            },
        };
        while let Some((next, after)) = rest.split_first() {
            match self.look_up(&at, next, after.is_empty(), passed)? {
                Target::Module(id) => (at, rest) = (id, after),
                item @ Target::Item(_) => return Some(item),
            }
        }
        Some(Target::Module(at))
    }

    /// What a name stands for in a module. Where it stands for an item and for a module, the last name of a path is the item.
    fn look_up(&self, id: &Id, name: &str, last: bool, passed: &mut Passed) -> Option<Target> {
        if !passed.insert((id.clone(), name.to_owned())) {
            return None;
        }
        let module: &Module = self.modules.get(id)?;
        let item = || Item { module: id.clone(), name: name.to_owned(), offered_by: Vec::new() };
        let item = module.items.contains(name).then(|| Target::Item(item()));
        let child = self.is_child(id, name).then(|| Target::Module([id.as_slice(), &[name.to_owned()]].concat()));
        let found = if last { item.or(child) } else { child.or(item) };
        let found = found.or_else(|| match self.imported(id, module, name, last, passed)? {
            Target::Item(item) => {
                let offered_by = item.offered_by.iter().chain([id]).cloned().collect();
                Some(Target::Item(Item { offered_by, ..item }))
            }
            module @ Target::Module(_) => Some(module),
        });
        passed.remove(&(id.clone(), name.to_owned()));
        found
    }

    fn imported(&self, id: &Id, module: &Module, name: &str, last: bool, passed: &mut Passed) -> Option<Target> {
        let mut named = module.imports.iter().filter(|import| import.name == name);
        let found = named.find_map(|import| self.resolve(id, &import.path, passed));
        found.or_else(|| {
            let mut everything = module.imports.iter().filter(|import| import.name == "*");
            everything.find_map(|import| match self.resolve(id, &import.path, passed)? {
                Target::Module(from) => self.look_up(&from, name, last, passed),
                Target::Item(_) => None,
            })
        })
    }

    fn is_child(&self, id: &Id, name: &str) -> bool {
        self.modules.contains_key(&[id.as_slice(), &[name.to_owned()]].concat())
    }

    fn root(&self, name: &str) -> Option<Target> {
        let id = vec![name.to_owned()];
        self.modules.contains_key(&id).then_some(Target::Module(id))
    }
}

fn parent(id: &Id) -> Option<Id> {
    let (_, before) = id.split_last()?;
    (!before.is_empty()).then(|| before.to_vec())
}

/// The files that can be reached from one another, circle by circle.
pub fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (file.as_str(), reachable(imports, file))).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (file, others) in &reached {
        let back = |other: &&&str| reached.get(**other).is_some_and(|it| it.contains(file));
        let circle: Vec<String> = others.iter().filter(back).map(|&other| other.to_owned()).collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// In one step or more.
fn reachable<'i>(imports: &'i Imports, from: &'i str) -> BTreeSet<&'i str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut pending = vec![from];
    while let Some(file) = pending.pop() {
        let next = imports.get(file).into_iter().flat_map(BTreeMap::keys).map(String::as_str);
        pending.extend(next.filter(|&file| found.insert(file)));
    }
    found
}
