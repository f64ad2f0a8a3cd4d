//! An upper bound on the cost of a JSON Schema: how often it evaluates one value in the worst case.
//!
//! `anyOf` and its like evaluate a value several times, and where a recursive schema does so at each level, the number
//! doubles with the depth of the value: a body of a few hundred bytes could keep a processor busy for years. The bound
//! here is computed on the schema alone, for values as deep as the limit lets them be. An evaluation of one value by
//! one subschema is a *look*.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// How many subschemas may look at one value together with the values that it is in, at most.
pub const MAX_LOOKS: u64 = 1000;

/// How many looks there may be for a whole body, of one value in every byte: with a larger body, a schema may look less
/// often.
pub const MAX_LOOKS_BY_BYTES: u64 = 64 << 20;

/// The most regular expressions of a schema.
pub const MAX_PATTERNS: usize = 64;

/// As many names or values of a schema are compared with one of the request at the price of one look.
const COMPARISONS_A_LOOK: usize = 16;

/// The most subschemas.
const MAX_NODES: usize = 4096;

/// Checks a schema for texts of at most `bytes` bytes, with values nested as deep as `depth`.
pub(super) fn check(schema: &Value, bytes: usize, depth: usize) -> Result<(), String> {
    let mut graph =
        Graph { root: schema, nodes: Vec::new(), known: HashMap::new(), anchors: HashMap::new(), patterns: 0 };
    collect_anchors(schema, &mut graph.anchors, true)?;
    graph.node(schema)?;
    // Nodes are appended while their schemas are read.
    let mut at = 0;
    while let Some(schema) = graph.nodes.get(at).map(|node| node.schema) {
        let edges = graph.edges(schema)?;
        if let Some(node) = graph.nodes.get_mut(at) {
            node.edges = edges;
        }
        at += 1;
    }
    if graph.patterns > MAX_PATTERNS {
        return Err(format!("the schema has more than {MAX_PATTERNS} regular expressions"));
    }
    let order = graph.order()?;
    let looks = graph.looks(&order, depth);
    let most = MAX_LOOKS.min(MAX_LOOKS_BY_BYTES / u64::try_from(bytes).unwrap_or(u64::MAX).max(1));
    if looks > most {
        let looks = if looks == u64::MAX { "countless".to_owned() } else { looks.to_string() };
        return Err(format!(
            "the schema would look at a value {looks} times, and at most {most} are allowed: use fewer of anyOf, \
             oneOf and allOf within schemas that refer to themselves, or a smaller `max-depth` or `max-body-bytes`"
        ));
    }
    Ok(())
}

/// Keywords whose schema, or schemas, are for the same value.
const IN_PLACE_KEYWORDS: [&str; 5] = ["not", "if", "then", "else", "$ref"];
const IN_PLACE_LIST_KEYWORDS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose schema is for each child of the value, whatever its name.
const CHILD_KEYWORDS: [&str; 6] =
    ["items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "propertyNames"];

struct Graph<'s> {
    root: &'s Value,
    nodes: Vec<Node<'s>>,
    known: HashMap<*const Value, usize>,
    anchors: HashMap<&'s str, &'s Value>,
    patterns: usize,
}

struct Node<'s> {
    schema: &'s Value,
    edges: Edges,
}

#[derive(Default)]
struct Edges {
    /// Schemas for the same value.
    same_value: Vec<usize>,
    /// Schemas for each child of the value.
    each_child: Vec<usize>,
    /// Schemas for one child each; no two of them are for the same child.
    one_child: Vec<usize>,
    /// The schemas for the same value are evaluated twice.
    evaluated_twice: bool,
    /// The looks for comparing the value with the names and values that the schema itself lists.
    own_looks: u64,
}

fn collect_anchors<'s>(value: &'s Value, anchors: &mut HashMap<&'s str, &'s Value>, root: bool) -> Result<(), String> {
    match value {
        Value::Object(object) => {
            if root && object.get("$schema").is_some_and(|it| it != "https://json-schema.org/draft/2020-12/schema") {
                return Err("`$schema` names another draft than 2020-12: leave it out, or name that".into());
            }
            if !root && object.get("$id").is_some_and(Value::is_string) {
                return Err("`$id` within a schema is not supported: put subschemas into `$defs`".into());
            }
            if let Some(name) = object.get("$anchor").and_then(Value::as_str) {
                anchors.insert(name, value);
            }
            object.values().try_for_each(|value| collect_anchors(value, anchors, false))
        }
        Value::Array(all) => all.iter().try_for_each(|value| collect_anchors(value, anchors, false)),
        _ => Ok(()),
    }
}

