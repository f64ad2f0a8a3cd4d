//! A jq program with a meter: each of its terms counts what it does.
//!
//! jaq cannot be interrupted, and a program of a few characters may run for ever or ask for all memory. So the
//! program's tree is rewritten before it is compiled. After each term stands `elias_step`, or `elias_measure` where the
//! term makes a new value or goes through a whole one; these natives use up the run's steps (see `runtime`). What no
//! count can hold is left out: definitions and with them recursion, and `*` on texts without a bound.

use super::InvalidTransform;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part, Path};

/// How deep a program's terms may be in each other.
const DEPTH_MAX: usize = 64;

/// Natives whose outputs are their arguments' or one by one, and that do not go through their input.
const GENERATORS: [&str; 8] = ["error_empty", "first", "last", "limit", "path", "path_value", "range", "skip"];

/// The variable that stands for the operand of `+=` and the like.
const OPERAND: &str = "$elias_operand";

/// Rewrites programs. Knows the natives, before and after which values are measured.
pub(super) struct Meter<'n> {
    pub(super) natives: &'n [&'static str],
}

impl Meter<'_> {
    /// The program with its meter.
    pub(super) fn program<'s>(&self, term: Term<&'s str>) -> Result<Term<&'s str>, InvalidTransform> {
        self.term(term, DEPTH_MAX)
    }

    fn term<'s>(&self, term: Term<&'s str>, depth: usize) -> Result<Term<&'s str>, InvalidTransform> {
        let depth = depth.checked_sub(1).ok_or_else(|| InvalidTransform::new("has too many terms in each other"))?;
        let boxed = |term: Box<Term<&'s str>>| self.term(*term, depth).map(Box::new);
        let all = |terms: Vec<Term<&'s str>>| -> Result<Vec<Term<&'s str>>, InvalidTransform> {
            terms.into_iter().map(|term| self.term(term, depth)).collect()
        };
        Ok(match term {
            Term::Id | Term::Num(_) | Term::Var(_) => step(term),
            Term::Recurse => step(measured(Term::Id, term)),
            Term::Break(_) | Term::Arr(None) => term,
            Term::Str(format, parts) => measure(self.text(format, parts, depth)?),
            Term::Arr(Some(items)) => measure(Term::Arr(Some(boxed(items)?))),
            Term::Obj(members) => {
                let member = |(key, value): (Term<&'s str>, Option<Term<&'s str>>)| {
                    let value = value.map(|value| self.term(value, depth)).transpose()?;
                    Ok((self.key(key, value.is_some(), depth)?, value))
                };
                measure(Term::Obj(members.into_iter().map(member).collect::<Result<_, InvalidTransform>>()?))
            }
            Term::Neg(term) => measure(Term::Neg(boxed(term)?)),
            Term::BinOp(left, operator, right) => self.binary(*left, operator, *right, depth)?,
            Term::Label(name, term) => Term::Label(name, boxed(term)?),
            Term::Fold(kind, items, pattern, arguments) => {
                step(Term::Fold(kind, boxed(items)?, self.pattern(pattern, depth)?, all(arguments)?))
            }
            Term::TryCatch(body, handler) => step(Term::TryCatch(boxed(body)?, handler.map(boxed).transpose()?)),
            Term::IfThenElse(branches, otherwise) => {
                let branch = |(condition, then): (Term<&'s str>, Term<&'s str>)| {
                    Ok((self.term(condition, depth)?, self.term(then, depth)?))
                };
                let branches = branches.into_iter().map(branch).collect::<Result<_, InvalidTransform>>()?;
                step(Term::IfThenElse(branches, otherwise.map(boxed).transpose()?))
            }
            Term::Def(..) => return Err(InvalidTransform::new("must not define functions (def)")),
            Term::Call(name, arguments) => {
                let mut arguments = all(arguments)?;
                if name == "has" {
                    arguments = arguments.into_iter().map(|key| pipe(key, call("elias_key"))).collect();
                }
                let call = Term::Call(name, arguments);
                let whole = self.natives.contains(&name) && !GENERATORS.contains(&name);
                if whole { measure(measured(Term::Id, call)) } else { step(call) }
            }
            Term::Path(value, path) => {
                let goes_through = path.0.iter().any(|(part, _)| matches!(part, Part::Range(..)));
                let value = self.term(*value, depth)?;
                let value = if goes_through { measure(value) } else { value };
                step(Term::Path(Box::new(value), self.path(path, depth)?))
            }
        })
    }

    fn binary<'s>(
        &self,
        left: Term<&'s str>,
        operator: BinaryOp<&'s str>,
        right: Term<&'s str>,
        depth: usize,
    ) -> Result<Term<&'s str>, InvalidTransform> {
        if let BinaryOp::UpdateMath(math) = operator {
            // `path += f` is `f as $operand | path |= . + $operand`, whose sums are measured one by one.
            let sum = binary(Term::Id, BinaryOp::Math(math), Term::Var(OPERAND));
            let update = binary(left, BinaryOp::Update, sum);
            return self.term(binary(right, BinaryOp::Pipe(Some(Pattern::Var(OPERAND))), update), depth);
        }
        let (left, right) = (self.term(left, depth)?, self.term(right, depth)?);
        Ok(match operator {
            BinaryOp::Pipe(pattern) => {
                let pattern = pattern.map(|pattern| self.pattern(pattern, depth)).transpose()?;
                binary(left, BinaryOp::Pipe(pattern), right)
            }
            BinaryOp::Comma => binary(left, operator, right),
            BinaryOp::Alt | BinaryOp::Or | BinaryOp::And => step(binary(left, operator, right)),
            BinaryOp::Math(Math::Mul) => measure(Term::Call("elias_multiply", vec![measure(left), measure(right)])),
            BinaryOp::Math(_) => measure(binary(measure(left), operator, measure(right))),
            BinaryOp::Cmp(_) => step(binary(measure(left), operator, measure(right))),
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt | BinaryOp::UpdateMath(_) => {
                measure(binary(left, operator, right))
            }
        })
    }

    fn text<'s>(
        &self,
        format: Option<&'s str>,
        parts: Vec<StrPart<&'s str, Term<&'s str>>>,
        depth: usize,
    ) -> Result<Term<&'s str>, InvalidTransform> {
        let part = |part: StrPart<&'s str, Term<&'s str>>| {
            Ok(match part {
                StrPart::Term(term) => StrPart::Term(measure(self.term(term, depth)?)),
                StrPart::Str(_) | StrPart::Char(_) => part,
            })
        };
        Ok(Term::Str(format, parts.into_iter().map(part).collect::<Result<_, InvalidTransform>>()?))
    }

    /// The key of an object's member or of a pattern. One without a value stands for the value too, by its form.
    fn key<'s>(&self, key: Term<&'s str>, has_value: bool, depth: usize) -> Result<Term<&'s str>, InvalidTransform> {
        match key {
            Term::Str(format, parts) => self.text(format, parts, depth),
            Term::Var(_) => Ok(key),
            key if has_value => self.term(key, depth),
            _ => Err(InvalidTransform::new("has an object with a key that needs a value")),
        }
    }

    fn pattern<'s>(&self, pattern: Pattern<&'s str>, depth: usize) -> Result<Pattern<&'s str>, InvalidTransform> {
        let depth = depth.checked_sub(1).ok_or_else(|| InvalidTransform::new("has too many terms in each other"))?;
        Ok(match pattern {
            Pattern::Var(name) => Pattern::Var(name),
            Pattern::Arr(patterns) => {
                let patterns = patterns.into_iter().map(|pattern| self.pattern(pattern, depth));
                Pattern::Arr(patterns.collect::<Result<_, _>>()?)
            }
            Pattern::Obj(members) => {
                let member = |(key, pattern): (Term<&'s str>, Pattern<&'s str>)| {
                    Ok((self.key(key, true, depth)?, self.pattern(pattern, depth)?))
                };
                Pattern::Obj(members.into_iter().map(member).collect::<Result<_, InvalidTransform>>()?)
            }
        })
    }

    fn path<'s>(&self, path: Path<Term<&'s str>>, depth: usize) -> Result<Path<Term<&'s str>>, InvalidTransform> {
        let term = |term: Option<Term<&'s str>>| term.map(|term| self.term(term, depth)).transpose();
        let part = |(part, optional): (Part<Term<&'s str>>, Opt)| {
            let part = match part {
                Part::Index(index) if is_literal(&index) => Part::Index(index),
                // An array as an index, as in `has`, searches for itself, which may take the product of both lengths.
                Part::Index(index) => Part::Index(pipe(self.term(index, depth)?, call("elias_key"))),
                Part::Range(from, to) => Part::Range(term(from)?, term(to)?),
            };
            Ok((part, optional))
        };
        Ok(Path(path.0.into_iter().map(part).collect::<Result<_, InvalidTransform>>()?))
    }
}

fn is_literal(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Str(None, parts) => !parts.iter().any(|part| matches!(part, StrPart::Term(_))),
        _ => false,
    }
}

fn binary<'s>(left: Term<&'s str>, operator: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), operator, Box::new(right))
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    binary(left, BinaryOp::Pipe(None), right)
}

fn call(name: &str) -> Term<&str> {
    Term::Call(name, Vec::new())
}

/// The term, and a step for each of its outputs.
fn step(term: Term<&str>) -> Term<&str> {
    pipe(term, call("elias_step"))
}

/// The term, and as many steps for each of its outputs as that is large.
fn measure(term: Term<&str>) -> Term<&str> {
    pipe(term, call("elias_measure"))
}

/// A term whose input is measured.
fn measured<'s>(input: Term<&'s str>, term: Term<&'s str>) -> Term<&'s str> {
    pipe(measure(input), term)
}
