//! Building blocks of the pages.

mod badge;
mod button;
mod card;
mod field;
mod progress;
mod row;

pub(crate) use badge::{badge, chip, tone_colors};
pub(crate) use button::{
    danger, ghost, icon_button, icon_toggle, primary, primary_enabled, secondary,
    secondary_enabled, tab,
};
pub(crate) use card::{banner, bullet, card, centred_column, empty, page, section};
pub(crate) use field::{area, line, password, path_row, search};
pub(crate) use progress::{bar, busy};
pub(crate) use row::{Row, row};
