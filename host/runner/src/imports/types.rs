//! Interface `types`: errors on their way to the guest.

use hearth_base::{Capability, GuestError, Quota};

use crate::{
    bindings::types::{self, Error},
    context::Context,
};

impl types::Host for Context {}

impl From<GuestError> for Error {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Denied(capability) => Self::Denied(capability.into()),
            GuestError::OverQuota(quota) => Self::OverQuota(quota.into()),
            GuestError::Invalid(words) => Self::Invalid(words),
            GuestError::Refused => Self::Refused,
            GuestError::Unsupported => Self::Unsupported,
        }
    }
}

impl From<Capability> for types::Capability {
    fn from(capability: Capability) -> Self {
        match capability {
            Capability::Model => Self::Model,
            Capability::PersonalModel => Self::PersonalModel,
            Capability::DocumentsRead => Self::DocumentsRead,
            Capability::DocumentsSearch => Self::DocumentsSearch,
            Capability::DocumentsSave => Self::DocumentsSave,
            Capability::Panel => Self::Panel,
            Capability::Storage => Self::Storage,
            Capability::RevealChoice => Self::RevealChoice,
            Capability::RevealText => Self::RevealText,
        }
    }
}

impl From<Quota> for types::Quota {
    fn from(quota: Quota) -> Self {
        match quota {
            Quota::Calls => Self::Calls,
            Quota::Tokens => Self::Tokens,
            Quota::Handles => Self::Handles,
            Quota::Bytes => Self::Bytes,
            Quota::Items => Self::Items,
            Quota::Panels => Self::Panels,
            Quota::Storage => Self::Storage,
            Quota::Bits => Self::Bits,
        }
    }
}