impl<'s> Graph<'s> {
    fn node(&mut self, schema: &'s Value) -> Result<usize, String> {
        let key: *const Value = schema;
        if let Some(at) = self.known.get(&key) {
            return Ok(*at);
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("the schema has more than {MAX_NODES} subschemas"));
        }
        self.nodes.push(Node { schema, edges: Edges::default() });
        self.known.insert(key, self.nodes.len() - 1);
        Ok(self.nodes.len() - 1)
    }

    fn edges(&mut self, schema: &'s Value) -> Result<Edges, String> {
        let mut edges = Edges { own_looks: 1, ..Edges::default() };
        let Some(object) = schema.as_object() else { return Ok(edges) };
        let mut comparisons = 0;
        for (keyword, value) in object {
            let keyword = keyword.as_str();
            match keyword {
                "enum" | "required" => comparisons += value.as_array().map_or(0, Vec::len),
                "properties" | "patternProperties" | "dependentRequired" | "dependentSchemas" => {
                    comparisons += value.as_object().map_or(0, Map::len);
                }
                _ => {}
            }
            match keyword {
                "pattern" => self.patterns += 1,
                "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" => {
                    return Err(format!("`{keyword}` is not supported: use `$ref`"));
                }
                "$ref" => {
                    let target = self.resolve(value)?;
                    edges.same_value.push(self.node(target)?);
                }
                _ if IN_PLACE_KEYWORDS.contains(&keyword) => edges.same_value.push(self.node(value)?),
                _ if IN_PLACE_LIST_KEYWORDS.contains(&keyword) => {
                    for value in value.as_array().into_iter().flatten() {
                        edges.same_value.push(self.node(value)?);
                    }
                }
                "dependentSchemas" => {
                    for value in values(value) {
                        edges.same_value.push(self.node(value)?);
                    }
                }
                "patternProperties" => {
                    for value in values(value) {
                        self.patterns += 1;
                        edges.each_child.push(self.node(value)?);
                    }
                }
                "properties" => {
                    for value in values(value) {
                        edges.one_child.push(self.node(value)?);
                    }
                }
                "prefixItems" => {
                    for value in value.as_array().into_iter().flatten() {
                        edges.one_child.push(self.node(value)?);
                    }
                }
                _ if CHILD_KEYWORDS.contains(&keyword) => edges.each_child.push(self.node(value)?),
                _ => {}
            }
        }
        edges.own_looks = 1 + u64::try_from(comparisons / COMPARISONS_A_LOOK).unwrap_or(u64::MAX - 1);
        // The rest is found by looking at everything else once more.
        edges.evaluated_twice = object.contains_key("unevaluatedProperties") || object.contains_key("unevaluatedItems");
        Ok(edges)
    }

    fn resolve(&self, reference: &Value) -> Result<&'s Value, String> {
        let wrong =
            |reference: &str, what: &str| Err(format!("`$ref` \"{}\" {what}", crate::problem::bounded(reference)));
        let Some(reference) = reference.as_str() else { return Err("`$ref` is not a text".into()) };
        let Some(fragment) = reference.strip_prefix('#') else {
            return wrong(reference, "is remote: put the schema that it refers to into `$defs`");
        };
        let fragment = crate::path::decode(fragment).unwrap_or_default();
        let target = match fragment.starts_with('/') || fragment.is_empty() {
            true => self.root.pointer(&fragment),
            false => self.anchors.get(fragment.as_ref()).copied(),
        };
        target.map_or_else(|| wrong(reference, "refers to nothing"), Ok)
    }

    /// The nodes such that those for the same value come before the one that asks them.
    fn order(&self) -> Result<Vec<usize>, String> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            Unseen,
            Open,
            Done,
        }
        let mut marks = vec![Mark::Unseen; self.nodes.len()];
        let mut order = Vec::with_capacity(self.nodes.len());
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, false)];
            while let Some((at, left)) = stack.pop() {
                let (Some(mark), Some(node)) = (marks.get_mut(at), self.nodes.get(at)) else { continue };
                match (*mark, left) {
                    (_, true) => {
                        *mark = Mark::Done;
                        order.push(at);
                    }
                    (Mark::Done, false) => {}
                    (Mark::Open, false) => {
                        return Err("the schema refers to itself for the same value, endlessly".into());
                    }
                    (Mark::Unseen, false) => {
                        *mark = Mark::Open;
                        stack.push((at, true));
                        let here = node.edges.same_value.iter();
                        stack.extend(
                            here.filter(|next| marks.get(**next) != Some(&Mark::Done)).map(|next| (*next, false)),
                        );
                    }
                }
            }
        }
        Ok(order)
    }

    /// The most looks of the root, level by level of the value from the innermost.
    fn looks(&self, order: &[usize], depth: usize) -> u64 {
        let mut inner = vec![0_u64; self.nodes.len()];
        for _ in 0..=depth {
            let mut outer = vec![0_u64; self.nodes.len()];
            let sum = |of: &[u64], nodes: &[usize]| {
                nodes.iter().fold(0_u64, |sum, at| sum.saturating_add(of.get(*at).copied().unwrap_or(0)))
            };
            for at in order {
                let Some(Node { edges, .. }) = self.nodes.get(*at) else { continue };
                let apart = edges.one_child.iter().filter_map(|at| inner.get(*at)).max().copied().unwrap_or(0);
                let here = sum(&outer, &edges.same_value).saturating_mul(if edges.evaluated_twice { 2 } else { 1 });
                let all = here
                    .saturating_add(sum(&inner, &edges.each_child))
                    .saturating_add(apart)
                    .saturating_add(edges.own_looks);
                if let Some(place) = outer.get_mut(*at) {
                    *place = all;
                }
            }
            inner = outer;
        }
        inner.first().copied().unwrap_or(0)
    }
}

fn values(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(Map::values)
}
