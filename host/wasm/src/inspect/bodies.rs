//! Function bodies, each looked at once: valid, and not shaped to keep a code generator or this check busy.
//!
//! The limits are far above what honest compilers emit and far below what it takes to build a bomb. Measured on a whole
//! Python and a whole JavaScript engine: blocks nested 782 deep, loops 6, 273 locals, functions of 18 parameters and one
//! result, 44,376 branch targets in tables. How long a body is, is no sign of either (427 KB there), so nothing is said of
//! it: what does not compile in time is stopped by the compiler's own limits.

use wasmparser::{
    CompositeInnerType, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, Parser,
    Payload, TypeSectionReader, ValidPayload, Validator, ValidatorResources,
};

use super::{InspectError, allowed_features, at_most};

/// Blocks within blocks.
const MAX_NESTING: u32 = 2_048;
/// Loops within loops: what they cost a code generator grows with the third power.
const MAX_LOOPS: u32 = 64;
/// Locals of one function, parameters counted.
const MAX_LOCALS: u32 = 4_096;
const MAX_PARAMETERS: u32 = 64;
const MAX_RESULTS: u32 = 16;
/// Targets of all branch tables.
const MAX_TARGETS: u32 = 1_000_000;

/// Validates a whole component.
pub(super) fn validate(component: &[u8]) -> Result<(), InspectError> {
    let mut validator = Validator::new_with_features(allowed_features());
    let mut functions = Vec::new();
    let mut parser = Parser::new(0);
    parser.set_features(allowed_features());
    for payload in parser.parse_all(component) {
        let payload = payload?;
        if let Payload::TypeSection(types) = &payload {
            check_types(types)?;
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            functions.push((function, body));
        }
    }
    let mut check = BodyCheck::default();
    for (function, body) in functions {
        check.take(function, &body)?;
    }
    Ok(())
}

fn check_types(types: &TypeSectionReader<'_>) -> Result<(), InspectError> {
    for group in types.clone() {
        for kind in group?.into_types() {
            if let CompositeInnerType::Func(function) = kind.composite_type.inner {
                at_most(count(function.params()), MAX_PARAMETERS, "parameters in one function")?;
                at_most(count(function.results()), MAX_RESULTS, "results in one function")?;
            }
        }
    }
    Ok(())
}

/// What is carried from body to body.
#[derive(Default)]
struct BodyCheck {
    allocations: FuncValidatorAllocations,
    targets: u32,
    /// Of each open block whether it is a loop.
    open: Vec<bool>,
}

impl BodyCheck {
    fn take(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), InspectError> {
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let mut reader = body.get_binary_reader();
        reader.set_features(allowed_features());
        validator.read_locals(&mut reader)?;
        at_most(validator.len_locals(), MAX_LOCALS, "locals in one function")?;
        self.open.clear();
        let mut loops = 0;
        while !reader.eof() {
            let place = reader.original_position();
            match reader.peek_operator(&validator.visitor(place))? {
                Operator::Loop { .. } => {
                    self.open.push(true);
                    loops += 1;
                }
                Operator::Block { .. } | Operator::If { .. } => self.open.push(false),
                Operator::End => loops -= u32::from(self.open.pop() == Some(true)),
                Operator::BrTable { targets } => {
                    self.targets = self.targets.saturating_add(targets.len());
                    at_most(self.targets, MAX_TARGETS, "targets of branch tables")?;
                }
                _ => {}
            }
            at_most(count(&self.open), MAX_NESTING, "blocks within blocks")?;
            at_most(loops, MAX_LOOPS, "loops within loops")?;
            reader.visit_operator(&mut validator.visitor(place))??;
        }
        reader.finish_expression(&validator.visitor(reader.original_position()))?;
        self.allocations = validator.into_allocations();
        Ok(())
    }
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
