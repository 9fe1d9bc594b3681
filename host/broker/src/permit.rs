//! Permits: what an operation of a run must hold to touch the vault or the model.

use std::sync::Arc;

use hearth_vault::Vault;

use crate::{
    audit,
    policy::{Access, Verdict, decide},
    scope::Scope,
    values::Fault,
};

/// Something a run wants done with private data.
pub(crate) trait Operation {
    /// What it reaches for.
    fn access(&self) -> Access<'_>;
    /// A line for the audit trail, without private text; `None` for a part of something that has one.
    fn line(&self) -> Option<String>;
}

/// Leave to do one operation, once, now. Only [`Permit::mint`] makes one; nothing copies one.
pub(crate) struct Permit<O> {
    operation: O,
    scope: Arc<Scope>,
}

impl<O: Operation> Permit<O> {
    /// Asks the policy under the grant of this moment, and writes down the answer.
    ///
    /// A run whose grant has changed since it began gets nothing more, even where the new grant would allow it.
    pub(crate) fn mint(vault: &Vault, scope: &Arc<Scope>, operation: O) -> Result<Self, Fault> {
        let verdict = check(vault, scope, operation.access());
        let listed = operation.line().and_then(|line| scope.listed(line, verdict.is_ok()));
        if let Some((line, allowed)) = listed {
            vault.audit(&audit::row(scope, line, allowed))?;
        }
        verdict?;
        Ok(Self { operation, scope: Arc::clone(scope) })
    }

    /// Without asking: a leak for the tests to find.
    #[cfg(test)]
    pub(crate) fn forged(scope: &Arc<Scope>, operation: O) -> Self {
        Self { operation, scope: Arc::clone(scope) }
    }

    /// Gives up the permit for what it allows.
    pub(crate) fn redeem(self) -> (O, Arc<Scope>) {
        (self.operation, self.scope)
    }
}

/// Whether a run may still do this.
pub(crate) fn check(vault: &Vault, scope: &Scope, access: Access<'_>) -> Result<(), Fault> {
    if scope.is_stopped() {
        return Err(Fault::Stopped);
    }
    let grant = vault.grant(&scope.plugin)?;
    let allowed = decide(&scope.manifest, &grant, access) == Verdict::Allow;
    if grant.epoch != scope.grant.epoch || !allowed {
        return Err(Fault::Revoked);
    }
    Ok(())
}
