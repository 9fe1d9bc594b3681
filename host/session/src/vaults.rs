//! Opening and closing the vault.

use std::{sync::Arc, time::Duration};

use hearth_broker::Broker;
use hearth_vault::{Passphrase, Vault};
use tokio::task::JoinSet;

use crate::{
    Reply, Ticket, UserError, VaultState,
    cancel::Cancel,
    event_loop::EventLoop,
    library, models,
    msg::{Change, Epoch, Msg},
    plugins,
    runs::{Bridge, last_spent, stop_all},
    task::{Ctx, Room, Task},
    tuning,
};

/// How long closing waits for work that was told to stop, before it drops what can be dropped.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long it then waits for the rest, before it says so.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
const CLOSE_POLL: Duration = Duration::from_millis(2);

impl EventLoop {
    pub(crate) fn open_vault(&mut self, ticket: Ticket, passphrase: Passphrase, create: bool) {
        if self.room.is_some() || self.opening.is_some() {
            let error = UserError::user("The vault is open already.", "Lock it first.");
            return self.end(ticket, Err(error));
        }
        self.opening = Some(ticket);
        self.at_the_door += 1;
        self.view.vault = VaultState::Opening;
        self.epoch = Epoch(self.epoch.0 + 1);
        let (ctx, epoch) = (Arc::clone(&self.ctx), self.epoch);
        self.ctx.runtime.spawn(async move {
            let guard = ctx.door.lock().await;
            let for_work = Arc::clone(&ctx);
            let opened = tokio::task::spawn_blocking(move || {
                let vault = if create {
                    create_vault(&for_work, &passphrase)
                } else if for_work.config.in_memory_vault {
                    Err(UserError::user("There is no vault in memory.", "Create one."))
                } else {
                    for_work.dir.unlock(&passphrase).map_err(Into::into)
                }?;
                let room = enter(&for_work, vault, epoch);
                let changes = first_look(&for_work, &room)?;
                Ok((room, changes))
            })
            .await
            .unwrap_or_else(|_| Err(UserError::internal("Opening the vault broke off.")));
            drop(guard);
            let message = match opened {
                Ok((room, changes)) => Msg::Opened(ticket, Box::new(room), changes),
                Err(error) => Msg::NotOpened(ticket, error),
            };
            ctx.tell(message).await;
        });
    }

    pub(crate) fn opened(&mut self, ticket: Ticket, room: Room, changes: Vec<Change>) {
        self.at_the_door -= 1;
        self.room = Some(room);
        if self.opening != Some(ticket) {
            // Locked again before it was open.
            self.end(ticket, Err(UserError::cancelled("The vault was locked.")));
            return self.close(None);
        }
        self.opening = None;
        // One that was given up meanwhile may have counted on.
        self.epoch = self.room.as_ref().map_or(self.epoch, |room| room.epoch);
        self.view.vault = VaultState::Open;
        let stamp = self.ctx.stamp();
        for change in changes {
            self.change(stamp, change);
        }
        self.end(ticket, Ok(Reply::Unit));
        self.load_default_model();
        self.prepare_plugins();
        self.tell_bases_apart();
    }

    pub(crate) fn not_opened(&mut self, ticket: Ticket, error: UserError) {
        self.at_the_door -= 1;
        if self.opening == Some(ticket) {
            self.opening = None;
            self.view.vault = self.closed_state();
        }
        self.settle();
        self.end(ticket, Err(error));
    }

    pub(crate) fn lock(&mut self, ticket: Ticket) {
        if self.opening.take().is_some() || self.room.is_some() {
            self.close(Some(ticket));
        } else {
            self.end_when_locked(ticket);
        }
    }

    fn end_when_locked(&mut self, ticket: Ticket) {
        self.locking.push(ticket);
        self.settle();
    }

    /// Shows that the vault is closed, once it is.
    pub(crate) fn settle(&mut self) {
        if self.view.vault == VaultState::Closing {
            self.view.vault = self.closed_state();
        }
        if self.at_the_door == 0 {
            for ticket in std::mem::take(&mut self.locking) {
                self.end(ticket, Ok(Reply::Unit));
            }
        }
    }

