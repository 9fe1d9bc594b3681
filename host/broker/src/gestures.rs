//! What the user's gestures tell plugins, and how plugins' accounts stand.

use std::sync::Arc;

use hearth_base::{Date, Manifest, PluginId};
use hearth_gate::{Day, Standing};
use hearth_vault::StoreError;

use crate::{BeginError, Broker, Client, ops::gate, scope::Scope};

impl Broker {
    /// Has a gesture paid for, where the user may have seen a value of the plugin's before: which one it was, of so many
    /// it could have been in all panels of the plugin.
    pub(crate) fn pay_gesture(
        &self,
        client: &mut Client,
        scope: &Arc<Scope>,
        gesture: &str,
    ) -> Result<(), BeginError> {
        let (mut controls, mut shows_values) = (0_usize, false);
        for (key, open) in self.inner.panels().iter() {
            if key.plugin == scope.plugin {
                controls += open.controls();
                shows_values |= open.shows_values();
            }
        }
        if !shows_values {
            client.record(format!("was told of {gesture}, of {controls} controls"), true);
            return Ok(());
        }
        let vault = self.inner.vault().ok_or(BeginError::Locked)?;
        let controls = u32::try_from(controls).unwrap_or(u32::MAX);
        gate::pay_gesture(&vault, scope, controls)?
            .map_err(|spent| BeginError::GesturesSpent { left_millibits: spent.left_millibits })
    }

    /// Lets a plugin hear more gestures today than it would: the user's word, each time for as many again. Blocks on the
    /// vault.
    ///
    /// # Errors
    /// [`BeginError::Locked`], [`BeginError::NotInstalled`], or the vault's.
    pub fn allow_gestures(&self, plugin: &PluginId, today: Date) -> Result<(), BeginError> {
        let vault = self.inner.vault().ok_or(BeginError::Locked)?;
        vault.plugin(plugin)?.ok_or(BeginError::NotInstalled)?;
        Ok(gate::allow_gestures(&vault, plugin, Day::of(today))?)
    }

    /// How the accounts of a plugin stand; of none if the vault is locked. Blocks on the vault.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn standing(&self, manifest: &Manifest, today: Date) -> Result<Standing, StoreError> {
        let Some(vault) = self.inner.vault() else { return Ok(Standing::default()) };
        gate::standing(&vault, manifest, &vault.grant(&manifest.id)?, Day::of(today))
    }
}