    /// Stops everything and drops every key. The view is empty at once; [`Msg::Closed`] comes when the keys are gone
    /// and with them what the model has read.
    pub(crate) fn close(&mut self, ticket: Option<Ticket>) {
        for cancel in std::mem::take(&mut self.running).into_values() {
            cancel.cancel();
        }
        let waiting = self.runs.drain_tickets();
        let plugins: Vec<_> = self.view.plugins.iter().map(|plugin| plugin.id.clone()).collect();
        self.epoch = Epoch(self.epoch.0 + 1);
        self.forget(self.closed_state());
        for ticket in waiting {
            self.end(ticket, Err(UserError::cancelled("The vault was locked.")));
        }
        let Some(room) = self.room.take() else {
            if let Some(ticket) = ticket {
                self.end_when_locked(ticket);
            }
            return;
        };
        let tasks = std::mem::take(&mut self.tasks);
        let abandon = std::mem::take(&mut self.abandon);
        let ctx = Arc::clone(&self.ctx);
        self.at_the_door += 1;
        self.ctx.runtime.spawn(async move {
            let _guard = ctx.door.lock().await;
            stop_all(&room.broker, &plugins);
            end_tasks(tasks, &abandon).await;
            room.broker.shutdown().await;
            last_spent(&ctx, &room).await;
            let Room { vault, broker, .. } = room;
            drop(broker);
            let mut closed = Msg::Closed(ticket, Ok(()));
            if tokio::time::timeout(CLOSE_LIMIT, let_go(&vault)).await.is_err() {
                let error = UserError::internal("Some work did not let go of the vault.");
                ctx.tell(Msg::Closed(ticket, Err(error))).await;
                closed = Msg::ClosedLate;
                let_go(&vault).await;
            }
            // The keys first: the model may be at work for long yet.
            tokio::task::spawn_blocking(move || drop(vault)).await.ok();
            // Its cache holds what was last read.
            ctx.engine.unload().await;
            ctx.tell(closed).await;
        });
    }

    pub(crate) fn closed(&mut self, ticket: Option<Ticket>, result: Result<(), UserError>) {
        self.at_the_door -= 1;
        if result.is_ok() {
            self.settle();
        }
        match (ticket, result) {
            (Some(ticket), result) => self.end(ticket, result.map(|()| Reply::Unit)),
            (None, Ok(())) => {}
            (None, Err(error)) => tracing::error!(%error, "the vault did not close"),
        }
    }

    pub(crate) fn change_passphrase(&mut self, ticket: Ticket, old: Passphrase, new: Passphrase) {
        self.blocking(ticket, move |task| {
            match task.ctx.config.scrypt_log_n {
                Some(log_n) => {
                    task.vault().change_passphrase_with_work_factor(&old, &new, log_n)?;
                }
                None => task.vault().change_passphrase(&old, &new)?,
            }
            Ok(Reply::Unit)
        });
    }

    fn closed_state(&self) -> VaultState {
        if self.opening.is_some() {
            VaultState::Opening
        } else if self.room.is_some() || self.at_the_door > 0 {
            VaultState::Closing
        } else if !self.ctx.config.in_memory_vault && self.ctx.dir.exists() {
            VaultState::Locked
        } else {
            VaultState::Absent
        }
    }
}

fn create_vault(ctx: &Ctx, passphrase: &Passphrase) -> Result<Vault, UserError> {
    if ctx.config.in_memory_vault {
        return Ok(Vault::in_memory()?);
    }
    Ok(match ctx.config.scrypt_log_n {
        Some(log_n) => ctx.dir.create_with_work_factor(passphrase, log_n)?,
        None => ctx.dir.create(passphrase)?,
    })
}

fn enter(ctx: &Arc<Ctx>, vault: Vault, epoch: Epoch) -> Room {
    let vault = Arc::new(vault);
    let bridge = Arc::new(Bridge::new(ctx, epoch));
    let broker = Broker::new(
        Arc::clone(&vault),
        ctx.engine.clone(),
        Arc::clone(&bridge) as Arc<dyn hearth_broker::Observer>,
        bridge,
        ctx.runtime.clone(),
    );
    Room::new(epoch, vault, broker)
}

/// Everything a shell shows first, read before the unlocking counts as done.
fn first_look(ctx: &Arc<Ctx>, room: &Room) -> Result<Vec<Change>, UserError> {
    let task = Task {
        ctx: Arc::clone(ctx),
        room: room.clone(),
        ticket: Ticket(0),
        cancel: Cancel::default(),
        stamp: ctx.stamp(),
    };
    let mut changes = plugins::install_bundled(&task);
    changes.push(Change::Plugins(plugins::read(&task)?));
    changes.push(Change::DeveloperMode(plugins::developer_mode(&task)?));
    changes.push(crate::tools::modes(&task)?);
    changes.push(crate::schedules::read(&task)?);
    changes.push(Change::Folders(room.vault.folders()?));
    changes.push(library::first_page(&task)?);
    changes.push(Change::Conversations(room.vault.conversations()?));
    changes.push(Change::Models(models::read(&task)?, models::load_options(&task)?));
    changes.extend(tuning::first_look(&task)?);
    changes.push(Change::Activity(room.vault.audit_rows(None, plugins::ACTIVITY_ROWS)?));
    Ok(changes)
}

/// Waits for work that was told to stop, and drops what does not.
async fn end_tasks(mut tasks: JoinSet<()>, abandon: &Cancel) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
        abandon.cancel();
        while tasks.join_next().await.is_some() {}
    }
}

/// Waits until nobody else holds the vault.
async fn let_go(vault: &Arc<Vault>) {
    while Arc::strong_count(vault) > 1 {
        tokio::time::sleep(CLOSE_POLL).await;
    }
}
